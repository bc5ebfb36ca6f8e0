"""Autocorrelations against hand-computed, certified and brute-force values, and their simulated size."""

import numpy as np
import pytest
from scipy.signal import lfilter
from scipy.stats import chi2
from statsmodels.stats.diagnostic import acorr_ljungbox
from statsmodels.tsa.stattools import acf

from robust.errors import InvalidInput
from robust.residuals.autocorrelation_robust import autocorrelation_interval
from robust.residuals.lag_products import group_autocorrelations, series_autocorrelations, within_design
from robust.residuals.portmanteau import automatic_p, box_pierce_p, standardised_squares

LEVEL = 0.95


def ar(rng, phi, rows, series=1):
    """Stationary AR(1) series."""
    return lfilter([1.0], [1.0, -phi], rng.standard_normal((series, rows + 200)), axis=1)[:, 200:]


def garch(rng, rows):
    """Uncorrelated values whose size is correlated: GARCH(1, 1) with a = .3, b = .6."""
    z, values, square = rng.standard_normal(rows + 200), np.zeros(rows + 200), 1.0
    for t in range(1, rows + 200):
        square = 0.1 + 0.3 * values[t - 1] ** 2 + 0.6 * square
        values[t] = np.sqrt(square) * z[t]
    return values[200:]


def interval(residuals, lags, sizes=None):
    lags = np.array(lags)
    found = (
        series_autocorrelations(residuals, lags) if sizes is None else group_autocorrelations(residuals, sizes, lags)
    )
    return autocorrelation_interval(found, differing=len(residuals), n=len(residuals), level=LEVEL)


def misses(make, lags, truth, repeats, seed, sizes=None):
    """How often each bound is on the wrong side of the truth."""
    rng = np.random.default_rng(seed)
    found = [interval(make(rng), lags, sizes) for _ in range(repeats)]
    return np.mean([i.lower > truth for i in found]), np.mean([i.upper < truth for i in found])


def test_a_hand_computed_value():
    # Mean 2.5, deviations -1.5 -.5 .5 1.5: products .75 - .25 + .75 = 1.25 over 5.
    found = series_autocorrelations(np.array([1.0, 2.0, 3.0, 4.0]), np.array([1]))
    assert found.values[0] == pytest.approx(0.25)


@pytest.mark.parametrize(
    ("base", "step", "certified"),
    [(10000001.0, None, -0.5), (1.2, 0.1, -0.999), (1000000.2, 0.1, -0.999), (10000000.2, 0.1, -0.999)],
    ids=["NumAcc1", "NumAcc2", "NumAcc3", "NumAcc4"],
)
def test_certified_lag_one_autocorrelation_of_the_nist_reference_data(base, step, certified):
    if step is None:
        values = np.array([10000001.0, 10000003.0, 10000002.0])
    else:
        values = np.concatenate([[base], np.tile([base - step, base + step], 500)])
    found = series_autocorrelations(values, np.array([1]))
    assert found.values[0] == pytest.approx(certified, abs=2e-8)


def test_agrees_with_statsmodels_and_brute_force():
    e = np.random.default_rng(0).standard_normal(83).cumsum()
    lags = np.array([1, 2, 7])
    d = e - e.mean()
    brute = [sum(d[t] * d[t - k] for t in range(k, 83)) / sum(d * d) for k in lags]
    found = series_autocorrelations(e, lags)
    np.testing.assert_allclose(found.values, brute, rtol=1e-12)
    np.testing.assert_allclose(found.values, acf(e, nlags=7)[lags], rtol=1e-12)


@pytest.mark.parametrize("scale", [1e-180, -3.0, 1e180])
def test_invariant_to_shift_and_scale_even_where_fourth_powers_overflow(scale):
    e = np.random.default_rng(1).standard_normal(200)
    lags = np.array([1, 3])
    first, second = series_autocorrelations(e, lags), series_autocorrelations(scale * (e + 0.5), lags)
    np.testing.assert_allclose(second.values, first.values, rtol=1e-9)
    np.testing.assert_allclose(second.reach(LEVEL), first.reach(LEVEL), rtol=1e-9)


def test_null_errors_are_those_of_independent_values_where_variance_is_constant():
    found = series_autocorrelations(np.random.default_rng(2).standard_normal(40_000), np.array([1, 5]))
    np.testing.assert_allclose(found.null_errors, 1 / np.sqrt(40_000), rtol=0.03)


def test_the_robust_portmanteau_is_ljung_box_for_constant_variance():
    e = np.random.default_rng(3).standard_normal(20_000)
    squares = standardised_squares(e, np.arange(1, 11))
    theirs = acorr_ljungbox(e, lags=[10])["lb_stat"].iloc[0]
    assert squares.sum() == pytest.approx(theirs, rel=0.05)
    assert box_pierce_p(squares) == pytest.approx(chi2.sf(squares.sum(), 10))


def test_the_automatic_test_penalises_by_log_n_unless_a_correlation_is_large():
    n = 100
    # Largest √n|ρ| = 2 < √(2.4 log 100) = 3.32: BIC, and 1 + 4 − 2·4.6 < 1 − 4.6: one lag.
    assert automatic_p(np.array([1.0, 4.0]), n) == (pytest.approx(chi2.sf(1.0, 1)), 1)
    # 4 > 3.32: AIC, and 1 + 16 − 4 > 1 − 2: two lags.
    assert automatic_p(np.array([1.0, 16.0]), n) == (pytest.approx(chi2.sf(17.0, 1)), 2)


def test_within_design_is_the_expectation_of_products_of_demeaned_rows():
    size, horizon = 6, 4
    gamma = np.random.default_rng(4).standard_normal(horizon + 1)
    distance = np.abs(np.subtract.outer(np.arange(size), np.arange(size)))
    covariance = np.where(distance <= horizon, gamma[np.minimum(distance, horizon)], 0.0)
    centring = np.eye(size) - 1.0 / size
    within = centring @ covariance @ centring
    expected = [np.trace(within, offset=k) for k in range(horizon + 1)]
    np.testing.assert_allclose(within_design(size, horizon) @ gamma, expected, atol=1e-12)


def test_group_estimates_ignore_constant_errors_of_groups_and_group_order():
    rng = np.random.default_rng(5)
    sizes = rng.integers(6, 20, 40)
    e = rng.standard_normal(sizes.sum())
    lags = np.array([1, 2])
    plain = group_autocorrelations(e, sizes, lags)
    shifted = group_autocorrelations(e + np.repeat(rng.standard_normal(40) * 9, sizes), sizes, lags)
    np.testing.assert_allclose(shifted.values, plain.values, atol=1e-9)
    parts = np.split(e, np.cumsum(sizes)[:-1])
    turned = group_autocorrelations(np.concatenate(parts[::-1]), sizes[::-1], lags)
    np.testing.assert_allclose(turned.values, plain.values, atol=1e-9)
    np.testing.assert_allclose(turned.reach(LEVEL), plain.reach(LEVEL), atol=1e-9)


def test_groups_without_variance_inside_are_refused():
    with pytest.raises(InvalidInput, match="no variance inside groups"):
        group_autocorrelations(np.repeat([1.0, 2.0], 6), np.array([6, 6]), np.array([1]))


def test_fewer_than_ten_differing_residuals_prove_nothing():
    found = series_autocorrelations(np.random.default_rng(6).standard_normal(500), np.array([1]))
    bounds = autocorrelation_interval(found, differing=9, n=500, level=LEVEL)
    assert (bounds.lower, bounds.upper) == (0.0, 1.0)
    assert "9 of 500" in bounds.notes[0]


SERIES = {
    "independent": (lambda rng, n: rng.standard_normal(n), 0.0),
    "GARCH": (garch, 0.0),
    "t with 3 degrees of freedom": (lambda rng, n: rng.standard_t(3, n), 0.0),
    "AR(.5)": (lambda rng, n: ar(rng, 0.5, n)[0], 0.5),
}


@pytest.mark.parametrize("name", SERIES)
def test_bounds_hold_on_a_sample_of_simulations(name):
    make, truth = SERIES[name]
    below, above = misses(lambda rng: make(rng, 200), range(1, 11), truth, 60, seed=7)
    # 60 repeats at 5 %: 9 misses or more have a probability below 0.3 %.
    assert max(below, above) < 9 / 60


@pytest.mark.slow
@pytest.mark.parametrize("lags", [[1], list(range(1, 11))], ids=["lag 1", "lags 1 to 10"])
@pytest.mark.parametrize("rows", [60, 300, 1000])
@pytest.mark.parametrize("name", SERIES)
def test_bounds_hold(name, rows, lags):
    make, truth = SERIES[name]
    repeats = 1000
    below, above = misses(lambda rng: make(rng, rows), lags, truth, repeats, seed=8)
    assert max(below, above) < 0.05 + 3 * np.sqrt(0.05 * 0.95 / repeats)


PANELS = {"50 x 20": (50, 20), "20 x 10": (20, 10), "200 x 5": (200, 5)}


def panel(rng, groups, rows, phi):
    return (ar(rng, phi, rows, groups) + 2 * rng.standard_normal((groups, 1))).ravel()


@pytest.mark.parametrize("phi", [0.0, 0.5])
def test_bounds_hold_inside_groups_on_a_sample_of_simulations(phi):
    below, above = misses(lambda rng: panel(rng, 50, 20, phi), [1, 2], phi, 60, seed=9, sizes=np.full(50, 20))
    assert max(below, above) < 9 / 60


@pytest.mark.slow
@pytest.mark.parametrize("phi", [0.0, 0.5])
@pytest.mark.parametrize("name", PANELS)
def test_bounds_hold_inside_groups(name, phi):
    groups, rows = PANELS[name]
    repeats = 1000
    below, above = misses(
        lambda rng: panel(rng, groups, rows, phi), [1], phi, repeats, seed=10, sizes=np.full(groups, rows)
    )
    assert max(below, above) < 0.05 + 3 * np.sqrt(0.05 * 0.95 / repeats)


def joint_rejections(make, rows, repeats, seed):
    """How often each of the two joint tests rejects at 5 %."""
    rng, rejected = np.random.default_rng(seed), np.zeros(2)
    for _ in range(repeats):
        squares = standardised_squares(make(rng, rows), np.arange(1, 16))
        rejected += [box_pierce_p(squares[:10]) < 0.05, automatic_p(squares, rows)[0] < 0.05]
    return rejected / repeats


@pytest.mark.slow
@pytest.mark.parametrize("name", ["independent", "GARCH"])
def test_size_of_the_joint_tests(name):
    sizes = joint_rejections(SERIES[name][0], 1000, 1000, seed=11)
    assert sizes.max() < 0.05 + 3 * np.sqrt(0.05 * 0.95 / 1000)


def test_power_of_the_joint_tests():
    assert joint_rejections(SERIES["AR(.5)"][0], 200, 20, seed=12).min() == 1.0
