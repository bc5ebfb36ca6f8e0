"""What looks like proof and is none: changes by rounding, changes that do not vary, and rare catastrophes."""

import functools

import numpy as np
import pytest

from robust import accuracy, as_model, degradation, mae, percent, r2, rmse
from robust.data.live import as_data
from robust.evidence import Flips

RNG = np.random.default_rng(0)


def echo(name, outputs):
    """A regression model that answers with `outputs` for the rows 0 … n−1."""
    return as_model(lambda x: outputs[x[:, 0].astype(int)], name=name, task="regression")


def pair(n, change):
    """Targets, and a reference and a candidate whose errors `change` maps."""
    errors = RNG.normal(size=n)
    y = RNG.normal(size=n) * 10
    return as_data(np.arange(n, dtype=float)[:, None], y), echo("old", y + errors), echo("new", y + change(errors))


@pytest.mark.parametrize("metric", ["rmse", "mae", "r2"])
@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda e: e + 1e-9 * np.sin(1e6 * e), id="rounding on every row"),
        pytest.param(lambda e: -e, id="equal errors of the other sign"),
        pytest.param(lambda e: 1.0001 * e, id="the same small factor on every row"),
    ],
)
def test_sixty_rows_that_hardly_differ_prove_nothing(metric, change):
    data, old, new = pair(60, change)
    verdict = degradation(old, new, data, metric=metric) < percent(1)
    assert verdict.status == "INCONCLUSIVE"
    assert verdict.needed_n is None or verdict.needed_n > 60


def test_a_factor_common_to_all_rows_is_not_a_bound():
    data, old, new = pair(60, lambda e: 2 * e)
    measured = degradation(old, new, data, metric="rmse")
    assert measured.value == pytest.approx(1.0)
    assert (measured < 1.0001).status == "INCONCLUSIVE"


@pytest.mark.parametrize("metric", ["rmse", "mae"])
def test_rare_catastrophes_do_not_pass_behind_rounding(metric):
    passed = 0
    for seed in range(100):
        rng = np.random.default_rng(seed)
        bad = rng.random(60) < 0.02  # one row in fifty is off by twenty standard deviations: a loss of over 30 %
        data, old, new = pair(60, lambda e, bad=bad, rng=rng: e * (1 + 1e-6 * rng.normal(size=60)) + 20 * bad)
        passed += (degradation(old, new, data, metric=metric) < percent(1)).status == "PASS"
    assert passed <= 5


def test_many_rows_that_hardly_differ_do_pass():
    data, old, new = pair(40_000, lambda e: e + 1e-9)
    assert degradation(old, new, data, metric="mae") < percent(1)


def test_a_change_within_rounding_is_zero():
    data, old, new = pair(200, lambda e: e * (1 + 1e-15))
    assert degradation(old, new, data, metric="r2").value == 0.0


@pytest.mark.parametrize("metric", ["rmse", "mae"])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_a_reference_that_is_right_up_to_rounding_is_no_measure(metric, dtype):
    y = RNG.normal(size=400) * 10
    old = (y * (1 + 4 * np.finfo(dtype).eps * RNG.normal(size=400))).astype(dtype)
    new = (y * (1 + np.finfo(dtype).eps * RNG.normal(size=400))).astype(dtype)
    data = as_data(np.arange(400.0)[:, None], y)
    verdict = degradation(echo("old", old), echo("new", new), data, metric=metric) < percent(1)
    assert verdict.status == "INVALID"
    assert "use relative=False" in str(verdict)
    off = (y + 0.01 * RNG.normal(size=400)).astype(dtype)
    assert (degradation(echo("off", off), echo("new", new), data, metric=metric) < percent(1)).status != "INVALID"


def test_a_log_loss_of_rounding_is_no_measure():
    def sure(name, missing):
        return as_model(
            lambda x: np.column_stack([1 - missing - 1e-15 * x[:, 0], missing + 1e-15 * x[:, 0]]),
            name=name,
            task="classification",
            output="probabilities",
            classes=[0, 1],
        )

    data = as_data(RNG.random((400, 1)), np.zeros(400, dtype=int))
    assert (degradation(sure("old", 2e-15), sure("new", 0.0), data, metric="log_loss") < 0.01).status == "INVALID"
    assert (degradation(sure("old", 0.3), sure("new", 0.0), data, metric="log_loss") < 0.01).status != "INVALID"


@pytest.mark.parametrize(("function", "name"), [(mae, "mae"), (rmse, "rmse"), (r2, "r2")])
def test_a_public_measure_as_metric_is_its_name(function, name):
    data, old, new = pair(300, lambda e: 1.5 * e)
    named = degradation(old, new, data, metric=name)
    for metric in (function, functools.partial(function, seed=3)):
        called = degradation(old, new, data, metric=metric)
        assert (called.value, called.lower, called.upper, called.unit) == (
            named.value,
            named.lower,
            named.upper,
            named.unit,
        )


def test_accuracy_as_a_function_keeps_its_flips():
    x, y = np.arange(100.0)[:, None], np.zeros(100, dtype=int)
    new = as_model(lambda x: (x[:, 0] < 7).astype(int), name="new")
    old = as_model(lambda x: np.zeros(len(x), dtype=int), name="old")
    found = [e for e in degradation(old, new, (x, y), metric=accuracy).evidence if isinstance(e, Flips)]
    assert found[0].right_to_wrong == 7


def test_ordered_rows_without_a_flip_say_how_many_settle_it():
    def agreeing(n):
        data = as_data(np.zeros((n, 1)), np.zeros(n, dtype=int), order=np.arange(n))
        one = as_model(lambda x: np.zeros(len(x), dtype=int), name="one")
        other = as_model(lambda x: np.zeros(len(x), dtype=int), name="other")
        return degradation(one, other, data) < percent(1)

    needed = agreeing(60).needed_n
    assert agreeing(300).needed_n == needed
    assert agreeing(needed).status == "PASS"
    assert agreeing(needed * 9 // 10).status == "INCONCLUSIVE"


@pytest.mark.parametrize("metric", ["rmse", "r2"])
def test_rounding_of_one_output_is_no_difference_of_rows(metric):
    rng = np.random.default_rng(0)
    n = 400
    y = rng.normal(size=(n, 2))
    old = y + np.c_[rng.normal(size=n), 1e-12 * rng.normal(size=n)]
    new = old + np.c_[np.zeros(n), 1e-12 * rng.normal(size=n)]
    new[0, 0] += 10.0  # one row of 400 fell off a cliff: nothing says that there are no more of them
    reference, candidate = (as_model(lambda x, c=c: x[:, 2 * c : 2 * c + 2], task="regression") for c in (0, 1))
    m = degradation(reference, candidate, as_data(np.hstack([old, new]), y), metric=metric)
    assert m.upper > 1  # from 1 of 400 rows; a bootstrap alone says 0.47
    assert (m < 0.5).status == "INCONCLUSIVE"


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e8])
def test_squared_errors_are_rounding_by_the_square_of_the_target(scale):
    # The size of what rounding makes is that of the errors, and of an MSE its square.
    rng = np.random.default_rng(0)
    y = scale * rng.normal(size=300)
    good, exact = y + 0.1 * scale * rng.normal(size=300), y * (1 + 2e-16 * rng.normal(size=300))
    data = as_data(np.column_stack([good, exact]), y)
    models = [as_model(lambda x, c=c: x[:, c], name=f"m{c}", task="regression") for c in (0, 1)]
    assert (degradation(models[0], models[0], data, metric="mse") < 0.9).status != "INVALID"
    assert (degradation(models[1], models[0], data, metric="mse") < 0.9).status == "INVALID"


def test_whole_numbers_have_no_rounding():
    rng = np.random.default_rng(0)
    y = 1e6 + np.arange(300.0)
    data = as_data(np.column_stack([y + rng.integers(0, 2, 300), y + rng.integers(0, 2, 300)]), y)
    models = [as_model(lambda x, c=c: x[:, c], name=f"m{c}", task="regression") for c in (0, 1)]
    assert (degradation(*models, data, metric="rmse") < 5).status == "PASS"
