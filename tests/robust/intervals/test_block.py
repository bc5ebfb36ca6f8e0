import numpy as np
import pytest
from scipy.signal import lfilter
from scipy.stats import norm, t

from robust.errors import InvalidInput
from robust.intervals.bca import bca
from robust.intervals.block import block_bootstrap, draw_blocks
from robust.intervals.delong import delong
from robust.intervals.draws import CELLS, generator
from robust.intervals.long_run import long_run_variance
from robust.intervals.resampling import SmoothOfMeans


def autoregression(rng, n, rho):
    """Unit variance, stationary from the first row on."""
    return lfilter([np.sqrt(1 - rho**2)], [1.0, -rho], rng.normal(size=n + 200))[200:]


def mean_of(rows):
    return SmoothOfMeans(rows, lambda means: means[:, 0])


def drawn(n, length, resamples, seed=0):
    return np.concatenate(list(draw_blocks(n, length, resamples, generator(seed))))


@pytest.mark.parametrize("length", [1.0, 2.5, 12.0, 60.0])
def test_each_sample_has_n_rows_and_every_row_alike(length):
    samples = drawn(60, length, 5000)
    assert (samples.sum(axis=1) == 60).all()
    assert (samples >= 0).all()
    spread = samples.std(axis=0) / np.sqrt(5000)
    assert (np.abs(samples.mean(axis=0) - 1.0) < 5 * spread).all()


@pytest.mark.parametrize("length", [1.0, 4.0, 15.0])
def test_variance_is_the_closed_form_of_the_stationary_bootstrap(length):
    # Politis and Romano (1994), lemma 1: circular autocovariances under weights (1 - k/n) q^k + k/n q^(n-k).
    rows = autoregression(np.random.default_rng(1), 80, 0.5)
    centred = rows - rows.mean()
    k, keep = np.arange(1, 80), 1 - 1 / length
    covariance = np.array([centred[j:] @ centred[: 80 - j] for j in range(80)]) / 80
    weights = (1 - k / 80) * keep**k + (k / 80) * keep ** (80 - k)
    expected = (covariance[0] + 2 * weights @ covariance[1:]) / 80
    found = (drawn(80, length, 20_000) @ rows / 80).var()
    assert found == pytest.approx(expected, rel=0.05)


def test_variance_tends_to_that_of_an_autoregression():
    rng = np.random.default_rng(2)
    found = [(drawn(1000, 40.0, 200, seed=trial) @ autoregression(rng, 1000, 0.5) / 1000).var() for trial in range(60)]
    # (1 + rho)/(1 - rho)/n = 3/n, less the bias G/length = 4/40 and that of the estimated mean, about 2/25.
    assert np.mean(found) == pytest.approx(3 / 1000 * (1 - 4 / 120) * (1 - 0.08), rel=0.1)


def test_blocks_of_draws_are_bounded():
    sizes = [block.size for block in draw_blocks(10_000, 20.0, 1000, generator(0))]
    assert max(sizes) <= CELLS
    assert sum(sizes) == 10_000 * 1000


def test_the_size_of_a_batch_bounds_what_the_statistic_sees_and_changes_nothing():
    rows = autoregression(np.random.default_rng(7), 100, 0.5)
    seen = []

    def mean(weights):
        seen.append(len(weights))
        return (weights * rows).sum(axis=1) / 100

    whole = block_bootstrap(mean, 100, level=0.95, seed=0, influence=rows)
    seen.clear()
    assert block_bootstrap(mean, 100, level=0.95, seed=0, influence=rows, batch=70) == whole
    assert max(seen) == 70


def test_bounds_are_reproducible_and_mirror():
    rows = autoregression(np.random.default_rng(3), 300, 0.5)
    one = block_bootstrap(mean_of(rows), 300, level=0.95, seed=5)
    again = block_bootstrap(mean_of(rows), 300, level=0.95, seed=5)
    assert one == again
    mirrored = block_bootstrap(mean_of(-rows), 300, level=0.95, seed=5)
    assert (mirrored.lower, mirrored.upper) == pytest.approx(
        (-one.upper, -one.lower), abs=0.1 * (one.upper - one.lower)
    )
    assert one.method == "block-bootstrap"
    assert "mean block length" in one.notes[-1]


def test_bounds_of_a_mean_are_those_of_the_t_interval_from_cosines():
    rng = np.random.default_rng(8)
    for rho in (0.0, 0.5, 0.8):
        rows = autoregression(rng, 300, rho)
        variance, freedom = long_run_variance(rows - rows.mean())
        half = t.ppf(0.95, freedom) * np.sqrt(variance)
        interval = block_bootstrap(mean_of(rows), 300, level=0.95, seed=0, resamples=10_000)
        assert interval.upper - interval.lower == pytest.approx(2 * half, rel=0.04)


def test_dependence_widens():
    rows = autoregression(np.random.default_rng(4), 500, 0.7)
    blocks = block_bootstrap(mean_of(rows), 500, level=0.95, seed=0)
    independent = bca(mean_of(rows), np.ones(500, dtype=int), level=0.95, seed=0)
    assert blocks.value == pytest.approx(independent.value)
    assert blocks.upper - blocks.lower > 1.7 * (independent.upper - independent.lower)


def test_any_statistic_of_weights_will_do():
    rng = np.random.default_rng(5)
    n = 200
    y = (autoregression(rng, n, 0.5) > 0).astype(int)
    scores = autoregression(rng, n, 0.5) + 1.5 * y
    above = (scores[y == 1][:, None] > scores[y == 0][None, :]).astype(float)

    def area(weights):
        positive, negative = weights[:, y == 1], weights[:, y == 0]
        pairs = positive.sum(axis=1) * negative.sum(axis=1)
        return np.einsum("bi,ij,bj->b", positive, above, negative, optimize=True) / pairs

    estimate = delong(y, scores, level=0.95)
    quick = block_bootstrap(area, n, level=0.95, seed=0, influence=estimate.influence, resamples=500)
    slow = block_bootstrap(area, n, level=0.95, seed=0, resamples=500)
    assert quick.value == pytest.approx(estimate.interval.value)
    width = slow.upper - slow.lower
    assert (quick.lower, quick.upper) == pytest.approx((slow.lower, slow.upper), abs=0.1 * width)


def test_identical_models_give_no_width_and_no_nan():
    errors = autoregression(np.random.default_rng(6), 120, 0.5) ** 2
    same = SmoothOfMeans(np.stack([errors, errors], axis=1), lambda means: means[:, 0] - means[:, 1])
    interval = block_bootstrap(same, 120, level=0.95, seed=0)
    assert (interval.lower, interval.value, interval.upper) == (0.0, 0.0, 0.0)


def test_one_row_proves_nothing():
    interval = block_bootstrap(mean_of(np.array([0.5])), 1, level=0.95, seed=0)
    assert (interval.lower, interval.upper) == (-np.inf, np.inf)


def test_a_figure_that_is_not_smooth_still_has_a_width():
    # Leaving one row out never moves this median, so that no row has influence; the resamples still vary.
    rows = np.concatenate([np.zeros(49), np.ones(51)])

    def median(weights):
        return (weights[:, 49:].sum(axis=1) * 2 > weights.sum(axis=1)).astype(float)

    interval = block_bootstrap(median, rows.size, level=0.95, seed=0)
    assert interval.lower < interval.upper


@pytest.mark.parametrize(
    ("n", "changes", "message"),
    [
        (0, {}, "n got 0"),
        (30, {"level": 1.0}, r"level got 1\.0"),
        (30, {"seed": -3}, "seed got -3"),
        (30, {"resamples": 10}, "resamples got 10"),
        (30, {"batch": 0}, "batch got 0"),
        (30, {"length": 0.5}, r"length got 0\.5 for 30 rows"),
        (30, {"length": 31.0}, r"length got 31\.0 for 30 rows"),
        (30, {"length": float("nan")}, "length got nan"),
        (30, {"influence": np.zeros(29)}, "influence got 29 rows; 30 rows"),
        (30, {"influence": np.full(30, np.nan)}, "influence got nan in row 0"),
    ],
)
def test_bad_input(n, changes, message):
    arguments = {"level": 0.95, "seed": 0} | changes
    with pytest.raises(InvalidInput, match=message):
        block_bootstrap(mean_of(np.arange(30.0)), n, **arguments)


def losses(kind, rows):
    """Statistic and truth of a loss of autoregressive errors of unit variance."""
    if kind == "mean":
        return mean_of(rows), 0.0
    if kind == "rmse":
        return SmoothOfMeans(rows**2, lambda means: np.sqrt(means[:, 0])), 1.0
    share = {"half wrong": 0.5, "tenth wrong": 0.1}[kind]
    return mean_of((rows > norm.ppf(1 - share)).astype(float)), share


def coverage(kind, n, rho, trials, seed, resamples=1000, method=block_bootstrap):
    rng = np.random.default_rng(seed)
    hits = np.zeros(2, dtype=int)
    for trial in range(trials):
        statistic, truth = losses(kind, autoregression(rng, n, rho))
        rows = n if method is block_bootstrap else np.ones(n, dtype=int)
        interval = method(statistic, rows, level=0.95, seed=trial, resamples=resamples)
        hits += [interval.lower <= truth, interval.upper >= truth]
    return hits


@pytest.mark.parametrize("kind", ["mean", "rmse", "tenth wrong"])
def test_coverage_sample(kind, covers):
    assert all(covers(int(hits), 150, 0.935) for hits in coverage(kind, 300, 0.5, 150, seed=0, resamples=250))


def test_independent_resampling_does_not_cover(covers):
    hits = coverage("mean", 300, 0.5, 200, seed=1, resamples=300, method=bca)
    assert not covers(int(hits[0]), 200, 0.935)
    assert not covers(int(hits[1]), 200, 0.935)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["mean", "rmse", "half wrong", "tenth wrong"])
@pytest.mark.parametrize(("n", "rho"), [(300, 0.5), (1000, 0.5), (300, 0.0), (1000, 0.7)])
def test_coverage(kind, n, rho, covers):
    assert all(covers(int(hits), 1500, 0.935) for hits in coverage(kind, n, rho, 1500, seed=2))
