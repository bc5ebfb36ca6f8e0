"""Areas of one ranking whose badly placed rows are few: by hand, against a search, and by simulation."""

import math

import numpy as np
import pytest
from sklearn import metrics as sk

from robust.intervals.clopper_pearson import clopper_pearson_bounds
from robust.intervals.exact import exact
from robust.intervals.ranked_areas import ranked_areas
from robust.intervals.side_floor import floored_by_sides


def test_both_sides_by_hand():
    wide = floored_by_sides(exact(0.9, 200), positives=40, negatives=160, lost=2, raised=12, level=0.95)
    assert wide.lower == pytest.approx(0.9 - (clopper_pearson_bounds(2, 40, 0.95)[1] - 0.05))  # 12 show their spread
    assert wide.upper == pytest.approx(0.9 + 0.9 - wide.lower)
    assert floored_by_sides(exact(0.9, 200), positives=100, negatives=100, lost=10, raised=10, level=0.95).lower == 0.9


def test_average_precision_by_hand():
    wide = floored_by_sides(
        exact(0.9, 200), positives=40, negatives=160, lost=10, raised=0, level=0.95, average_precision=True
    )
    m = 160 * clopper_pearson_bounds(0, 160, 0.95)[1]
    assert wide.lower == pytest.approx(0.9 - m / 40 * math.log1p(40 / m))


@pytest.mark.parametrize("seed", range(5))
def test_no_rearrangement_costs_more(seed):
    rng = np.random.default_rng(seed)
    for _ in range(60):
        positives, negatives = int(rng.integers(3, 20)), int(rng.integers(3, 40))
        y = np.r_[np.ones(positives), np.zeros(negatives)]
        scores = rng.normal(size=len(y)) + 2 * y
        lost, raised = int(rng.integers(0, positives)), int(rng.integers(0, negatives))
        moved = scores.copy()
        moved[rng.choice(positives, lost, replace=False)] = -100 + rng.normal(size=lost)
        moved[positives + rng.choice(negatives, raised, replace=False)] = 100 + rng.normal(size=raised)
        front = raised / positives * math.log1p(positives / raised) if raised else 0.0
        area = sk.roc_auc_score(y, scores) - sk.roc_auc_score(y, moved)
        precise = sk.average_precision_score(y, scores) - sk.average_precision_score(y, moved)
        assert area <= lost / positives + raised / negatives + 1e-12
        assert precise <= 2 * lost / positives + front + 1e-12


@pytest.mark.parametrize("kind", ["auc", "average_precision"])
def test_a_ranking_that_lost_no_row_yet_is_not_vouched_for(kind):
    # One positive row in thirty is ranked last: of thirty rows, a third of the samples show none.
    rng = np.random.default_rng(0)

    def draw(n, positives):
        y = np.arange(n) < positives
        lost = y & (rng.random(n) < 1 / 30)
        return y, rng.normal(size=n) + np.where(lost, -20.0, 6.0 * y)

    y, scores = draw(200_000, 20_000)
    truth = (sk.roc_auc_score if kind == "auc" else sk.average_precision_score)(y, scores)
    false = 0
    for _ in range(200):
        y, scores = draw(300, 30)
        found = getattr(ranked_areas([(y, scores)], y.astype(int), 300, level=0.95), kind)
        false += found.by_class[0].lower > truth
    assert false <= 16  # 5 % of 200 and two standard errors
