"""Bins of confidence."""

import numpy as np
import pytest

from robust.metrics.calibration import calibration


def test_against_a_loop_over_bins():
    rng = np.random.default_rng(0)
    confidence, right = rng.random(300), rng.random(300) < 0.6
    confidence[:3] = [0.0, 1.0, 1 / 3]
    total = 0.0
    for b in range(15):
        inside = (confidence > b / 15) & (confidence <= (b + 1) / 15) | ((b == 0) & (confidence == 0))
        if inside.any():
            total += inside.mean() * abs(right[inside].mean() - confidence[inside].mean())
    assert calibration(confidence, right).error() == pytest.approx(total, rel=1e-12)


def test_an_empty_bin_has_no_accuracy():
    rows, confidence, accuracy = calibration(np.array([0.9]), np.array([True]), bins=2).table()
    assert rows.tolist() == [0, 1]
    assert np.isnan(confidence[0])
    assert accuracy[1] == 1.0
