import pickle

import numpy as np
import pytest
from scipy.stats import norm, t

from robust.errors import InvalidInput
from robust.intervals.bca import bca
from robust.intervals.cluster import cluster_bootstrap, cluster_index, cluster_units
from robust.intervals.interval import needed_n
from robust.intervals.resampling import SmoothOfMeans


def mean_of(rows):
    return SmoothOfMeans(rows, lambda means: means[:, 0])


def draw(rng, clusters, correlation, size=10):
    """Unit-variance rows with an intraclass correlation."""
    shared = np.repeat(rng.normal(size=clusters), size)
    return np.sqrt(correlation) * shared + np.sqrt(1 - correlation) * rng.normal(size=clusters * size)


def test_bounds_of_a_mean_are_those_of_the_cluster_means():
    rows = draw(np.random.default_rng(0), 200, 0.3)
    groups = np.repeat(np.arange(200), 10)
    means = rows.reshape(200, 10).mean(axis=1)
    half = t.ppf(0.95, 199) * means.std(ddof=1) / np.sqrt(200)
    interval = cluster_bootstrap(mean_of(rows), groups, level=0.95, seed=0, resamples=10_000)
    assert interval.value == pytest.approx(rows.mean())
    assert interval.upper - interval.value == pytest.approx(half, rel=0.06)
    assert interval.value - interval.lower == pytest.approx(half, rel=0.06)
    assert (interval.n, interval.method, interval.notes) == (2000, "cluster-bootstrap", ("200 clusters",))


def test_names_and_order_of_clusters_and_rows():
    rng = np.random.default_rng(1)
    rows, groups = draw(rng, 40, 0.3), np.repeat(np.arange(40), 10)
    one = cluster_bootstrap(mean_of(rows), groups, level=0.95, seed=0)
    order = rng.permutation(400)
    other = cluster_bootstrap(mean_of(rows[order]), groups[order], level=0.95, seed=0)
    assert (one.lower, one.upper) == pytest.approx((other.lower, other.upper), abs=1e-12)
    names = np.array([f"image {group:03d}" for group in groups])
    assert cluster_bootstrap(mean_of(rows), names, level=0.95, seed=0) == one


def test_clusters_of_one_row_are_rows():
    rows = np.random.default_rng(2).normal(size=300)
    clusters = cluster_bootstrap(mean_of(rows), np.arange(300), level=0.95, seed=0, resamples=5000)
    single = bca(mean_of(rows), np.ones(300, dtype=int), level=0.95, seed=0, resamples=5000)
    assert clusters.lower <= single.lower
    assert clusters.upper >= single.upper
    assert (clusters.lower, clusters.upper) == pytest.approx((single.lower, single.upper), abs=0.01)


def test_clusters_of_unequal_size_and_a_ratio():
    rng = np.random.default_rng(3)
    sizes = rng.integers(1, 20, 80)
    groups = np.repeat(np.arange(80), sizes)
    rows = rng.normal(size=80)[groups] + rng.normal(size=groups.size)
    interval = cluster_bootstrap(mean_of(rows), groups, level=0.95, seed=0, resamples=5000)
    # Linearised variance of a ratio of cluster sums, by hand.
    sums = np.bincount(groups, weights=rows - rows.mean())
    half = t.ppf(0.95, 79) * np.sqrt(80 / 79 * (sums**2).sum()) / groups.size
    assert interval.upper - interval.lower == pytest.approx(2 * half, rel=0.12)


def test_fewer_than_ten_clusters_prove_nothing_but_say_how_many_rows_would():
    rows = draw(np.random.default_rng(4), 9, 0.3)
    few = cluster_bootstrap(mean_of(rows), np.repeat(np.arange(9), 10), level=0.95, seed=0)
    assert (few.lower, few.upper) == (-np.inf, np.inf)
    assert few.notes == ("9 clusters: fewer than 10 prove nothing",)
    assert few.value == pytest.approx(rows.mean())
    sizing = pickle.loads(pickle.dumps(few.sizing))
    assert sizing.at(99) == (-np.inf, np.inf)
    error = rows.reshape(9, 10).mean(axis=1).std(ddof=1) / 3
    assert sizing.at(100)[1] == pytest.approx(few.value + t.ppf(0.95, 9) * error * np.sqrt(0.9))
    found = needed_n(sizing, limit=few.value + 0.1, settles="below", n=90)
    assert found is not None
    assert sizing.at(found)[1] < few.value + 0.1 <= sizing.at(found - 1)[1]


def test_one_cluster_never_proves_anything():
    one = cluster_bootstrap(mean_of(np.arange(5.0)), np.zeros(5, dtype=int), level=0.95, seed=0)
    assert needed_n(one.sizing, limit=1e9, settles="below", n=5) is None


def test_identical_models_give_no_width_and_no_nan():
    same = SmoothOfMeans(np.ones((200, 2)), lambda means: means[:, 0] - means[:, 1])
    interval = cluster_bootstrap(same, np.repeat(np.arange(20), 10), level=0.95, seed=0)
    assert (interval.lower, interval.value, interval.upper) == (0.0, 0.0, 0.0)


def test_one_differing_cluster_gives_finite_bounds():
    rows = np.zeros(200)
    rows[:10] = 1.0
    interval = cluster_bootstrap(mean_of(rows), np.repeat(np.arange(20), 10), level=0.95, seed=0)
    assert np.isfinite([interval.lower, interval.upper]).all()
    assert interval.upper > 0.05


def test_bounds_shrink_with_the_root_of_n():
    rows = draw(np.random.default_rng(5), 30, 0.3)
    interval = cluster_bootstrap(mean_of(rows), np.repeat(np.arange(30), 10), level=0.95, seed=0)
    assert interval.sizing.at(300) == pytest.approx((interval.lower, interval.upper))
    assert interval.sizing.at(1200)[1] - interval.value == pytest.approx((interval.upper - interval.value) / 2)


def test_clusters_as_units_by_hand():
    groups = np.array(["a", "b", "a", "c", "c"])
    assert cluster_index(groups)[0].tolist() == [0, 1, 0, 2, 2]
    assert cluster_units(np.array([True, False, True, False, True]), groups) == (2, 3)
    assert cluster_units(np.zeros(5, dtype=bool), groups) == (0, 3)


@pytest.mark.parametrize(
    ("groups", "message"),
    [
        (np.array([]), r"groups got shape \(0,\)"),
        (np.zeros((2, 2)), r"groups got shape \(2, 2\)"),
        (np.array([1.0, np.nan]), "groups got a NaN"),
        (np.array([None, "a"], dtype=object), "groups got dtype object"),
    ],
)
def test_bad_groups(groups, message):
    with pytest.raises(InvalidInput, match=message):
        cluster_bootstrap(mean_of(np.arange(2.0)), groups, level=0.95, seed=0)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"level": 0.5}, r"level got 0\.5"),
        ({"seed": -1}, "seed got -1"),
        ({"resamples": 5}, "resamples got 5"),
    ],
)
def test_bad_input(changes, message):
    arguments = {"level": 0.95, "seed": 0} | changes
    with pytest.raises(InvalidInput, match=message):
        cluster_bootstrap(mean_of(np.arange(4.0)), np.array([0, 0, 1, 1]), **arguments)


def test_bad_units():
    with pytest.raises(InvalidInput, match=r"differs got bool of shape \(2,\)"):
        cluster_units(np.zeros(2, dtype=bool), np.array([1, 2, 3]))
    with pytest.raises(InvalidInput, match="differs got int64"):
        cluster_units(np.zeros(3, dtype=int), np.array([1, 2, 3]))


def losses(kind, rows):
    if kind == "mean":
        return mean_of(rows), 0.0
    if kind == "rmse":
        return SmoothOfMeans(rows**2, lambda means: np.sqrt(means[:, 0])), 1.0
    share = {"half wrong": 0.5, "tenth wrong": 0.1}[kind]
    return mean_of((rows > norm.ppf(1 - share)).astype(float)), share


def coverage(kind, clusters, correlation, trials, seed, resamples=1000, independent=False):
    rng = np.random.default_rng(seed)
    groups = np.repeat(np.arange(clusters), 10)
    hits = np.zeros(2, dtype=int)
    for trial in range(trials):
        statistic, truth = losses(kind, draw(rng, clusters, correlation))
        if independent:
            ones = np.ones(groups.size, dtype=int)
            interval = bca(statistic, ones, level=0.95, seed=trial, resamples=resamples)
        else:
            interval = cluster_bootstrap(statistic, groups, level=0.95, seed=trial, resamples=resamples)
        hits += [interval.lower <= truth, interval.upper >= truth]
    return hits


@pytest.mark.parametrize("kind", ["mean", "rmse", "tenth wrong"])
@pytest.mark.parametrize("correlation", [0.1, 0.5])
def test_coverage_sample(kind, correlation, covers):
    hits = coverage(kind, 30, correlation, 300, seed=0, resamples=500)
    assert all(covers(int(number), 300, 0.935) for number in hits)


def test_rows_taken_for_independent_are_not_covered(covers):
    hits = coverage("mean", 30, 0.5, 200, seed=1, resamples=300, independent=True)
    assert not covers(int(hits[0]), 200, 0.935)
    assert not covers(int(hits[1]), 200, 0.935)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["mean", "rmse", "half wrong", "tenth wrong"])
@pytest.mark.parametrize("clusters", [30, 60])
@pytest.mark.parametrize("correlation", [0.1, 0.3, 0.5])
def test_coverage(kind, clusters, correlation, covers):
    hits = coverage(kind, clusters, correlation, 2000, seed=2)
    assert all(covers(int(number), 2000, 0.935) for number in hits)
