"""Plain functions of targets and predictions as metrics of two models."""

import math
from functools import partial

import numpy as np
import pytest
from scipy.stats import binom
from sklearn import metrics as sk

from robust import percent
from robust.data.live import as_data
from robust.errors import InvalidInput
from robust.evidence import Fact, Flips, Values
from robust.intervals.clopper_pearson import clopper_pearson_bounds
from robust.measures.truth import Scored
from robust.models.conversion import as_model
from robust.predicting.predictions import Predictions
from robust.quantization.degradation_paired import degradation
from robust.quantization.plain_statistic import Statistic
from robust.quantization.statistic_effects import effects_of
from robust.quantization.statistic_rows import statistic_rows

RNG = np.random.default_rng(2)
N = 300
Y = RNG.choice(3, size=N, p=(0.5, 0.3, 0.2))
LOGITS = RNG.normal(size=(N, 3)) + 2.0 * np.eye(3)[Y]
X = np.hstack([LOGITS, LOGITS + 0.8 * RNG.normal(size=(N, 3))])
OLD, NEW = (as_model(lambda x, j=j: x[:, 3 * j : 3 * j + 3], output="logits", name=f"m{j}") for j in (0, 1))
SLOW = [sk.matthews_corrcoef, sk.cohen_kappa_score, partial(sk.fbeta_score, beta=2, average="macro")]
LABELS = [sk.balanced_accuracy_score, *(pytest.param(function, marks=pytest.mark.slow) for function in SLOW)]


def labels(function, **options):
    return Statistic(function, higher_is_better=True, **options)


def soft(x):
    return np.exp(x) / np.exp(x).sum(axis=1, keepdims=True)


def accuracy_of(y, found):
    """A function without weights."""
    return float(np.mean(y == found))


def weighted_accuracy(y, found, sample_weight=None):
    return float(np.average(y == found, weights=sample_weight))


@pytest.mark.parametrize("function", LABELS, ids=["balanced", "mcc", "kappa", "fbeta"])
def test_value_is_the_difference_of_the_functions(function):
    m = degradation(OLD, NEW, (X, Y), metric=labels(function, low=-1, high=1))
    a, b = function(Y, X[:, :3].argmax(axis=1)), function(Y, X[:, 3:].argmax(axis=1))
    assert m.value == pytest.approx(a - b, abs=1e-12)
    assert m.lower < m.value < m.upper
    assert m.lower > -0.1
    assert m.upper < m.value + 0.1
    assert (m.unit, m.higher_is_better, m.reach) == ("score", False, (-2, 2))
    (values,) = (part for part in m.evidence if isinstance(part, Values))
    assert (values.reference, values.candidate) == pytest.approx((a, b))
    assert any(isinstance(part, Flips) for part in m.evidence)


@pytest.mark.slow
def test_it_agrees_with_the_catalogue_on_the_same_figure():
    by_name = degradation(OLD, NEW, (X, Y), metric="f1")
    m = degradation(OLD, NEW, (X, Y), metric=labels(partial(sk.f1_score, average="macro"), low=0, high=1))
    assert m.value == pytest.approx(by_name.value)
    assert (m.lower, m.upper) == pytest.approx(
        (by_name.lower, by_name.upper), abs=0.15 * (by_name.upper - by_name.lower)
    )


def surprise(y, p):
    """Log-loss without the checks of scikit-learn's."""
    return float(-np.log(p[np.arange(len(y)), y]).mean())


def test_probabilities_and_lower_is_better():
    m = degradation(OLD, NEW, (X, Y), metric=Statistic(surprise, of="probabilities", higher_is_better=False))
    assert m.value == pytest.approx(sk.log_loss(Y, soft(X[:, 3:])) - sk.log_loss(Y, soft(X[:, :3])))
    by_name = degradation(OLD, NEW, (X, Y), metric="log_loss", relative=False)
    assert (m.lower, m.upper) == pytest.approx((by_name.lower, by_name.upper), rel=0.2)


def middling(y, found):
    return float(np.median(np.abs(y - found)))


def test_values_and_swapped_models():
    y = RNG.normal(size=200)
    x = np.c_[y + 0.3 * RNG.normal(size=200), y + 0.5 * RNG.normal(size=200)]
    old, new = (as_model(lambda x, j=j: x[:, j], task="regression") for j in (0, 1))
    statistic = Statistic(middling, of="values", higher_is_better=False, unit="m")
    m = degradation(old, new, (x, y), metric=statistic)
    assert m.value == pytest.approx(sk.median_absolute_error(y, x[:, 1]) - sk.median_absolute_error(y, x[:, 0]))
    assert m.unit == "m"
    assert 0 < m.lower < m.value < m.upper < 1
    assert degradation(new, old, (x, y), metric=statistic).value == pytest.approx(-m.value)


@pytest.mark.parametrize("given", [{}, {"order": np.arange(N)}, {"groups": np.arange(N) // 3}])
def test_weights_repeated_rows_and_the_order_of_rows_change_nothing(given):
    one = degradation(OLD, NEW, as_data(X, Y, **given), metric=labels(weighted_accuracy, low=0, high=1))
    other = degradation(OLD, NEW, as_data(X, Y, **given), metric=labels(accuracy_of, low=0, high=1))
    assert (one.value, one.lower, one.upper) == pytest.approx((other.value, other.lower, other.upper), abs=1e-12)
    turn = RNG.permutation(N)
    shuffled = as_data(X[turn], Y[turn], **{name: values[turn] for name, values in given.items()})
    again = degradation(OLD, NEW, shuffled, metric=labels(accuracy_of, low=0, high=1))
    assert (again.value, again.lower, again.upper) == pytest.approx((one.value, one.lower, one.upper), abs=1e-12)


def test_weights_that_do_not_mean_repeated_rows_are_not_used():
    def strange(y, found, sample_weight=None):
        if sample_weight is None:
            return float(np.mean(y == found))
        return 0.5

    one = degradation(OLD, NEW, (X, Y), metric=labels(strange, low=0, high=1))
    other = degradation(OLD, NEW, (X, Y), metric=labels(accuracy_of, low=0, high=1))
    assert (one.value, one.lower, one.upper) == (other.value, other.lower, other.upper)


def scored(y, found):
    predictions = Predictions(
        model="m", task="classification", kind="labels", outputs=found[:, None].astype(float), classes=tuple(range(3))
    )
    return Scored(truth=y, prediction=found, predictions=predictions)


def effects(function, y, found):
    return effects_of(statistic_rows(labels(function), scored(y, found), scored(y, found)))


def test_effects_by_hand():
    # Any row is a part of 1/60 of the accuracy, of whatever class.
    y = np.arange(60) % 3
    assert effects(accuracy_of, y, y).rate == pytest.approx(1.0)
    assert effects(accuracy_of, y, y).classes is None
    # A row of a class of 10 is 1/30 of the balanced accuracy, a part of 1/60 of the rows; each class is a third.
    y = np.r_[np.zeros(30, int), np.ones(20, int), np.full(10, 2)]
    assert effects(sk.balanced_accuracy_score, y, y).rate == pytest.approx(60 / 30)
    assert effects(sk.balanced_accuracy_score, y, y).classes == pytest.approx([1 / 3] * 3)


def test_a_rare_class_does_not_make_a_mean_unprovable():
    keep = np.r_[np.flatnonzero(Y < 2), np.flatnonzero(Y == 2)[:4]]
    statistic = Statistic(surprise, of="probabilities", higher_is_better=False)
    m = degradation(OLD, NEW, (X[keep], Y[keep]), metric=statistic)
    assert m.value - 0.5 < m.lower < m.upper < m.value + 0.5
    # A figure that weighs the class alike is another matter.
    alike = Statistic(balanced_surprise, of="probabilities", higher_is_better=False)
    assert degradation(OLD, NEW, (X[keep], Y[keep]), metric=alike).upper == math.inf


def balanced_surprise(y, p):
    return float(np.mean([surprise(y[y == c], p[y == c]) for c in np.unique(y)]))


def test_models_that_agree_prove_what_their_rows_can():
    # Accuracy by another name: the bound is that of Clopper and Pearson.
    m = degradation(OLD, OLD, (X, Y), metric=labels(accuracy_of, low=0, high=1))
    assert m.value == 0
    assert m.upper == pytest.approx(clopper_pearson_bounds(0, N, 0.95)[1], rel=1e-6)
    assert (m < percent(0.5)).status == "INCONCLUSIVE"
    assert any("0 of 300 rows differ" in str(part.value) for part in m.evidence if isinstance(part, Fact))
    # A class of 12 rows is a third of the balanced accuracy.
    y = np.r_[np.zeros(588, int), np.ones(12, int)]
    one = as_model(lambda x: x[:, 0], classes=[0, 1])
    m = degradation(one, one, (y[:, None], y), metric=labels(sk.balanced_accuracy_score, low=0, high=1))
    assert 1 < m.upper / (0.5 * clopper_pearson_bounds(0, 12, 0.95)[1]) < 1.2


def test_a_loss_at_its_limit_seldom_passes():
    # True loss in balanced accuracy 1/40, all in a class of 5 %: samples hold half a flip on average.
    limit, passed, samples, n = 1 / 40, 0, 60, 200
    old, new = (as_model(lambda x, j=j: x[:, j], classes=[0, 1]) for j in (0, 1))
    for i in range(samples):
        rng = np.random.default_rng((5, i))
        y = (np.arange(n) < 10).astype(int)
        lost = (rng.random(n) < 0.05) & (y == 1)
        metric = labels(balanced, low=0, high=1)
        passed += (degradation(old, new, (np.c_[y, np.where(lost, 0, y)], y), metric=metric) < limit).status == "PASS"
    assert passed <= binom.ppf(0.999, samples, 0.06)


def balanced(y, found, sample_weight=None):
    w = np.ones(len(y)) if sample_weight is None else sample_weight
    return float(np.mean([w[(y == c) & (found == c)].sum() / w[y == c].sum() for c in (0, 1)]))


def needs_all(y, found):
    if len(np.unique(y)) < 2:
        raise ValueError("only one class present in y")
    return float(np.mean(y == found))


def test_a_function_that_is_undefined_on_resamples_is_an_error_that_says_so():
    y = np.r_[np.zeros(60, int), np.ones(1, int)]
    x = np.c_[y, np.r_[np.ones(15, int), np.zeros(45, int), 1]]
    old, new = (as_model(lambda x, j=j: x[:, j], classes=[0, 1]) for j in (0, 1))
    with pytest.raises(
        InvalidInput, match=r"needs_all gives no figure of \d+ of \d+ resamples of the 61 rows \(ValueError: only one"
    ):
        degradation(old, new, (x, y), metric=labels(needs_all))
    # With enough rows of each class there is no such resample.
    many = degradation(old, new, (np.tile(x, (20, 1)), np.tile(y, 20)), metric=labels(needs_all, low=0, high=1))
    assert math.isfinite(many.upper)


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda y, p: math.nan, "of m0 is nan: a finite figure is needed"),
        (lambda y, p: np.array([1.0, 2.0]), "gives no figure of m0: TypeError"),
        (lambda y, p: 1 / 0, "gives no figure of m0: ZeroDivisionError"),
        (lambda y: 1.0, "gives no figure of m0: TypeError"),
    ],
)
def test_no_figure_of_the_rows_is_an_error(function, message):
    with pytest.raises(InvalidInput, match=message):
        degradation(OLD, NEW, (X, Y), metric=labels(function))


def test_options_are_checked():
    with pytest.raises(InvalidInput, match="function got 'mcc'; a function"):
        labels("mcc")
    with pytest.raises(InvalidInput, match="of got 'scores'; one of labels, probabilities, values would be right"):
        labels(accuracy_of, of="scores")
    with pytest.raises(InvalidInput, match="higher_is_better got 'yes'"):
        Statistic(accuracy_of, higher_is_better="yes")
    with pytest.raises(InvalidInput, match="low and high got 1 and 0"):
        labels(accuracy_of, low=1, high=0)
    with pytest.raises(InvalidInput, match="plain statistic is absolute; relative=True"):
        degradation(OLD, NEW, (X, Y), metric=labels(accuracy_of), relative=True)
    with pytest.raises(InvalidInput, match="a predicted number needs regression"):
        degradation(OLD, NEW, (X, Y), metric=labels(accuracy_of, of="values"))
    assert labels(accuracy_of).label == "accuracy_of"
    assert labels(partial(sk.fbeta_score, beta=2)).label == "fbeta_score"
    assert labels(accuracy_of, name="acc").label == "acc"


def test_labels_are_those_of_the_targets():
    names = np.array(["ant", "bee", "cat"])
    turn = [2, 0, 1]
    old = as_model(lambda x: x[:, :3], output="logits", classes=names.tolist())
    new = as_model(lambda x: x[:, 3:][:, turn], output="logits", classes=names[turn].tolist())

    def bees(y, found):
        assert set(y) <= set(names.tolist())
        return float(np.mean(found[y == "bee"] == "bee"))

    m = degradation(old, new, (X, names[Y]), metric=labels(bees, low=0, high=1))
    own = Y == 1
    expected = (X[own, :3].argmax(axis=1) == 1).mean() - (X[own, 3:].argmax(axis=1) == 1).mean()
    assert m.value == pytest.approx(expected)


def test_a_multilabel_model():
    y = (RNG.random((N, 3)) < 0.4).astype(int)
    p = np.clip(0.5 + 0.5 * (y - 0.5) + 0.3 * RNG.normal(size=(N, 3)), 0, 1)
    x = np.hstack([p, np.clip(p + 0.2 * RNG.normal(size=(N, 3)), 0, 1)])
    old, new = (
        as_model(lambda x, j=j: x[:, 3 * j : 3 * j + 3], task="multilabel", output="probabilities") for j in (0, 1)
    )

    def hamming(y, found):
        return float(np.mean(y != found))

    statistic = Statistic(hamming, higher_is_better=False, low=0, high=1)
    m = degradation(old, new, (x, y), metric=statistic)
    assert m.value == pytest.approx(np.mean((x[:, 3:] >= 0.5) != y) - np.mean((x[:, :3] >= 0.5) != y))
    assert m.lower < m.value < m.upper
    same = degradation(old, old, (x, y), metric=statistic)
    assert same.value == 0
    assert 0 < same.upper < 0.05


@pytest.mark.parametrize(
    "function",
    [lambda t, q: accuracy_of(t, t), lambda t, q: float(accuracy_of(t, q) >= 0.3)],
    ids=["reads no predictions", "moves in steps"],
)
def test_a_function_that_nothing_moves_proves_nothing(function):
    """All 60 rows agree, or all differ: neither bounds how far a row can move what no change moved."""
    x, y = np.arange(60.0)[:, None], np.arange(60) % 2
    right, wrong = (lambda x: x[:, 0].astype(int) % 2), (lambda x: 1 - x[:, 0].astype(int) % 2)
    statistic = Statistic(function, higher_is_better=True, low=0, high=1)
    assert (degradation(right, right, (x, y), metric=statistic) < 0.01).status == "INCONCLUSIVE"
    if function(y, 1 - y) == 1.0:
        assert (degradation(right, wrong, (x, y), metric=statistic) < 0.01).status == "INCONCLUSIVE"
