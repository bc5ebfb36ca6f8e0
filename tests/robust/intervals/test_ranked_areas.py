"""Areas from ranks: the AUC is DeLong's to the last bits; the average precision by derivatives and simulation."""

import numpy as np
import pytest
from sklearn.metrics import average_precision_score

from robust.intervals.auc_components import auc_components
from robust.intervals.delong import delong
from robust.intervals.ranked_areas import ranked_areas
from robust.intervals.ranked_rows import ranked_rows
from robust.intervals.side_floor import floored_by_sides
from robust.metrics.precision_recall import WeightedAveragePrecision
from robust.metrics.ranking import against_rest


def cases(number=40):
    rng = np.random.default_rng(0)
    for trial in range(number):
        k = int(rng.integers(2, 5))
        n = int(rng.integers(3 * k, 60))
        y = np.r_[np.tile(np.arange(k), 2), rng.integers(0, k, n - 2 * k)]
        scores = rng.integers(0, 8, (n, k)) / 8 + (rng.normal(size=(n, k)) if trial % 2 else 0)
        yield y, scores, n, k


def test_the_auc_is_delongs():
    for y, scores, n, k in cases():
        mine = ranked_areas(against_rest(y, scores), y, n, level=0.95, average_precision=False).auc
        other = delong(y, scores[:, 1] if k == 2 else scores, level=0.95)
        for field in ("value", "lower", "upper"):
            assert getattr(mine.interval, field) == pytest.approx(getattr(other.interval, field), abs=1e-12)
        assert mine.carrying == other.carrying


def test_each_class_is_its_own_binary_problem():
    for y, scores, n, k in cases(8):
        if k == 2:
            continue
        areas = ranked_areas(against_rest(y, scores), y, n, level=0.9, class_level=0.99)
        for c, found in enumerate(areas.auc.by_class):
            other = delong((y == c).astype(int), scores[:, c], level=0.99).interval
            placed = auc_components((y == c).astype(int), scores[:, c]).placed[:, 0]
            sides = {"positives": int((y == c).sum()), "negatives": int((y != c).sum())}
            bad = {"lost": int((placed[y == c] < 0.5).sum()), "raised": int((placed[y != c] < 0.5).sum())}
            other = floored_by_sides(other, **sides, **bad, level=0.99)
            assert (found.value, found.lower, found.upper) == pytest.approx((other.value, other.lower, other.upper))


def test_a_class_of_one_row_has_no_bounds():
    y, scores = np.array([0, 0, 0, 1]), np.array([[0.1], [0.2], [0.3], [0.25]])
    areas = ranked_areas([(y == 1, scores[:, 0])], y, 4, level=0.95)
    for area in (areas.auc, areas.average_precision):
        assert (area.interval.lower, area.interval.upper) == (-np.inf, np.inf)
        assert "single row" in area.interval.notes[0]


def test_average_precision_derivatives_and_bias():
    for y, scores, n, _ in cases(20):
        positive, score = next(iter(against_rest(y, scores)))
        ranked = ranked_rows(positive, score)
        value, influence, bias = ranked.average_precision()
        assert value == pytest.approx(average_precision_score(positive, score))
        assert influence.mean() == pytest.approx(0, abs=1e-12)
        weighted = WeightedAveragePrecision(positive.astype(int), np.column_stack([-score, score]))
        step = 1e-4
        up, down = (weighted(np.ones((n, n)) + side * step * np.eye(n)) for side in (1, -1))
        assert (up - down)[ranked.order] / (2 * step) * n == pytest.approx(influence, abs=1e-5 * n)
        assert (up + down - 2 * value).sum() / step**2 / 2 == pytest.approx(bias, abs=1e-5)


def test_several_labels_are_the_mean_of_their_areas():
    rng = np.random.default_rng(3)
    y, scores = rng.integers(0, 2, (60, 3)), rng.normal(size=(60, 3))
    areas = ranked_areas(against_rest(y, scores), None, 60, level=0.95)
    assert areas.average_precision.interval.value == pytest.approx(average_precision_score(y, scores))
    assert areas.auc.interval.lower < areas.auc.interval.value < areas.auc.interval.upper


def coverage(n, share, shift, trials, seed=0):
    """How often each bound of the average precision covers it; the truth from a million rows."""
    rng = np.random.default_rng(seed)
    many = rng.random(1_000_000) < share
    truth = average_precision_score(many, rng.normal(size=many.size) + shift * many)
    low = high = 0
    for _ in range(trials):
        y = rng.random(n) < share
        y[:2] = True, False
        scores = rng.normal(size=n) + shift * y
        found = ranked_areas([(y, scores)], y.astype(int), n, level=0.95, auc=False).average_precision.interval
        low, high = low + (found.lower <= truth), high + (found.upper >= truth)
    return low, high


def test_average_precision_covers(covers):
    low, high = coverage(150, 0.3, 1.0, 400)
    assert covers(low, 400, 0.95)
    assert covers(high, 400, 0.95)


@pytest.mark.slow
@pytest.mark.parametrize(("n", "share"), [(60, 0.3), (100, 0.5), (300, 0.05), (300, 0.3), (1000, 0.02), (1000, 0.1)])
@pytest.mark.parametrize("shift", [0.5, 1.5, 2.5])
def test_average_precision_covers_everywhere(n, share, shift, covers):
    low, high = coverage(n, share, shift, 2000)
    assert covers(low, 2000, 0.935)  # a skewness of few positives that no normal scale takes away whole
    assert covers(high, 2000, 0.94)
