import numpy as np
import pytest
from scipy.signal import lfilter
from scipy.stats import kstest

from robust.errors import InvalidInput
from robust.intervals.long_run import block_units, long_run_variance, mean_block_length


def autoregression(rng, shape, rho):
    """Unit variance, stationary from the first row on."""
    noise = rng.normal(size=(*shape[:-1], shape[-1] + 200))
    return lfilter([np.sqrt(1 - rho**2)], [1.0, -rho], noise)[..., 200:]


def test_variance_is_that_of_explicit_cosines():
    rows = np.random.default_rng(0).normal(size=200)
    variance, freedom = long_run_variance(rows)
    assert freedom == int(0.4 * 200 ** (2 / 3)) == 13
    times = (np.arange(200) + 0.5) / 200
    projections = [np.sqrt(2 / 200) * rows @ np.cos(np.pi * j * times) for j in range(1, 14)]
    assert variance == pytest.approx(np.mean(np.square(projections)) / 200)


@pytest.mark.parametrize("rho", [0.0, 0.5, -0.4])
def test_variance_is_that_of_an_autoregression_by_closed_form(rho):
    series = autoregression(np.random.default_rng(1), (400, 1000), rho)
    found = np.mean([long_run_variance(rows)[0] for rows in series])
    # sum of the autocovariances rho^|k| over n: (1 + rho)/(1 - rho)/n; 400 series of 40 degrees: 1.1 % error.
    assert found == pytest.approx((1 + rho) / (1 - rho) / 1000, rel=0.04)


def test_the_studentized_mean_follows_students_t():
    series = autoregression(np.random.default_rng(2), (1500, 300), 0.5)
    ratios = []
    for rows in series:
        variance, freedom = long_run_variance(rows)
        ratios.append(rows.mean() / np.sqrt(variance))
    assert freedom == 17
    assert kstest(ratios, "t", args=(17,)).pvalue > 0.01
    assert kstest(ratios, "norm").statistic > kstest(ratios, "t", args=(17,)).statistic


def test_shift_reversal_and_scale():
    rows = np.random.default_rng(3).normal(size=77)
    variance, _ = long_run_variance(rows)
    assert long_run_variance(rows[::-1] + 5.0)[0] == pytest.approx(variance)
    assert long_run_variance(3.0 * rows)[0] == pytest.approx(9 * variance)
    assert long_run_variance(np.ones(10))[0] == pytest.approx(0.0, abs=1e-30)
    assert long_run_variance(np.ones(1)) == (0.0, 1)


def test_the_length_tends_to_the_best_one_of_an_autoregression():
    # g = (1 + rho)/(1 - rho) = 3 and G = 2 rho/(1 - rho)^2 = 4: (G/g)^(2/3) n^(1/3) = 32.9 at n = 20,000.
    series = autoregression(np.random.default_rng(4), (20, 20_000), 0.5)
    lengths = [mean_block_length(rows) for rows in series]
    assert np.mean(lengths) == pytest.approx((4 / 3) ** (2 / 3) * 20_000 ** (1 / 3), rel=0.1)


def test_lengths_follow_the_dependence():
    rng = np.random.default_rng(5)
    means = [
        np.mean([mean_block_length(rows) for rows in autoregression(rng, (30, 1000), rho)])
        for rho in (0.0, 0.3, 0.6, 0.9)
    ]
    assert means == sorted(means)
    assert means[0] < 4.0
    assert means[-1] > 20.0


def test_lengths_stay_within_their_limits():
    trend = np.arange(300.0)
    assert mean_block_length(trend) <= np.ceil(3 * np.sqrt(300))
    assert 1.0 <= mean_block_length(np.tile([1.0, -1.0], 150)) <= np.ceil(3 * np.sqrt(300))
    assert mean_block_length(np.array([1.0, -1.0])) == 1.0
    assert mean_block_length(np.array([3.0])) == 1.0


def test_without_influence_the_length_is_the_rate_of_the_best_one():
    assert mean_block_length(np.zeros(1000)) == 10.0
    assert mean_block_length(np.full(1000, 0.1)) == 10.0


def test_blocks_as_units_by_hand():
    differs = np.zeros(20, dtype=bool)
    differs[[0, 1, 12, 19]] = True
    assert block_units(differs, 5.0) == (3, 4)
    assert block_units(differs, 4.2) == (3, 4)
    assert block_units(differs, 50.0) == (1, 1)
    assert block_units(differs, 1.0) == (4, 20)
    assert block_units(~differs & differs, 3.0) == (0, 6)


@pytest.mark.parametrize(
    ("differs", "length", "message"),
    [
        (np.zeros(3), 1.0, "differs got float64 of shape"),
        (np.zeros(0, dtype=bool), 1.0, r"differs got bool of shape \(0,\)"),
        (np.zeros(3, dtype=bool), 0.5, r"length got 0\.5"),
        (np.zeros(3, dtype=bool), float("nan"), "length got nan"),
    ],
)
def test_bad_blocks(differs, length, message):
    with pytest.raises(InvalidInput, match=message):
        block_units(differs, length)


def test_bad_influence():
    with pytest.raises(InvalidInput, match="influence got nan in row 1"):
        mean_block_length(np.array([0.0, np.nan]))
