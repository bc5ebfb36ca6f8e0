"""Biases of ONNX layers, and the constants that operators behind them add, or multiply by."""

from typing import Any

import numpy as np

from robust.costing.graph_onnx import setting
from robust.layers.flow_onnx import Flow
from robust.layers.shifts import bias_shift
from robust.quantization.stored_values_onnx import dequantized
from robust.types import AnyArray, FloatArray

#: Where operators have their bias.
_BIASES = {
    **dict.fromkeys(("Conv", "ConvTranspose", "Gemm", "FusedConv", "FusedGemm"), 2),
    "QLinearConv": 8,
    "QGemm": 6,
}
#: Where these have the scales of their inputs and weights, whose product is the bias's.
_SCALES = (1, 4)
_ADDING = ("Add", "Sub", "QLinearAdd")
_SCALING = ("Mul", "Div", "QLinearMul")
#: Operators on integers, whose second operand comes after the first one's scale and zero point.
_PAIRED = ("QLinearAdd", "QLinearMul")


def has_bias(node: Any) -> bool:
    """Whether a product has a bias of its own."""
    place = _BIASES.get(node.op_type)
    return place is not None and len(node.input) > place and bool(node.input[place])


def own_shift(flow: Flow, node: Any, weight: AnyArray | None) -> FloatArray | None:
    """What a product adds itself, as it broadcasts to a row; None where that is not seen."""
    if weight is None:
        return None
    if not has_bias(node):
        return bias_shift(None, weight.ndim)
    bias = flow.constants.array(node.input[_BIASES[node.op_type]])
    if bias is not None and bias.dtype.kind in "iu":
        scales = [flow.constants.array(node.input[place]) for place in _SCALES]
        if any(scale is None for scale in scales):
            return None
        first, second = (np.asarray(scale, dtype=np.float64).reshape(-1) for scale in scales)
        bias = bias * (first * second)
    if bias is None:
        return None
    return bias_shift(bias * float(setting(node, "beta", 1.0)), weight.ndim)


def added(flow: Flow, node: Any, names: tuple[str, ...]) -> AnyArray | None:
    """The constant that an operator adds to a tensor; None where it adds none, or does something else.

    Args:
        flow: The graph.
        node: The operator.
        names: All names of the tensor.
    """
    found = _operand(flow, node, names) if node.op_type in _ADDING else None
    if found is None or node.op_type != "Sub":
        return None if found is None else found[0]
    return -found[0] if found[1] == 0 else None


def multiplied(flow: Flow, node: Any, names: tuple[str, ...]) -> AnyArray | None:
    """The constant that an operator multiplies a tensor by; None where it does not, or by 0.

    Args:
        flow: The graph.
        node: The operator.
        names: All names of the tensor.
    """
    found = _operand(flow, node, names) if node.op_type in _SCALING else None
    if found is None or not np.all(found[0]) or found[0].dtype.kind != "f":
        return None
    if node.op_type == "Div":
        return 1.0 / found[0].astype(np.float64) if found[1] == 0 else None
    return found[0]


def _operand(flow: Flow, node: Any, names: tuple[str, ...]) -> tuple[AnyArray, int] | None:
    """The constant that an operator reads beside a tensor, and the tensor's own place."""
    paired = node.op_type in _PAIRED
    for own, other in ((0, 3), (3, 0)) if paired else ((0, 1), (1, 0)):
        if node.input[own] not in names:
            continue
        values = flow.constants.array(node.input[other])
        if paired and values is not None:
            scale, zero = (flow.constants.array(name) for name in node.input[other + 1 : other + 3])
            values = None if scale is None else dequantized(values, scale, zero, axis=0)
        return None if values is None else (values, own)
    return None


def normalising(flow: Flow, node: Any) -> FloatArray | None:
    """What a BatchNormalization adds, β − μγ/√(σ² + ε), (out,)."""
    arrays = [flow.constants.array(name) for name in node.input[1:5]]
    if any(one is None for one in arrays):
        return None
    gamma, beta, mean, variance = (np.asarray(one, dtype=np.float64) for one in arrays)
    return np.asarray(beta - mean * gamma / np.sqrt(variance + setting(node, "epsilon", 1e-5)))
