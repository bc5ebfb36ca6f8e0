"""Bounds of a ratio in dB: they cover, also for the worst of several points, and prove nothing from nothing."""

import math
from types import SimpleNamespace

import numpy as np
import pytest
from scipy import stats

from robust.data.live import as_data
from robust.layers.point_sums import PointSums
from robust.layers.sqnr_interval import (
    DecibelSizing,
    _independent,
    inverse_decibels,
    noise_interval,
    worst_noise_interval,
)

LEVEL = 0.95


def point(rng, n, *, noise=0.01, spread=0.5):
    """Rows of 6 numbers of different sizes, their noise in proportion to another size; the true ratio is known."""
    size, other = np.exp(spread * rng.normal(size=(2, n, 1)))
    r = size * rng.normal(size=(n, 6))
    q = r + noise * other * rng.normal(size=(n, 6))
    sums = PointSums(n)
    sums.add(slice(0, n), r, q)
    return sums, noise**2  # both sizes have the same mean square


def rows(n):
    return as_data(np.zeros((n, 1)))


def test_the_value_is_the_plain_ratio():
    sums, _ = point(np.random.default_rng(0), 50)
    interval = noise_interval(sums, rows(50), level=LEVEL, seed=0)
    assert inverse_decibels(interval.value) == pytest.approx(sums.sqnr)
    assert interval.lower < interval.value < interval.upper
    assert interval.method == "log-ratio-t"


def test_by_hand():
    # Two rows: q = 4/10, influences 0.5 − 0.8 = −0.3 and 1.5 − 1.2 = 0.3, s² = (2 · 0.3²)/2; t at 1 degree of freedom
    # is 6.3138.
    sums = PointSums(2)
    sums.error[:], sums.reference[:] = [1.0, 3.0], [4.0, 6.0]
    half = 6.313752 * 0.3
    interval = _independent(sums.error, sums.reference, 0.4, LEVEL)
    assert interval.lower == pytest.approx(0.4 * math.exp(-half), rel=1e-6)
    assert interval.upper == pytest.approx(0.4 * math.exp(half), rel=1e-6)
    assert interval.sizing.at(8) == pytest.approx((0.4 * math.exp(-half / 2), 0.4 * math.exp(half / 2)), rel=1e-6)


def test_with_many_rows_it_is_scipy_s_bootstrap():
    sums, _ = point(np.random.default_rng(1), 2000)
    ours = noise_interval(sums, rows(2000), level=LEVEL, seed=0)
    theirs = stats.bootstrap(
        (sums.error, sums.reference),
        lambda e, b, axis: e.mean(axis=axis) / b.mean(axis=axis),
        paired=True,
        confidence_level=0.9,
        n_resamples=2000,
        batch=200,
        rng=np.random.default_rng(0),
    ).confidence_interval
    width = theirs.high - theirs.low
    assert ours.lower == pytest.approx(theirs.low, abs=0.1 * width)
    assert ours.upper == pytest.approx(theirs.high, abs=0.1 * width)


def test_one_row_bounds_nothing():
    sums, _ = point(np.random.default_rng(2), 1)
    interval = noise_interval(sums, rows(1), level=LEVEL, seed=0)
    assert (interval.lower, interval.upper) == (-math.inf, math.inf) or (interval.lower, interval.upper) == (
        0,
        math.inf,
    )


def coverage(samples, n):
    """Shares of samples whose true ratio lies above the lower and below the upper bound."""
    rng = np.random.default_rng(7)
    above = below = 0
    for seed in range(samples):
        sums, truth = point(rng, n)
        interval = noise_interval(sums, rows(n), level=LEVEL, seed=seed)
        above += interval.lower <= truth
        below += truth <= interval.upper
    return above / samples, below / samples


def least(samples):
    """Nominal less 1.5 points and three standard errors."""
    return LEVEL - 0.015 - 3 * math.sqrt(LEVEL * (1 - LEVEL) / samples)


def test_bounds_cover_small_sample():
    assert min(coverage(400, 100)) >= least(400)


@pytest.mark.slow
@pytest.mark.parametrize("n", [100, 500, 2000])
def test_bounds_cover(n):
    assert min(coverage(3000, n)) >= least(3000)


def test_the_worst_of_several_is_bounded_as_the_worst():
    rng = np.random.default_rng(3)
    points = [point(rng, 100, noise=noise)[0] for noise in (0.01, 0.0101, 0.001)]
    each = [noise_interval(one, rows(100), level=LEVEL, seed=0) for one in points]
    worst = worst_noise_interval(points, rows(100), level=LEVEL, seed=0)
    assert worst.value == max(one.value for one in each)
    assert worst.upper == max(one.upper for one in each)
    assert worst.lower <= max(one.lower for one in each)


def test_few_rows_that_differ_prove_little():
    r = np.random.default_rng(4).normal(size=(100, 6))
    q = r.copy()
    q[:3] += 0.01
    sums = PointSums(100)
    sums.add(slice(0, 100), r, q)
    interval = noise_interval(sums, rows(100), level=LEVEL, seed=0)
    assert inverse_decibels(interval.upper) < 10 < 50 < sums.sqnr
    assert "3 of 100 rows differ" in interval.notes[-1]


def test_rows_in_groups():
    rng = np.random.default_rng(5)
    r = rng.normal(size=(120, 6))
    q = r + 0.01 * np.repeat(np.exp(rng.normal(size=12)), 10)[:, None] * rng.normal(size=r.shape)
    sums = PointSums(120)
    sums.add(slice(0, 120), r, q)
    alone = noise_interval(sums, rows(120), level=LEVEL, seed=0)
    data = as_data(np.zeros((120, 1)), groups=np.repeat(np.arange(12), 10))
    bound = noise_interval(sums, data, level=LEVEL, seed=0)
    assert bound.value == pytest.approx(alone.value)
    assert bound.upper > alone.upper


def test_sizing_in_decibels():
    sizing = DecibelSizing(ratio=SimpleNamespace(at=lambda n: (0.01 / n, 0.1)))
    assert sizing.at(10) == pytest.approx((10.0, 30.0))
    assert inverse_decibels(-1.0) == math.inf
