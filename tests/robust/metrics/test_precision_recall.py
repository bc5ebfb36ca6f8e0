"""Weighted average precision, and its effect."""

import numpy as np
import pytest
from sklearn.metrics import average_precision_score

from robust.metrics.precision_recall import WeightedAveragePrecision, average_precision_effect


def test_weights_are_repeated_rows():
    rng = np.random.default_rng(0)
    for _ in range(40):
        k, n = int(rng.integers(2, 5)), 25
        y, scores = np.r_[np.arange(k), rng.integers(0, k, n - k)], rng.integers(0, 6, (n, k)) / 6
        weights = np.r_[np.ones(k, int), rng.integers(0, 4, n - k)]
        repeated = np.repeat(np.arange(n), weights)
        truth, shown = y[repeated], scores[repeated]
        wanted = average_precision_score(truth if k == 2 else np.eye(k)[truth], shown[:, 1] if k == 2 else shown)
        found = WeightedAveragePrecision(y, scores)(np.vstack([weights, 2 * weights]).astype(float))
        assert found == pytest.approx([wanted, wanted])


def test_without_a_class_it_is_not_defined():
    scores = np.eye(2)[[0, 1]]
    assert np.isnan(WeightedAveragePrecision(np.array([0, 1]), scores)(np.array([[1.0, 0.0]]))[0])


def test_effect_bounds_rows_that_move_anywhere():
    rng = np.random.default_rng(2)
    tight = 0.0
    for _ in range(60):
        n = 40
        y = np.r_[0, 1, (rng.random(n - 2) < 0.3).astype(int)]
        score = y + rng.normal(size=n) * rng.choice([0.01, 1.0])
        moves = int(rng.integers(1, 5))
        bound = average_precision_effect(y, np.column_stack([-score, score]), None)(moves / n) * moves / n
        before = average_precision_score(y, score)
        for end in (-9.0, 9.0):
            for _ in range(10):
                moved = score.copy()
                moved[rng.choice(n, moves, replace=False)] = end
                change = abs(average_precision_score(y, moved) - before)
                assert change <= bound + 1e-12
                tight = max(tight, change / bound)
    assert tight > 0.1
