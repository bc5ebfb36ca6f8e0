"""Floating numbers that are integers of a quantized tensor already."""

import numpy as np
import pytest

from robust.tensors.code_likeness import clipped_codes
from robust.tensors.fitting import fit_type
from robust.tensors.quantizing import quantize
from robust.tensors.spec import Quantization, TensorSpec

Q = Quantization(scale=0.05, zero_point=3, dtype="int8")


def test_by_hand():
    """The input holds -6.55 … 6.2: of these five two lie beyond."""
    assert clipped_codes(np.array([[-128.0, 127, 6, -6, 0]]), Q) == 2


@pytest.mark.parametrize("odd", [0.5, 128, -129, np.nan, np.inf])
def test_one_number_that_is_no_code_tells_that_none_is(odd):
    x = np.full((70_000, 1), 90.0)
    assert clipped_codes(x, Q) == len(x)
    x[-1] = odd  # in the last block that is looked at
    assert clipped_codes(x, Q) == 0


@pytest.mark.parametrize(("dtype", "low", "high"), [("uint8", 0, 255), ("int8", -128, 127), ("int16", -32768, 32767)])
def test_the_range_is_that_of_the_type(dtype, low, high):
    q = Quantization(scale=1e-4, zero_point=0, dtype=dtype)
    for end, beyond in ((low, low - 1), (high, high + 1)):
        assert clipped_codes(np.array([[float(end), 7.0]]), q) >= 1
        assert clipped_codes(np.array([[float(beyond), 7.0]]), q) == 0


def test_real_whole_numbers_that_fit_are_none():
    pixels = Quantization(scale=1.0, zero_point=0, dtype="uint8")
    x = np.arange(256.0).reshape(16, 16)
    assert clipped_codes(x, pixels) == 0
    assert fit_type(x, TensorSpec(name="x", shape=(16,), dtype="uint8", quantization=pixels))[0].max() == 255


def test_indicators_miss_the_end_of_a_range_by_a_step():
    """Scale 1/128 holds at most 127/128, scale 1/256 of uint8 255/256: ones are clipped, and are real."""
    x = np.eye(4, dtype=np.float32)
    for q in (
        Quantization(scale=1 / 128, zero_point=0, dtype="int8"),
        Quantization(scale=1 / 256, zero_point=0, dtype="uint8"),
    ):
        assert q.clipped(x) == 4
        assert clipped_codes(x, q) == 0


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16", "uint16"])
def test_codes_of_real_numbers_are_found_whatever_the_type(dtype):
    low, high = np.iinfo(dtype).min, np.iinfo(dtype).max
    q = Quantization(scale=8.0 / (high - low), zero_point=int(low + (high - low) // 2), dtype=dtype)
    x = np.random.default_rng(0).normal(size=(200, 5))
    assert clipped_codes(quantize(x, q).astype(np.float32), q) > 0
    assert clipped_codes(x, q) == 0
    assert clipped_codes(quantize(x, q), q) == 0  # integers: nobody quantizes them again


def test_counts_beyond_the_calibration_are_no_codes():
    """Whole numbers by nature, of which a few lie beyond what the calibration has seen."""
    counts = np.random.default_rng(0).poisson(5.0, size=(400, 4)).astype(np.float32)
    q = Quantization(scale=float(np.sort(counts.ravel())[-20]) / 255, zero_point=-128, dtype="int8")
    assert 0 < q.clipped(counts) < 0.02 * counts.size
    assert clipped_codes(counts, q) == 0
