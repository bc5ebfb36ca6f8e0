"""Which operators of an ONNX graph can be run in fewer bits, and which batch normalisation is folded into which."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
import onnx
from onnx import inliner

from robust.bitwidths.constants_onnx import FLOATS, PASSING, StoredGraph
from robust.bitwidths.sharing import joined, name_of_all
from robust.bitwidths.simulators import LeftFloat, SimulatedLayer, Weight
from robust.costing.graph_onnx import bits, setting
from robust.errors import InvalidInput
from robust.models.layer_names import layer_of
from robust.types import FloatArray

#: Where the weights of an operator stand, and whether its first input can be rounded.
_WEIGHTS: Mapping[str, tuple[int, ...]] = {
    "Conv": (1,),
    "ConvTranspose": (1,),
    "Gemm": (1,),
    "MatMul": (1,),
    "LSTM": (1, 2),
    "GRU": (1, 2),
    "RNN": (1, 2),
}
_RECURRENT = frozenset({"LSTM", "GRU", "RNN"})
#: Operators of quantized files: what they would be compared with is the float file.
_QUANTIZED = frozenset(
    {
        "QLinearConv",
        "QLinearMatMul",
        "QGemm",
        "ConvInteger",
        "MatMulInteger",
        "MatMulIntegerToFloat",
        "DynamicQuantizeMatMul",
        "DynamicQuantizeLSTM",
        "DynamicQuantizeLinear",
        "QuantizeLinear",
        "DequantizeLinear",
        "MatMulNBits",
    }
)
#: Operators whose stored numbers are no weights of a product.
_PLAIN = frozenset({"Add", "Sub", "Mul", "Div", "Pow", "Clip", "BatchNormalization", "Constant", "Pad", "Resize"})


@dataclass(slots=True, kw_only=True, eq=False)
class FoundNodes:
    """The layers of a graph.

    Args:
        model: The file's model; not to be changed.
        layers: Those that can be simulated, in the graph's order.
        tensors: For each, the names that its weights are stored under, and how their axes are turned from there.
        uses: For each, the positions of the nodes whose first input can be rounded: one, unless they share weights.
        kinds: For each, the floating type that it computes in.
        stored: Names of the tensors that hold the layers' weights.
        left: What stays in float.
        rest: Bytes of everything but the layers' weights, batch normalisation folded.
        itemsize: Bytes of a float weight.
    """

    model: Any
    layers: tuple[SimulatedLayer, ...]
    tensors: dict[str, tuple[tuple[str, tuple[int, ...]], ...]]
    uses: dict[str, tuple[int, ...]]
    kinds: dict[str, np.dtype[Any]]
    stored: frozenset[str]
    left: tuple[LeftFloat, ...]
    rest: int
    itemsize: int


def find_nodes(content: bytes) -> FoundNodes:
    """Look at the graph of a float file.

    Args:
        content: Bytes of the file.

    Returns:
        Its layers: Conv, ConvTranspose, Gemm and MatMul with stored weights; LSTM, GRU and RNN by their weights alone.

    Raises:
        InvalidInput: If it has none, or is quantized already; the message names the nodes.
    """
    model = onnx.load_model_from_string(content)
    if model.functions:
        model = inliner.inline_local_functions(model)
    outside = [tensor.name for tensor in model.graph.initializer if tensor.data_location == onnx.TensorProto.EXTERNAL]
    if outside:
        raise InvalidInput(f"the weights {outside[0]!r} are kept in another file: save the model as one file")
    version = max((entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")), default=0)
    if version < 11:
        raise InvalidInput(f"the file is of operator set {version}; export it with 11 or later")
    quantized = [f"{node.name or node.output[0]} ({node.op_type})" for node in model.graph.node if _is_quantized(node)]
    if quantized:
        raise InvalidInput(
            f"the file is quantized already: {', '.join(quantized[:3])}; fewer bits are simulated on its float file"
        )
    graph = StoredGraph(model.graph)
    able: list[tuple[int, Any]] = []
    others: list[tuple[int, Any]] = []
    for place, node in enumerate(model.graph.node):
        found = [graph.constant(name) for name in _weights_of(node)]
        plain = bool(found) and None not in found and node.domain in ("", "ai.onnx")
        (able if plain else others).append((place, node))
    held = [[graph.origin(name) for name in _weights_of(node)] for _, node in able]
    names = {name for stored in held for name in stored}
    layers: dict[str, SimulatedLayer] = {}
    tensors: dict[str, tuple[tuple[str, tuple[int, ...]], ...]] = {}
    uses: dict[str, tuple[int, ...]] = {}
    left: list[LeftFloat] = []
    kinds: dict[str, np.dtype[Any]] = {}
    norms: list[Any] = []
    for group in joined(held):
        nodes = [able[i] for i in group]
        # Folded, the tensor of several nodes would be several tensors.
        norm = _norm_after(nodes[0][1], graph) if len(nodes) == 1 else None
        if norm is not None:
            norms.append((nodes[0][1], norm))
        weights: dict[str, Weight] = {}
        turns: dict[str, tuple[int, ...]] = {}
        for _, node in nodes:
            for read in _weights_of(node):
                array = graph.array(read)
                factor = None if norm is None else _factor(node, norm, array, graph)
                own = Weight(values=array.astype(np.float64), axes=_axes(node, array.ndim), factor=factor)
                weights.setdefault(graph.origin(read), own)
                turns.setdefault(graph.origin(read), graph.turn(read))
        members = [layer_of(node, place, [graph.origin(read) for read in _weights_of(node)]) for place, node in nodes]
        readers = [(place, node) for place, node in others if not weights.keys().isdisjoint(node.input)]
        # A shared tensor is called after one of its modules; the nodes' own notes know all of them.
        noted = [layer_of(node, place, ())[0] for place, node in sorted((*nodes, *readers), key=_place) if _noted(node)]
        name = _unique(name_of_all(noted if len(set(noted)) > 1 else [member for member, _ in members]), layers)
        rounded = tuple(place for place, node in nodes if node.op_type not in _RECURRENT)
        layers[name] = SimulatedLayer(
            name=name,
            kind=members[0][1],
            weights=tuple(weights.values()),
            input=bool(rounded),
            members=tuple(dict.fromkeys(member for member, _ in members)) if len(nodes) > 1 else (),
        )
        tensors[name], uses[name] = tuple(turns.items()), rounded
        kinds[name] = graph.array(next(iter(_weights_of(nodes[0][1])))).dtype
        if len(rounded) < len(nodes):
            reason = "its weights are rounded, its inputs and states stay in float"
            left.append(LeftFloat(name=name, kind=members[0][1], parameters=0, reason=reason))
    for place, node in others:
        left += _left(node, place, graph, names)
    if not layers:
        shown = "; ".join(f"{item.name} ({item.kind}): {item.reason}" for item in left[:5])
        raise InvalidInput(
            f"the model has no operator whose bits could be simulated ({', '.join(_WEIGHTS)} with stored weights)"
            + (f": {shown}" if left else "")
        )
    sizes = {graph.stored[name].data_type for name in names}
    return FoundNodes(
        model=model,
        layers=tuple(layers.values()),
        tensors=tensors,
        uses=uses,
        kinds=kinds,
        stored=frozenset(names),
        left=tuple(left),
        rest=_rest(graph, names, norms),
        itemsize=max((bits(kind) or 0) // 8 for kind in sizes),
    )


def _weights_of(node: Any) -> list[str]:
    """The inputs of a node that are weights, where they are stored."""
    return [node.input[i] for i in _WEIGHTS.get(node.op_type, ()) if i < len(node.input)]


def _noted(node: Any) -> bool:
    """Whether the exporter noted which module a node belongs to."""
    return node.op_type not in PASSING and bool(node.metadata_props or node.name.startswith("/"))


def _place(item: tuple[int, Any]) -> int:
    return item[0]


def _is_quantized(node: Any) -> bool:
    return node.op_type in _QUANTIZED or (node.domain == "com.microsoft" and node.op_type.startswith("QLinear"))


def _unique(name: str, known: Mapping[str, object]) -> str:
    """A name that no other layer has."""
    count, found = 1, name
    while found in known:
        count += 1
        found = f"{name}#{count}"
    return found


def _axes(node: Any, rank: int) -> tuple[int, ...]:
    """Axes of a weight's output channels."""
    if node.op_type in _RECURRENT:
        return (0, 1)
    if node.op_type == "MatMul":
        return (rank - 1,) if rank > 1 else ()
    if node.op_type == "ConvTranspose":
        return (1,)
    if node.op_type == "Gemm":
        return (0,) if setting(node, "transB", 0) else (1,)
    return (0,)


def _norm_after(node: Any, graph: StoredGraph) -> Any | None:
    """The batch normalisation that alone takes a convolution's output."""
    if node.op_type not in ("Conv", "ConvTranspose") or graph.readers[node.output[0]] != 1:
        return None
    for other in graph.graph.node:
        if other.op_type == "BatchNormalization" and other.input[0] == node.output[0]:
            known = all(graph.vector(name) is not None for name in other.input[1:5])
            return other if known and not setting(other, "training_mode", 0) else None
    return None


def _factor(node: Any, norm: Any, weight: FloatArray, graph: StoredGraph) -> FloatArray:
    """γ/√(σ² + ε), in a shape that broadcasts to the weights."""
    slope, variance = graph.vector(norm.input[1]), graph.vector(norm.input[4])
    by_channel = np.asarray(slope / np.sqrt(variance + setting(norm, "epsilon", 1e-5)))
    if node.op_type == "Conv":
        return by_channel.reshape(-1, *(1,) * (weight.ndim - 1))
    group = int(setting(node, "group", 1))
    rows = np.repeat(by_channel.reshape(group, -1), weight.shape[0] // group, axis=0)
    return rows.reshape(*rows.shape, *(1,) * (weight.ndim - 2))


def _left(node: Any, place: int, graph: StoredGraph, simulated: set[str]) -> Iterator[LeftFloat]:
    """A node with stored numbers that are weights, perhaps, but are not rounded."""
    if node.op_type in _PLAIN or node.op_type in PASSING:
        return
    inner = any(attribute.type == onnx.AttributeProto.GRAPH for attribute in node.attribute)
    own = [name for name in node.input if name in graph.stored and graph.stored[name].data_type in FLOATS]
    stored = [name for name in own if name not in simulated]
    count = sum(prod(graph.stored[name].dims) for name in stored)
    if node.domain == "ai.onnx.ml":
        reason = "a classical model, whose numbers are no weights of a product"
    elif inner:
        reason = "what stands in graphs inside it is not looked at"
    elif count > 1:
        reason = "its stored numbers are no weights of a convolution, matrix product or recurrent layer"
    else:
        return
    name, kind = layer_of(node, place, stored)
    yield LeftFloat(name=name, kind=kind, parameters=count, reason=reason)


def _rest(graph: StoredGraph, simulated: set[str], norms: list[Any]) -> int:
    """Bytes of all stored numbers but the layers' weights, as `cost` counts them; folded normalisation is a bias."""
    total = sum(
        (prod(tensor.dims) * (bits(tensor.data_type) or 0) + 7) // 8
        for name, tensor in graph.stored.items()
        if name not in simulated
    )
    for node, norm in norms:
        sizes = [prod(graph.stored[name].dims) * 4 for name in norm.input[1:5] if name in graph.stored]
        bias = 0 if len(node.input) > 2 and node.input[2] else sizes[-1] if sizes else 0
        total += bias - sum(sizes)
    return int(total)
