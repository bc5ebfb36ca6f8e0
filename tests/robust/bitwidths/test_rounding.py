"""The formulas: by hand, against torch's and onnxruntime's own rounding, and what they leave alone."""

import numpy as np
import onnxruntime
import pytest
import torch
from onnx import TensorProto, helper

from robust.bitwidths.rounding import Grid, grid_of, read_bits, rounded_weights
from robust.bitwidths.simulator_torch import nearest
from robust.errors import InvalidInput


def test_weights_by_hand():
    # 3 bits: m = 3. Per tensor s = 3/3 = 1: 0.5 and 1.5 are halves and go to 0 and 2, the even ones.
    w = np.array([[0.5, -0.5, 1.5], [-1.5, 2.5, -3.0]])
    assert rounded_weights(w, 3, axes=()).tolist() == [[0, 0, 2], [-2, 2, -3]]
    # Per row: s = 0.5 in the first, so that all are on the grid.
    assert rounded_weights(w, 3, axes=(0,)).tolist() == [[0.5, -0.5, 1.5], [-2, 2, -3]]


def test_two_bits_leave_three_levels():
    w = np.random.default_rng(0).normal(size=(4, 50))
    rounded = rounded_weights(w, 2, axes=(0,))
    for row, old in zip(rounded, w, strict=True):
        assert set(np.round(np.unique(row / np.abs(old).max()), 12)) == {-1, 0, 1}


def test_zero_channels_and_signs():
    w = np.array([[0.0, 0.0], [1.0, -1.0]])
    assert rounded_weights(w, 4, axes=(0,)).tolist() == w.tolist()
    other = np.random.default_rng(1).normal(size=(3, 9))
    assert np.array_equal(rounded_weights(-other, 4, axes=(0,)), -rounded_weights(other, 4, axes=(0,)))


@pytest.mark.parametrize("bits", range(2, 17))
def test_weights_as_torch_rounds_them(bits):
    w = np.random.default_rng(bits).normal(size=(6, 5, 3)).astype(np.float32)
    most = 2 ** (bits - 1) - 1
    scale = torch.from_numpy(np.abs(w).max(axis=(1, 2)) / most)
    zeros = torch.zeros(6, dtype=torch.int32)
    theirs = torch.fake_quantize_per_channel_affine(torch.from_numpy(w), scale, zeros, 0, -most, most).numpy()
    np.testing.assert_allclose(rounded_weights(w, bits, axes=(0,)), theirs, atol=1e-6)
    whole = torch.fake_quantize_per_tensor_affine(torch.from_numpy(w), float(scale.max()), 0, -most, most).numpy()
    np.testing.assert_allclose(rounded_weights(w, bits, axes=()), whole, atol=1e-6)


def test_grid_by_hand():
    # -1 … 2 in 2 bits: s = 1, z = 1, so -1, 0, 1, 2; halves go to the even one.
    grid = grid_of(-1.0, 2.0, 2)
    assert grid == Grid(scale=1.0, low=-1, high=2)
    x = np.array([-5, -0.5, 0.5, 1.5, 2.4, 9])
    assert grid.nearest(x).tolist() == [-1, 0, 0, 2, 2, 2]
    assert nearest(torch.tensor(x, dtype=torch.float32), grid).tolist() == [-1, 0, 0, 2, 2, 2]


def test_range_is_widened_to_zero():
    assert grid_of(0.5, 3.0, 2) == Grid(scale=1.0, low=0, high=3)
    assert grid_of(-3.0, -1.0, 2) == Grid(scale=1.0, low=-3, high=0)
    assert grid_of(0.0, 0.0, 8) is None
    assert grid_of(0.0, 1e-42, 8) is None


@pytest.mark.parametrize("bits", [2, 4, 8])
def test_grid_as_torch_and_onnxruntime_round(bits):
    rng = np.random.default_rng(bits)
    x = np.concatenate([rng.normal(size=500), [-9.0, 9.0]]).astype(np.float32)
    grid = grid_of(-1.25, 2.5, bits)
    ours = grid.nearest(x)
    theirs = torch.fake_quantize_per_tensor_affine(torch.from_numpy(x), grid.scale, -grid.low, 0, 2**bits - 1)
    np.testing.assert_allclose(ours, theirs.numpy(), atol=1e-6)
    assert nearest(torch.from_numpy(x), grid).numpy() == pytest.approx(ours, abs=1e-6)
    if bits == 8:
        nodes = [
            helper.make_node("QuantizeLinear", ["x", "s", "z"], ["q"]),
            helper.make_node("DequantizeLinear", ["q", "s", "z"], ["y"]),
        ]
        stored = [
            helper.make_tensor("s", TensorProto.FLOAT, [], [grid.scale]),
            helper.make_tensor("z", TensorProto.UINT8, [], [-grid.low]),
        ]
        ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [None]) for name in ("x", "y")]
        model = helper.make_model(
            helper.make_graph(nodes, "g", ends[:1], ends[1:], stored),
            opset_imports=[helper.make_opsetid("", 18)],
            ir_version=9,
        )
        session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
        np.testing.assert_allclose(ours, session.run(None, {"x": x})[0], atol=1e-6)


def test_sixteen_bits_are_nearly_float():
    x = np.random.default_rng(0).normal(size=2000)
    assert np.abs(rounded_weights(x, 16, axes=()) - x).max() <= np.abs(x).max() / (2**15 - 1) / 2 * (1 + 1e-9)
    grid = grid_of(float(x.min()), float(x.max()), 16)
    assert np.abs(grid.nearest(x) - x).max() <= 1.5 * grid.scale  # half a step, and the rounding of both ends


def test_slopes_pass_inside_the_grid_alone():
    x = torch.tensor([-9.0, 0.3, 9.0], requires_grad=True)
    nearest(x, grid_of(-1.0, 2.0, 2)).sum().backward()
    assert x.grad.tolist() == [0, 1, 0]


@pytest.mark.parametrize("value", [1, 17, 0, -4, 8.0, "8", True, [8]])
def test_widths_out_of_range(value):
    with pytest.raises(InvalidInput, match="a whole number in 2 … 16 would be right, or 32 or None for float"):
        read_bits(value)
    assert read_bits(np.int64(6)) == 6


def test_ranges_must_be_finite():
    with pytest.raises(InvalidInput, match="is not finite"):
        grid_of(0.0, float("inf"), 8)
