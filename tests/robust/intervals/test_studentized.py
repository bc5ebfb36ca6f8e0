import numpy as np
import pytest
from scipy.stats import t

from robust.intervals.studentized import studentized_bounds


def test_for_normal_means_the_quantiles_are_students():
    rng = np.random.default_rng(0)
    samples = rng.normal(size=(40_000, 8))
    errors = samples.std(axis=1, ddof=1) / np.sqrt(8)
    lower, upper = studentized_bounds(samples.mean(axis=1), errors, value=0.0, error=1.0, level=0.95)
    assert (-lower, upper) == pytest.approx((t.ppf(0.95, 7), t.ppf(0.95, 7)), rel=0.04)


def test_a_figure_whose_spread_grows_with_it_reaches_further_up():
    rng = np.random.default_rng(1)
    samples = rng.exponential(size=(20_000, 20))
    errors = samples.std(axis=1, ddof=1) / np.sqrt(20)
    lower, upper = studentized_bounds(samples.mean(axis=1), errors, value=1.0, error=0.22, level=0.95)
    assert upper - 1.0 > 1.3 * (1.0 - lower)


def test_resamples_without_figure_or_spread_are_left_out():
    resampled = np.array([-1.0, 0.0, 1.0, np.nan, 7.0])
    errors = np.array([1.0, 1.0, 1.0, 1.0, 0.0])
    assert studentized_bounds(resampled, errors, value=0.0, error=2.0, level=0.75) == (-2.0, 2.0)
    assert studentized_bounds(np.zeros(5), np.zeros(5), value=0.5, error=0.0, level=0.95) == (0.5, 0.5)
