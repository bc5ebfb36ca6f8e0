"""Shares and means of rows that depend on each other, and what few units can prove."""

import numpy as np
import pytest

from robust.data.live import as_data
from robust.errors import InvalidInput
from robust.intervals.clopper_pearson import clopper_pearson, clopper_pearson_bounds
from robust.intervals.resampling import SmoothOfMeans
from robust.measures.dependence import dependent_interval, is_dependent
from robust.measures.row_means import mean_interval, share_interval

N = 120


def data(**given):
    return as_data(np.zeros((N, 1)), **given)


def mean_of(values):
    return SmoothOfMeans(values, lambda means: means[:, 0])


def test_who_is_dependent():
    assert not is_dependent(data())
    assert is_dependent(data(order=np.arange(N)))
    assert is_dependent(data(groups=np.arange(N)))


def test_a_share_of_independent_rows_is_clopper_pearson():
    hits = np.arange(N) < 30
    found = share_interval(hits, data(), level=0.95, seed=0)
    assert found == clopper_pearson(30, N, level=0.95)


@pytest.mark.parametrize("given", [{"order": np.arange(N)}, {"groups": np.arange(N) // 3}])
def test_a_share_of_dependent_rows_stays_in_its_range(given):
    hits = np.arange(N) % 40 < 20  # long runs
    found = share_interval(hits, data(**given), level=0.95, seed=0)
    free = clopper_pearson(int(hits.sum()), N, level=0.95)
    assert 0 <= found.lower < found.value < found.upper <= 1
    assert found.upper - found.lower > free.upper - free.lower
    none = share_interval(np.zeros(N, bool), data(**given), level=0.95, seed=0)
    assert none.value == 0
    assert none.upper > 1 - 0.05 ** (1 / N)  # units are fewer than rows


def test_groups_decide_where_there_is_an_order_too():
    hits = np.arange(N) % 2 == 0
    both = share_interval(hits, data(order=np.arange(N), groups=np.arange(N) // 3), level=0.95, seed=0)
    assert both.method == "cluster-bootstrap"


def test_the_floor_of_clusters_counts_the_largest_for_all():
    groups = np.r_[np.zeros(60, int), np.arange(1, 61)]  # one group holds half of the rows
    found = dependent_interval(
        mean_of(np.zeros(N)), data(groups=groups), level=0.95, seed=0, odd=np.zeros(N, bool), effect=1.0
    )
    share = clopper_pearson_bounds(0, 61, 0.95)[1]
    assert found.upper == pytest.approx(share * 60 * 61 / N)


def test_the_floor_of_blocks_asks_for_the_effect_at_the_share_that_may_differ():
    asked = []

    def effect(share):
        asked.append(share)
        return 3.0

    found = dependent_interval(
        mean_of(np.zeros(N)),
        data(order=np.arange(N)),
        level=0.95,
        seed=0,
        odd=np.zeros(N, bool),
        effect=effect,
        anchor=0.0,
    )
    assert found.upper == pytest.approx(3.0 * asked[0])
    assert asked[0] > clopper_pearson_bounds(0, N, 0.95)[1]


def test_no_bound_on_one_row_is_no_bound_at_all():
    found = dependent_interval(
        mean_of(np.zeros(N)), data(order=np.arange(N)), level=0.95, seed=0, odd=np.zeros(N, bool), effect=None
    )
    assert (found.lower, found.upper) == (-np.inf, np.inf)


def test_a_mean_of_independent_rows():
    values = np.random.default_rng(0).exponential(size=400)
    found = mean_interval(values, as_data(np.zeros((400, 1))), level=0.95, seed=0)
    assert found.method == "bca-bootstrap"
    assert found.value == pytest.approx(values.mean())
    half = 1.6449 * values.std() / 20
    assert (found.lower, found.upper) == pytest.approx((values.mean() - half, values.mean() + half), rel=0.05)
    assert found.upper - found.value > found.value - found.lower  # skewed to the right


def test_a_mean_without_spread_proves_nothing_without_a_bound():
    found = mean_interval(np.ones(50), as_data(np.zeros((50, 1))), level=0.95, seed=0)
    assert (found.lower, found.upper) == (-np.inf, np.inf)
    bounded = mean_interval(np.ones(50), as_data(np.zeros((50, 1))), level=0.95, seed=0, effect=2.0)
    assert bounded.upper == pytest.approx(1 + 2 * (1 - 0.05 ** (1 / 50)))


def test_ties_in_time_are_refused():
    with pytest.raises(InvalidInput, match="order has ties"):
        share_interval(np.zeros(N, bool), data(order=np.zeros(N)), level=0.95, seed=0)
