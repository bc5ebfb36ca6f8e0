"""Public regression measures: values, oracles, bounds, invariance, errors."""

import numpy as np
import pytest
from scipy import stats
from sklearn import metrics as sk

from robust.data.live import as_data
from robust.errors import InvalidInput, ModelFault
from robust.evidence import Rows
from robust.measures.regression import mae, r2, rmse
from robust.models.conversion import as_model

MEASURES = [rmse, mae, r2]


def shaky(n=200, k=1, seed=0, noise=0.5):
    """Rows that hold their own predictions."""
    rng = np.random.default_rng(seed)
    y = rng.normal(size=(n, k))
    return y + noise * rng.normal(size=(n, k)), y if k > 1 else y[:, 0]


def identity(**options):
    return as_model(lambda x: x, name="m", task="regression", **options)


def expected(measure, values, y):
    if measure is rmse:
        return sk.root_mean_squared_error(y, values)
    return (sk.mean_absolute_error if measure is mae else sk.r2_score)(y, values)


@pytest.mark.parametrize("measure", MEASURES)
@pytest.mark.parametrize("k", [1, 3])
def test_value_is_scikit_learns(measure, k):
    x, y = shaky(k=k)
    m = measure(identity(), (x, y))
    assert m.value == pytest.approx(expected(measure, x, y), rel=1e-9)
    assert m.lower < m.value < m.upper
    assert (m.n, m.name, m.method) == (200, measure.__name__, "bca-bootstrap")
    assert m.higher_is_better is (measure is r2)
    assert m.unit == ("share of variance" if measure is r2 else "target")


def test_rmse_of_normal_errors_agrees_with_the_chi_square_interval():
    # n·MSE/σ² is χ² with n degrees of freedom: exact bounds for σ, which is the RMSE in the population.
    x, y = shaky(n=2000)
    m = rmse(identity(), (x, y))
    low, high = np.sqrt(2000 * m.value**2 / stats.chi2.ppf([0.95, 0.05], 2000))
    assert (m.lower, m.upper) == pytest.approx((low, high), rel=0.01)


def test_mae_agrees_with_students_t():
    x, y = shaky(n=2000)
    errors = np.abs(x[:, 0] - y)
    half = stats.t.ppf(0.95, 1999) * errors.std(ddof=1) / np.sqrt(2000)
    m = mae(identity(), (x, y))
    assert (m.lower, m.upper) == pytest.approx((m.value - half, m.value + half), rel=0.01)


@pytest.mark.parametrize("measure", MEASURES)
def test_the_order_of_independent_rows_does_not_matter(measure):
    # All rows differ here: the bootstrap still must not see in which order they are stored.
    x, y = shaky(n=80)
    order = np.random.default_rng(3).permutation(80)
    one, other = measure(identity(), (x, y)), measure(identity(), (x[order], y[order]))
    for field in ("value", "lower", "upper"):
        assert getattr(one, field) == pytest.approx(getattr(other, field), rel=1e-12)


@pytest.mark.parametrize("measure", MEASURES)
@pytest.mark.parametrize("given", [{"order": np.arange(200)}, {"groups": np.arange(200) // 4}])
def test_order_and_groups_change_the_method(measure, given):
    x, y = shaky()
    m = measure(identity(), as_data(x, y, **given))
    assert m.method == ("block-bootstrap" if "order" in given else "cluster-bootstrap")
    assert m.lower < m.value < m.upper


@pytest.mark.parametrize("factor", [0.001, 1000.0])
def test_scale(factor):
    x, y = shaky(n=60)
    for measure, power in ((rmse, 1), (mae, 1), (r2, 0)):
        one, other = measure(identity(), (x, y)), measure(identity(), (factor * x, factor * y))
        for field in ("value", "lower", "upper"):
            assert getattr(other, field) == pytest.approx(factor**power * getattr(one, field), rel=1e-6)


@pytest.mark.parametrize("measure", MEASURES)
def test_a_perfect_model_on_few_rows_is_no_certainty(measure):
    _, y = shaky(n=60)
    m = measure(identity(), (y[:, None], y))
    verdict = m > 0.99 if measure is r2 else m < 0.01
    assert m.value == (1 if measure is r2 else 0)
    assert verdict.status == "INCONCLUSIVE"


def test_equal_errors_on_all_rows_are_no_certainty():
    y = np.arange(30.0)
    m = mae(identity(), (y[:, None] + 1.0, y))
    assert m.value == 1.0
    assert m.upper > 2.0  # no row has shown by how much errors can vary


def test_row_values_are_there_where_the_value_is_their_mean():
    x, y = shaky(n=40)
    assert mae(identity(), (x, y)).row_values.mean() == pytest.approx(mae(identity(), (x, y)).value)
    assert rmse(identity(), (x, y)).row_values is None
    assert r2(identity(), (x, y)).row_values is None


def test_a_bad_model_fails():
    x, y = shaky()
    bad = as_model(lambda x: -x, task="regression")
    assert (r2(bad, (x, y)) > 0.0).status == "FAIL"
    assert (rmse(bad, (x, y)) < 1.0).status == "FAIL"
    assert (mae(bad, (x, y)) < 1.0).status == "FAIL"


def test_the_worst_rows_are_named():
    x, y = shaky(n=40)
    x[17] = y[17] + 50
    (rows,) = (part for part in rmse(identity(), (x, y)).evidence if isinstance(part, Rows))
    assert rows.ids[0] == 17
    assert rows.values[0] == pytest.approx(50)


@pytest.mark.parametrize("measure", MEASURES)
def test_what_does_not_fit_is_refused(measure):
    x, y = shaky(n=30)
    with pytest.raises(InvalidInput, match=f"{measure.__name__} is a regression metric; m is a classification model"):
        measure(as_model(lambda x: x, name="m", task="classification", output="logits"), (x, y))
    with pytest.raises(InvalidInput, match="needs numbers as targets, data has <U1"):
        measure(identity(), (x, np.array(["a", "b"] * 15)))
    with pytest.raises(InvalidInput, match="m gives 1 values a row, the targets are 2"):
        measure(identity(), (x, np.c_[y, y]))
    with pytest.raises(InvalidInput, match="level got"):
        measure(identity(), (x, y), level=1.5)
    with pytest.raises(InvalidInput, match="seed got -1"):
        measure(identity(), (x, y), seed=-1)
    with pytest.raises(ModelFault, match="first at position 0"):
        measure(as_model(lambda x: x + np.inf, task="regression"), (x, y))


def test_r2_needs_targets_that_vary():
    with pytest.raises(InvalidInput, match="r2 is undefined for constant targets"):
        r2(identity(), (np.arange(5.0)[:, None], np.ones(5)))
