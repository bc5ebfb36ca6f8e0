"""Reads from an ONNX graph which weights are narrow, and which products have two narrow factors."""

from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import replace
from typing import Any

import onnx
from onnx import TensorProto, helper, inliner

from robust.costing.graph_onnx import reads, sort_nodes, subgraphs
from robust.models.layer_bits import NARROW, LayerBits, merged
from robust.models.layer_names import layer_of
from robust.quantization.stored_factors_onnx import FLOATS, StoredWeight, constant_of, holders, made_of, varies
from robust.quantization.stored_values_onnx import constants_of
from robust.quantization.without_effect_onnx import without_effect
from robust.types import AnyArray

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
_SUMS = frozenset(("ReduceSum", "ReduceMean", "ReduceL1", "ReduceL2", "ReduceSumSquare"))
#: Operators that hand on the numbers that they are given, in another shape or place.
_LAYOUT = frozenset(_HANDING_ON.split())


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


def onnx_layers(content: bytes, rows: Sequence[AnyArray] | None = None) -> tuple[LayerBits, ...]:
    """Each layer of a file that multiplies, or has weights.

    Args:
        content: Bytes of an ONNX file.
        rows: What it is run on with other weights in place of quantized ones, one array (n, …) an input; None for
            numbers of the shapes that it declares.

    Returns:
        The layers in the order of the run; a weight that several use belongs to the first. Quantized ones that could
        be any others, since all outputs stay as they are, do not count.
    """
    model = onnx.load_model_from_string(content)
    if model.functions:
        model = inliner.inline_local_functions(model)
    sort_nodes(model.graph)
    held: dict[str, set[str]] = {}
    layers = merged(_layers(model.graph, {}, {}, set(), held))
    idle = without_effect(model, held, rows)
    return tuple(_without_quantized(layer) if layer.name in idle else layer for layer in layers)


def _without_quantized(layer: LayerBits) -> LayerBits:
    narrow = layer.quantized or 0
    return replace(layer, weights=layer.weights - narrow, quantized=layer.quantized and 0, integer=False)


def _layers(
    graph: Any,
    stored: Mapping[str, TensorProto],
    sources: Mapping[str, Any],
    seen: set[str],
    held: dict[str, set[str]],
) -> Iterator[LayerBits]:
    """Layers of a graph and of the graphs inside it, which see what is around them."""
    stored = {**stored, **{tensor.name: tensor for tensor in graph.initializer}}
    for node in graph.node:
        if node.op_type == "Constant" and (constant := constant_of(node)) is not None:
            stored[node.output[0]] = constant
    sources = {**sources, **{output: node for node in graph.node for output in node.output if output}}
    unpacked = {node.input[0] for node in graph.node if node.op_type == "DequantizeLinear"}
    unpacked |= {name for node in graph.node if node.op_type.startswith("QLinear") for name in node.input}
    live, known = _live(graph), dict[str, list[StoredWeight] | None]()
    summed = _summed(graph)
    made = [made_of(name, stored, sources, known) for place in live for name in _factors(graph.node[place]) if name]
    # Looked up at stored places they are factors of the product that follows, and no table of their own.
    palettes = {one.palette for found in made if found is not None for one in found if one.palette}
    for place, node in enumerate(graph.node):
        if place not in live or not palettes.isdisjoint(node.output):
            continue
        if node.op_type in _PRODUCTS or node.op_type in _TABLES or place in summed:
            layer = _layer(node, place, stored, sources, seen, held, known=known, unpacked=unpacked)
            if layer is not None:
                yield layer
        for inner in subgraphs(node):
            yield from _layers(inner, stored, sources, seen, held)


def _factors(node: Any) -> list[str]:
    return list(node.input) if node.op_type in _PRODUCTS else []


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
    """Places of the operators whose results reach an output of the graph, other than as a multiple of a constant 0."""
    wanted, found, constants = {output.name for output in graph.output}, set(), constants_of(graph)
    for place in reversed(range(len(graph.node))):
        node = graph.node[place]
        if not wanted.isdisjoint(node.output):
            found.add(place)
            given = reads(node)
            silent = [name for name in given if node.op_type == "Mul" and _is_zero(constants.array(name))]
            wanted.update(silent or given)
    return found


def _is_zero(values: AnyArray | None) -> bool:
    return values is not None and not values.any()


def _layer(
    node: Any,
    place: int,
    stored: Mapping[str, TensorProto],
    sources: Mapping[str, Any],
    seen: set[str],
    held: dict[str, set[str]],
    *,
    known: dict[str, list[StoredWeight] | None],
    unpacked: Set[str],
) -> LayerBits | None:
    """What one operator does; None for a table that is no weight, such as a list of shapes."""
    weights: list[StoredWeight] = []
    flows: list[str] = []
    for position, name in enumerate(node.input):
        found = made_of(name, stored, sources, known) if name else None
        if found is None:
            flows += [name] if name and position < 2 else []
        elif _counts(node, position):
            # A table of small integers that nobody unpacks holds places or classes, not weights.
            raw = node.op_type == "Gather" and name in stored and stored[name].data_type not in FLOATS
            if not raw or node.output[0] in unpacked:
                weights += holders(found, stored)
    if not weights and node.op_type not in _PRODUCTS:
        return None
    if node.op_type not in _PRODUCTS | _TABLES:
        weights = [one for one in weights if varies(one, stored)]
    if node.op_type == "MatMulNBits":
        weights = [_packed(node, weights)] if weights else []
    name, kind = layer_of(node, place, [weight.name for weight in weights])
    new = [weight for weight in weights if weight.key not in seen]
    seen.update(weight.key for weight in new)
    narrow = [weight for weight in new if weight.width <= NARROW]
    if narrow:
        held.setdefault(name, set()).update(weight.name for weight in narrow)
    multiplied = node.op_type not in _TABLES
    all_narrow = all(weight.width <= NARROW and not weight.unknown for weight in weights)
    whole = node.op_type in _INTEGER or (
        node.op_type != "MatMulNBits" and all(_is_rounded(name, sources) for name in flows)
    )
    return LayerBits(
        name=name,
        kind=kind,
        weights=sum(weight.size for weight in new),
        quantized=None if any(weight.unknown for weight in new) else sum(weight.size for weight in narrow),
        bits=max((weight.width for weight in new), default=None),
        integer=multiplied and all_narrow and whole,
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
    return position < 2 or node.op_type not in ("Conv", "ConvTranspose", "Gemm", "FusedConv", "FusedGemm")


def _packed(node: Any, weights: list[StoredWeight]) -> StoredWeight:
    """Weights of a few bits each, of which a stored byte holds several."""
    values = {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute}
    size = int(values.get("K", 0)) * int(values.get("N", 0))
    return StoredWeight(name=weights[0].name, size=size, axes=2, bits=int(values.get("bits", 4)), rounded=None)


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
