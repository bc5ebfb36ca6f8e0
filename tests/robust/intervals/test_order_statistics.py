"""Distribution-free bounds of a median."""

import numpy as np
import pytest
from scipy.stats import binom

from robust.errors import InvalidInput
from robust.intervals.interval import needed_n
from robust.intervals.order_statistics import median_interval, median_rank


@pytest.mark.parametrize("n", [1, 4, 5, 10, 37, 1000, 100_001])
@pytest.mark.parametrize("level", [0.9, 0.95, 0.999])
def test_ranks_are_the_largest_that_hold(n, level):
    rank = median_rank(n, level)
    assert rank == 0 or binom.cdf(rank - 1, n, 0.5) <= 1 - level
    assert binom.cdf(rank, n, 0.5) > 1 - level


def test_values():
    found = median_interval(np.array([3.0, 1.0, 2.0, 9.0, 5.0]), level=0.95)
    assert (found.value, found.lower, found.upper) == (3.0, 1.0, 9.0)
    none = median_interval(np.arange(4.0), level=0.95)
    assert (none.lower, none.upper) == (-np.inf, np.inf)


def test_coverage(covers):
    rng, low, high = np.random.default_rng(0), 0, 0
    for _ in range(1000):
        found = median_interval(rng.standard_cauchy(25), level=0.95)
        low, high = low + (found.lower <= 0), high + (found.upper >= 0)
    assert covers(low, 1000, 0.95)
    assert covers(high, 1000, 0.95)


def test_how_many_rows_settle_a_limit():
    values = np.random.default_rng(1).random(4000)
    found = median_interval(values[:100], level=0.95)
    needed = needed_n(found.sizing, limit=0.58, settles="below", n=100)
    assert 100 < needed < 1000
    assert found.sizing.at(3) == (-np.inf, np.inf)


def test_what_is_refused():
    with pytest.raises(InvalidInput, match="values got nan in row 1"):
        median_interval(np.array([1.0, np.nan]), level=0.95)
    with pytest.raises(InvalidInput, match="level got 1"):
        median_interval(np.array([1.0]), level=1)
