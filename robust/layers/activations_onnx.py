"""Activations of ONNX graphs: single operators, and several, such as Sigmoid and Mul, known by what they make."""

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from robust.costing.graph_onnx import setting
from robust.layers.flow_onnx import Bundle, Flow
from robust.quantization.stored_values_onnx import dequantized
from robust.types import AnyArray, FloatArray

#: Activations by what other formats call them.
ACTIVATIONS: Mapping[str, str] = {
    **{name: name.lower() for name in ("Relu", "Sigmoid", "Tanh", "Elu", "Selu", "Celu", "Gelu", "Softplus", "Mish")},
    **{name: name.lower() for name in ("LeakyRelu", "HardSigmoid", "HardSwish", "Softsign", "PRelu", "Clip")},
    "FastGelu": "gelu",
    "QuickGelu": "quickgelu",
    "QLinearSigmoid": "sigmoid",
    "QLinearLeakyRelu": "leakyrelu",
}
#: Numbers by which functions are told apart, and how near their values have to be.
_GRID: FloatArray = np.linspace(-9.0, 9.0, 73)
_NEAR = 1e-3
_MOST_OPERATORS = 24
_erf = np.vectorize(math.erf, otypes=[float])


def _sigmoid(x: AnyArray) -> AnyArray:
    return np.asarray(1.0 / (1.0 + np.exp(-x)))


def _hard_sigmoid(x: AnyArray, alpha: float = 1 / 6, beta: float = 0.5) -> AnyArray:
    return np.clip(alpha * x + beta, 0.0, 1.0)


def _softplus(x: AnyArray) -> AnyArray:
    return np.logaddexp(0.0, x)


#: What each activation makes of the numbers, by the name that torch modules have for it.
_KNOWN: tuple[tuple[str, AnyArray], ...] = (
    ("silu", _GRID * _sigmoid(_GRID)),
    ("quickgelu", _GRID * _sigmoid(1.702 * _GRID)),
    ("gelu", 0.5 * _GRID * (1.0 + _erf(_GRID / math.sqrt(2.0)))),
    ("gelu", 0.5 * _GRID * (1.0 + np.tanh(math.sqrt(2.0 / math.pi) * (_GRID + 0.044715 * _GRID**3)))),
    ("mish", _GRID * np.tanh(_softplus(_GRID))),
    ("hardswish", _GRID * _hard_sigmoid(_GRID)),
    ("hardsigmoid", _hard_sigmoid(_GRID)),
    ("softplus", _softplus(_GRID)),
    ("softsign", _GRID / (1.0 + np.abs(_GRID))),
    ("logsigmoid", -_softplus(-_GRID)),
    ("tanhshrink", _GRID - np.tanh(_GRID)),
)
_UNARY: Mapping[str, Callable[[AnyArray], AnyArray]] = {
    **dict.fromkeys(("Identity", "Cast", "QuantizeLinear", "DequantizeLinear"), np.asarray),
    **dict.fromkeys(("Sigmoid", "QLinearSigmoid"), _sigmoid),
    "Tanh": np.tanh,
    "Erf": _erf,
    "Exp": np.exp,
    "Log": np.log,
    "Neg": np.negative,
    "Abs": np.abs,
    "Sqrt": np.sqrt,
    "Reciprocal": np.reciprocal,
    "Softplus": _softplus,
    "Sign": np.sign,
    "Relu": lambda x: np.maximum(x, 0.0),
}
_BINARY: Mapping[str, Callable[[AnyArray, AnyArray], AnyArray]] = {
    "Add": np.add,
    "Sub": np.subtract,
    "Mul": np.multiply,
    "Div": np.divide,
    "Pow": np.power,
    "QLinearAdd": np.add,
    "QLinearMul": np.multiply,
    "Min": np.minimum,
    "Max": np.maximum,
    "Greater": np.greater,
    "GreaterOrEqual": np.greater_equal,
    "Less": np.less,
    "LessOrEqual": np.less_equal,
}
#: Of operators on integers the second operand comes after the first one's scale and zero point.
_PAIRED = ("QLinearAdd", "QLinearMul")
_HANDING_ON = ("Identity", "Cast", "QuantizeLinear", "DequantizeLinear")


def activation(flow: Flow, node: Any) -> str:
    """An activation's name; a clip of [0, …] says its upper end."""
    name = ACTIVATIONS[node.op_type]
    if name != "clip":
        return name
    ends = [flow.constants.array(one) if one else None for one in (*node.input[1:3], "", "")[:2]]
    low, high = (None if end is None or end.size != 1 else float(end.item()) for end in ends)
    return "relu" if low == 0 and high is None else f"clip({low}, {high})"


def composed(flow: Flow, bundle: Bundle) -> tuple[str, tuple[int, ...], str] | None:
    """The activation that operators after a tensor make up.

    They are followed as long as they work element by element on numbers that come from the tensor alone, quantizers
    between them included, and are an activation where what they make of some numbers is what it makes of them, and
    nothing else reads what lies between.

    Args:
        flow: The graph.
        bundle: The tensor, under all its names.

    Returns:
        The activation's name, the operators' identities, and the tensor that the last of them makes; None where they
        make up none that is known.
    """
    known: dict[str, AnyArray] = dict.fromkeys(bundle.names, _GRID)
    members: dict[int, None] = {}
    found = None
    for _ in range(_MOST_OPERATORS):
        step = _next(flow, bundle, known, members)
        if step is None:
            return found
        node, values = step
        members[id(node)] = None
        known[node.output[0]] = values
        name = None if node.op_type in _HANDING_ON else _named(values)
        if name is not None and _closed(flow, bundle, known, members, node.output[0]):
            found = name, tuple(members), node.output[0]
    return found


def _next(flow: Flow, bundle: Bundle, known: Mapping[str, AnyArray], members: Mapping[int, None]) -> Any:
    """An operator that reads known numbers and constants alone, and what it makes of them."""
    inside = {id(flow.makers[name]) for name in bundle.names[1:]}
    for name in known:
        for node in flow.readers(name):
            if id(node) in members or id(node) in inside:
                continue
            values = _worked_out(flow, node, known)
            if values is not None:
                return node, values
    return None


def _closed(flow: Flow, bundle: Bundle, known: Mapping[str, AnyArray], members: Mapping[int, None], last: str) -> bool:
    """Whether nothing but the last tensor is read outside these operators, or given by the model."""
    inside = {id(flow.makers[name]) for name in bundle.names[1:]}.union(members)
    return not any(
        name in flow.outputs or any(id(node) not in inside for node in flow.readers(name))
        for name in known
        if name != last
    )


def _named(values: AnyArray) -> str | None:
    """The activation that has these values."""
    for name, wanted in _KNOWN:
        if values.shape == wanted.shape and np.allclose(values, wanted, rtol=_NEAR, atol=_NEAR):
            return name
    return None


def _worked_out(flow: Flow, node: Any, known: Mapping[str, AnyArray]) -> AnyArray | None:
    """What an operator makes of known numbers; None where it reads others, or works in another way."""
    kind, operands = node.op_type, _operands(flow, node, known)
    if not operands or any(one is None for one in operands):
        return None
    with np.errstate(all="ignore"):
        if kind in _UNARY:
            return np.asarray(_UNARY[kind](operands[0]))
        if kind in _BINARY and len(operands) == 2:
            return np.asarray(_BINARY[kind](*operands))
        if kind == "Where" and len(operands) == 3:
            return np.asarray(np.where(*operands))
        if kind == "Clip":
            low, high = (*operands[1:], None, None)[:2]
            return np.asarray(np.clip(operands[0], low, high))
        if kind in ("HardSigmoid", "HardSwish"):
            gate = _hard_sigmoid(operands[0])
            if kind == "HardSwish":
                return np.asarray(operands[0] * gate)
            return _hard_sigmoid(operands[0], setting(node, "alpha", 0.2), setting(node, "beta", 0.5))
    return None


def _operands(flow: Flow, node: Any, known: Mapping[str, AnyArray]) -> list[Any]:
    """Values of an operator's operands; None in place of one that is neither known nor one constant number."""
    if node.op_type in _PAIRED:
        return [_operand(flow, list(node.input[start : start + 3]), known) for start in (0, 3)]
    if node.op_type in _UNARY:
        return [known.get(node.input[0])]
    if node.op_type == "Clip":
        return [_operand(flow, [name], known) for name in node.input if name] if all(node.input) else []
    return [_operand(flow, [name], known) for name in node.input]


def _operand(flow: Flow, names: list[str], known: Mapping[str, AnyArray]) -> AnyArray | None:
    if names[0] in known:
        return known[names[0]]
    arrays = [flow.constants.array(name) for name in names]
    values = arrays[0]
    if values is None or values.size != 1:
        return None
    if len(names) == 3:
        scale, zero = arrays[1:]
        values = None if scale is None else dequantized(values.reshape(-1), scale.reshape(-1), zero, axis=0)
    return None if values is None else np.asarray(values, dtype=np.float64).reshape(())
