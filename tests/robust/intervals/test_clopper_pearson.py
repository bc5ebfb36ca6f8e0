import numpy as np
import pytest
from scipy.stats import binom, binomtest
from statsmodels.stats.proportion import proportion_confint

from robust.errors import InvalidInput
from robust.intervals.clopper_pearson import clopper_pearson, clopper_pearson_bounds, wilson

CASES = [(0, 1), (1, 1), (0, 60), (60, 60), (1, 60), (59, 60), (37, 128), (950, 1000), (9_999, 10_000)]


@pytest.mark.parametrize(("k", "n"), CASES)
@pytest.mark.parametrize("level", [0.6, 0.95, 0.999])
def test_it_agrees_with_scipy_and_statsmodels(k, n, level):
    ours = clopper_pearson(k, n, level=level)
    theirs = binomtest(k, n).proportion_ci(confidence_level=2 * level - 1, method="exact")
    assert (ours.lower, ours.upper) == pytest.approx((theirs.low, theirs.high), abs=1e-12)
    beta = proportion_confint(k, n, alpha=2 * (1 - level), method="beta")
    assert (ours.lower, ours.upper) == pytest.approx(tuple(map(float, beta)), abs=1e-12)


def test_no_success_and_no_failure_by_hand():
    assert clopper_pearson(0, 60, level=0.95).upper == pytest.approx(1 - 0.05 ** (1 / 60))
    assert clopper_pearson(60, 60, level=0.95).lower == pytest.approx(0.05 ** (1 / 60))
    assert clopper_pearson(0, 60, level=0.95).lower == 0.0
    assert clopper_pearson(60, 60, level=0.95).upper == 1.0


@pytest.mark.parametrize(("k", "n"), CASES)
def test_failures_mirror_successes(k, n):
    one, other = clopper_pearson(k, n, level=0.95), clopper_pearson(n - k, n, level=0.95)
    assert (one.lower, one.upper) == pytest.approx((1 - other.upper, 1 - other.lower), abs=1e-12)


@pytest.mark.parametrize(("k", "n"), CASES)
def test_wilson_agrees_with_scipy(k, n):
    theirs = binomtest(k, n).proportion_ci(confidence_level=0.9, method="wilson")
    assert wilson(k, n, level=0.95) == pytest.approx((theirs.low, theirs.high), abs=1e-12)


def exact_coverage(n, p, bounds):
    k = np.arange(n + 1)
    weights = binom.pmf(k, n, p)
    lower, upper = np.array([bounds(int(j)) for j in k]).T
    return float(weights[lower <= p].sum()), float(weights[upper >= p].sum())


@pytest.mark.parametrize("n", [10, 60, 200])
def test_every_true_proportion_is_covered_by_enumeration(n):
    def bounds(k):
        interval = clopper_pearson(k, n, level=0.95)
        return interval.lower, interval.upper

    worst = min(min(exact_coverage(n, p, bounds)) for p in np.linspace(0.003, 0.997, 60))
    assert worst >= 0.95


def test_wilson_does_not_cover_which_is_why_it_is_for_display():
    worst = min(min(exact_coverage(60, p, lambda k: wilson(k, 60, level=0.95))) for p in np.linspace(0.003, 0.997, 60))
    assert worst < 0.94


def test_bounds_at_another_n_keep_the_share():
    interval = clopper_pearson(19, 20, level=0.95)
    larger = clopper_pearson(190, 200, level=0.95)
    assert interval.sizing.at(200) == (larger.lower, larger.upper)
    assert interval.sizing.at(20) == (interval.lower, interval.upper)


def test_fractional_counts_lie_between_whole_ones():
    uppers = [clopper_pearson_bounds(k, 100.0, 0.95)[1] for k in (3.0, 3.5, 4.0)]
    assert uppers == sorted(uppers)
    assert len(set(uppers)) == 3


def test_a_share_at_its_limit_is_not_proved():
    # 99 % measured on 1,000 rows is no proof of 99 %.
    assert clopper_pearson(990, 1000, level=0.95).lower < 0.99


@pytest.mark.parametrize(
    ("k", "n", "level", "message"),
    [
        (1, 0, 0.95, "n got 0"),
        (-1, 5, 0.95, "k got -1"),
        (6, 5, 0.95, "k got 6 of n = 5 rows; at most n"),
        (2.5, 5, 0.95, r"k got 2\.5"),
        (float("nan"), 5, 0.95, "k got nan"),
        (2, 5, 0.5, r"level got 0\.5"),
        (2, 5, 95, "level got 95"),
    ],
)
def test_bad_input(k, n, level, message):
    for function in (clopper_pearson, wilson):
        with pytest.raises(InvalidInput, match=message):
            function(k, n, level=level)
