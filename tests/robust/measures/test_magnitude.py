"""Numbers whose squares overflow or vanish get an error, not a warning and a wrong figure."""

import numpy as np
import pytest

from robust.baselines import gain
from robust.data.live import as_data
from robust.errors import InvalidInput
from robust.measures.classification import accuracy
from robust.measures.magnitude import require_moderate
from robust.measures.regression import mae, r2, rmse
from robust.models.conversion import as_model
from robust.quantization.degradation_paired import degradation
from robust.residuals import residual_autocorrelation, unused_feature_correlation
from robust.sensitivity import flip_rate, partial_dependence

X = np.random.default_rng(0).uniform(-1, 1, (60, 2))
Y = X[:, 0] + 0.1 * X[:, 1]


def scaled(factor):
    return as_model(lambda x: factor * x[:, 0], task="regression", name="scaled")


@pytest.mark.parametrize("size", [1e200, 1e308, 1e-200, 1e-310])
@pytest.mark.parametrize("measure", [rmse, mae, r2])
def test_metrics_refuse_them(measure, size):
    word = "overflow" if size > 1 else "vanish"
    with pytest.raises(InvalidInput, match=f"predictions of scaled got numbers of sizes up to .*squares {word}"):
        measure(scaled(size), (X, Y))
    with pytest.raises(InvalidInput, match=f"targets of data got numbers of sizes up to .*squares {word}"):
        measure(scaled(1.0), (X, size * Y))
    with pytest.raises(InvalidInput, match="another unit"):
        degradation(scaled(1.0), scaled(size), (X, Y), metric=measure.__name__)


@pytest.mark.parametrize("factor", [1e-38, 1e38])
def test_another_unit_gives_the_same_figure(factor):
    one, other = rmse(scaled(1.0), (X, Y)), rmse(scaled(factor), (X, factor * Y))
    for field in ("value", "lower", "upper"):
        assert getattr(other, field) == pytest.approx(factor * getattr(one, field), rel=1e-9)


def test_the_wings_refuse_them():
    data = as_data(X, Y, order=np.arange(60), unused={"z": X[:, 1]})
    asked = {
        "autocorrelation": lambda: residual_autocorrelation(scaled(1e200), data),
        "unused": lambda: unused_feature_correlation(scaled(1e200), data),
        "dependence": lambda: partial_dependence(scaled(1e200), data, 0),
        "flips": lambda: flip_rate(scaled(1e200), data, sweep={"feature": 0, "absolute": (-1, 1)}, tolerance=1.0),
        "gain": lambda: gain(scaled(1.0), (X, 1e200 * Y), (X + 1, Y)),
        "features": lambda: partial_dependence(scaled(1e-200), (1e200 * X, Y), 0),
    }
    for name, ask in asked.items():
        with pytest.raises(InvalidInput, match="whose squares overflow"):
            ask()
        assert name


def test_predictions_that_vanish_beside_others_are_fine():
    vanishing = as_model(lambda x: np.exp(-1000 * np.abs(x[:, 0])), task="regression")
    curve = partial_dependence(vanishing, (X, Y), 0, grid=[0.0, 0.9])
    assert curve.values == pytest.approx([1.0, 0.0])


def test_nothing_but_finite_sizes_counts():
    require_moderate(np.array([np.nan, np.inf, 0.0, -1e39]), "x")
    require_moderate(np.array([], dtype=np.float32), "x")
    require_moderate(np.zeros(3), "x")
    require_moderate(np.array([1e-300]), "x", smallest=0.0)
    with pytest.raises(InvalidInput, match="x got numbers of sizes up to 1e\\+41"):
        require_moderate(np.array([-1e41, 1.0]), "x")


@pytest.mark.parametrize("given", [{"order": [0]}, {"groups": ["a"]}, {}])
def test_a_single_row_proves_nothing_and_warns_of_nothing(given):
    data = as_data(X[:1], Y[:1], **given)
    m = mae(scaled(1.0), data)
    assert m.value == pytest.approx(abs(0.1 * X[0, 1]))
    assert (m.lower, m.upper) == (0.0, np.inf)
    labels = as_model(lambda x: (x[:, 0] > 0).astype(int), task="classification", classes=[0, 1])
    right = accuracy(labels, as_data(X[:1], (X[:1, 0] > 0).astype(int), **given))
    assert right.value == 1.0
    assert right.lower < 0.06
