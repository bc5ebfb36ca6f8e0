"""Graphs whose weights do not fit their input are refused: they have no cost."""

import numpy as np
import pytest

from robust.costing.count_onnx import count_onnx
from robust.errors import InvalidInput


def zeros(*shape):
    return np.zeros(shape, np.float32)


def counted(files, node, shape, weights):
    content = files.model([node], [files.value("x", shape)], [files.value("y", None)], weights)
    return count_onnx(content, row_shapes=None, values=None)


MISFITS = {
    # It was counted: 36 places, 4 filters and 9 weights, whatever the other two channels hold.
    "channels": ("Conv", ["n", 3, 8, 8], {"w": zeros(4, 1, 3, 3)}, {}, "has 3 channels, its weights .* take 1"),
    "groups": ("Conv", ["n", 6, 8], {"w": zeros(4, 1, 3)}, {"group": 3}, "has 6 channels, its weights .* take 3"),
    "filters": ("Conv", ["n", 3, 8], {"w": zeros(4, 1, 3)}, {"group": 3}, "4 filters cannot be shared among 3 groups"),
    "kernel": ("Conv", ["n", 3, 8], {"w": zeros(4, 3, 3)}, {"kernel_shape": [5]}, r"kernel is \(5,\) by its attribute"),
    "axes": ("Conv", ["n", 3, 8], {"w": zeros(4, 3, 3, 3)}, {}, "differ in their number of axes"),
    "no group": ("Conv", ["n", 3, 8], {"w": zeros(4, 3, 3)}, {"group": 0}, "has 3 channels, .* take 0"),
    "transposed": ("ConvTranspose", ["n", 3, 8], {"w": zeros(4, 3, 3)}, {}, "has 3 channels, its weights .* take 4"),
    "gemm": ("Gemm", ["n", 3], {"w": zeros(4, 3)}, {}, r"factors \(1, 3\) and \(4, 3\) differ .* 3 and 4"),
    "gemm transposed": ("Gemm", ["n", 3], {"w": zeros(3, 4)}, {"transB": 1}, "differ in the axis that is summed over"),
    "matmul": ("MatMul", ["n", 3], {"w": zeros(4)}, {}, "differ in the axis that is summed over, 3 and 4"),
    "LSTM": (
        "LSTM", [7, 1, 4], {"w": zeros(1, 20, 3), "r": zeros(1, 20, 5)}, {"hidden_size": 5},
        "has 4 features, its weights .* take 3",
    ),
    "gates": (
        "GRU", [7, 1, 3], {"w": zeros(1, 15, 3), "r": zeros(1, 20, 5)}, {"hidden_size": 5},
        "do not belong to the same gates",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("operator", "shape", "weights", "options", "message"), MISFITS.values(), ids=MISFITS)
def test_weights_that_do_not_fit_are_refused(files, operator, shape, weights, options, message):
    node = files.node(operator, ["x", *weights], ["y"], name="odd", **options)
    with pytest.raises(InvalidInput, match=rf"node 'odd' \({operator}\): .*{message}.*: export the file again"):
        counted(files, node, shape, weights)


def test_a_node_without_a_name_is_told_by_its_output(files):
    with pytest.raises(InvalidInput, match=r"node 'y' \(Conv\): its input has 3 channels"):
        counted(files, files.node("Conv", ["x", "w"], ["y"]), ["n", 3, 8], {"w": zeros(4, 1, 3)})


def test_channels_may_stand_last(files):
    # An integer convolution of onnxruntime with 6 channels behind 9 positions: 7 · 4 filters · 6 · 3.
    numbers = {"s": np.array(0.1, np.float32), "z": np.array(0, np.uint8), "w": np.zeros((4, 6, 3, 1), np.uint8)}
    inputs = ["x", "s", "z", "w", "s", "z", "s", "z"]
    node = files.node("QLinearConv", inputs, ["y"], channels_last=1, domain="com.microsoft", name="conv")
    kind = files.kinds.UINT8
    content = files.model([node], [files.value("x", ["n", 9, 1, 6], kind)], [files.value("y", None, kind)], numbers)
    tally = count_onnx(content, row_shapes=None, values=None)
    assert (sum(layer.macc or 0 for layer in tally.layers), tally.uncounted) == (7 * 4 * 6 * 3, ())
    content = files.model([node], [files.value("x", ["n", 9, 6, 1], kind)], [files.value("y", None, kind)], numbers)
    with pytest.raises(InvalidInput, match=r"node 'conv' \(QLinearConv\): its input has 1 channel, .* take 6"):
        count_onnx(content, row_shapes=None, values=None)
