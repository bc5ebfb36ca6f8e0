import math
import pickle

import numpy as np
import pytest
from scipy.stats import norm, t

from robust.errors import InvalidInput
from robust.intervals.auc_components import auc_components
from robust.intervals.delong import delong_paired
from robust.intervals.delong_grouped import delong_paired_grouped
from robust.intervals.tango import tango_bounds


def draw(rng, clusters, *, prevalence=0.3, auc=0.9, worse=0.0, shared=0.3, twin=0.8):
    """Clusters of ten rows whose scores have a part in common."""
    groups = np.repeat(np.arange(clusters), 10)
    y = (rng.random(groups.size) < prevalence).astype(int)
    y[:2] = [0, 1]
    own, common = rng.normal(size=(3, groups.size)), rng.normal(size=(3, clusters))[:, groups]
    parts = np.sqrt(shared) * common + np.sqrt(1 - shared) * own
    shift = np.sqrt(2.0) * norm.ppf([auc, auc - worse])
    a = np.sqrt(twin) * parts[0] + np.sqrt(1 - twin) * parts[1] + shift[0] * y
    b = np.sqrt(twin) * parts[0] + np.sqrt(1 - twin) * parts[2] + shift[1] * y
    return y, a, b, groups


def test_an_area_that_is_a_proportion_has_the_bounds_of_one():
    # 20 clusters of two positive rows and a negative one; the second model loses both positive rows of two clusters.
    # The cluster sums are 2(1 - p)/40 twice and -2p/40 else, p = 0.1: a variance of p(1 - p)/19, that of 19 rows.
    y, groups = np.tile([1, 1, 0], 20), np.repeat(np.arange(20), 3)
    a = y.astype(float)
    b = np.where((groups < 2) & (y == 1), -1.0, a)
    interval = delong_paired_grouped(y, a, b, groups, level=0.95)
    quantile, skewness = t.ppf(0.95, 19), (1 - 2 * 0.1) / math.sqrt(20 * 0.1 * 0.9)
    lower, upper = tango_bounds(19 * 0.1, 0.0, 19.0, quantile)
    shift = math.sqrt(0.1 * 0.9 / 19) * skewness * (1 + 2 * quantile**2) / 6
    assert (interval.lower, interval.upper) == pytest.approx((lower, upper + shift))
    assert interval.notes == ("20 clusters",)


def test_clusters_of_one_row_are_rows():
    y, a, b, _ = draw(np.random.default_rng(0), 60)
    alone = delong_paired_grouped(y, a, b, np.arange(600), level=0.95)
    rows = delong_paired(y, a, b, level=0.95).interval
    assert (alone.lower, alone.value, alone.upper) == pytest.approx((rows.lower, rows.value, rows.upper), rel=0.02)


def test_rows_that_come_twice_prove_no_more():
    y, a, b, groups = draw(np.random.default_rng(1), 40)
    once = delong_paired_grouped(y, a, b, groups, level=0.95)
    twice = delong_paired_grouped(*(np.tile(column, 2) for column in (y, a, b, groups)), level=0.95)
    assert (once.lower, once.upper) == pytest.approx((twice.lower, twice.upper))
    # The number of clusters to come is that of rows.
    assert pickle.loads(pickle.dumps(once)).sizing.at(400 * 4)[1] < once.upper


def test_names_of_clusters_and_order_of_rows_do_not_matter():
    y, a, b, groups = draw(np.random.default_rng(2), 30)
    mixed = np.random.default_rng(3).permutation(300)
    one = delong_paired_grouped(y, a, b, groups, level=0.95)
    other = delong_paired_grouped(
        y[mixed], np.exp(a[mixed]), b[mixed], np.array([f"c{g}" for g in groups[mixed]]), level=0.95
    )
    assert (one.lower, one.upper) == pytest.approx((other.lower, other.upper))


def test_a_class_in_few_clusters_proves_nothing():
    y, a, b, groups = draw(np.random.default_rng(4), 30)
    rare = np.where(groups < 9, y, 0)
    interval = delong_paired_grouped(rare, a, b, groups, level=0.95)
    assert (interval.lower, interval.upper) == (-np.inf, np.inf)
    assert interval.notes == ("a class occurs in 9 clusters: fewer than 10 prove nothing",)
    lower, upper = interval.sizing.at(10 * 300)
    assert -1 < lower < upper < 1
    single = np.where(groups < 1, y, 0)
    assert delong_paired_grouped(single, a, b, groups, level=0.95).sizing.at(10**6)[1] == np.inf


def test_models_that_order_alike_have_no_width_of_their_own():
    y, a, _, groups = draw(np.random.default_rng(5), 30)
    interval = delong_paired_grouped(y, a, np.tanh(a), groups, level=0.95)
    assert (interval.lower, interval.upper) == (0.0, 0.0)


def test_a_worse_model_is_found_in_spite_of_few_clusters():
    y, a, _, groups = draw(np.random.default_rng(6), 20)
    interval = delong_paired_grouped(y, a, -a, groups, level=0.95)
    assert interval.value == pytest.approx(2 * auc_components(y, a).value - 1)
    assert interval.lower > 0.3


@pytest.mark.parametrize(
    ("groups", "level", "message"),
    [
        (np.array([1, 2, 3, 4]), 1.0, r"level got 1\.0"),
        (np.array([1.0, np.nan, 2.0, 2.0]), 0.95, "groups got a NaN"),
        (np.array([1, 2, 3]), 0.95, "groups got 3 rows of 4"),
    ],
)
def test_bad_input(groups, level, message):
    with pytest.raises(InvalidInput, match=message):
        delong_paired_grouped(np.array([0, 1, 0, 1]), np.arange(4.0), np.arange(4.0), groups, level=level)


def coverage(trials, seed, clusters, **case):
    rng, hits = np.random.default_rng(seed), np.zeros(2, dtype=int)
    for _ in range(trials):
        interval = delong_paired_grouped(*draw(rng, clusters, **case), level=0.95)
        hits += [interval.lower <= case["worse"], interval.upper >= case["worse"]]
    return hits


def test_coverage_sample(covers):
    hits = coverage(400, 7, 30, worse=0.02, auc=0.95, shared=0.5)
    assert all(covers(int(one), 400, 0.945) for one in hits)


def test_rows_taken_for_independent_are_not_covered(covers):
    rng, hits = np.random.default_rng(7), 0
    for _ in range(300):
        _, a, b, _ = draw(rng, 30, prevalence=0.0, shared=0.5)
        # Labels that go with the clusters, of models that know nothing of them.
        y = np.repeat(rng.random(30) < 0.5, 10).astype(int)
        hits += delong_paired(y, a, b, level=0.95).interval.upper >= 0.0
    assert not covers(int(hits), 300, 0.945)


@pytest.mark.slow
@pytest.mark.parametrize("clusters", [30, 100])
@pytest.mark.parametrize("shared", [0.1, 0.5])
@pytest.mark.parametrize(("auc", "twin", "worse"), [(0.85, 0.8, 0.0), (0.95, 0.8, 0.02), (0.9, 0.95, 0.01)])
def test_coverage(clusters, shared, auc, twin, worse, covers):
    hits = coverage(2000, 8, clusters, shared=shared, auc=auc, twin=twin, worse=worse)
    assert all(covers(int(one), 2000, 0.942) for one in hits)


@pytest.mark.slow
@pytest.mark.parametrize("clusters", [30, 100])
def test_coverage_with_a_positive_row_a_cluster(clusters, covers):
    # Thirty positive rows of a nearly perfect model: the known weak spot.
    hits = coverage(2000, 9, clusters, shared=0.5, auc=0.97, twin=0.95, worse=0.02, prevalence=0.1)
    assert all(covers(int(one), 2000, 0.925) for one in hits)
