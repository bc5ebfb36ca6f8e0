"""Sums of rows: hand-computed ratios, and the same whatever the batches."""

import math

import numpy as np
import pytest

from robust.layers.point_sums import PointSums, decibels, weight_sqnr


def summed(r, q, *, batch=None):
    r, q = np.asarray(r, dtype=np.float32), np.asarray(q, dtype=np.float32)
    sums = PointSums(len(r))
    for start in range(0, len(r), batch or len(r)):
        part = slice(start, min(start + (batch or len(r)), len(r)))
        sums.add(part, r[part], q[part])
    return sums


def test_by_hand():
    sums = summed([[3.0, 4.0], [0.0, 5.0]], [[3.0, 4.5], [0.5, 5.0]])
    # Σr² = 9 + 16 + 25 = 50, Σ(r − q)² = 0.25 + 0.25.
    assert sums.sqnr == pytest.approx(20.0)
    assert sums.error.tolist() == [0.25, 0.25]
    assert (sums.largest, sums.mean_error, sums.bias) == (0.5, 0.25, 0.25)
    assert sums.cosine == pytest.approx((9 + 18 + 25) / math.sqrt(50 * (9 + 20.25 + 0.25 + 25)))
    assert sums.shape == (2,)


def test_the_signal_is_the_reference_s():
    # 20 log10 of |q|/|r − q| would be another number.
    assert summed([[2.0]], [[1.0]]).sqnr == pytest.approx(20 * math.log10(2))
    assert summed([[1.0]], [[2.0]]).sqnr == pytest.approx(0.0)


@pytest.mark.parametrize("batch", [1, 3, 7])
def test_batches_change_nothing(batch):
    rng = np.random.default_rng(0)
    r = rng.normal(size=(20, 3, 4))
    q = r + 0.1 * rng.normal(size=r.shape)
    once, parts = summed(r, q), summed(r, q, batch=batch)
    np.testing.assert_allclose(parts.error, once.error)
    assert parts.sqnr == pytest.approx(once.sqnr)
    assert parts.cosine == pytest.approx(once.cosine)
    assert parts.largest == once.largest


def test_equal_tensors_are_exact():
    sums = summed([[0.1, 0.7]] * 5, [[0.1, 0.7]] * 5)
    assert (sums.sqnr, sums.cosine, sums.largest) == (math.inf, 1.0, 0.0)


def test_a_dead_layer():
    sums = summed([[0.0, 0.0]], [[0.0, 1.0]])
    assert sums.sqnr == -math.inf
    assert math.isnan(sums.cosine)
    assert summed([[0.0]], [[0.0]]).sqnr == math.inf


def test_values_that_are_not_finite_are_seen():
    assert not summed([[math.nan]], [[1.0]]).finite
    assert not summed([[1.0]], [[math.inf]]).finite
    assert summed([[1.0]], [[1.0]]).finite


def test_no_two_seen_rows_lie_farther_apart_than_they_can():
    rng = np.random.default_rng(1)
    r, q = rng.normal(size=(50, 6)), rng.normal(size=(50, 6))
    farthest = summed(r, q).farthest
    gaps = ((r[:, None] - q[None]) ** 2).sum(axis=2)
    assert gaps.max() <= farthest


def test_decibels_of_weights():
    w = np.array([[1.0, -2.0], [0.5, 0.0]])
    assert weight_sqnr(w, w) == math.inf
    assert weight_sqnr(w, 1.1 * w) == pytest.approx(20.0)
    assert decibels(1000.0, 1.0) == pytest.approx(30.0)
