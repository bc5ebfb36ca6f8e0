"""Kernels of regression metrics against scikit-learn, and their effects against a search for worse rows."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn import metrics as sk

from robust.metrics.regression import (
    MAE,
    MSE,
    R2,
    RMSE,
    absolute_error_rows,
    output_squares,
    r2_of_means,
    squared_error_rows,
)


def value(metric, y, values):
    return float(metric.function(metric.rows(y, values).mean(axis=0, keepdims=True))[0])


@st.composite
def targets(draw):
    n, k = draw(st.integers(3, 30)), draw(st.integers(1, 3))
    numbers = st.floats(-1e3, 1e3, allow_nan=False, width=32)
    y = draw(arrays(np.float64, (n, k), elements=numbers))
    y[:3] += np.array([[0.0], [1.0], [2.0]])  # so that each output varies
    return y, draw(arrays(np.float64, (n, k), elements=numbers))


@settings(max_examples=200, deadline=None)
@given(targets())
def test_rmse_mae_and_r2_are_scikit_learns(case):
    y, values = case
    expected = sk.root_mean_squared_error(y, values, multioutput="uniform_average")
    assert value(RMSE, y, values) == pytest.approx(expected, rel=1e-9, abs=1e-9)
    assert value(MAE, y, values) == pytest.approx(sk.mean_absolute_error(y, values), rel=1e-9, abs=1e-9)
    if (y.var(axis=0) > 1e-3).all():
        assert value(R2, y, values) == pytest.approx(sk.r2_score(y, values), rel=1e-6, abs=1e-6)


def test_by_hand():
    y, values = np.array([[1.0], [2.0], [6.0]]), np.array([[1.0], [4.0], [5.0]])
    assert squared_error_rows(y, values).ravel().tolist() == [0, 4, 1]
    assert absolute_error_rows(y, values).ravel().tolist() == [0, 2, 1]
    assert value(RMSE, y, values) == pytest.approx(np.sqrt(5 / 3))
    assert value(R2, y, values) == pytest.approx(1 - 5 / 14)  # the mean is 3: 4 + 1 + 9


def test_rmse_of_several_outputs_averages_their_roots():
    # Mean squares of 1 and 9: (1 + 3)/2, not √5.
    y, values = np.zeros((2, 2)), np.array([[1.0, 3.0], [-1.0, -3.0]])
    assert output_squares(y, values).tolist() == [[1, 9], [1, 9]]
    assert value(RMSE, y, values) == 2.0
    assert value(MSE, y, values) == 5.0


@settings(max_examples=60, deadline=None)
@given(targets())
def test_rmse_of_one_output_is_the_root_of_its_mean_to_the_last_bit(case):
    y, values = case[0][:, :1], case[1][:, :1]
    assert np.array_equal(RMSE.rows(y, values), squared_error_rows(y, values))
    assert value(RMSE, y, values) == float(np.sqrt(squared_error_rows(y, values).mean(axis=0))[0])


def test_r2_does_not_lose_its_digits_far_from_zero():
    rng = np.random.default_rng(0)
    y = rng.normal(size=(100, 1))
    values = y + 0.1 * rng.normal(size=(100, 1))
    assert value(R2, y + 1e7, values + 1e7) == pytest.approx(sk.r2_score(y, values), rel=1e-6)


def test_r2_of_a_resample_without_variance_is_none():
    assert np.isnan(r2_of_means(np.array([[1.0, 2.0, 4.0]]))).all()


def test_scale():
    rng = np.random.default_rng(0)
    y, values = rng.normal(size=(20, 2)), rng.normal(size=(20, 2))
    assert value(RMSE, 3 * y, 3 * values) == pytest.approx(3 * value(RMSE, y, values))
    assert value(MAE, 3 * y, 3 * values) == pytest.approx(3 * value(MAE, y, values))
    assert value(R2, 3 * y + 1, 3 * values + 1) == pytest.approx(value(R2, y, values))


@pytest.mark.parametrize("metric", [RMSE, MAE, R2], ids=lambda m: m.name)
@pytest.mark.parametrize("seed", range(8))
def test_effect_bounds_every_change_that_a_search_finds(metric, seed):
    rng = np.random.default_rng(seed)
    tight = 0.0
    for _ in range(10):
        n, k = int(rng.integers(4, 30)), int(rng.integers(1, 3))
        y = rng.normal(size=(n, k))
        values = y + rng.choice([0.01, 1.0]) * rng.normal(size=(n, k)) * (rng.random((n, 1)) < 0.5)
        seen = np.hstack([values, rng.normal(size=(n, k))])  # another model has been further out
        if value(RMSE, y, values) == 0:
            continue
        low, high = min(y.min(), seen.min()), max(y.max(), seen.max())
        moves = int(rng.integers(1, n + 1))
        start, found = value(metric, y, values), 0.0
        errors = np.argsort(-np.abs(y - values).mean(axis=1))
        for rows in (errors[:moves], errors[::-1][:moves], rng.choice(n, moves, replace=False)):
            for trial_rows in (y[rows], np.where(y[rows] - low > high - y[rows], low, high)):
                trial = values.copy()
                trial[rows] = trial_rows  # all errors gone, or as large as the range allows
                found = max(found, abs(value(metric, y, trial) - start))
        bound = metric.effect(y, values, seen)(moves / n) * moves / n
        assert found <= bound * (1 + 1e-9)
        tight = max(tight, found / bound)
    assert tight > 0.1


@settings(max_examples=60, deadline=None)
@given(targets(), st.floats(0.01, 1.0), st.floats(0.001, 1.0))
def test_rmse_effect_of_a_share_holds_for_smaller_ones(case, share, part):
    y, values = case
    rate = RMSE.effect(y, values, values)
    whole, less = rate(share), rate(share * part)
    assert whole is None or less <= whole * (1 + 1e-9)


def test_rmse_can_fall_further_than_it_can_rise():
    # All of the error sits in one of ten rows: mending it takes the RMSE from R/√10 to 0.
    y, values = np.zeros((10, 1)), np.r_[[[1.0]], np.zeros((9, 1))]
    assert RMSE.effect(y, values, values)(0.1) * 0.1 == pytest.approx(np.sqrt(0.1))


def test_effects_without_a_bound():
    y = np.array([[1.0], [2.0]])
    assert RMSE.effect(y, y, y)(0.5) is None  # √s rises faster than any multiple of s
    assert RMSE.effect(np.hstack([y, y]), np.hstack([y, y + 1]), y)(0.5) is None  # the first of two outputs is exact
    assert R2.effect(np.ones((2, 1)), y, y)(0.5) is None
    assert MAE.effect(y, y, np.array([[0.0], [3.0]]))(0.5) == 3.0
