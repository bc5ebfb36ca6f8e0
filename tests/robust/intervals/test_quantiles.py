import numpy as np
import pytest
from scipy.stats import norm, skew

from robust.intervals.quantiles import acceleration, corrected_bounds, is_flat

Z = float(norm.ppf(0.95))


def test_acceleration_is_a_sixth_of_the_skewness_over_the_root_of_n():
    values = np.random.default_rng(0).lognormal(size=400)
    deviations = values - values.mean()
    assert acceleration(deviations, np.ones(400)) == pytest.approx(skew(values) / (6 * np.sqrt(400)))
    assert acceleration(1e-200 * deviations, np.ones(400)) == pytest.approx(skew(values) / 120)
    assert acceleration(np.zeros(3), np.ones(3)) == 0.0


def test_without_corrections_they_are_order_statistics():
    # The 50th and the 950th of 999 numbers, the estimate in their middle.
    lower, upper, notes = corrected_bounds(np.arange(1.0, 1000.0), 500.0, skew=0.0, z=Z)
    assert (lower, upper, notes) == (50.0, 950.0, ())


def test_corrections_follow_the_published_formula():
    resampled = np.random.default_rng(1).permutation(np.arange(1.0, 10_000.0))
    bias, a = norm.ppf((4400 - 0.5) / 9999), 0.03
    lower, upper, _ = corrected_bounds(resampled, 4400.0, skew=a, z=Z)
    shares = [norm.cdf(bias + (bias + s * Z) / (1 - a * (bias + s * Z))) for s in (-1, 1)]
    assert (lower, upper) == pytest.approx(tuple(10_000 * share for share in shares), abs=1.0)


def test_no_spread_gives_no_width():
    assert corrected_bounds(np.full(100, 0.3), 0.3, skew=0.0, z=Z)[:2] == (0.3, 0.3)
    assert corrected_bounds(0.3 + 1e-16 * np.arange(100), 0.3, skew=0.0, z=Z)[:2] == (0.3, 0.3)
    assert not is_flat(np.array([0.3, 0.3001]))


def test_undefined_resamples_count_against_both_bounds():
    resampled = np.concatenate([np.arange(1.0, 981.0), np.full(19, np.nan)])
    lower, upper, notes = corrected_bounds(resampled, 490.0, skew=0.0, z=Z)
    assert lower < 50.0 - 15.0
    assert upper > 931.0 + 15.0
    assert notes == ("19 of 999 resamples have no figure and count against both bounds",)


def test_too_many_undefined_resamples_leave_no_bound():
    resampled = np.concatenate([np.arange(900.0), np.full(100, np.nan)])
    assert corrected_bounds(resampled, 450.0, skew=0.0, z=Z)[:2] == (-np.inf, np.inf)
    assert corrected_bounds(np.full(100, np.nan), 0.0, skew=0.0, z=Z)[:2] == (-np.inf, np.inf)


def test_an_infinite_quantile_leaves_no_bound():
    assert corrected_bounds(np.arange(100.0), 50.0, skew=0.0, z=np.inf)[:2] == (-np.inf, np.inf)


def test_the_estimate_stays_inside_whatever_the_resamples():
    lower, upper, _ = corrected_bounds(np.arange(100.0), 500.0, skew=0.0, z=Z)
    assert lower <= 500.0 <= upper


def test_beyond_the_resamples_width_is_proportional():
    resampled = norm.ppf((np.arange(4000) + 0.5) / 4000)
    near = corrected_bounds(resampled, 0.0, skew=0.0, z=2.5)
    far = corrected_bounds(resampled, 0.0, skew=0.0, z=6.0)
    assert near[1] == pytest.approx(2.5, abs=0.05)
    assert (far[0], far[1]) == pytest.approx((-6.0, 6.0), abs=0.15)


def test_a_correction_without_finite_value_takes_the_extreme():
    resampled = np.arange(1000.0)
    assert corrected_bounds(resampled, 500.0, skew=0.9, z=Z)[1] == 999.0
    assert corrected_bounds(resampled, 500.0, skew=-0.9, z=Z)[0] == 0.0
