"""Measures of the catalogue with options as metrics of two models."""

from functools import partial

import numpy as np
import pytest
from sklearn import metrics as sk

from robust import accuracy, choose_threshold, f1, mae, percent, precision, recall, rmse
from robust.data.live import as_data
from robust.errors import InvalidInput
from robust.evidence import Flips
from robust.models.conversion import as_model
from robust.quantization.degradation_paired import degradation

NAMES = np.array(["ant", "bee", "cat", "dog"])
N = 600
RNG = np.random.default_rng(1)
Y = RNG.choice(4, size=N, p=(0.4, 0.3, 0.2, 0.1))
LOGITS = RNG.normal(size=(N, 4)) + 2.0 * np.eye(4)[Y]
X = np.hstack([LOGITS, LOGITS + 0.8 * RNG.normal(size=(N, 4))])
OLD, NEW = (as_model(lambda x, j=j: x[:, 4 * j : 4 * j + 4], output="logits", classes=NAMES.tolist()) for j in (0, 1))
A, B = NAMES[X[:, :4].argmax(axis=1)], NAMES[X[:, 4:].argmax(axis=1)]
FUNCTIONS = {"f1": (f1, sk.f1_score), "precision": (precision, sk.precision_score), "recall": (recall, sk.recall_score)}


def compare(metric, **options):
    return degradation(OLD, NEW, (X, NAMES[Y]), metric=metric, **options)


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("average", ["macro", "weighted", "micro"])
def test_averages_are_scikit_learns(name, average):
    ours, theirs = FUNCTIONS[name]
    m = compare(partial(ours, average=average))
    expected = theirs(NAMES[Y], A, average=average) - theirs(NAMES[Y], B, average=average)
    assert m.value == pytest.approx(expected, abs=1e-12)
    assert m.lower < m.value < m.upper
    if average == "micro":
        by_name = compare("accuracy")
        assert (m.value, m.lower, m.upper) == (by_name.value, by_name.lower, by_name.upper)
    if average == "macro":
        by_name = compare(name)
        assert (m.value, m.lower, m.upper) == (by_name.value, by_name.lower, by_name.upper)


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("label", NAMES.tolist())
def test_one_class_is_scikit_learns(name, label):
    ours, theirs = FUNCTIONS[name]
    m = compare(partial(ours, label=label))
    expected = theirs(NAMES[Y], A, labels=[label], average="macro") - theirs(
        NAMES[Y], B, labels=[label], average="macro"
    )
    assert m.value == pytest.approx(expected, abs=1e-12)
    assert m.lower < m.value < m.upper
    assert m.name.endswith(f" of {label}")
    assert dict(m.provenance.options)["label"] == repr(label)
    (flips,) = (part for part in m.evidence if isinstance(part, Flips))
    right = [(found == label) == (NAMES[Y] == label) for found in (A, B)]
    assert flips.right_to_wrong == (right[0] & ~right[1]).sum()


def test_a_threshold_is_for_the_score_of_one_class():
    m = compare(partial(recall, label="dog", threshold=0.7))
    found = []
    for part in (X[:, :4], X[:, 4:]):
        p = np.exp(part) / np.exp(part).sum(axis=1, keepdims=True)
        found.append(((p[:, 3] >= 0.7) & (Y == 3)).sum() / (Y == 3).sum())
    assert m.value == pytest.approx(found[0] - found[1])


def test_a_threshold_that_was_chosen_on_these_rows_is_invalid():
    y, x = (Y > 1).astype(int), np.c_[1 / (1 + np.exp(-LOGITS[:, 2])), 1 / (1 + np.exp(-X[:, 6]))]
    old, new = (as_model(lambda x, j=j: x[:, j], output="probabilities", task="classification") for j in (0, 1))
    half = N // 2
    chosen = choose_threshold(old, as_data(x[:half], y[:half]))
    fair = degradation(old, new, (x[half:], y[half:]), metric=partial(f1, threshold=chosen))
    assert (fair < percent(90)).status == "PASS"
    assert (degradation(old, new, (x, y), metric=partial(f1, threshold=chosen)) < percent(90)).status == "INVALID"


def test_labels_of_a_multilabel_model():
    y = (RNG.random((N, 3)) < 0.3).astype(int)
    p = np.clip(0.5 + 0.4 * (y - 0.5) + 0.3 * RNG.normal(size=(N, 3)), 0, 1)
    x = np.hstack([p, np.clip(p + 0.2 * RNG.normal(size=(N, 3)), 0, 1)])
    old, new = (
        as_model(lambda x, j=j: x[:, 3 * j : 3 * j + 3], task="multilabel", output="probabilities") for j in (0, 1)
    )
    m = degradation(old, new, (x, y), metric=partial(f1, label=2, threshold=0.4))
    expected = [sk.f1_score(y[:, 2], x[:, 3 * j + 2] >= 0.4) for j in (0, 1)]
    assert m.value == pytest.approx(expected[0] - expected[1])
    micro = degradation(old, new, (x, y), metric=partial(f1, average="micro"))
    expected = [sk.f1_score(y, x[:, 3 * j : 3 * j + 3] >= 0.5, average="micro") for j in (0, 1)]
    assert micro.value == pytest.approx(expected[0] - expected[1])


def test_few_rows_of_a_class_prove_little():
    # Both agree on all of the 12 rows of a class: what others do in 588 rows says nothing about them.
    y = np.r_[np.zeros(588, int), np.ones(12, int)]
    one = as_model(lambda x: x[:, 0], classes=[0, 1], name="one")
    m = degradation(one, as_model(lambda x: x[:, 0], classes=[0, 1]), (y[:, None], y), metric=partial(recall, label=1))
    assert m.value == 0
    assert 1 - 0.05 ** (1 / 12) < m.upper < 0.27


@pytest.mark.parametrize(
    ("metric", "message"),
    [
        (partial(f1, label="cow"), "label got 'cow'; a class of"),
        (partial(f1, label="cat", average="macro"), "exclude each other"),
        (partial(f1, average="harmonic"), "average got 'harmonic'; one of macro, weighted, micro would be right"),
        (partial(f1, threshold=0.5), "a threshold is for the score of one of them"),
        (lambda m, d: f1(m, d, label="cat"), r"f1 of cat carries no row values.*functools\.partial\(f1, label=…\)"),
        (sk.matthews_corrcoef, r"metric=Statistic\(matthews_corrcoef, of=\"labels\""),
        (partial(sk.fbeta_score, beta=2), r"metric=Statistic\(fbeta_score"),
        (3.0, "a name, a measure, a Statistic or a callable would be right"),
    ],
)
def test_what_cannot_be_paired_is_refused_by_name(metric, message):
    with pytest.raises(InvalidInput, match=message):
        compare(metric)


def test_level_and_seed_of_a_partial_do_not_matter():
    one, other = compare(partial(accuracy, level=0.8)), compare("accuracy")
    assert (one.value, one.lower, one.upper) == (other.value, other.lower, other.upper)
    y = RNG.normal(size=80)
    both = [as_model(lambda x, j=j: x[:, j], task="regression") for j in (0, 1)]
    data = np.c_[y, y + 0.1 * RNG.normal(size=80)], y + 0.3 * RNG.normal(size=80)
    for measure, name in ((partial(rmse, seed=1), "rmse"), (mae, "mae")):
        assert degradation(*both, data, metric=measure).value == degradation(*both, data, metric=name).value
