"""Median and largest error, and the other regression measures that are new."""

import numpy as np
import pytest
from sklearn import metrics as sk

from robust import as_model, degradation
from robust.data.live import as_data
from robust.errors import InvalidInput
from robust.evidence import Fact, Figure, Slices
from robust.intervals.order_statistics import median_interval
from robust.measures.all_regression import regression_metrics
from robust.measures.error_quantiles import max_error, median_absolute_error
from robust.measures.regression import explained_variance, mape, mse, smape


def identity():
    return as_model(lambda x: x, name="m", task="regression")


def drawn(n=120, k=1, seed=0):
    rng = np.random.default_rng(seed)
    y = rng.normal(size=(n, k)) + 6
    return y + rng.standard_t(3, size=(n, k)), y


def test_median():
    x, y = drawn()
    m = median_absolute_error(identity(), (x, y))
    wanted = median_interval(np.abs(x - y)[:, 0], level=0.95)
    assert (m.value, m.lower, m.upper) == (wanted.value, wanted.lower, wanted.upper)
    assert m.value == pytest.approx(sk.median_absolute_error(y, x))
    wild = x.copy()
    wild[:10] = 1e9
    assert median_absolute_error(identity(), (wild, y)).value < 2 * m.value


def test_median_of_several_outputs():
    x, y = drawn(k=3)
    m = median_absolute_error(identity(), (x, y))
    assert m.value == pytest.approx(sk.median_absolute_error(y, x))
    (table,) = (part for part in m.evidence if isinstance(part, Slices))
    assert [part.name for part in table.slices] != []
    assert np.mean([part.value for part in table.slices]) == pytest.approx(m.value)


@pytest.mark.parametrize("given", [{"order": np.arange(120)}, {"groups": np.arange(120) // 4}])
def test_median_of_rows_that_depend_on_each_other(given):
    x, y = drawn()
    m = median_absolute_error(identity(), as_data(x, y, **given))
    assert m.lower < m.value < m.upper
    assert m.method in ("block-bootstrap", "cluster-bootstrap")


def test_the_largest_error_is_exact():
    x, y = drawn()
    m = max_error(identity(), (x, y))
    assert float(m) == pytest.approx(sk.max_error(y[:, 0], x[:, 0]))
    assert m.method == "exact"
    (fact,) = (part for part in m.evidence if isinstance(part, Fact))
    assert fact.value == f"{1 - 0.05 ** (1 / 120):.4g} of them"
    assert (m < 1e-3).status == "FAIL"


@pytest.mark.parametrize("measure", [mse, explained_variance, mape, smape])
def test_bounds_figures_and_outputs(measure):
    x, y = drawn(k=2)
    m = measure(identity(), (x, y))
    assert m.lower < m.value < m.upper
    assert any(isinstance(part, Figure) for part in m.evidence)
    (table,) = (part for part in m.evidence if isinstance(part, Slices))
    assert np.mean([part.value for part in table.slices]) == pytest.approx(m.value)
    assert table.by == "output"


def test_undefined_is_said():
    x, y = drawn()
    found = regression_metrics(identity(), (x, np.ones_like(y)))
    assert [name for name, _ in found.missing] == ["r2", "explained_variance"]
    with pytest.raises(InvalidInput, match="explained_variance was not measured: .* constant targets"):
        found["explained_variance"]
    with pytest.raises(InvalidInput, match="no metric is named 'auc'"):
        found["auc"]
    with pytest.raises(InvalidInput, match="explained_variance is undefined for constant targets"):
        explained_variance(identity(), (x, np.ones_like(y)))
    with pytest.raises(InvalidInput, match="mape is undefined for targets of 0"):
        mape(identity(), (x, np.where(np.arange(120)[:, None] == 4, 0, y)))


def test_relative_errors_say_what_they_hide():
    x, y = drawn()
    facts = {
        part.name: part.value
        for part in smape(identity(), (-x, np.r_[-y[:60], y[60:]])).evidence
        if isinstance(part, Fact)
    }
    assert "targets of both signs" in facts
    assert facts["predictions of the wrong sign"].startswith("60, each counts as 2")


@pytest.mark.parametrize("metric", ["mse", "explained_variance", "mape", "smape"])
def test_two_models_are_compared_by_them(metric):
    x, y = drawn(300)
    worse = as_model(lambda x: x * 1.5, name="worse", task="regression")
    assert (degradation(identity(), worse, (x, y), metric=metric) < 0.01).status == "FAIL"
    assert degradation(identity(), identity(), (x, y), metric=metric).value == 0


@pytest.mark.parametrize("metric", ["median_absolute_error", "max_error"])
def test_two_models_are_not_compared_by_what_has_no_paired_bound(metric):
    with pytest.raises(InvalidInput, match=f"no valid bound is known for the change of {metric}"):
        degradation(identity(), identity(), drawn(), metric=metric)
