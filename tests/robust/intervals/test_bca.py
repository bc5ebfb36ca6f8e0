import tracemalloc

import numpy as np
import pytest
from scipy.stats import bootstrap, norm, t

from robust.errors import InvalidInput
from robust.intervals.bca import bca, expanded_quantile
from robust.intervals.resampling import SmoothOfMeans, distinct


def mean_of(values):
    rows, counts = distinct(values)
    return SmoothOfMeans(rows, lambda means: means[:, 0]), counts


def rmse_difference(errors_a, errors_b):
    squares = np.stack([errors_a**2, errors_b**2], axis=1)
    return SmoothOfMeans(squares, lambda means: np.sqrt(means[:, 1]) - np.sqrt(means[:, 0]))


def test_bounds_of_a_normal_mean_are_those_of_the_t_interval():
    values = np.random.default_rng(0).normal(size=400)
    interval = bca(*mean_of(values), level=0.95, seed=1, resamples=20_000)
    half = t.ppf(0.95, 399) * values.std(ddof=1) / np.sqrt(400)
    assert interval.value == pytest.approx(values.mean())
    assert (interval.lower, interval.upper) == pytest.approx((values.mean() - half, values.mean() + half), abs=0.004)


@pytest.mark.parametrize("scale", [1.0, 1.3])
def test_it_agrees_with_scipy(scale):
    rng = np.random.default_rng(2)
    a, b = rng.standard_t(8, size=(2, 500)) * np.array([[1.0], [scale]])

    def difference(a, b, axis=-1):
        return np.sqrt((b**2).mean(axis=axis)) - np.sqrt((a**2).mean(axis=axis))

    theirs = bootstrap(
        (a, b),
        difference,
        paired=True,
        confidence_level=0.9,
        n_resamples=9999,
        method="BCa",
        batch=500,
        rng=3,
    ).confidence_interval
    ours = bca(rmse_difference(a, b), np.ones(500, dtype=int), level=0.95, seed=4, resamples=10_000)
    width = theirs.high - theirs.low
    assert (ours.lower, ours.upper) == pytest.approx((theirs.low, theirs.high), abs=0.03 * width)


def test_distinct_values_have_the_law_of_their_rows():
    flips = np.random.default_rng(5).choice([-1.0, 0.0, 1.0], size=1000, p=[0.02, 0.94, 0.04])
    few = bca(*mean_of(flips), level=0.95, seed=0, resamples=8000)
    rows = bca(
        SmoothOfMeans(flips, lambda means: means[:, 0]),
        np.ones(1000, dtype=int),
        level=0.95,
        seed=1,
        resamples=8000,
    )
    # Both lie on a lattice of 1/1000.
    assert (few.lower, few.upper) == pytest.approx((rows.lower, rows.upper), abs=1.01 / 1000)


def test_the_same_seed_gives_the_same_bits_for_any_order_of_rows():
    values = np.random.default_rng(6).integers(0, 5, size=300).astype(float)
    one = bca(*mean_of(values), level=0.95, seed=9)
    other = bca(*mean_of(values[::-1]), level=0.95, seed=9, batch=17)
    assert (one.lower, one.value, one.upper) == (other.lower, other.value, other.upper)
    assert bca(*mean_of(values), level=0.95, seed=10).lower != one.lower


def test_shift_and_scale_carry_over():
    values = np.random.default_rng(7).exponential(size=200)
    one, other = (bca(*mean_of(v), level=0.95, seed=0) for v in (values, 3.0 * values + 1.0))
    assert (other.lower, other.upper) == pytest.approx((3 * one.lower + 1, 3 * one.upper + 1))


def test_identical_models_give_no_width_and_no_nan():
    errors = np.random.default_rng(8).normal(size=60)
    interval = bca(rmse_difference(errors, errors), np.ones(60, dtype=int), level=0.95, seed=0)
    assert (interval.lower, interval.value, interval.upper) == (0.0, 0.0, 0.0)


def test_one_row_proves_nothing():
    interval = bca(*mean_of(np.array([0.4])), level=0.95, seed=0)
    assert (interval.lower, interval.value, interval.upper) == (-np.inf, 0.4, np.inf)


def test_a_figure_that_some_resamples_lack():
    values = np.concatenate([np.ones(4), np.zeros(36)])

    def mean_position_of_ones(weights):
        ones = weights[:, :4].sum(axis=1)
        with np.errstate(invalid="ignore"):
            return weights[:, :4] @ np.arange(4.0) / ones

    interval = bca(mean_position_of_ones, np.ones(values.size, dtype=int), level=0.95, seed=0)
    # A resample misses all four rows with probability (1 - 4/40)^40 = 1.5 %.
    assert "resamples have no figure" in interval.notes[0]
    assert np.isfinite([interval.lower, interval.upper]).all()


def test_bounds_shrink_with_the_root_of_n():
    interval = bca(*mean_of(np.arange(100.0)), level=0.95, seed=0)
    assert interval.sizing.at(100) == pytest.approx((interval.lower, interval.upper))
    assert interval.sizing.at(400)[1] - interval.value == pytest.approx((interval.upper - interval.value) / 2)


def test_the_expanded_quantile_tends_to_the_normal_one():
    # Two rows: tan(0.45 pi), the Cauchy quantile, times the square root of 2.
    assert expanded_quantile(0.95, 2) == pytest.approx(np.tan(0.45 * np.pi) * np.sqrt(2))
    assert expanded_quantile(0.95, 10**7) == pytest.approx(norm.ppf(0.95), abs=1e-6)
    assert expanded_quantile(0.95, 1) == np.inf


@pytest.mark.parametrize(("distinct_rows", "limit"), [(3, 5e6), (10_000, 64e6)])
def test_memory_is_bounded(distinct_rows, limit):
    statistic = SmoothOfMeans(np.arange(float(distinct_rows)), lambda means: means[:, 0])
    counts = np.full(distinct_rows, 10_000 // distinct_rows)
    resamples = 10_000 if distinct_rows == 3 else 300
    tracemalloc.start()
    bca(statistic, counts, level=0.95, seed=0, resamples=resamples)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < limit


def test_the_slow_jackknife_is_bounded_too():
    tracemalloc.start()
    bca(
        lambda weights: weights[:, :50].mean(axis=1),
        np.ones(3000, dtype=int),
        level=0.95,
        seed=0,
        resamples=100,
    )
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 64e6


@pytest.mark.parametrize(
    ("counts", "changes", "message"),
    [
        ([1, 1], {"level": 0.5}, r"level got 0\.5"),
        ([1, 1], {"seed": -1}, "seed got -1"),
        ([1, 1], {"resamples": 99}, "resamples got 99; a whole number of at least 100"),
        ([1, 1], {"batch": 0}, "batch got 0"),
        ([0, 1], {}, "no whole number of at least 1"),
        ([], {}, r"counts got shape \(0,\)"),
    ],
)
def test_bad_input(counts, changes, message):
    statistic = SmoothOfMeans(np.array([0.0, 1.0]), lambda means: means[:, 0])
    arguments = {"level": 0.95, "seed": 0} | changes
    with pytest.raises(InvalidInput, match=message):
        bca(statistic, np.array(counts), **arguments)


def test_a_figure_that_is_nan_on_the_rows_is_refused():
    with pytest.raises(InvalidInput, match="statistic got nan on the rows themselves"):
        bca(lambda weights: np.full(len(weights), np.nan), np.ones(3, dtype=int), level=0.95, seed=0)


def rmse_case(n):
    """The second model's errors are 10 % larger and correlate with the first one's."""

    def simulate(rng):
        first = rng.normal(size=n)
        second = 1.1 * (0.8 * first + 0.6 * rng.normal(size=n))
        return rmse_difference(first, second), np.ones(n, dtype=int)

    return simulate, 0.1


def labels(rng, n):
    y = rng.choice(3, size=n, p=[0.6, 0.3, 0.1])
    first = np.where(rng.random(n) < 0.9, y, rng.choice(3, size=n))
    return y, first, np.where(rng.random(n) < 0.1, rng.choice(3, size=n), first)


def confusion(y, first, second):
    columns = []
    for predicted in (first, second):
        for c in range(3):
            columns += [(y == c) & (predicted == c), (y == c) * 1.0 + (predicted == c)]
    return np.stack(columns, axis=1).astype(float)


def f1_difference(means):
    scores = 2 * means[:, 0::2] / np.maximum(means[:, 1::2], 1e-300)
    return scores[:, :3].mean(axis=1) - scores[:, 3:].mean(axis=1)


def f1_case(n):
    """Macro-F1 of a model less that of one which answers a tenth of the rows at random."""
    # The truth from the law itself: P(y, first, second) is a table of 27 cells.
    prior, mixed = np.array([0.6, 0.3, 0.1]), np.full((3, 3), 1 / 30) + 0.9 * np.eye(3)
    table = np.stack(np.meshgrid(*[np.arange(3)] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    y, first, second = table.T
    law = prior[y] * mixed[y, first] * mixed[first, second]
    truth = float(f1_difference(law[np.newaxis] @ confusion(y, first, second))[0])

    def simulate(rng):
        rows, counts = distinct(confusion(*labels(rng, n)))
        return SmoothOfMeans(rows, f1_difference), counts

    return simulate, truth


def coverage(case, trials, seed, resamples=1000):
    simulate, truth = case
    rng = np.random.default_rng(seed)
    hits = np.zeros(2, dtype=int)
    for trial in range(trials):
        interval = bca(*simulate(rng), level=0.95, seed=trial, resamples=resamples)
        hits += [interval.lower <= truth, interval.upper >= truth]
    return hits


@pytest.mark.parametrize("case", [rmse_case(60), f1_case(300)])
def test_coverage_sample(case, covers):
    assert all(covers(int(hits), 300, 0.945) for hits in coverage(case, 300, seed=0, resamples=500))


def test_rows_that_depend_on_each_other_are_not_covered(covers):
    rng = np.random.default_rng(1)
    hits = 0
    for trial in range(200):
        rows = np.repeat(rng.normal(size=20), 10) + 0.5 * rng.normal(size=200)
        hits += bca(*mean_of(rows), level=0.95, seed=trial, resamples=300).upper >= 0.0
    assert not covers(hits, 200, 0.935)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("case", "nominal"),
    [
        (rmse_case(40), 0.935),
        (rmse_case(60), 0.94),
        (rmse_case(200), 0.945),
        (rmse_case(1000), 0.945),
        (f1_case(100), 0.945),
        (f1_case(300), 0.945),
        (f1_case(1000), 0.945),
    ],
)
def test_coverage(case, nominal, covers):
    assert all(covers(int(hits), 4000, nominal) for hits in coverage(case, 4000, seed=2))
