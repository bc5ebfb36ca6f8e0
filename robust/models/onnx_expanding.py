"""Quantized ONNX operators written out as what they compute: dequantize, work with numbers, quantize."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import onnx
from onnx import helper

from robust.models.onnx_rounding_torch import DYNAMIC_POINT, DYNAMIC_SCALE

_UNARY = {
    "QLinearAveragePool": "AveragePool",
    "QLinearGlobalAveragePool": "GlobalAveragePool",
    "QLinearLeakyRelu": "LeakyRelu",
    "QLinearSigmoid": "Sigmoid",
    "QLinearSoftmax": "Softmax",
}
_BINARY = {"QLinearAdd": "Add", "QLinearMul": "Mul"}
_STANDARD = ("", "ai.onnx")
_EXTRA = ("com.microsoft",)


@dataclass(slots=True, eq=False)
class _Expansion:
    """The nodes that stand for one.

    Args:
        node: The one.
        nodes: The others, in order.
    """

    node: Any
    nodes: list[Any] = field(default_factory=list)

    @property
    def attributes(self) -> dict[str, Any]:
        """Of the node."""
        return {attribute.name: helper.get_attribute_value(attribute) for attribute in self.node.attribute}

    def input(self, place: int) -> str:
        """Name of an input; empty where it is left out."""
        return str(self.node.input[place]) if place < len(self.node.input) else ""

    def add(self, kind: str, inputs: Iterable[str], attributes: Any = None, *, output: str | None = None) -> str:
        """Write a node, and name what it gives."""
        # No exporter writes a line break into a name.
        name = f"{self.node.output[0]}\n{len(self.nodes)}" if output is None else output
        self.nodes.append(helper.make_node(kind, list(inputs), [name], name=self.node.name, **(attributes or {})))
        return name

    def number(self, place: int, *, scale: str | None = None, point: int | None = None, axis: int = 1) -> str:
        """The numbers that a quantized input stands for; its scale and its zero point follow it."""
        scale = self.input(place + 1) if scale is None else scale
        inputs = [self.input(place), scale, self.input(place + 2 if point is None else point)]
        return self.add("DequantizeLinear", inputs, {"axis": axis})

    def bias(self, place: int, left: int, right: int) -> str:
        """The numbers that a bias stands for: its step is the product of the factors' steps."""
        step = self.add("Mul", [self.input(left), self.input(right)])
        return self.add("Mul", [self.add("Cast", [self.input(place)], {"to": onnx.TensorProto.FLOAT}), step])

    def quantize(self, value: str, place: int) -> None:
        """The output, with a scale and a zero point at these inputs."""
        self.add("QuantizeLinear", [value, *self.node.input[place : place + 2]], output=self.node.output[0])


def _conv(made: _Expansion) -> None:
    factors = [made.number(0), made.number(3, axis=0)]
    bias = [made.bias(8, 1, 4)] if made.input(8) else []
    made.quantize(made.add("Conv", [*factors, *bias], made.attributes), 6)


def _matmul(made: _Expansion) -> None:
    made.quantize(made.add("MatMul", [made.number(0, axis=-2), made.number(3, axis=-1)]), 6)


def _gemm(made: _Expansion) -> None:
    """A bias counts in steps of both factors, so that α scales it too; without a zero point numbers come out."""
    found = made.attributes
    factors = [made.number(0), made.number(3, axis=0 if found.get("transB", 0) else 1)]
    bias = [made.bias(6, 1, 4)] if made.input(6) else []
    found["beta"] = found.get("alpha", 1.0)
    if made.input(8):
        made.quantize(made.add("Gemm", [*factors, *bias], found), 7)
    else:
        made.add("Gemm", [*factors, *bias], found, output=made.node.output[0])


def _unary(made: _Expansion) -> None:
    kind, found = _UNARY[made.node.op_type], made.attributes
    if kind == "Softmax":
        found.setdefault("axis", -1)
    made.quantize(made.add(kind, [made.number(0)], found), 3)


def _binary(made: _Expansion) -> None:
    made.quantize(made.add(_BINARY[made.node.op_type], [made.number(0), made.number(3)]), 6)


def _concat(made: _Expansion) -> None:
    parts = [made.number(place) for place in range(2, len(made.node.input), 3)]
    made.quantize(made.add("Concat", parts, made.attributes), 0)


def _whole(made: _Expansion) -> None:
    """Products of codes less their zero points; what follows scales them."""
    one = made.add("Constant", [], {"value_float": 1.0})
    kind, axes = ("Conv", (1, 0)) if made.node.op_type == "ConvInteger" else ("MatMul", (-2, -1))
    factors = [made.number(i, scale=one, point=i + 2, axis=axis) for i, axis in enumerate(axes)]
    made.add(kind, factors, made.attributes, output=made.node.output[0])


def _dynamic(made: _Expansion) -> None:
    codes, scale, point = made.node.output
    made.add(DYNAMIC_SCALE, [made.input(0)], output=scale)
    made.add(DYNAMIC_POINT, [made.input(0), scale], output=point)
    made.add("QuantizeLinear", [made.input(0), scale, point], output=codes)


_Writer: TypeAlias = Callable[[_Expansion], None]
#: How each is written out; its domains; and which input tells the type of its codes, which the standard may leave out.
_KNOWN: Mapping[str, tuple[_Writer, tuple[str, ...], int | None]] = {
    "ConvInteger": (_whole, _STANDARD, None),
    "DynamicQuantizeLinear": (_dynamic, _STANDARD, None),
    "MatMulInteger": (_whole, _STANDARD, None),
    "QGemm": (_gemm, _EXTRA, None),
    "QLinearConcat": (_concat, _EXTRA, 1),
    "QLinearConv": (_conv, _STANDARD, 7),
    "QLinearMatMul": (_matmul, _STANDARD, 7),
    **dict.fromkeys(_UNARY, (_unary, _EXTRA, 4)),
    **dict.fromkeys(_BINARY, (_binary, _EXTRA, 7)),
}


def expanded(nodes: Iterable[Any]) -> list[Any]:
    """Nodes with the quantized ones written out.

    A QLinear operator is DequantizeLinear, the operator on numbers, QuantizeLinear; integer products are products of
    codes less their zero points; a dynamic range is one of the whole batch. A kernel on integers may round a step
    otherwise. Images whose channels come last, and codes whose type nothing tells, are left as they are.

    Args:
        nodes: Of a graph, in order.
    """
    found: list[Any] = []
    for node in nodes:
        known = _KNOWN.get(node.op_type)
        if known is None or node.domain not in known[1]:
            found.append(node)
            continue
        write, _, typed = known
        made = _Expansion(node)
        if made.attributes.get("channels_last", 0) or (typed is not None and not made.input(typed)):
            found.append(node)
            continue
        write(made)
        found += made.nodes
    return found
