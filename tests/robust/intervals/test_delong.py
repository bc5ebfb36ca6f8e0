import math
import pickle

import numpy as np
import pytest
from scipy.stats import norm, t

from robust.errors import InvalidInput
from robust.intervals.delong import carrying_rows, delong, delong_paired
from robust.intervals.tango import tango_bounds
from robust.intervals.vacuous import never_vacuous


def brute_components(y, scores):
    """V10 and V01 from the matrix of all pairs, O(n^2)."""
    pairs = scores[y == 1][:, None] - scores[y == 0][None, :]
    kernel = (pairs > 0) + 0.5 * (pairs == 0)
    return kernel.mean(axis=1), kernel.mean(axis=0)


def brute_variance(y, *models):
    """DeLong's covariance matrix S10/m + S01/n, contrasted over one or two models."""
    parts = [brute_components(y, scores) for scores in models]
    contrast = np.array([1.0, -1.0])[: len(models)]
    sizes = (int((y == 1).sum()), int((y == 0).sum()))
    covariance = sum(np.atleast_2d(np.cov([part[k] for part in parts])) / sizes[k] for k in (0, 1))
    return float(contrast @ covariance @ contrast)


def draw(rng, n, prevalence=0.4, auc=0.85, twin=0.8, worse=0.0):
    y = (rng.random(n) < prevalence).astype(int)
    y[:4] = [0, 1, 0, 1]
    shared, own_a, own_b = rng.normal(size=(3, n))
    shift = np.sqrt(2.0) * norm.ppf([auc, auc - worse])
    a = np.sqrt(twin) * shared + np.sqrt(1 - twin) * own_a + shift[0] * y
    b = np.sqrt(twin) * shared + np.sqrt(1 - twin) * own_b + shift[1] * y
    return y, a, b


@pytest.mark.parametrize("decimals", [1, 12])
def test_variance_is_that_of_all_pairs(decimals):
    y, a, b = draw(np.random.default_rng(0), 80)
    a, b = np.round(a, decimals), np.round(b, decimals)
    assert delong(y, a, level=0.95).variance == pytest.approx(brute_variance(y, a), rel=1e-10)
    assert delong_paired(y, a, b, level=0.95).variance == pytest.approx(brute_variance(y, a, b), rel=1e-10)


def test_bounds_by_hand():
    y, scores = np.array([0, 0, 1, 1]), np.array([0.1, 0.4, 0.35, 0.8])
    # Variance 1/16 a class; Satterthwaite's degrees of freedom (1/8)^2/(2/16^2) = 2; logit(3/4) = log 3.
    half = t.ppf(0.95, 2) * np.sqrt(1 / 8) / (3 / 16)
    interval = delong(y, scores, level=0.95).interval
    assert interval.upper == pytest.approx(1 / (1 + np.exp(-np.log(3) - half)))
    assert interval.lower == pytest.approx(1 / (1 + np.exp(-np.log(3) + half)))


def test_an_area_that_is_a_proportion_has_the_bounds_of_one():
    # Each of 50 positive rows lies above all negative ones, or, for the second model and 4 of them, below. The variance
    # p(1 - p)/(m - 1) is that of m - 1 rows, p = 4/50.
    y = np.repeat([1, 0], [50, 30])
    a, b = y.astype(float), np.where(np.arange(80) < 4, -1.0, y)
    interval = delong_paired(y, a, b, level=0.95).interval
    assert interval.value == pytest.approx(0.08)
    quantile, skewness = t.ppf(0.95, 49), (1 - 2 * 0.08) / math.sqrt(50 * 0.08 * 0.92)
    lower, upper = tango_bounds(49 * 0.08, 0.0, 49.0, quantile)
    shift = math.sqrt(0.08 * 0.92 / 49) * skewness * (1 + 2 * quantile**2) / 6
    assert (interval.lower, interval.upper) == pytest.approx((lower, upper + shift))


def test_changes_that_no_negative_row_sees_have_bounds():
    # Two positive rows change places across all negative ones: these are placed as before, the positive ones are not.
    y, a = np.array([1, 1, 0, 0]), np.array([1.0, -1.0, 0.0, 0.1])
    estimate = delong_paired(y, a, a[[1, 0, 2, 3]], level=0.95)
    assert (estimate.interval.value, estimate.variance) == pytest.approx((0.0, 1.0))
    assert -1.0 <= estimate.interval.lower < 0.0 < estimate.interval.upper <= 1.0


@pytest.mark.parametrize("twin", [0.95, 0.9999])
def test_score_bounds_are_not_much_wider_than_the_normal_ones(twin):
    y, a, b = draw(np.random.default_rng(8), 1000, 0.3, auc=0.9, twin=twin)
    estimate = delong_paired(y, a, b, level=0.95)
    half = 1.645 * np.sqrt(estimate.variance)
    assert half < estimate.interval.upper - estimate.interval.value < 1.25 * half


def test_exchanging_the_models_mirrors_the_interval():
    y, a, b = draw(np.random.default_rng(1), 100)
    one, other = delong_paired(y, a, b, level=0.95).interval, delong_paired(y, b, a, level=0.95).interval
    assert (one.lower, one.value, one.upper) == pytest.approx((-other.upper, -other.value, -other.lower))


def test_row_order_and_monotone_scales_do_not_matter():
    rng = np.random.default_rng(2)
    y, a, b = draw(rng, 150)
    order = rng.permutation(150)
    one = delong_paired(y, a, b, level=0.95)
    other = delong_paired(y[order], np.exp(a[order]), 3 * b[order] - 7, level=0.95)
    assert (one.interval.lower, one.interval.upper) == pytest.approx((other.interval.lower, other.interval.upper))
    assert one.influence[order] == pytest.approx(other.influence)
    assert one.carrying == other.carrying


def test_models_that_order_alike_have_no_width_of_their_own():
    y, a, _ = draw(np.random.default_rng(3), 60)
    estimate = delong_paired(y, a, np.tanh(a), level=0.95)
    assert (estimate.variance, estimate.carrying) == (0.0, 0)
    assert (estimate.interval.lower, estimate.interval.upper) == (0.0, 0.0)
    floored = never_vacuous(
        estimate.interval,
        differing=estimate.carrying,
        units=60,
        effect=estimate.effect,
        level=0.95,
        anchor=0.0,
    )
    assert floored.upper == -floored.lower
    assert floored.upper >= 1 - 0.05 ** (1 / 60)


def test_a_perfect_order_has_no_width_of_its_own():
    estimate = delong(np.array([0] * 30 + [1] * 30), np.arange(60.0), level=0.95)
    assert (estimate.interval.lower, estimate.interval.upper, estimate.carrying) == (1.0, 1.0, 0)
    floored = never_vacuous(estimate.interval, differing=0, units=60, effect=estimate.effect, level=0.95)
    assert floored.lower == pytest.approx(1 - 2 * (1 - 0.05 ** (1 / 60)))


def test_a_class_of_one_row_proves_nothing():
    y, scores = np.array([0, 0, 0, 1]), np.array([0.1, 0.4, 0.35, 0.3])
    for estimate in (delong(y, scores, level=0.95), delong_paired(y, scores, -scores, level=0.95)):
        assert (estimate.interval.lower, estimate.interval.upper) == (-np.inf, np.inf)
        assert "a class has a single row" in estimate.interval.notes[0]


def test_macro_variance_agrees_with_the_bootstrap():
    rng = np.random.default_rng(4)
    n, classes = 400, 4
    y = rng.choice(classes, size=n, p=[0.4, 0.3, 0.2, 0.1])
    scores = rng.normal(size=(n, classes)) + 1.5 * np.eye(classes)[y]
    other = scores + 0.7 * rng.normal(size=scores.shape)
    single, paired = delong(y, scores, level=0.95), delong_paired(y, scores, other, level=0.95)
    values = []
    for _ in range(300):
        rows = rng.integers(0, n, n)
        first = delong(y[rows], scores[rows], level=0.95).interval.value
        values.append((first, first - delong(y[rows], other[rows], level=0.95).interval.value))
    spread = np.std(values, axis=0, ddof=1)
    # The standard deviation of 300 resamples has a relative error of 4 %.
    assert np.sqrt([single.variance, paired.variance]) == pytest.approx(spread, rel=0.12)


def test_variance_counts_what_classes_share():
    # Adding up the variances of the one-vs-rest areas as if they were independent is a different number.
    rng = np.random.default_rng(5)
    y = rng.integers(0, 3, 300)
    scores = np.exp(rng.normal(size=(300, 3)) + np.eye(3)[y])
    scores /= scores.sum(axis=1, keepdims=True)
    macro = delong(y, scores, level=0.95).variance
    apart = sum(brute_variance((y == c).astype(int), scores[:, c]) for c in range(3)) / 9
    assert abs(macro / apart - 1) > 0.05


def test_bounds_at_another_n():
    y, a, b = draw(np.random.default_rng(6), 200)
    for estimate in (delong(y, a, level=0.95), delong_paired(y, a, b, level=0.95)):
        interval = pickle.loads(pickle.dumps(estimate.interval))
        assert interval.sizing.at(200) == pytest.approx((interval.lower, interval.upper))
        lower, upper = interval.sizing.at(800)
        assert interval.lower < lower < interval.value < upper < interval.upper
        assert interval.sizing.at(10**9) == pytest.approx((interval.value, interval.value), abs=1e-3)


def test_rows_that_carry_the_variance():
    assert carrying_rows(np.zeros(5)) == 0
    assert carrying_rows(np.array([1.0, -0.5, 0.1, 0.09, -0.09])) == 3


def test_a_model_with_its_scores_reversed_is_found():
    y, a, _ = draw(np.random.default_rng(7), 200)
    assert delong(y, -a, level=0.95).interval.upper < 0.5
    assert delong_paired(y, a, -a, level=0.95).interval.lower > 0.5


@pytest.mark.parametrize(
    ("other", "level", "message"),
    [
        (np.zeros(3), 0.95, r"scores got shapes \(4,\) and \(3,\)"),
        (np.zeros(4), 0.5, r"level got 0\.5"),
        (np.array([0, 1, 2, np.nan]), 0.95, "scores got a NaN"),
    ],
)
def test_bad_input(other, level, message):
    with pytest.raises(InvalidInput, match=message):
        delong_paired(np.array([0, 1, 0, 1]), np.arange(4.0), other, level=level)


def coverage(simulate, trials, seed):
    rng = np.random.default_rng(seed)
    hits = np.zeros(2, dtype=int)
    for _ in range(trials):
        interval, truth = simulate(rng)
        hits += [interval.lower <= truth, interval.upper >= truth]
    return hits


def paired_case(n, prevalence, twin, worse, auc=0.85):
    def simulate(rng):
        y, a, b = draw(rng, n, prevalence, auc=auc, twin=twin, worse=worse)
        estimate = delong_paired(y, a, b, level=0.95)
        floored = never_vacuous(
            estimate.interval,
            differing=estimate.carrying,
            units=n,
            effect=estimate.effect,
            level=0.95,
            anchor=0.0,
        )
        return floored, worse

    return simulate


def single_case(n, prevalence, auc):
    def simulate(rng):
        y, a, _ = draw(rng, n, prevalence, auc=auc, twin=0.0)
        estimate = delong(y, a, level=0.95)
        floored = never_vacuous(
            estimate.interval, differing=estimate.carrying, units=n, effect=estimate.effect, level=0.95
        )
        return floored, auc

    return simulate


def few_case(n, differing):
    """The second model is the first but for about ``differing`` rows with a score drawn anew."""
    shift = np.sqrt(2.0) * norm.ppf(0.95)
    share = differing / n
    mixed = norm.cdf(shift / 2 / np.sqrt(2.0))
    truth = 0.95 - ((1 - share) ** 2 * 0.95 + 2 * share * (1 - share) * mixed + share**2 * 0.5)

    def simulate(rng):
        y, a, _ = draw(rng, n, 0.5, auc=0.95, twin=0.0)
        moved = rng.random(n) < share
        b = np.where(moved, rng.normal(size=n) + shift / 2, a)
        estimate = delong_paired(y, a, b, level=0.95)
        return never_vacuous(
            estimate.interval,
            differing=min(int(moved.sum()), estimate.carrying),
            units=n,
            effect=estimate.effect,
            level=0.95,
            anchor=0.0,
        ), truth

    return simulate


@pytest.mark.parametrize(
    "simulate",
    [paired_case(60, 0.5, 0.8, 0.0), paired_case(300, 0.3, 0.95, 0.01), single_case(300, 0.3, 0.9)],
)
def test_coverage_sample(simulate, covers):
    assert all(covers(int(hits), 400, 0.945) for hits in coverage(simulate, 400, seed=0))


#: AUC of the better model, correlation, share of positive rows, loss: where the variance grows fastest with the loss.
HARDEST = [(0.97, 0.95, 0.1, 0.02), (0.97, 0.95, 0.3, 0.02)]


@pytest.mark.parametrize("n", [100, 300, 1000])
def test_size_at_a_real_loss_sample(n, covers):
    for auc, twin, prevalence, worse in HARDEST:
        hits = coverage(paired_case(n, prevalence, twin, worse, auc), 400, seed=4)
        assert all(covers(int(one), 400, 0.945) for one in hits)


def test_normal_bounds_do_not_cover_a_real_loss(covers):
    rng, hits = np.random.default_rng(4), 0
    for _ in range(400):
        y, a, b = draw(rng, 300, 0.3, auc=0.97, twin=0.95, worse=0.02)
        estimate = delong_paired(y, a, b, level=0.95)
        hits += estimate.interval.value + t.ppf(0.95, 100) * np.sqrt(estimate.variance) >= 0.02
    assert not covers(int(hits), 400, 0.945)


@pytest.mark.parametrize("differing", [0.5, 3, 9])
def test_coverage_with_few_differing_rows_sample(differing, covers):
    assert all(covers(int(hits), 300, 0.95) for hits in coverage(few_case(60, differing), 300, seed=1))


def test_without_the_floor_few_differing_rows_are_not_covered(covers):
    rng = np.random.default_rng(2)
    shift = np.sqrt(2.0) * norm.ppf(0.95)
    truth = 0.95 - ((59 / 60) ** 2 * 0.95 + 2 / 60 * 59 / 60 * norm.cdf(shift / 2 / np.sqrt(2.0)) + 0.5 / 3600)
    hits = 0
    for _ in range(200):
        y, a, _ = draw(rng, 60, 0.5, auc=0.95, twin=0.0)
        b = np.where(rng.random(60) < 1 / 60, rng.normal(size=60) + shift / 2, a)
        hits += delong_paired(y, a, b, level=0.95).interval.upper >= truth
    assert not covers(hits, 200, 0.945)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("simulate", "nominal"),
    [
        (paired_case(60, 0.5, 0.8, 0.0), 0.945),
        (paired_case(300, 0.3, 0.99, 0.01), 0.94),
        (paired_case(1000, 0.1, 0.9, 0.02), 0.94),
        (paired_case(100, 0.1, 0.8, 0.05), 0.942),
        (single_case(60, 0.5, 0.9), 0.945),
        (single_case(300, 0.5, 0.99), 0.935),
        (single_case(1000, 0.1, 0.9), 0.94),
        (single_case(100, 0.1, 0.95), 0.92),
        *((few_case(n, k), 0.94) for n in (60, 300) for k in (0.5, 1, 2, 5, 9, 15)),
    ],
)
def test_coverage(simulate, nominal, covers):
    assert all(covers(int(hits), 4000, nominal) for hits in coverage(simulate, 4000, seed=3))


@pytest.mark.slow
@pytest.mark.parametrize("n", [100, 300, 1000])
@pytest.mark.parametrize("twin", [0.5, 0.8, 0.95])
@pytest.mark.parametrize("auc", [0.75, 0.85, 0.95, 0.97])
def test_size_of_the_difference(n, twin, auc, covers):
    for prevalence in (0.1, 0.3, 0.5):
        hits = coverage(paired_case(n, prevalence, twin, 0.02, auc), 2000, seed=5)
        assert all(covers(int(one), 2000, 0.942) for one in hits), (prevalence, hits)
