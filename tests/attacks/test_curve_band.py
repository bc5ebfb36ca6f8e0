import itertools
from math import lgamma

import numpy as np
import pytest
from scipy.stats import beta, binom

from robust.attacks.curve_band import joint_bounds, joint_error
from robust.errors import InvalidInput
from robust.intervals.clopper_pearson import clopper_pearson_bounds


def lower_of(counts, n, error):
    return np.array([clopper_pearson_bounds(float(x), n, 1.0 - error)[0] for x in counts])


def exact_coverage(n, points, level, draws):
    """The smallest share of samples whose lower bounds all hold, counted over every sample there can be.

    True shares lie just below bounds that can come out, where misses are likeliest, or anywhere.
    """
    rng = np.random.default_rng(0)
    samples = np.array(list(itertools.combinations_with_replacement(range(n + 1), points)))
    bounds = np.array([lower_of(one, n, joint_error(tuple(one.tolist()), n, level)) for one in samples])
    steps = np.diff(np.c_[np.zeros(len(samples)), samples, np.full(len(samples), n)], axis=1).astype(int)
    ways = np.array([lgamma(n + 1) - sum(lgamma(s + 1) for s in step) for step in steps.tolist()])
    edges, worst = np.unique(bounds[bounds > 0]), 1.0
    for draw in range(draws):
        shares = np.sort(rng.choice(edges, points) - 1e-12 if draw % 3 else rng.random(points))
        p = np.clip(np.diff(np.r_[0.0, shares, 1.0]), 1e-300, 1.0)
        chances = np.exp(ways + steps @ np.log(p))
        worst = min(worst, chances[(bounds <= shares).all(axis=1)].sum())
    return worst


@pytest.mark.parametrize(
    ("n", "points", "level", "draws"),
    [(5, 2, 0.95, 500), (12, 2, 0.55, 500), (7, 3, 0.95, 1000), (4, 4, 0.9, 500)],
)
def test_no_true_curve_is_missed_too_often_by_enumeration(n, points, level, draws):
    assert exact_coverage(n, points, level, draws) >= level


def test_the_enumeration_catches_bounds_that_are_each_for_their_own_point(monkeypatch):
    # The oracle must be able to fail: at the points' own level, two points miss together far too often.
    monkeypatch.setitem(globals(), "joint_error", lambda _counts, _n, level: 1.0 - level)
    assert exact_coverage(20, 2, 0.95, 300) < 0.93


def test_the_level_is_nearly_used_up():
    # The worst of the true curves is missed hardly less often than allowed: Bonferroni's bounds leave more.
    assert 0.95 <= exact_coverage(20, 2, 0.95, 1500) < 0.951


@pytest.mark.parametrize("n", [1, 5, 20, 100, 500, 20_000])
@pytest.mark.parametrize("points", [1, 2, 5, 20])
@pytest.mark.parametrize("level", [0.51, 0.95, 0.999])
def test_never_wider_than_bonferroni(n, points, level):
    counts = tuple(sorted(np.random.default_rng(points).integers(0, n + 1, points).tolist()))
    error = joint_error(counts, n, level)
    assert (1 - level) / points * (1 - 1e-12) <= error <= 1 - level


def test_one_point_is_clopper_and_pearson_s():
    lower, upper, *_ = joint_bounds(np.array([37]), 50, level=0.9)
    assert lower == pytest.approx(beta.ppf(0.1, 37, 14))
    assert upper == pytest.approx(beta.ppf(0.9, 38, 13))


def test_one_side_is_the_mirror_image_of_the_other():
    counts = np.array([95, 90, 71, 40, 3])
    lower, upper, below, above = joint_bounds(counts, 100, level=0.95)
    mirrored = joint_bounds(100 - counts[::-1], 100, level=0.95)
    assert lower == pytest.approx(1 - mirrored[1][::-1])
    assert upper == pytest.approx(1 - mirrored[0][::-1])
    assert (below, above) == (mirrored[3], mirrored[2])
    assert (np.diff(lower) <= 0).all()
    assert (np.diff(upper) <= 0).all()


def test_the_closer_the_points_the_narrower():
    far = joint_error((20, 35, 50, 65, 80), 100, 0.95)
    near = joint_error((48, 49, 50, 51, 52), 100, 0.95)
    assert 0.01 < far < near < 0.05


def test_bad_counts_are_refused():
    with pytest.raises(InvalidInput, match="whole numbers from 0 to n"):
        joint_bounds(np.array([3, 11]), 10, level=0.95)
    with pytest.raises(InvalidInput, match="level got 1.5"):
        joint_bounds(np.array([3]), 10, level=1.5)


def all_held(counts, n, shares):
    """Whether all lower bounds hold: by the rarest tail, whose joint error is looked for only where it decides."""
    rarest = binom.sf(counts - 1, n, shares).min()
    if rarest < 0.05 / len(counts):
        return False
    return rarest >= 0.05 or rarest >= joint_error(tuple(sorted(counts.tolist())), n, 0.95)


def simulated(n, shares, runs, seed=0):
    """Share of curves whose lower, upper and both bounds hold everywhere, and of Bonferroni's lower ones."""
    rng, held = np.random.default_rng(seed), np.zeros(4)
    for _ in range(runs):
        counts = (rng.random(n)[:, None] < shares).sum(axis=0)
        below, above = all_held(counts, n, shares), all_held(n - counts, n, 1 - shares)
        plain = binom.sf(counts - 1, n, shares).min() >= 0.05 / len(shares)
        held += [below, above, below and above, plain]
    return held / runs


def enough(share, level, runs):
    """Whether a simulated coverage is no proof of one below the level (at one in a thousand)."""
    return binom.cdf(round(share * runs), runs, level) > 1e-3


def test_the_rarest_tail_tells_whether_bounds_hold():
    shares = np.array([0.9, 0.7, 0.5])
    for counts in ([48, 41, 30], [50, 40, 30], [45, 36, 34], [50, 44, 38]):
        lower, *_ = joint_bounds(np.array(counts), 50, level=0.95)
        assert all_held(np.array(counts), 50, shares) == (lower <= shares).all()


def test_coverage_by_simulation():
    below, above, both, _ = simulated(100, np.linspace(0.95, 0.3, 5), 200)
    assert enough(below, 0.95, 200)
    assert enough(above, 0.95, 200)
    assert enough(both, 0.9, 200)


@pytest.mark.slow
@pytest.mark.parametrize("n", [20, 100, 500])
@pytest.mark.parametrize("points", [1, 5, 10])
@pytest.mark.parametrize("ends", [(0.97, 0.03), (0.95, 0.6)])
def test_coverage_by_simulation_in_full(n, points, ends):
    runs = 1000
    below, above, both, plain = simulated(n, np.linspace(*ends, points), runs)
    print(f"n={n} k={points} {ends}: lower {below:.4f} upper {above:.4f} both {both:.4f}; Bonferroni {plain:.4f}")
    assert enough(below, 0.95, runs)
    assert enough(above, 0.95, runs)
    assert enough(both, 0.9, runs)
