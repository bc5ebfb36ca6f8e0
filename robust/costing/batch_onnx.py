"""Which axis of an ONNX file's inputs is the batch, found by a look at the same graph with the axis twice as long.

Rows of a batch do not meet: every product doubles with the axis, no layer takes its steps along it, and each output
has it. Time, height or tokens in front look like a batch from outside, and fail one of these.
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from typing import Any, Literal

from robust.costing.graph_onnx import Graph, subgraphs
from robust.costing.loops_onnx import body_of
from robust.costing.operators_onnx import AGAIN, macc_of, row_axis, step_axes
from robust.costing.weights_onnx import is_folded
from robust.errors import InvalidInput

Finding = tuple[Literal["batch", "none", "unknown"], str]
_EXAMPLE = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """How the counts of a run come to those of a sample.

    Args:
        rows: Samples in a run.
        whole: Whether the run itself is the sample, because no axis of more than 1 is the batch.
        note: The decision in words; empty where the first axis of every input is 1.
    """

    rows: int
    whole: bool
    note: str


def settle_batch(graph: Graph, longer: Callable[[], Graph]) -> Batch:
    """Decide on the batch.

    Args:
        graph: The graph at its settled shapes.
        longer: Reads it again with the axes that could be the batch twice as long.

    Returns:
        The decision. Where the file or the caller fixes the axis, and it is no batch or not in front of all inputs
        and outputs, the run is counted as a whole.

    Raises:
        InvalidInput: If the axis is free, its length was not given, and it is no batch: one step would be counted.
    """
    front = graph.front
    if not front.free and front.size == 1:
        return Batch(rows=1, whole=False, note="")
    if not front.places:
        return _whole(f"{front.words} differ in length")
    finding, why = _finding(graph, longer)
    if front.free:
        if finding == "none":
            name, (_, *rest) = graph.inputs[front.places[0][0]], graph.shapes[graph.inputs[front.places[0][0]]]
            raise InvalidInput(
                f"the free {front.words} cannot be the batch ({why}): give input_shape= with this axis in front, such "
                f"as {(_EXAMPLE, *rest)} for {name!r}"
            )
        doubt = "" if finding == "batch" else f"; that it is the batch could not be seen ({why})"
        return Batch(rows=1, whole=False, note=f"taken for the batch, of 1 row: {front.words}{doubt}")
    if finding == "unknown":
        finding = "batch" if _looks_like_rows(graph) else "none"
        why = f"nothing says that it is the batch: {why}" if finding == "none" else f"not tried with more rows: {why}"
        if finding == "batch":
            return Batch(rows=front.size, whole=False, note=f"{_taken(graph)} ({why})")
    return _whole(f"{front.words}: {why}") if finding == "none" else _rows(graph)


def _rows(graph: Graph) -> Batch:
    return Batch(rows=graph.front.size, whole=False, note=_taken(graph))


def _taken(graph: Graph) -> str:
    return f"taken for the batch, of {graph.front.size:,} rows: {graph.front.words}; MACC are those of one row"


def _whole(why: str) -> Batch:
    return Batch(rows=1, whole=True, note=f"no axis was taken for the batch, MACC are those of a whole call ({why})")


def _finding(graph: Graph, longer: Callable[[], Graph]) -> Finding:
    """Whether the axes are the batch, as far as twice their length shows it."""
    try:
        other = longer()
        for before, after in zip(graph.nodes, other.nodes, strict=True):
            found = None if is_folded(before, graph) else _of_node(before, after, graph, other)
            if found is not None:
                return found
    except InvalidInput as error:
        return "unknown", f"the graph does not take twice the length: {str(error).removesuffix(AGAIN)}"
    for name in graph.outputs:
        axes = _scaled(name, graph, other)
        if axes is None:
            return "unknown", f"the shape of output {name!r} is not known"
        if name not in graph.fixed and (len(axes) != 1 or (not graph.front.free and axes != {0})):
            where = " in front" if axes else ""
            kind: Literal["none", "unknown"] = "unknown" if name in graph.measured else "none"
            return kind, f"output {name!r} does not have it{where}"
    return "batch", ""


def _of_node(before: Any, after: Any, graph: Graph, other: Graph) -> Finding | None:
    """What a node shows; None for nothing against a batch."""
    label = f"{before.name or before.output[0]} ({before.op_type})"
    if before.op_type in ("Reshape", "Flatten") and not _keeps_rows(before, graph, other):
        return "unknown", f"{label} is made for one length"
    for name, axis in step_axes(before):
        grown = _scaled(name, graph, other) or set()
        if axis % max(len(graph.shapes.get(name, ())), 1) in grown:
            return "none", f"{label} takes its steps along it"
    once = macc_of(before, graph)
    if not once:
        return None
    if subgraphs(before):
        return _of_turns(before, after, graph, other)
    twice, axes = macc_of(after, other), _scaled(before.input[0], graph, other)
    if twice is None or axes is None:
        return "unknown", f"the shapes of {label} are not known for twice the length"
    rows = row_axis(before)
    if rows is not None and axes - {rows[0]}:
        return "none", f"{label} {rows[1]}"
    if twice == once:
        return None if graph.front.free else ("unknown", f"{label} is made for one length")
    if twice != 2 * once:
        return "none", f"the products of {label} grow {twice / once:.3g} times with twice its length"
    made = _scaled(before.output[0], graph, other)
    if made is not None and len(made) != 1:
        return "none", f"{label} sums over it"
    return None


def _of_turns(before: Any, after: Any, graph: Graph, other: Graph) -> Finding | None:
    """What the nodes of a loop show: each is looked at as if it stood outside."""
    short, long = body_of(before, graph), body_of(after, other)
    if short is None or long is None:
        return "unknown", f"{before.name or before.output[0]} ({before.op_type}) is made for one length"
    found = (_of_node(one, two, short, long) for one, two in zip(short.nodes, long.nodes, strict=True))
    return next((finding for finding in found if finding is not None), None)


def _keeps_rows(node: Any, graph: Graph, other: Graph) -> bool:
    """Whether a node that rearranges numbers leaves rows whole.

    A target that was written down for one row, such as (1, 8, -1), has room for two of them in a wrong place alone:
    the axis that grows then spans less than all numbers of a row, and holds more than the rows.
    """
    source, made = node.input[0], node.output[0]
    shapes = other.shapes.get(source), other.shapes.get(made)
    if shapes[0] is not None and shapes[1] is not None and prod(shapes[0]) != prod(shapes[1]):
        return False
    spans, lengths = [], []
    for name in (source, made):
        axes = _scaled(name, graph, other)
        if axes is None or len(axes) != 1:
            return True
        spans.append(prod(graph.shapes[name][min(axes) :]))
        lengths.append(graph.shapes[name][min(axes)])
    return spans[1] >= spans[0] or lengths[1] == graph.front.size


def _scaled(name: str, graph: Graph, other: Graph) -> set[int] | None:
    """Axes of a tensor that grow with the batch; None where they are not known."""
    before, after = graph.shapes.get(name), other.shapes.get(name)
    if before is None or after is None or len(before) != len(after):
        return None
    return {axis for axis, (short, long) in enumerate(zip(before, after, strict=True)) if short != long}


def _looks_like_rows(graph: Graph) -> bool:
    """Whether all outputs have the length in front, and no layer contradicts: all that a graph of one length shows."""
    size = graph.front.size
    firsts = [graph.shapes.get(name, ())[:1] for name in graph.outputs if name not in graph.fixed]
    if any(first != (size,) for first in firsts):
        return False
    for node in graph.nodes:
        macc, rows = macc_of(node, graph), row_axis(node)
        if macc and macc % size:
            return False
        shape = graph.shapes.get(node.input[0], ()) if macc and rows is not None else ()
        if rows is not None and rows[0] == 1 and len(shape) > 1 and (shape[1] != size or shape[0] == size):
            return False
        if macc and not graph.fixed.intersection(node.input[:2]) and rows is None:
            made = graph.shapes[node.output[0]]
            if len(made) > 2 and made[0] % size:
                return False  # activations meet activations, with another axis in front
    return True
