"""Degradation: values, oracles, methods, few rows, self-checks, errors."""

import math

import numpy as np
import pytest
from scipy.stats import binomtest
from sklearn import metrics as sk
from sklearn.linear_model import LogisticRegression

from robust.data.live import as_data
from robust.errors import InvalidInput, ModelFault
from robust.evidence import Fact, Flips, Rows, Slices, Values
from robust.limits import percent
from robust.measurement import Measurement
from robust.measures.classification import accuracy
from robust.measures.regression import mae, rmse
from robust.models.base import Model
from robust.models.conversion import as_model
from robust.quantization.degradation_paired import degradation

CLASSIFICATION = ["accuracy", "f1", "log_loss", "auc"]
REGRESSION = ["rmse", "mae", "r2"]
LOWER_IS_BETTER = {"log_loss", "rmse", "mae"}


def scores(n, k=4, seed=0):
    """Rows that hold their own logits, and their labels."""
    rng = np.random.default_rng(seed)
    y = np.arange(n) % k
    return rng.normal(size=(n, k)) + 2.5 * np.eye(k)[y], y


def shaky(n, seed=0):
    """Rows that hold a prediction and a disturbance, and their targets."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 2))
    return x, x[:, 0] + 0.5 * rng.normal(size=n)


def case(metric, n=200, seed=0):
    return scores(n, seed=seed) if metric in CLASSIFICATION else shaky(n, seed)


def model(metric, worse=0.0, name="m", **options):
    """The identity; `worse` adds what a coarse build would."""
    if metric in CLASSIFICATION:
        return as_model(lambda x: x + worse * np.sin(1e3 * x), output="logits", name=name, **options)
    return as_model(lambda x: x[:, 0] + worse * x[:, 1], task="regression", name=name, **options)


def value(metric, found, y):
    if metric in CLASSIFICATION:
        p = np.exp(found) / np.exp(found).sum(axis=1, keepdims=True)
    return {
        "accuracy": lambda: sk.accuracy_score(y, found.argmax(axis=1)),
        "f1": lambda: sk.f1_score(y, found.argmax(axis=1), average="macro"),
        "log_loss": lambda: sk.log_loss(y, p),
        "auc": lambda: sk.roc_auc_score(y, p, multi_class="ovr"),
        "rmse": lambda: math.sqrt(sk.mean_squared_error(y, found)),
        "mae": lambda: sk.mean_absolute_error(y, found),
        "r2": lambda: sk.r2_score(y, found),
    }[metric]()


# --- values and signs -----------------------------------------------------------------------------------------


def test_by_hand():
    # 241 rows right to wrong, 58 wrong to right, of 10,000: the worked example of the method's note.
    y = np.zeros(10_000, dtype=int)
    old, new = np.ones(10_000, int), np.ones(10_000, int)
    old[:8993], new[:8993] = 0, 0
    old[8993:9234] = 0
    new[9234:9292] = 0
    x = np.c_[old, new].astype(float)
    m = degradation(as_model(lambda x: x[:, 0], classes=[0, 1]), as_model(lambda x: x[:, 1], classes=[0, 1]), (x, y))
    assert m.value == pytest.approx(0.0183)
    assert (m.lower, m.upper) == pytest.approx((0.015490, 0.021264), abs=1e-6)
    assert m.method == "tango-corrected"
    (flips,) = (part for part in m.evidence if isinstance(part, Flips))
    assert (flips.right_to_wrong, flips.wrong_to_right, flips.n) == (241, 58, 10_000)
    assert flips.p == pytest.approx(binomtest(58, 299).pvalue)
    assert flips.rows[0] == 8993


@pytest.mark.parametrize("metric", CLASSIFICATION + REGRESSION)
@pytest.mark.parametrize("relative", [None, True, False])
def test_value_is_the_difference_of_scikit_learns(metric, relative):
    x, y = case(metric)
    old, new = model(metric), model(metric, 1.0)
    a, b = value(metric, np.asarray(old.forward(x)), y), value(metric, np.asarray(new.forward(x)), y)
    worse = b - a if metric in LOWER_IS_BETTER else a - b
    is_relative = metric in LOWER_IS_BETTER if relative is None else relative
    m = degradation(old, new, (x, y), metric=metric, relative=relative)
    assert m.value == pytest.approx(worse / a if is_relative else worse, rel=1e-6, abs=1e-12)
    assert m.value > 0  # the candidate is worse, whichever way the metric points
    assert m.unit == "relative" if is_relative else m.unit != "relative"
    assert m.lower < m.value < m.upper
    assert m.higher_is_better is False
    (values,) = (part for part in m.evidence if isinstance(part, Values))
    assert (values.reference, values.candidate) == pytest.approx((a, b), rel=1e-6)
    assert m.name == ("degradation" if metric == "accuracy" else f"degradation of {values.metric}")


@pytest.mark.parametrize("metric", CLASSIFICATION + REGRESSION)
def test_an_improvement_is_negative_and_swapping_models_turns_an_absolute_sign(metric):
    x, y = case(metric)
    there = degradation(model(metric), model(metric, 1.0), (x, y), metric=metric, relative=False)
    back = degradation(model(metric, 1.0), model(metric), (x, y), metric=metric, relative=False)
    assert back.value == pytest.approx(-there.value, abs=1e-12)
    assert back.value < 0


@pytest.mark.parametrize("metric", CLASSIFICATION + REGRESSION)
def test_the_order_of_independent_rows_does_not_matter(metric):
    x, y = case(metric, n=120)
    order = np.random.default_rng(5).permutation(120)
    for relative in (False, True):
        one = degradation(model(metric), model(metric, 0.6), (x, y), metric=metric, relative=relative)
        other = degradation(model(metric), model(metric, 0.6), (x[order], y[order]), metric=metric, relative=relative)
        for field in ("value", "lower", "upper"):
            assert getattr(one, field) == pytest.approx(getattr(other, field), rel=1e-9, abs=1e-12), (field, relative)


@pytest.mark.parametrize("metric", CLASSIFICATION + REGRESSION)
@pytest.mark.parametrize("relative", [True, False])
@pytest.mark.parametrize("given", [{"order": np.arange(200)}, {"groups": np.arange(200) // 4}])
def test_order_and_groups_change_the_method(metric, given, relative):
    x, y = case(metric)
    m = degradation(model(metric), model(metric, 1.0), as_data(x, y, **given), metric=metric, relative=relative)
    grouped = "delong" if metric == "auc" and not relative else "cluster-bootstrap"
    assert m.method == ("block-bootstrap" if "order" in given else grouped)
    assert m.lower < m.value < m.upper
    if not relative and metric in ("accuracy", "f1", "auc"):
        assert -1 <= m.lower < m.upper <= 1


def test_pairing_is_what_makes_it_narrow():
    x, y = scores(2000)
    m = degradation(model("accuracy"), model("accuracy", 0.05), (x, y))
    alone = accuracy(model("accuracy"), (x, y))
    assert m.upper - m.lower < 0.5 * (alone.upper - alone.lower)


# --- few rows -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("metric", CLASSIFICATION + REGRESSION)
@pytest.mark.parametrize("given", [{}, {"order": True}, {"groups": True}])
def test_sixty_rows_that_agree_are_inconclusive_and_say_how_many_would_do(metric, given):
    x, y = case(metric, n=60)

    def data(times):
        n = 60 * times
        more = {"order": np.arange(n)} if "order" in given else {"groups": np.arange(n) // 2} if given else {}
        return as_data(np.tile(x, (times, 1)), np.tile(y, times), **more)

    verdict = degradation(model(metric), model(metric), data(1), metric=metric) < percent(1)
    assert verdict.status == "INCONCLUSIVE"
    assert verdict.measurement.value == 0
    assert verdict.needed_n > 60
    assert f"need n>={verdict.needed_n}" in verdict.line()
    if given or verdict.needed_n > 20_000:
        return
    times = -(-verdict.needed_n // 60)
    settled = degradation(model(metric), model(metric), data(times), metric=metric) < percent(1)
    assert settled.status == "PASS"
    fewer = degradation(model(metric), model(metric), data(int(0.9 * times)), metric=metric) < percent(1)
    assert fewer.status == "INCONCLUSIVE"


@pytest.mark.parametrize("metric", ["accuracy", "f1", "auc", "rmse", "log_loss"])
def test_two_builds_that_nearly_agree_pass_with_enough_rows(metric):
    x, y = case(metric, n=4000)
    verdict = degradation(model(metric), model(metric, 0.002), (x, y), metric=metric) < percent(1)
    assert verdict.status == "PASS"


@pytest.mark.parametrize(
    ("metric", "worse"), [("accuracy", 0.02), ("f1", 0.02), ("auc", 0.1), ("rmse", 0.05), ("log_loss", 0.05)]
)
def test_needed_n_settles_at_the_same_rates(metric, worse):
    x, y = case(metric, n=240)
    m = degradation(model(metric), model(metric, worse), (x, y), metric=metric)
    limit = m.value + 0.4 * (m.upper - m.value)
    verdict = m < limit
    assert verdict.status == "INCONCLUSIVE"
    times = -(-verdict.needed_n // 240)
    assert times > 1
    again = degradation(model(metric), model(metric, worse), (np.tile(x, (times, 1)), np.tile(y, times)), metric=metric)
    assert again.value == pytest.approx(m.value)
    assert (again < limit).status == "PASS"


def test_a_bad_build_fails_for_every_metric():
    for metric in CLASSIFICATION + REGRESSION:
        x, y = case(metric, n=400)
        verdict = degradation(model(metric), model(metric, 4.0), (x, y), metric=metric) < percent(1)
        assert verdict.status == "FAIL", metric


def test_nine_flips_in_many_rows_are_not_taken_for_certainty():
    # Nine rows of a rare class: a bootstrap of nine differing rows alone would be too narrow.
    n = 2000
    y = np.r_[np.zeros(n - 20, int), np.ones(20, int)]
    x = np.c_[y, np.where(np.arange(n) >= n - 9, 0, y)].astype(float)
    m = degradation(
        as_model(lambda x: x[:, 0], classes=[0, 1]), as_model(lambda x: x[:, 1], classes=[0, 1]), (x, y), metric="f1"
    )
    assert any(isinstance(part, Fact) and "9 of 2000 rows differ" in str(part.value) for part in m.evidence)
    assert m.upper > 0.3


def test_rmse_of_several_outputs_is_the_change_of_scikit_learns():
    rng = np.random.default_rng(7)
    y = rng.normal(size=(150, 3))
    old, new = (y + scale * rng.normal(size=y.shape) * (0.1, 1.0, 3.0) for scale in (1.0, 1.4))
    reference, candidate = (
        as_model(lambda x, c=c: x[:, 3 * c : 3 * c + 3], task="regression", name=f"m{c}") for c in (0, 1)
    )
    m = degradation(reference, candidate, (np.hstack([old, new]), y), metric="rmse")
    before, after = (sk.root_mean_squared_error(y, values) for values in (old, new))
    assert m.value == pytest.approx((after - before) / before, rel=1e-9)
    assert m.lower < m.value < m.upper
    assert m.lower > 0.2  # forty percent more error, three times in every row


# --- relative changes -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("metric", ["rmse", "mae"])
def test_a_reference_of_zero_is_invalid_and_names_the_way_out(metric):
    _, y = shaky(100)
    perfect, other = as_model(lambda x: x[:, 0], task="regression"), as_model(lambda x: x[:, 0] + 1, task="regression")
    both = degradation(perfect, perfect, (y[:, None], y), metric=metric)
    assert both.value == 0
    one = degradation(perfect, other, (y[:, None], y), metric=metric)
    assert math.isnan(one.value)  # not 0: `.value < limit` must not be green
    for m in (both, one):
        for verdict in (m < percent(1), m > percent(1)):
            assert verdict.status == "INVALID"
            assert "use relative=False" in verdict.reason
    absolute = degradation(perfect, other, (y[:, None], y), metric=metric, relative=False)
    assert absolute.value == pytest.approx(1.0)


def test_a_reference_whose_interval_touches_zero_is_invalid():
    # A sure model with two mistakes: its log-loss is not proved to be above 0.
    n = 60
    y = np.arange(n) % 2
    p = np.where(y[:, None] == np.arange(2), 1 - 1e-9, 1e-9)
    p[:2] = p[:2, ::-1]
    m = degradation(lambda_model(0.0), lambda_model(0.01), (p, y), metric="log_loss")
    assert (m < percent(1)).status == "INVALID"


def lambda_model(shift):
    return as_model(lambda x: (1 - shift) * x + shift / 2, output="probabilities")


# --- self-checks ----------------------------------------------------------------------------------------------


def hashed(weights, shift=0.0, name="m"):
    return Model(
        name=name,
        framework="torch",
        forward=lambda x: x + shift * np.arange(x.shape[1]),
        output="logits",
        weights=lambda: weights,
    )


@pytest.mark.parametrize("names", [("a.onnx", "b.onnx"), ("model.onnx", "model.onnx")])
def test_bit_equal_weights_cannot_pass(names):
    # Also under one name: float/model.onnx and int8/model.onnx.
    m = degradation(hashed("w", name=names[0]), hashed("w", name=names[1]), scores(4000))
    verdict = m < percent(1)
    assert verdict.status == "INVALID"
    assert "bit-equal weights" in verdict.reason
    few = degradation(hashed("w"), hashed("w"), scores(60)) < percent(1)
    assert few.status == "INCONCLUSIVE"


def test_equal_weights_that_answer_otherwise_are_two_models():
    # Quantized activations, or another preprocessing: the weights are the same, the models are not.
    m = degradation(hashed("w"), hashed("w", 1e-3), scores(4000))
    assert (m < percent(1)).status == "PASS"
    assert (degradation(hashed("w"), hashed("w", 3.0), scores(4000)) < percent(1)).status == "FAIL"


def test_other_weights_and_one_object_given_twice_are_fine():
    assert (degradation(hashed("w"), hashed("v"), scores(4000)) < percent(1)).status == "PASS"
    one = hashed("w")
    assert (degradation(one, one, scores(4000)) < percent(1)).status == "PASS"


def test_live_estimators_with_the_same_coefficients():
    x, y = scores(900)
    one, same = (LogisticRegression().fit(x[:300], y[:300]) for _ in range(2))
    other = LogisticRegression(C=0.5).fit(x[:300], y[:300])
    assert (degradation(one, same, (x, y)) < percent(50)).status == "INVALID"
    assert (degradation(one, other, (x, y)) < percent(50)).status == "PASS"


@pytest.mark.parametrize("framework", ["callable", "onnx"])
def test_quantized_true_wants_proof(framework):
    new = Model(name="m", framework=framework, forward=lambda x: x, output="logits")
    m = degradation(hashed("w"), new, scores(4000), quantized=True)
    verdict = m < percent(1)
    assert verdict.status == "INVALID"
    assert f"{framework} model does not show" in verdict.reason or "callable does not show" in verdict.reason


# --- classes --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("metric", CLASSIFICATION)
def test_another_order_of_classes_is_no_difference(metric):
    x, y = scores(300)
    names = np.array(["ant", "bee", "cat", "dog"])
    old = as_model(lambda x: x, output="logits", classes=names.tolist())
    turn = [2, 0, 3, 1]
    new = as_model(lambda x: x[:, turn] + 0.0, output="logits", classes=names[turn].tolist())
    m = degradation(old, new, (x, names[y]), metric=metric)
    assert m.value == pytest.approx(0, abs=1e-12)
    shifted = as_model(
        lambda x: x[:, turn] + 0.5 * np.sin(1e3 * x[:, turn]), output="logits", classes=names[turn].tolist()
    )
    straight = as_model(lambda x: x + 0.5 * np.sin(1e3 * x), output="logits", classes=names.tolist())
    one = degradation(old, shifted, (x, names[y]), metric=metric)
    other = degradation(old, straight, (x, names[y]), metric=metric)
    assert (one.value, one.lower, one.upper) == pytest.approx((other.value, other.lower, other.upper), rel=1e-9)


def test_labels_against_scores_in_another_order():
    x, y = scores(300)
    turn = np.array([2, 0, 3, 1])
    old = as_model(lambda x: x[:, turn], output="logits", classes=turn.tolist())
    new = as_model(lambda x: x.argmax(axis=1), task="classification")
    assert degradation(old, new, (x, y)).value == 0
    assert degradation(new, old, (x, y), metric="f1").value == 0


def test_labels_that_only_one_model_meets():
    x = np.arange(400.0)[:, None]
    y = np.ones(400, dtype=int)
    good, bad = (lambda x: np.ones(len(x), int)), (lambda x: (x[:, 0] >= 40).astype(int) * 2 - 1)
    m = degradation(good, bad, (x, y))
    assert m.value == pytest.approx(0.1)
    assert degradation(bad, good, (x, y)).value == pytest.approx(-0.1)
    # Macro-F1 takes the new class into its average, as scikit-learn does.
    found = bad(x)
    expected = 1 - sk.f1_score(y, found, average="macro")
    assert degradation(good, bad, (x, y), metric="f1").value == pytest.approx(expected)


def test_declared_classes_must_agree():
    x, y = scores(40)
    old = as_model(lambda x: x, output="logits", name="old")
    for classes in ([0, 1, 2, 9], [10, 11, 12, 13]):
        new = as_model(lambda x: x, output="logits", classes=classes, name="new")
        with pytest.raises(InvalidInput, match=r"labels that new does not know|the models know different classes"):
            degradation(old, new, (x, y))
    wide = as_model(lambda x: np.c_[x, x[:, 0] - 9], output="logits", name="wide")
    with pytest.raises(
        InvalidInput, match=r"know different classes: old \[0, 1, 2, 3\], wide \[0, 1, 2, 3, 4\]; declare"
    ):
        degradation(old, wide, (x, y))
    stray = as_model(lambda x: np.full(len(x), 7), task="classification", name="stray")
    with pytest.raises(InvalidInput, match="know different classes"):
        degradation(old, stray, (x, y))


# --- callables as metrics -------------------------------------------------------------------------------------


def test_a_callable_with_row_values_is_paired():
    x, y = scores(500)
    by_name = degradation(model("accuracy"), model("accuracy", 0.3), (x, y))
    by_call = degradation(
        model("accuracy"), model("accuracy", 0.3), (x, y), metric=lambda m, d: accuracy(m, d, level=0.9)
    )
    assert (by_call.value, by_call.lower, by_call.upper) == (by_name.value, by_name.lower, by_name.upper)
    flips = [part for m in (by_name, by_call) for part in m.evidence if isinstance(part, Flips)]
    assert flips[0] == flips[1]
    x, y = shaky(500)
    named = degradation(model("mae"), model("mae", 0.3), (x, y), metric="mae", relative=False)
    called = degradation(model("mae"), model("mae", 0.3), (x, y), metric=lambda m, d: mae(m, d))
    assert (called.value, called.lower, called.upper) == pytest.approx(
        (named.value, named.lower, named.upper), rel=0.05
    )


@pytest.mark.parametrize("given", [{"order": np.arange(500)}, {"groups": np.arange(500) // 5}])
def test_a_callable_on_dependent_rows(given):
    x, y = scores(500)
    m = degradation(model("accuracy"), model("accuracy", 0.3), as_data(x, y, **given), metric=accuracy)
    assert m.method.endswith("-bootstrap")
    assert m.lower < m.value < m.upper


def error_rate(model, data):
    """A share of which less is better."""
    m = accuracy(model, data)
    return 1 - m


def test_a_share_of_which_less_is_better():
    x, y = scores(500)
    one = degradation(model("accuracy"), model("accuracy", 0.3), (x, y))
    other = degradation(model("accuracy"), model("accuracy", 0.3), (x, y), metric=error_rate)
    assert (one.value, one.lower, one.upper) == pytest.approx((other.value, other.lower, other.upper))
    flips = [part for m in (one, other) for part in m.evidence if isinstance(part, Flips)]
    assert flips[0] == flips[1]


def few_rows(model, data):
    return accuracy(model, data.rows(np.arange(10)))


def without_direction(model, data):
    import dataclasses

    return dataclasses.replace(accuracy(model, data), higher_is_better=None)


def other_rows(model, data):
    import dataclasses

    return dataclasses.replace(accuracy(model, data), row_values=np.zeros(len(data)))


@pytest.mark.parametrize(
    ("metric", "message"),
    [
        (lambda m, d: 0.5, "must give a Measurement, got float"),
        (few_rows, r"accuracy must give one value for each of 100 rows, got row values of shape \(10,\)"),
        (without_direction, "accuracy has no direction"),
        (other_rows, "the row values of accuracy must average to its value"),
    ],
)
def test_a_callable_that_cannot_be_paired_is_refused(metric, message):
    with pytest.raises(InvalidInput, match=message):
        degradation(model("accuracy"), model("accuracy", 0.3), scores(100), metric=metric)


def test_a_callable_without_row_values_is_refused():
    with pytest.raises(InvalidInput, match="rmse carries no row values, so the two models' rows cannot be paired"):
        degradation(model("rmse"), model("rmse", 0.3), shaky(100), metric=lambda m, d: rmse(m, d))
    with pytest.raises(InvalidInput, match="a callable metric is absolute"):
        degradation(model("mae"), model("mae", 0.3), shaky(100), metric=lambda m, d: mae(m, d), relative=True)


@pytest.mark.parametrize(("side", "bias", "shown"), [("old", "raises", "raises"), ("new", "raises", "lowers")])
def test_self_checks_of_both_sides_are_carried_over_with_their_bias(side, bias, shown):
    import dataclasses

    from robust.evidence import SelfCheck

    def masked(one, data):
        m = accuracy(one, data)
        failed = SelfCheck(name="masked gradients", passed=False, reason="r", bias=bias)
        return dataclasses.replace(m, validity=(failed,)) if one.name == side else m

    m = degradation(model("accuracy", name="old"), model("accuracy", 0.01, name="new"), scores(4000), metric=masked)
    (check,) = (check for check in m.validity if not check.passed)
    assert check.bias == shown
    # A faked high value of the candidate hides a loss; of the reference, it only makes one up.
    assert (m < percent(5)).status == ("INVALID" if side == "new" else "PASS")


# --- errors and evidence --------------------------------------------------------------------------------------


def test_what_does_not_fit_is_refused():
    x, y = scores(40)
    with pytest.raises(InvalidInput, match="no metric is named 'acuracy'"):
        degradation(model("accuracy"), model("accuracy"), (x, y), metric="acuracy")
    with pytest.raises(InvalidInput, match="rmse is a regression metric; m is a classification model"):
        degradation(model("accuracy"), model("accuracy"), (x, y), metric="rmse")
    labels = as_model(lambda x: x.argmax(axis=1), name="labels")
    for metric in ("log_loss", "auc"):
        with pytest.raises(InvalidInput, match="labels gives labels only"):
            degradation(model(metric), labels, (x, y), metric=metric)
    with pytest.raises(InvalidInput, match="data has no targets"):
        degradation(model("accuracy"), model("accuracy"), x)
    with pytest.raises(InvalidInput, match="level got 95"):
        degradation(model("accuracy"), model("accuracy"), (x, y), level=95)
    with pytest.raises(ModelFault, match="for 40 rows"):
        degradation(model("accuracy"), as_model(lambda x: x[:5], output="logits"), (x, y))
    with pytest.raises(InvalidInput, match="does classification|is a classification metric"):
        degradation(model("accuracy"), model("rmse"), (x, y))


def test_slices_hold_at_once_and_name_the_worst():
    x, y = scores(400)
    site = np.array(["north", "south"])[(np.arange(400) % 5 == 0).astype(int)]
    hurt = as_model(lambda rows: np.where(np.isin(rows[:, :1], x[::5, 0]), -rows, rows), output="logits")
    m = degradation(model("accuracy"), hurt, as_data(x, y, slices={"site": site}))
    by = {part.by: part for part in m.evidence if isinstance(part, Slices)}
    worst, other = by["site"].slices
    assert (worst.name, other.name) == ("site=south", "site=north")
    assert worst.value > 0.5
    assert other.value == 0
    alone = degradation(model("accuracy"), hurt, as_data(x, y).rows(np.arange(400)), level=0.975)
    assert sum(part.n for part in by["class"].slices) == alone.n


@pytest.mark.parametrize(
    ("metric", "relative", "reach"),
    [
        ("accuracy", False, (-1, 1)),
        ("accuracy", True, (-math.inf, 1)),
        ("log_loss", False, (-math.inf, math.inf)),
        ("log_loss", True, (-1, math.inf)),
    ],
)
def test_how_far_a_change_can_go(metric, relative, reach):
    data = np.linspace(0.1, 0.9, 40)[:, None], np.arange(40) % 2
    one, other = (as_model(lambda x, k=k: x**k, output="probabilities") for k in (1, 2))
    m = degradation(one, other, data, metric=metric, relative=relative)
    assert m.reach == reach
    assert (-m).reach == (-reach[1], -reach[0])


def test_rows_whose_error_grew_most_are_named():
    x, y = shaky(50)
    x[:, 1] = 0
    x[31, 1] = 9.0
    m = degradation(model("rmse"), model("rmse", 1.0), (x, y), metric="rmse")
    (rows,) = (part for part in m.evidence if isinstance(part, Rows))
    assert rows.ids[0] == 31
    assert rows.total == 1


def test_cost_counts_both_models_and_row_values_are_not_kept():
    m = degradation(model("accuracy"), model("accuracy", 0.3), scores(100))
    assert isinstance(m, Measurement)
    assert m.provenance.cost.forward_rows == 200
    assert dict(m.provenance.options) == {"metric": "'accuracy'", "relative": "False"}
