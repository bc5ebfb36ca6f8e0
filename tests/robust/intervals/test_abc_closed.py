"""The closed form of BCa against BCa, and by simulation."""

import numpy as np
import pytest

from robust.errors import InvalidInput
from robust.intervals.abc_closed import abc
from robust.intervals.bca import bca
from robust.intervals.resampling import SmoothOfMeans
from robust.metrics.regression import r2_of_means, r2_rows


def mean(means):
    return means[:, 0]


def root(means):
    return np.sqrt(means[:, 0])


@pytest.mark.parametrize("function", [mean, root])
def test_it_is_where_bca_is(function):
    skewed = np.random.default_rng(0).standard_exponential(3000) ** 2
    mine = abc(skewed, None, function, level=0.95)
    other = bca(SmoothOfMeans(skewed, function), np.ones(3000, int), level=0.95, seed=0, resamples=8000)
    assert mine.value == other.value
    width = other.upper - other.lower
    assert mine.lower == pytest.approx(other.lower, abs=0.03 * width)
    assert mine.upper == pytest.approx(other.upper, abs=0.03 * width)
    assert mine.upper - mine.value > 1.05 * (mine.value - mine.lower)  # the skewness is seen


def test_several_means():
    rng = np.random.default_rng(1)
    y = rng.normal(size=(2000, 1))
    rows = r2_rows(y, y + 0.5 * rng.normal(size=(2000, 1)))
    mine = abc(rows, None, r2_of_means, level=0.95)
    other = bca(SmoothOfMeans(rows, r2_of_means), np.ones(2000, int), level=0.95, seed=0, resamples=8000)
    width = other.upper - other.lower
    assert (mine.lower, mine.upper) == pytest.approx((other.lower, other.upper), abs=0.03 * width)


def test_counts_are_repeated_rows():
    values, counts = np.array([0.0, 1.0, 5.0]), np.array([20, 30, 4])
    one = abc(values, counts, root, level=0.9)
    other = abc(np.repeat(values, counts), None, root, level=0.9)
    assert (one.lower, one.upper) == pytest.approx((other.lower, other.upper), rel=1e-6)


def test_equal_rows_have_no_width():
    found = abc(np.full(100, 0.25), None, mean, level=0.95)
    assert (found.lower, found.value, found.upper) == (0.25, 0.25, 0.25)


def test_what_is_refused():
    with pytest.raises(InvalidInput, match="values got shape"):
        abc(np.ones(1), None, mean, level=0.95)
    with pytest.raises(InvalidInput, match="function got nan"):
        abc(np.ones(3), None, lambda means: means[:, 0] * np.nan, level=0.95)
    with pytest.raises(InvalidInput, match="level got 95"):
        abc(np.ones(3), None, mean, level=95)


def test_coverage_of_a_skewed_mean(covers):
    rng, low, high, trials = np.random.default_rng(2), 0, 0, 600
    for _ in range(trials):
        found = abc(rng.standard_exponential(200), None, mean, level=0.95)
        low, high = low + (found.lower <= 1), high + (found.upper >= 1)
    assert covers(low, trials, 0.95)
    assert covers(high, trials, 0.95)
