"""Bounds of the calibration error: for a calibrated and for an over-confident model."""

import numpy as np
import pytest

from robust.intervals.summed_gaps import summed_gaps
from robust.metrics.calibration import calibration

CONFIDENCES = {
    "calibrated": lambda c: c,
    "over-confident": lambda c: c - 0.15 * (c > 0.6),
    "slightly over-confident": lambda c: c - 0.03,
    "wrong both ways": lambda c: np.clip(c + 0.08 * np.sin(20 * c), 0, 1),
}


def drawn(rng, n):
    return rng.beta(5, 1, n) * 0.5 + 0.5


def coverage(kind, n, trials):
    chance, rng = CONFIDENCES[kind], np.random.default_rng(0)
    many = drawn(rng, 1_000_000)
    bins = calibration(many, many > 0).bins
    truth = np.abs(np.bincount(bins, weights=chance(many) - many)).sum() / many.size
    low = high = 0
    for _ in range(trials):
        confidence = drawn(rng, n)
        found = calibration(confidence, rng.random(n) < chance(confidence))
        interval = summed_gaps(
            found.gaps, found.bins, number=15, null=confidence * (1 - confidence), level=0.95, seed=0
        )
        low, high = low + (interval.lower <= truth + 1e-12), high + (interval.upper >= truth)
    return low, high


@pytest.mark.parametrize("kind", ["calibrated", "over-confident"])
def test_both_bounds_cover(kind, covers):
    low, high = coverage(kind, 400, 150)
    assert covers(low, 150, 0.95)
    assert covers(high, 150, 0.95)


@pytest.mark.slow
@pytest.mark.parametrize("kind", list(CONFIDENCES))
@pytest.mark.parametrize("n", [200, 1000, 5000])
def test_both_bounds_cover_everywhere(kind, n, covers):
    low, high = coverage(kind, n, 1000)
    assert covers(low, 1000, 0.95)
    assert covers(high, 1000, 0.95)


def test_an_interval_around_the_estimate_would_not_do():
    # Of calibrated models the estimate itself lies above the truth, 0, every time: the lower bound must still be 0.
    rng = np.random.default_rng(1)
    confidence = drawn(rng, 300)
    found = calibration(confidence, rng.random(300) < confidence)
    assert found.error() > 0.01
    interval = summed_gaps(found.gaps, found.bins, number=15, null=confidence * (1 - confidence), level=0.95, seed=0)
    assert interval.lower == 0.0


def test_a_gap_that_is_plain_is_proved():
    rng = np.random.default_rng(2)
    confidence = np.full(2000, 0.95)
    found = calibration(confidence, rng.random(2000) < 0.7)
    interval = summed_gaps(found.gaps, found.bins, number=15, null=confidence * (1 - confidence), level=0.95, seed=0)
    assert 0.22 < interval.lower < 0.25 < interval.upper < 0.28
