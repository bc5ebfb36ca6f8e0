import numpy as np
import pytest
from scipy.stats import beta, binom

from robust.attacks.curve_mean import lower_mean
from robust.attacks.curve_sizing import bounded_sizing


@pytest.mark.parametrize("n", [1, 2, 7, 50, 1000, 100_000])
@pytest.mark.parametrize("level", [0.6, 0.95])
def test_zeros_and_ones_give_clopper_and_pearson_s(n, level):
    for k in {1, n // 3, n - 1, n} - {0}:
        bound = lower_mean(np.array([0.0, 1.0]), np.array([n - k + 1e-12, k]), level=level)
        assert bound == pytest.approx(min(beta.ppf(1 - level, k, n - k + 1), k / n), abs=1e-9)
        # The same rows as two values that are equal for all purposes: by inversion, not by the beta quantile.
        split = lower_mean(np.array([0.0, 1.0 - 1e-13, 1.0]), np.array([n - k + 1e-12, k / 2, k / 2]), level=level)
        assert split == pytest.approx(bound, abs=2e-5)


def test_the_inversion_is_the_quantile_of_dirichlet_draws():
    rng = np.random.default_rng(0)
    values, counts = np.array([0.0, 0.2, 0.6, 1.0]), np.array([2.0, 3, 4, 5])
    weights = rng.dirichlet(np.r_[counts, 1.0], 200_000)
    for level in (0.6, 0.95, 0.99):
        drawn = np.quantile(weights @ np.r_[values, 0.0], 1 - level)
        assert lower_mean(values, counts, level=level) == pytest.approx(drawn, abs=2e-3)


def test_scale_and_ends():
    values, counts = np.array([0.1, 0.5, 0.8]), np.array([3.0, 9, 2])
    assert lower_mean(values / 4, counts, level=0.9) == pytest.approx(lower_mean(values, counts, level=0.9) / 4)
    assert lower_mean(np.array([0.0]), np.array([9.0]), level=0.9) == 0.0
    assert bounded_sizing(np.ones(9), np.ones(9), level=0.9).at(9)[1] == 1.0


def test_a_bracket_counts_its_lower_and_its_upper_end():
    low, high = np.array([0.0, 0.5, 0.5, 0.75]), np.array([0.25, 0.75, 1.0, 1.0])
    bounds = bounded_sizing(low, high, level=0.9).at(4)
    assert bounds[0] == bounded_sizing(low, low, level=0.9).at(4)[0]
    assert bounds[1] == bounded_sizing(high, high, level=0.9).at(4)[1]
    many = bounded_sizing(low, high, level=0.9).at(10**6)
    assert many == pytest.approx((low.mean(), high.mean()), abs=2e-3)


def missed(values, shares, n, runs, seed=0):
    """How often the lower and the upper bound miss the mean."""
    rng, mean, misses = np.random.default_rng(seed), float(values @ shares), np.zeros(2)
    for _ in range(runs):
        rows = rng.choice(values, size=n, p=shares)
        lower, upper = bounded_sizing(rows, rows, level=0.95).at(n)
        misses += [lower > mean, upper < mean]
    return misses


def test_coverage_by_simulation():
    misses = missed(np.linspace(0, 1, 6), np.array([0.05, 0.05, 0.1, 0.1, 0.1, 0.6]), 40, 300)
    assert (binom.sf(misses - 1, 300, 0.05) > 1e-3).all()


@pytest.mark.slow
@pytest.mark.parametrize("n", [5, 20, 100, 500])
@pytest.mark.parametrize(
    "shares",
    [
        [0.2, 0.1, 0.1, 0.2, 0.2, 0.2],
        [0.03, 0.02, 0.02, 0.03, 0.1, 0.8],
        [0.02, 0.0, 0.0, 0.0, 0.0, 0.98],
        [0.9, 0.05, 0.0, 0.0, 0.0, 0.05],
    ],
)
def test_coverage_by_simulation_in_full(n, shares):
    misses = missed(np.linspace(0, 1, 6), np.array(shares), n, 1500)
    print(f"n={n} {shares}: lower misses {misses[0] / 1500:.4f} upper {misses[1] / 1500:.4f}")
    assert (binom.sf(misses - 1, 1500, 0.05) > 1e-3).all()
