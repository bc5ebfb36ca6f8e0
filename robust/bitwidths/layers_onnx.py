"""Which operators of an ONNX graph can be run in fewer bits, and which batch normalisation is folded into which."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
import onnx
from onnx import inliner

from robust.bitwidths.constants_onnx import FLOATS, PASSING, StoredGraph, setting, width_of
from robust.bitwidths.simulators import LeftFloat, SimulatedLayer, Weight
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
class Use:
    """One node of a layer.

    Args:
        node: Its position in the graph.
        places: Its inputs that are weights.
    """

    node: int
    places: tuple[int, ...]


@dataclass(slots=True, kw_only=True, eq=False)
class FoundNodes:
    """The layers of a graph.

    Args:
        model: The file's model; not to be changed.
        layers: Those that can be simulated, in the graph's order.
        uses: For each, the nodes that run it: one, unless they share weights.
        kinds: For each, the floating type that it computes in.
        stored: Names of the tensors that hold the layers' weights.
        left: What stays in float.
        rest: Bytes of everything but the layers' weights, batch normalisation folded.
        itemsize: Bytes of a float weight.
    """

    model: Any
    layers: tuple[SimulatedLayer, ...]
    uses: dict[str, list[Use]]
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
    layers: dict[str, SimulatedLayer] = {}
    uses: dict[str, list[Use]] = {}
    left: list[LeftFloat] = []
    kinds: dict[str, np.dtype[Any]] = {}
    owners: dict[tuple[str, ...], str] = {}
    norms: list[Any] = []
    for place, node in enumerate(model.graph.node):
        constants = [graph.constant(node.input[i]) for i in _WEIGHTS.get(node.op_type, ()) if i < len(node.input)]
        tensors = [found for found in constants if found is not None]
        if not tensors or len(tensors) < len(constants) or node.domain not in ("", "ai.onnx"):
            left += _left(node, place, graph)
            continue
        stored = tuple(name for name, _ in tensors)
        name, kind = layer_of(node, place, stored)
        name = owners.setdefault(stored, _unique(name, layers))
        uses.setdefault(name, []).append(Use(node=place, places=_WEIGHTS[node.op_type]))
        norm = _norm_after(node, graph)
        if norm is not None and name not in layers:
            norms.append((node, norm))
        if name not in layers:
            factor = None if norm is None else _factor(node, norm, tensors[0][1], graph)
            weights = tuple(
                Weight(values=array.astype(np.float64), axes=_axes(node, array.ndim), factor=factor)
                for _, array in tensors
            )
            kinds[name] = tensors[0][1].dtype
            layers[name] = SimulatedLayer(name=name, kind=kind, weights=weights, input=node.op_type not in _RECURRENT)
            if node.op_type in _RECURRENT:
                reason = "its weights are rounded, its inputs and states stay in float"
                left.append(LeftFloat(name=name, kind=kind, parameters=0, reason=reason))
    if not layers:
        shown = "; ".join(f"{item.name} ({item.kind}): {item.reason}" for item in left[:5])
        raise InvalidInput(
            f"the model has no operator whose bits could be simulated ({', '.join(_WEIGHTS)} with stored weights)"
            + (f": {shown}" if left else "")
        )
    names = {name for stored in owners for name in stored}
    sizes = {graph.stored[name].data_type for name in names}
    return FoundNodes(
        model=model,
        layers=tuple(layers.values()),
        uses=uses,
        kinds=kinds,
        stored=frozenset(names),
        left=tuple(left),
        rest=_rest(graph, names, norms),
        itemsize=max(width_of(kind) for kind in sizes),
    )


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


def _left(node: Any, place: int, graph: StoredGraph) -> Iterator[LeftFloat]:
    """A node with stored numbers that are weights, perhaps, but are not rounded."""
    if node.op_type in _PLAIN or node.op_type in PASSING:
        return
    inner = any(attribute.type == onnx.AttributeProto.GRAPH for attribute in node.attribute)
    stored = [name for name in node.input if name in graph.stored and graph.stored[name].data_type in FLOATS]
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
    """Bytes of the stored floating numbers that are no layer's weights; folded normalisation is a bias."""
    total = sum(
        prod(tensor.dims) * width_of(tensor.data_type)
        for name, tensor in graph.stored.items()
        if name not in simulated and tensor.data_type in FLOATS
    )
    for node, norm in norms:
        sizes = [prod(graph.stored[name].dims) * 4 for name in norm.input[1:5] if name in graph.stored]
        bias = 0 if len(node.input) > 2 and node.input[2] else sizes[-1] if sizes else 0
        total += bias - sum(sizes)
    return int(total)
