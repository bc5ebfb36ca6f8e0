"""Order-statistic bounds of a median: against the binomial distribution, and by simulation."""

import math

import numpy as np
import pytest
from scipy.stats import binom

from robust.costing.median_bounds import lower_rank, median_interval
from robust.errors import InvalidInput


@pytest.mark.parametrize("level", [0.9, 0.95, 0.99])
@pytest.mark.parametrize("n", [1, 2, 4, 5, 6, 7, 8, 20, 30, 31, 100, 1001, 10**6])
def test_the_rank_is_the_largest_that_keeps_the_level(n, level):
    rank = lower_rank(n, level)
    if rank is None:
        assert binom.cdf(0, n, 0.5) > 1 - level
    else:
        # P(X(r) > median) = P(at most r - 1 of n lie below it).
        assert binom.cdf(rank - 1, n, 0.5) <= 1 - level < binom.cdf(rank, n, 0.5)


def test_the_textbooks_table():
    # Ranks of one-sided 95 % bounds, by summing binomial coefficients: (1 + 5) / 32 > 0.05 >= 1 / 32, and
    # for n = 10: (1 + 10) / 1024 <= 0.05 < (1 + 10 + 45) / 1024.
    assert (lower_rank(5, 0.95), lower_rank(10, 0.95)) == (1, 2)


def test_bounds_are_order_statistics():
    found = median_interval(np.array([5.0, 1.0, 4.0, 2.0, 3.0]))
    assert (found.lower, found.value, found.upper, found.n) == (1.0, 3.0, 5.0, 5)


def test_too_few_repetitions_prove_nothing():
    found = median_interval(np.array([2.0, 1.0, 3.0, 4.0]))
    assert (found.lower, found.value, found.upper) == (0.0, 2.5, math.inf)


def test_order_and_scale():
    values = np.random.default_rng(0).gamma(2.0, size=40)
    one, other = median_interval(values), median_interval(values[::-1])
    scaled = median_interval(1000 * values)
    assert (one.lower, one.value, one.upper) == (other.lower, other.value, other.upper)
    assert (scaled.lower, scaled.upper) == pytest.approx((1000 * one.lower, 1000 * one.upper))


def test_more_repetitions_narrow_the_bounds():
    sizing = median_interval(np.arange(1.0, 31.0)).sizing
    assert sizing.at(30) == (11.0, 20.0)
    widths = [sizing.at(n)[1] - sizing.at(n)[0] for n in (10, 30, 100, 1000, 100_000)]
    assert widths == sorted(widths, reverse=True)
    assert sizing.at(3) == (0.0, math.inf)


@pytest.mark.parametrize("values", [[], [1.0, math.nan], [math.inf], [-1.0, 2.0]])
def test_values_that_are_no_times_are_refused(values):
    with pytest.raises(InvalidInput, match="finite numbers of at least 0 are needed"):
        median_interval(np.array(values))


def test_a_level_out_of_range_is_refused():
    with pytest.raises(InvalidInput, match="strictly between 0.5 and 1"):
        median_interval(np.ones(5), level=0.5)


def misses(n, draws, seed):
    """How often either bound is on the wrong side of the median of a skewed distribution."""
    generator = np.random.default_rng(seed)
    samples = generator.lognormal(size=(draws, n))  # median 1
    low = high = 0
    for sample in samples:
        found = median_interval(sample)
        low += found.lower > 1.0
        high += found.upper < 1.0
    return low / draws, high / draws


def within(share, draws):
    """5 % and three standard errors of the simulation."""
    return share <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / draws)


@pytest.mark.parametrize("n", [5, 30])
def test_each_bound_misses_at_most_five_percent(n):
    low, high = misses(n, 400, seed=n)
    assert within(low, 400)
    assert within(high, 400)
    assert low + high > 0  # bounds so wide that they never miss would pass everything above


@pytest.mark.slow
@pytest.mark.parametrize("n", [5, 8, 30, 101])
def test_each_bound_misses_at_most_five_percent_at_length(n):
    low, high = misses(n, 20_000, seed=n)
    exact = binom.cdf(lower_rank(n, 0.95) - 1, n, 0.5)
    for share in (low, high):
        assert within(share, 20_000)
        assert share == pytest.approx(exact, abs=4 * math.sqrt(exact / 20_000))
