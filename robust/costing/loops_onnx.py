"""What one turn of an ONNX loop is, as a graph of its own, and how often it turns where the file says so."""

from collections.abc import Mapping
from typing import Any

import onnx
from onnx import TensorProto, helper

from robust.costing.graph_onnx import Graph, graph_of, sort_nodes, taken_inside

#: Another shape or element type, the same number.
_SAME_NUMBER = frozenset({"Identity", "Cast", "Squeeze", "Unsqueeze", "Reshape"})
#: What stands before the tensors that are handed from turn to turn: how often, and whether to begin.
_COUNTERS = 2


def turns(node: Any, graph: Graph) -> int | None:
    """How often a loop turns in each run.

    Args:
        node: A `Loop`.
        graph: Its graph.

    Returns:
        The number that the file stores; None where the run decides on it, by that number or by a condition.
    """
    body, makers = _body(node), {name: maker for maker in graph.nodes for name in maker.output if name}
    most, begins = (_followed(name, makers) for name in _given(node)[:_COUNTERS])
    starts = 1 if not begins else _number(begins, graph)
    if starts == 0 or body is None or len(body.input) < _COUNTERS:
        return 0 if starts == 0 else None
    inner = {name: maker for maker in body.node for name in maker.output if name}
    goes_on = _followed(body.output[0].name, inner)
    endless = goes_on == body.input[1].name or bool(_number(goes_on, graph))
    found = _number(most, graph)
    return max(0, found) if found is not None and starts is not None and endless else None


def body_of(node: Any, graph: Graph) -> Graph | None:
    """One turn of a loop.

    Args:
        node: A `Loop`.
        graph: Its graph.

    Returns:
        The graph of a turn, with what it takes from outside; None where a tensor that it takes has no known shape, or
        one that is handed from turn to turn changes it.
    """
    body, given = _body(node), _given(node)
    if body is None or len(body.input) != len(given) or len(body.output) <= len(given) - _COUNTERS:
        return None
    names = [value.name for value in body.input]
    sources = dict(zip(names[_COUNTERS:], given[_COUNTERS:], strict=True))
    outside = [name for name in taken_inside(node) if name not in graph.stored]
    sources |= {name: name for name in outside}
    if any(name not in graph.shapes or name not in graph.kinds for name in sources.values()):
        return None
    counters = zip(body.input[:_COUNTERS], (TensorProto.INT64, TensorProto.BOOL), strict=True)
    inputs = [helper.make_tensor_value_info(value.name, kind, _ones(value)) for value, kind in counters]
    inputs += [
        helper.make_tensor_value_info(name, graph.kinds[source], graph.shapes[source])
        for name, source in sources.items()
    ]
    turn = graph_of(_model(node, body, inputs, graph), tuple(value.name for value in inputs), graph.front, None)
    after = [value.name for value in body.output[1 : len(given) - 1]]
    same = all(turn.shapes.get(end) == turn.shapes[name] for end, name in zip(after, names[_COUNTERS:], strict=True))
    return turn if same else None


def _model(node: Any, body: Any, inputs: list[Any], graph: Graph) -> Any:
    """A turn as a file of its own, in which what the loop takes from outside is an input, or stored."""
    outer, taken = graph.model.graph, frozenset(taken_inside(node))
    model = onnx.ModelProto(ir_version=graph.model.ir_version, opset_import=graph.model.opset_import)
    model.graph.name = "turn"
    model.graph.input.extend(inputs)
    model.graph.node.extend(part for part in outer.node if part.op_type == "Constant" and part.output[0] in taken)
    model.graph.node.extend(body.node)
    model.graph.initializer.extend(tensor for tensor in outer.initializer if tensor.name in taken)
    model.graph.initializer.extend(body.initializer)
    model.graph.sparse_initializer.extend(part for part in outer.sparse_initializer if part.values.name in taken)
    model.graph.sparse_initializer.extend(body.sparse_initializer)
    model.graph.output.extend(body.output)
    sort_nodes(model.graph)
    for value in model.graph.output:
        if value.type.HasField("tensor_type"):
            value.type.tensor_type.ClearField("shape")
    return model


def _given(node: Any) -> list[str]:
    """Names that a loop begins with; counters that are left out are empty."""
    return [*node.input, *[""] * (_COUNTERS - len(node.input))]


def _ones(value: Any) -> list[int]:
    """The shape of a counter, which is a single number."""
    return [1] * len(value.type.tensor_type.shape.dim)


def _number(name: str, graph: Graph) -> int | None:
    found = graph.stored.get(name)
    return None if found is None else found.number


def _followed(name: str, makers: Mapping[str, Any]) -> str:
    """The tensor that holds the same number before its shape or type was changed."""
    seen: set[str] = set()
    while name in makers and name not in seen and makers[name].op_type in _SAME_NUMBER and makers[name].input:
        seen.add(name)
        name = makers[name].input[0]
    return name


def _body(node: Any) -> Any | None:
    return next((attribute.g for attribute in node.attribute if attribute.name == "body" and attribute.g.output), None)
