"""Reads from an ONNX graph which weights are narrow, and which products have two narrow factors."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import onnx
from onnx import TensorProto, helper, inliner

from robust.costing.graph_onnx import bits, reads, subgraphs
from robust.models.layer_bits import NARROW, LayerBits, merged
from robust.models.layer_names import layer_of

_INTEGER_FORMS = (
    "QLinearConv QLinearMatMul QGemm ConvInteger MatMulInteger MatMulIntegerToFloat DynamicQuantizeMatMul "
    "DynamicQuantizeLSTM QAttention NhwcQLinearConv QLinearConvTranspose"
)
_FLOAT_FORMS = (
    "Conv ConvTranspose Gemm MatMul Einsum RNN GRU LSTM Attention MultiHeadAttention DeformConv FusedConv FusedGemm "
    "FusedMatMul GemmFastGelu TransposeMatMul NhwcConv MatMulNBits"
)
_HANDING_ON = "Transpose Reshape Identity Squeeze Unsqueeze Flatten Cast Slice Expand"
#: They take integers alone, or make them of what they are given.
_INTEGER = frozenset(_INTEGER_FORMS.split())
#: Operators that multiply a stored weight with what they are given.
_PRODUCTS = _INTEGER | frozenset(_FLOAT_FORMS.split())
#: Operators whose weights are a table that is looked up: nothing is multiplied.
_TABLES = frozenset({"Gather", "GatherBlockQuantized", "EmbedLayerNormalization"})
#: Operators that hand on the numbers that they are given, in another shape or place.
_LAYOUT = frozenset(_HANDING_ON.split())
_FLOATS = frozenset({TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.BFLOAT16, TensorProto.DOUBLE})
_WHOLE = frozenset({"INT32", "INT64", "UINT32", "UINT64", "BOOL", "STRING"})


@dataclass(frozen=True, slots=True, kw_only=True)
class _Weight:
    """A stored weight that an operator reads: its size, the bits of a number, and those it is rounded to on its way."""

    name: str
    size: int
    bits: int
    rounded: int | None

    @property
    def width(self) -> int:
        """Bits of each number in the run."""
        return self.bits if self.rounded is None else min(self.bits, self.rounded)


def initialiser_coverage(content: bytes) -> float | None:
    """Share of the weights of convolutions, matrix products, recurrent layers and tables that are quantized.

    Args:
        content: Bytes of an ONNX file.

    Returns:
        A share in [0, 1]; None where no operator has stored weights.
    """
    layers = onnx_layers(content)
    total = sum(layer.weights for layer in layers)
    return sum(layer.quantized or 0 for layer in layers) / total if total else None


def onnx_layers(content: bytes) -> tuple[LayerBits, ...]:
    """Each layer of a file that multiplies, or has weights.

    Args:
        content: Bytes of an ONNX file.

    Returns:
        The layers in the order of the run; a weight that several use belongs to the first.
    """
    model = onnx.load_model_from_string(content)
    if model.functions:
        model = inliner.inline_local_functions(model)
    return merged(_layers(model.graph, {}, {}, set()))


def _layers(
    graph: Any, stored: Mapping[str, TensorProto], sources: Mapping[str, Any], seen: set[str]
) -> Iterator[LayerBits]:
    """Layers of a graph and of the graphs inside it, which see what is around them."""
    stored = {**stored, **{tensor.name: tensor for tensor in graph.initializer}}
    for node in graph.node:
        for attribute in node.attribute if node.op_type == "Constant" else ():
            if attribute.name == "value":
                stored[node.output[0]] = attribute.t
    sources = {**sources, **{output: node for node in graph.node for output in node.output if output}}
    unpacked = frozenset(node.input[0] for node in graph.node if node.op_type == "DequantizeLinear")
    live = _live(graph)
    for place, node in enumerate(graph.node):
        if place not in live:
            continue
        if node.op_type in _PRODUCTS or node.op_type in _TABLES:
            layer = _layer(node, place, stored, sources, seen, unpacked=unpacked)
            if layer is not None:
                yield layer
        for inner in subgraphs(node):
            yield from _layers(inner, stored, sources, seen)


def _live(graph: Any) -> set[int]:
    """Places of the operators whose results reach an output of the graph: the others are never run."""
    wanted, found = {output.name for output in graph.output}, set()
    for place in reversed(range(len(graph.node))):
        node = graph.node[place]
        if not wanted.isdisjoint(node.output):
            found.add(place)
            wanted.update(reads(node))
    return found


def _layer(
    node: Any,
    place: int,
    stored: Mapping[str, TensorProto],
    sources: Mapping[str, Any],
    seen: set[str],
    *,
    unpacked: frozenset[str],
) -> LayerBits | None:
    """What one operator does; None for a table that is no weight, such as a list of shapes."""
    weights, flows = [], []
    for position, name in enumerate(node.input):
        found = _stored(name, stored, sources) if name else None
        if found is None:
            flows += [name] if name and position < 2 else []
        elif found.bits and len(stored[found.name].dims) > 1 and _counts(node, position):
            # A table of small integers that nobody unpacks holds places or classes, not weights.
            raw = node.op_type == "Gather" and found.bits <= NARROW and name == found.name
            if not raw or node.output[0] in unpacked:
                weights.append(found)
    if node.op_type in _TABLES and not weights:
        return None
    if node.op_type == "MatMulNBits":
        weights = [_packed(node, weights)] if weights else []
    name, kind = layer_of(node, place, [weight.name for weight in weights])
    new = [weight for weight in weights if weight.name not in seen]
    seen.update(weight.name for weight in new)
    narrow = [weight for weight in new if weight.width <= NARROW]
    multiplied = node.op_type not in _TABLES
    held = all(weight.width <= NARROW for weight in weights)
    whole = node.op_type in _INTEGER or (
        node.op_type != "MatMulNBits" and all(_is_rounded(name, sources) for name in flows)
    )
    return LayerBits(
        name=name,
        kind=kind,
        weights=sum(weight.size for weight in new),
        quantized=sum(weight.size for weight in narrow),
        bits=max((weight.width for weight in new), default=None),
        integer=multiplied and held and whole,
        simulated=any(weight.width <= NARROW < weight.bits for weight in new),
        multiplies=multiplied,
    )


def _counts(node: Any, position: int) -> bool:
    """Whether an input of an operator can be a weight: scales and states are none."""
    if node.op_type in ("QLinearConv", "QLinearMatMul", "QLinearConvTranspose", "NhwcQLinearConv", "QGemm"):
        return position in (0, 3)
    if node.op_type in ("MatMulNBits", "MatMulIntegerToFloat", "MatMulInteger", "ConvInteger", "DynamicQuantizeMatMul"):
        return position < 2
    if node.op_type in ("RNN", "GRU", "LSTM", "DynamicQuantizeLSTM"):
        return position in (1, 2)
    if node.op_type == "Gather":
        return position == 0
    return True


def _stored(name: str, stored: Mapping[str, TensorProto], sources: Mapping[str, Any]) -> _Weight | None:
    """The stored numbers that an input comes from, through operators that only unpack them."""
    rounded: int | None = None
    while name not in stored:
        node = sources.get(name)
        if node is None or node.op_type not in _LAYOUT | {"QuantizeLinear", "DequantizeLinear"} or not node.input:
            return None
        if node.op_type == "QuantizeLinear":
            rounded = _rounded_bits(node, stored)
        name = node.input[0]
    tensor = stored[name]
    if tensor.data_type not in _FLOATS and TensorProto.DataType.Name(tensor.data_type) in _WHOLE:
        return _Weight(name=name, size=0, bits=0, rounded=None)
    return _Weight(name=name, size=math.prod(tensor.dims), bits=bits(tensor.data_type) or 0, rounded=rounded)


def _packed(node: Any, weights: list[_Weight]) -> _Weight:
    """Weights of a few bits each, of which a stored byte holds several."""
    values = {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute}
    size = int(values.get("K", 0)) * int(values.get("N", 0))
    return _Weight(name=weights[0].name, size=size, bits=int(values.get("bits", 4)), rounded=None)


def _rounded_bits(node: Any, stored: Mapping[str, TensorProto]) -> int:
    """Bits of the integers that a quantizing operator makes: its zero point's, or those that it names; else uint8."""
    if len(node.input) > 2 and node.input[2] in stored:
        return bits(stored[node.input[2]].data_type) or NARROW
    kind = next((attribute.i for attribute in node.attribute if attribute.name == "output_dtype"), 0)
    return (bits(kind) if kind else None) or NARROW


def _is_rounded(name: str, sources: Mapping[str, Any]) -> bool:
    """Whether what flows into an operator comes out of integers."""
    while True:
        node = sources.get(name)
        if node is None or not node.input:
            return False
        if node.op_type == "DequantizeLinear":
            return True
        if node.op_type not in _LAYOUT:
            return False
        name = node.input[0]
