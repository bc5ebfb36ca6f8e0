"""Reads from an ONNX graph which weights are narrow, and which products have two narrow factors."""

import math
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from typing import Any

import onnx
from onnx import TensorProto, helper, inliner, numpy_helper

from robust.costing.graph_onnx import bits, reads, sort_nodes, subgraphs
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
#: Operators that leave fewer values than they are given.
_ROUNDING = frozenset(("Round", "Floor", "Ceil", "Sign"))
_SUMS = frozenset(("ReduceSum", "ReduceMean", "ReduceL1", "ReduceL2", "ReduceSumSquare"))
#: Operators that hand on the numbers that they are given, in another shape or place.
_LAYOUT = frozenset(_HANDING_ON.split())
_FLOATS = frozenset({TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.BFLOAT16, TensorProto.DOUBLE})
_WHOLE = frozenset({"INT32", "INT64", "UINT32", "UINT64", "BOOL", "STRING"})


@dataclass(frozen=True, slots=True, kw_only=True)
class _Weight:
    """A stored weight that an operator reads.

    Args:
        name: The tensor.
        size: How many numbers.
        axes: How many axes.
        bits: Bits of each number.
        rounded: Bits that they are rounded to on their way; None where they are not.
        unknown: Whether they are rounded on their way in another manner.
        cast: Whether they are made floating ones as they are, without a scale.
    """

    name: str
    size: int
    axes: int
    bits: int
    rounded: int | None
    unknown: bool = False
    cast: bool = False

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
    sort_nodes(model.graph)
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
    unpacked = {node.input[0] for node in graph.node if node.op_type == "DequantizeLinear"}
    unpacked |= {name for node in graph.node if node.op_type.startswith("QLinear") for name in node.input}
    live, known = _live(graph), dict[str, list[_Weight] | None]()
    summed = _summed(graph)
    for place, node in enumerate(graph.node):
        if place not in live:
            continue
        if node.op_type in _PRODUCTS or node.op_type in _TABLES or place in summed:
            layer = _layer(node, place, stored, sources, seen, known=known, unpacked=unpacked)
            if layer is not None:
                yield layer
        for inner in subgraphs(node):
            yield from _layers(inner, stored, sources, seen)


def _summed(graph: Any) -> set[int]:
    """Places of products and differences of single numbers that are summed then: matrix products and distances."""
    summed = {node.input[0] for node in graph.node if node.op_type in _SUMS}
    found = set()
    for place in reversed(range(len(graph.node))):
        node = graph.node[place]
        if not summed.isdisjoint(node.output):
            if node.op_type in ("Mul", "Sub"):
                found.add(place)
            if node.op_type in ("Mul", "Pow", "Abs"):
                summed.update(node.input)
    return found


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
    known: dict[str, list[_Weight] | None],
    unpacked: Set[str],
) -> LayerBits | None:
    """What one operator does; None for a table that is no weight, such as a list of shapes."""
    weights: list[_Weight] = []
    flows: list[str] = []
    for position, name in enumerate(node.input):
        found = _stored(name, stored, sources, known) if name else None
        if found is None:
            flows += [name] if name and position < 2 else []
        elif _counts(node, position):
            # A table of small integers that nobody unpacks holds places or classes, not weights.
            raw = node.op_type == "Gather" and name in stored and stored[name].data_type not in _FLOATS
            if not raw or node.output[0] in unpacked:
                weights += _holders(found, stored)
    if not weights and node.op_type not in _PRODUCTS:
        return None
    if node.op_type not in _PRODUCTS | _TABLES:
        weights = [one for one in weights if sum(length > 1 for length in stored[one.name].dims) > 1]
    if node.op_type == "MatMulNBits":
        weights = [_packed(node, weights)] if weights else []
    name, kind = layer_of(node, place, [weight.name for weight in weights])
    new = [weight for weight in weights if weight.name not in seen]
    seen.update(weight.name for weight in new)
    narrow = [weight for weight in new if weight.width <= NARROW]
    multiplied = node.op_type not in _TABLES
    held = all(weight.width <= NARROW and not weight.unknown for weight in weights)
    whole = node.op_type in _INTEGER or (
        node.op_type != "MatMulNBits" and all(_is_rounded(name, sources) for name in flows)
    )
    return LayerBits(
        name=name,
        kind=kind,
        weights=sum(weight.size for weight in new),
        quantized=None if any(weight.unknown for weight in new) else sum(weight.size for weight in narrow),
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


def _stored(
    name: str, stored: Mapping[str, TensorProto], sources: Mapping[str, Any], known: dict[str, list[_Weight] | None]
) -> list[_Weight] | None:
    """The stored numbers that an input is made of, however; None where something else takes part.

    Of the tensors behind a factor those hold its numbers that are large enough: a scale or a mask does not.
    """
    if name not in known:
        known[name] = None  # a graph without an order would go round in circles
        known[name] = _made_of(name, stored, sources, known)
    return known[name]


def _made_of(
    name: str, stored: Mapping[str, TensorProto], sources: Mapping[str, Any], known: dict[str, list[_Weight] | None]
) -> list[_Weight] | None:
    if name in stored:
        tensor = stored[name]
        width = bits(tensor.data_type) or 0
        return [_Weight(name=name, size=math.prod(tensor.dims), axes=len(tensor.dims), bits=width, rounded=None)]
    node = sources.get(name)
    if node is None:
        return None
    unpacking = node.op_type in ("QuantizeLinear", "DequantizeLinear")
    found: list[_Weight] = []
    for one in list(node.input)[:1] if unpacking else reads(node):
        part = _stored(one, stored, sources, known)
        if part is None:
            return None
        found += part
    if node.op_type == "QuantizeLinear":
        width = _rounded_bits(node, stored)
        found = [replace(one, rounded=width if one.rounded is None else min(one.rounded, width)) for one in found]
    elif node.op_type == "Cast":
        found = [replace(one, cast=True) for one in found]
    elif node.op_type in _ROUNDING:
        found = [replace(one, unknown=True) for one in found]
    return list({one.name: one for one in found}.values())


def _holders(weights: Sequence[_Weight], stored: Mapping[str, TensorProto]) -> list[_Weight]:
    """Those of the tensors behind a factor that hold its numbers."""
    numbers = [one for one in weights if one.bits and one.axes > 1 and not _counts_places(stored[one.name])]
    largest = max((one.size for one in numbers), default=0)
    large = [one for one in numbers if 2 * one.size > largest and stored[one.name].data_type in _FLOATS]
    if large:
        return [one for one in large if not _is_mask(stored[one.name])] or large
    alone = len(weights) == 1 and weights[0].cast  # as it is, it says which numbers meet
    return [one for one in numbers if 2 * one.size > largest and not (alone and _is_mask(stored[one.name]))]


def _counts_places(tensor: TensorProto) -> bool:
    return tensor.data_type not in _FLOATS and TensorProto.DataType.Name(tensor.data_type) in _WHOLE


def _is_mask(tensor: TensorProto) -> bool:
    """Whether a tensor says yes or no."""
    if tensor.data_type not in (TensorProto.UINT8, *_FLOATS) or onnx.external_data_helper.uses_external_data(tensor):
        return False
    values = numpy_helper.to_array(tensor)
    return bool(((values == 0) | (values == 1)).all())


def _packed(node: Any, weights: list[_Weight]) -> _Weight:
    """Weights of a few bits each, of which a stored byte holds several."""
    values = {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute}
    size = int(values.get("K", 0)) * int(values.get("N", 0))
    return _Weight(name=weights[0].name, size=size, axes=2, bits=int(values.get("bits", 4)), rounded=None)


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
