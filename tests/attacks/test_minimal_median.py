"""Medians of norms, some infinite: coverage, ranks, dependence."""

import numpy as np
import pytest
from scipy.stats import binom

from robust.attacks.minimal_median import median_of_norms
from robust.data.live import as_data
from robust.errors import InvalidInput


def rows(n, **options):
    return as_data(np.zeros((n, 1)), **options)


@pytest.mark.parametrize("n", [5, 6, 20, 101])
def test_ranks_are_the_largest_that_the_level_allows(n):
    norms = np.random.default_rng(n).permutation(np.arange(1.0, n + 1))
    found = median_of_norms(norms, rows(n), level=0.95, seed=0)
    rank = int(found.lower)
    assert binom.cdf(rank - 1, n, 0.5) <= 0.05 < binom.cdf(rank, n, 0.5)
    assert found.upper == n + 1 - rank
    assert found.value == np.median(norms)
    assert found.sizing.at(n) == pytest.approx((found.lower, found.upper), abs=1)


def test_each_bound_is_wrong_in_at_most_five_percent():
    rng, median, wrong = np.random.default_rng(0), np.log(2), np.zeros(2)
    for _ in range(2000):
        found = median_of_norms(rng.exponential(size=31), rows(31), level=0.95, seed=0)
        wrong += [found.lower > median, found.upper < median]
    assert (wrong / 2000 <= 0.06).all()
    assert (wrong / 2000 >= 0.01).all()


def test_infinite_norms():
    some = median_of_norms(np.r_[np.arange(60.0), np.full(40, np.inf)], rows(100), level=0.95, seed=0)
    assert (some.value, some.upper) == (49.5, 58.0)
    most = median_of_norms(np.r_[np.arange(40.0), np.full(60, np.inf)], rows(100), level=0.95, seed=0)
    assert most.value == most.upper == np.inf
    assert np.isinf(most.lower)
    assert median_of_norms(np.array([1.0, np.inf]), rows(2), level=0.95, seed=0).value == np.inf
    few = median_of_norms(np.array([1.0, 2.0]), rows(2), level=0.95, seed=0)
    assert (few.lower, few.upper) == (0.0, np.inf)


def test_clusters_widen_the_bounds():
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(20), 10)
    norms = np.repeat(rng.exponential(size=20), 10) + 0.01 * rng.random(200)
    loose = median_of_norms(norms, rows(200), level=0.95, seed=0)
    tied = median_of_norms(norms, rows(200, groups=groups), level=0.95, seed=0)
    assert tied.upper - tied.lower > 1.5 * (loose.upper - loose.lower)
    assert tied.lower <= tied.value == loose.value <= tied.upper


def test_level_is_checked():
    with pytest.raises(InvalidInput, match="level got 0.3"):
        median_of_norms(np.ones(5), rows(5), level=0.3, seed=0)
