"""Bounds of shares of detections and of F1: by hand, against scipy, and by simulation."""

import numpy as np
import pytest
from scipy.stats import binomtest
from sklearn.metrics import f1_score

from robust.data.live import as_data
from robust.measures.share_bounds import f1_interval, hit_share


def rows(n, **given):
    return as_data(np.arange(float(n))[:, None], **given)


def test_a_share_among_some_rows_is_clopper_pearson():
    hits, among = np.arange(50) % 3 == 0, np.arange(50) < 30
    found = hit_share(hits, among, rows(50), level=0.95, seed=0)
    oracle = binomtest(10, 30).proportion_ci(0.9, method="exact")
    assert (found.value, found.n, found.method) == (1 / 3, 30, "clopper-pearson")
    assert (found.lower, found.upper) == pytest.approx((oracle.low, oracle.high))


def test_nothing_to_count_among_proves_nothing():
    found = hit_share(np.ones(9, bool), np.zeros(9, bool), rows(9), level=0.95, seed=0)
    assert (found.value, found.lower, found.upper) == (0, 0, 1)
    assert found.sizing.at(10**6) == (0, 1)
    assert "nothing is proved" in found.notes[0]


def test_f1_is_scikit_learns_with_the_bounds_of_the_overlap():
    rng = np.random.default_rng(0)
    truth, detected = rng.random(80) < 0.4, rng.random(80) < 0.5
    found = f1_interval(truth, detected, rows(80), level=0.95, seed=0)
    hits, among = int((truth & detected).sum()), int((truth | detected).sum())
    oracle = binomtest(hits, among).proportion_ci(0.9, method="exact")
    assert found.value == pytest.approx(f1_score(truth, detected))
    assert found.lower == pytest.approx(2 * oracle.low / (1 + oracle.low))
    assert found.upper == pytest.approx(2 * oracle.high / (1 + oracle.high))
    assert found.sizing.at(found.n) == pytest.approx((found.lower, found.upper))
    narrow = found.sizing.at(100 * found.n)
    assert found.lower < narrow[0] < found.value < narrow[1] < found.upper


@pytest.mark.parametrize("given", [{"order": np.arange(120)}, {"groups": np.arange(120) // 4}])
def test_rows_that_depend_on_each_other_get_blocks_or_clusters(given):
    rng = np.random.default_rng(0)
    truth = rng.random(120) < 0.5
    detected = truth ^ (rng.random(120) < 0.2)
    found = f1_interval(truth, detected, rows(120, **given), level=0.95, seed=0)
    assert found.method == ("block-bootstrap" if "order" in given else "cluster-bootstrap")
    assert found.value == pytest.approx(f1_score(truth, detected))
    assert 0 <= found.lower < found.value < found.upper <= 1


def missed(draws, n, *, share, tpr, fpr, seed=0):
    """How often each bound of F1 misses the true F1 of a fixed threshold."""
    rng = np.random.default_rng(seed)
    true = 2 * share * tpr / (share * (1 + tpr) + (1 - share) * fpr)
    data, low, high = rows(n), 0, 0
    for _ in range(draws):
        truth = rng.random(n) < share
        detected = rng.random(n) < np.where(truth, tpr, fpr)
        if not (truth | detected).any():
            continue
        found = f1_interval(truth, detected, data, level=0.95, seed=0)
        low += found.lower > true
        high += found.upper < true
    return low / draws, high / draws


CASES = [(30, 0.3, 0.9, 0.05), (200, 0.5, 0.8, 0.2), (100, 0.1, 0.95, 0.02)]


@pytest.mark.parametrize(("n", "share", "tpr", "fpr"), CASES)
def test_bounds_of_f1_cover_on_a_small_sample(n, share, tpr, fpr):
    # Of 300 draws at a rate of at most 5 %, 29 or more come with probability below 1 %.
    assert max(missed(300, n, share=share, tpr=tpr, fpr=fpr)) <= 28 / 300


@pytest.mark.slow
@pytest.mark.parametrize(("n", "share", "tpr", "fpr"), CASES)
def test_bounds_of_f1_cover(n, share, tpr, fpr):
    assert max(missed(8000, n, share=share, tpr=tpr, fpr=fpr, seed=1)) <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 8000)
