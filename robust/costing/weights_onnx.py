"""Which node of an ONNX graph owns each stored tensor, and how many of its numbers are parameters."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import prod
from typing import Any

from onnx import TensorProto

from robust.costing.graph_onnx import Graph, reads, setting, stored_tensors, subgraphs

#: Inputs that can hold weights, for operators whose other inputs hold scales, limits or sizes. All of any other's can.
_VALUES: Mapping[str, frozenset[int]] = {
    **dict.fromkeys(
        ("QuantizeLinear", "DequantizeLinear", "Clip", "Pad", "Resize", "Upsample", "Dropout"), frozenset({0})
    ),
    **dict.fromkeys(("Expand", "Reshape", "Tile", "Slice", "Squeeze", "Unsqueeze", "OneHot", "TopK"), frozenset({0})),
    **dict.fromkeys(("Split", "CumSum", "Range", "ConstantOfShape", "Unsqueeze"), frozenset({0})),
    **dict.fromkeys(("QLinearSigmoid", "QLinearLeakyRelu", "QLinearGlobalAveragePool"), frozenset({0})),
    **dict.fromkeys(("QLinearMatMul", "QLinearAdd", "QLinearMul"), frozenset({0, 3})),
    **dict.fromkeys(("MatMulInteger", "ConvInteger"), frozenset({0, 1})),
    "QLinearConv": frozenset({0, 3, 8}),
    "QGemm": frozenset({0, 3, 6}),
    "BatchNormalization": frozenset({0, 1, 2}),
    "DynamicQuantizeMatMul": frozenset({0, 1, 4}),
    "MatMulIntegerToFloat": frozenset({0, 1, 6}),
    "MatMulNBits": frozenset({0, 1, 5}),
    **dict.fromkeys(("RNN", "GRU", "LSTM", "DynamicQuantizeLSTM"), frozenset({0, 1, 2, 3, 5, 6, 7})),
    "Attention": frozenset({0, 1, 2, 4, 5}),
    "QAttention": frozenset({0, 1, 2, 8}),
    "MultiHeadAttention": frozenset({0, 1, 2, 3, 5, 6, 7}),
    **dict.fromkeys(("QLinearAveragePool", "QLinearReduceMean", "QLinearSoftmax"), frozenset({0})),
    "QLinearWhere": frozenset({0, 1, 4}),
    "QLinearConcat": frozenset(range(2, 3 * 1024, 3)),
}
#: Where the states stand that a recurrent layer starts from. Zeros there are the exporter's, not trained.
_STATES = {("RNN", 5), ("GRU", 5), ("LSTM", 5), ("LSTM", 6), ("DynamicQuantizeLSTM", 5), ("DynamicQuantizeLSTM", 6)}
#: Operators without weights of their own in the usual sense: a single number there is part of a formula.
_FORMULA = frozenset(
    {"Add", "Sub", "Mul", "Div", "Pow", "Max", "Min", "Where", "Equal", "Greater", "Less", "Mod", "Sum"}
    | {"QLinearAdd", "QLinearMul", "QLinearWhere"}
)
_NEVER = frozenset({TensorProto.INT64, TensorProto.UINT64, TensorProto.STRING, TensorProto.BOOL})
_WIDE = frozenset({TensorProto.INT32, TensorProto.UINT32})


@dataclass(frozen=True, slots=True, kw_only=True)
class Use:
    """How a stored tensor comes to a node.

    Args:
        name: The stored tensor.
        value: Whether its numbers are what the node works with, and no scale, limit or size.
        dequantized: Whether they are integers that stand for real numbers.
    """

    name: str
    value: bool
    dequantized: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Owned:
    """What the stored tensors of one node come to.

    Args:
        parameters: Numbers that were trained, as far as a file can tell.
        rom: Bytes as stored.
        names: The stored tensors.
    """

    parameters: int
    rom: int
    names: tuple[str, ...]


def owners(graph: Graph) -> list[Owned]:
    """What each node owns: a tensor that several use belongs to the first.

    Args:
        graph: The graph.

    Returns:
        One entry a node; nothing for nodes that are folded away.
    """
    makers = {name: node for node in graph.nodes for name in node.output if name}
    seen: set[str] = set()
    found = []
    for node in graph.nodes:
        parameters = rom = 0
        names: dict[str, None] = {}
        counted: set[str] = set()
        if not is_folded(node, graph):
            trained = not _multiplies_scales(node, makers)
            for place, name in _inputs(node):
                for use in _uses(name, graph, makers):
                    if use.name in seen:
                        continue
                    if use.name not in names:
                        rom += graph.stored[use.name].bytes
                        names[use.name] = None
                    if trained and use.name not in counted and _is_parameter(node, place, use, graph):
                        counted.add(use.name)
                        parameters += _numbers(node, place, use, graph)
            own = _attributes(node)
            parameters, rom = parameters + own[0], rom + own[1]
        seen.update(names)
        found.append(Owned(parameters=parameters, rom=rom, names=tuple(names)))
    return found


def is_folded(node: Any, graph: Graph) -> bool:
    """Whether a node is computed once and for all, before the first run."""
    outputs = [name for name in node.output if name]
    return bool(outputs) and graph.fixed.issuperset(outputs)


def _inputs(node: Any) -> Iterator[tuple[int, str]]:
    """Places and names that a node reads; what graphs inside it take from outside, or store, comes after its own."""
    yield from ((place, name) for place, name in enumerate(node.input) if name)
    inner = [name for name in reads(node) if name not in set(node.input)]
    stored = [name for graph in subgraphs(node) for name, _ in stored_tensors(graph)]
    yield from ((len(node.input) + i, name) for i, name in enumerate([*inner, *stored]))


def _uses(name: str, graph: Graph, makers: Mapping[str, Any]) -> list[Use]:
    """Stored tensors behind an input, through the operators that are folded away."""
    found: list[Use] = []
    waiting = [(name, True, False)]
    visited: set[tuple[str, bool, bool]] = set()
    while waiting:
        state = waiting.pop()
        if state in visited:
            continue
        visited.add(state)
        current, value, dequantized = state
        if current in graph.stored:
            found.append(Use(name=current, value=value, dequantized=dequantized))
        elif current in graph.fixed and current in makers:
            node = makers[current]
            if node.op_type in ("Shape", "Size"):
                continue  # the shape is known, whatever the tensor holds
            values = _VALUES.get(node.op_type)
            for place, source in _inputs(node):
                inside = value and (values is None or place in values)
                waiting.append((source, inside, dequantized or node.op_type == "DequantizeLinear"))
    # What is a value by one way and a size by another is a value.
    return sorted(found, key=lambda use: not use.value)


def _multiplies_scales(node: Any, makers: Mapping[str, Any]) -> bool:
    """Whether a node makes the scale of a product of integers, from that of a run's activations and the weights'."""
    if node.op_type != "Mul":
        return False
    made = [(name, makers[name]) for name in node.input if name in makers]
    return any(maker.op_type == "DynamicQuantizeLinear" and name == maker.output[1] for name, maker in made)


def _is_parameter(node: Any, place: int, use: Use, graph: Graph) -> bool:
    values = _VALUES.get(node.op_type)
    stored = graph.stored[use.name]
    if not use.value or stored.kind in _NEVER or not stored.shape or (values is not None and place not in values):
        return False
    if stored.zero and ((node.op_type, place) in _STATES or use.name in _handed_out(node)):
        return False
    if stored.kind in _WIDE and not (use.dequantized or node.op_type in ("QLinearConv", "QGemm")):
        return False
    return prod(stored.shape) > 1 or node.op_type not in _FORMULA or "." in use.name


def _handed_out(node: Any) -> set[str]:
    """What the graphs inside a node hand out: zeros that a branch stores for that alone are no operands."""
    found = {value.name for graph in subgraphs(node) for value in graph.output}
    return found.union(*(_handed_out(part) for graph in subgraphs(node) for part in graph.node))


def _numbers(node: Any, place: int, use: Use, graph: Graph) -> int:
    """How many weights a stored tensor holds; packed ones are more than its elements."""
    if node.op_type == "MatMulNBits" and node.domain == "com.microsoft" and place == 1:
        return int(setting(node, "K", 0)) * int(setting(node, "N", 0))
    return prod(graph.stored[use.name].shape)


def _attributes(node: Any) -> tuple[int, int]:
    """Numbers and bytes that a classical model keeps in its node's attributes."""
    if node.domain != "ai.onnx.ml":
        return 0, 0
    numbers = sum(len(attribute.floats) for attribute in node.attribute)
    size = sum(
        4 * len(attribute.floats) + 8 * len(attribute.ints) + sum(map(len, attribute.strings))
        for attribute in node.attribute
    )
    size += sum(len(attribute.t.raw_data) for attribute in node.attribute)
    return numbers, size
