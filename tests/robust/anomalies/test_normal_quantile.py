"""Thresholds from normal rows: ranks by scipy, the guarantee by simulation, rows that are needed."""

import numpy as np
import pytest
from scipy.stats import binom, expon

from robust.anomalies.normal_quantile import quantile_threshold, rows_needed, spread_threshold
from robust.errors import InvalidInput


@pytest.mark.parametrize(("m", "quantile", "level"), [(59, 0.95, 0.95), (100, 0.9, 0.95), (1000, 0.99, 0.8)])
def test_the_rank_is_the_lowest_that_holds(m, quantile, level):
    scores = np.random.default_rng(0).permutation(np.arange(1.0, m + 1))
    found = quantile_threshold(scores, quantile=quantile, level=level)
    rank = int(found.value)  # just above score number `rank`
    assert found.value == np.nextafter(rank, np.inf)
    assert binom.cdf(rank - 1, m, quantile) >= level
    assert binom.cdf(rank - 2, m, quantile) < level
    assert f"normal score {rank} of {m}" in found.rule
    assert f"at most {1 - quantile:.4g} of new normal rows" in found.guarantee


@pytest.mark.parametrize(
    ("quantile", "level", "needed"),
    [(0.95, 0.95, 59), (0.9, 0.95, 29), (0.99, 0.95, 299), (0.5, 0.75, 2), (0.1, 0.6, 1)],
)
def test_rows_that_are_needed(quantile, level, needed):
    assert rows_needed(quantile, level) == needed
    assert 1 - quantile**needed >= level
    assert needed == 1 or 1 - quantile ** (needed - 1) < level
    quantile_threshold(np.arange(float(needed)), quantile=quantile, level=level)
    if needed > 1:
        message = rf"{needed - 1} normal rows are too few .* at least {needed} are needed, or a lower quantile"
        with pytest.raises(InvalidInput, match=message):
            quantile_threshold(np.arange(needed - 1.0), quantile=quantile, level=level)


def exceeding(draws, m, quantile, seed, *, coarse):
    """How often more new normal rows than promised reach the threshold."""
    rng = np.random.default_rng(seed)
    count = 0
    for _ in range(draws):
        scores = rng.exponential(size=m)
        if coarse:  # ties: scores on whole numbers
            threshold = quantile_threshold(np.floor(3 * scores), quantile=quantile, level=0.95).value
            rate = expon.sf(np.ceil(threshold) / 3)  # floor(3s) ≥ t where s ≥ ceil(t)/3
        else:
            rate = expon.sf(quantile_threshold(scores, quantile=quantile, level=0.95).value)
        count += rate > 1 - quantile
    return count / draws


@pytest.mark.parametrize("coarse", [False, True])
def test_the_guarantee_holds_on_a_small_sample(coarse):
    assert exceeding(300, 80, 0.9, 0, coarse=coarse) <= 28 / 300


@pytest.mark.slow
@pytest.mark.parametrize("coarse", [False, True])
@pytest.mark.parametrize(("m", "quantile"), [(59, 0.95), (80, 0.9), (500, 0.99)])
def test_the_guarantee_holds(m, quantile, coarse):
    rate = exceeding(10_000, m, quantile, 1, coarse=coarse)
    assert rate <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 10_000)
    if m == 59:  # the largest of 59 scores: 0.95⁵⁹ = 4.85 %, so that nothing is wasted
        assert coarse or rate > 0.04


def test_mean_and_spread():
    scores = np.array([1.0, 2.0, 3.0, 6.0])
    assert spread_threshold(scores, k=1.5).value == pytest.approx(3 + 1.5 * np.std(scores))
    assert spread_threshold(scores, k=0.0).value == 3
    assert "none for new normal rows" in spread_threshold(scores, k=0.0).guarantee


@pytest.mark.parametrize("quantile", [0.0, 1.0, -1.0, np.nan])
def test_a_quantile_is_a_share(quantile):
    with pytest.raises(InvalidInput, match="quantile got"):
        quantile_threshold(np.arange(9.0), quantile=quantile, level=0.95)


def test_scores_without_room_above_are_refused():
    with pytest.raises(InvalidInput, match="above which there is no finite threshold: rescale"):
        quantile_threshold(np.full(59, np.finfo(float).max), quantile=0.95, level=0.95)
