"""An ONNX graph with the shape of every tensor settled, and with what does not change from run to run folded away."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import onnx
from onnx import TensorProto, helper, inliner, numpy_helper

from robust.costing.inputs_onnx import Front, settled
from robust.costing.longer_onnx import lengthen
from robust.costing.order_onnx import places_in_order
from robust.costing.shapes_onnx import inferred
from robust.costing.words import counted
from robust.errors import InvalidInput
from robust.types import AnyArray

#: Operators whose answer is known before the run, whatever the values: shapes are settled.
_OF_SHAPES = frozenset({"Shape", "Size"})
#: Never the same twice, or made anew by each run.
_RANDOM = frozenset(
    {"RandomNormal", "RandomUniform", "RandomNormalLike", "RandomUniformLike", "Bernoulli", "Multinomial"}
)
_WORDS = {"FLOAT": 32, "DOUBLE": 64, "BOOL": 8}
_WHOLE = frozenset({TensorProto.BOOL, TensorProto.INT32, TensorProto.INT64})
#: Where one value of a type is one entry of a field.
_TYPED = {TensorProto.FLOAT: "float_data", TensorProto.DOUBLE: "double_data", TensorProto.INT64: "int64_data"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Constant:
    """A tensor that the file stores.

    Args:
        kind: Element type, a `TensorProto.DataType`.
        shape: Shape.
        extra: Bytes beside the elements, such as the places of a sparse tensor's; or of text.
        zero: Whether it is known that all elements are 0.
        number: The value of a single whole number or truth value; None for all else.
    """

    kind: int
    shape: tuple[int, ...]
    extra: int = 0
    zero: bool = False
    number: int | None = None

    @property
    def bytes(self) -> int:
        """Bytes as stored; elements of less than a byte are packed."""
        return (prod(self.shape) * (bits(self.kind) or 0) + 7) // 8 + self.extra


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Graph:
    """A graph at settled shapes.

    Args:
        nodes: All nodes, in order.
        inputs: Names of the inputs that the caller fills.
        outputs: Names of the outputs.
        stored: Tensors that the file stores, by name.
        fixed: Names that are the same in every run: stored tensors, and what is computed from these alone.
        shapes: Shape of each tensor that has a known one.
        kinds: Element type of each tensor that has a known one.
        measured: Names whose shape a run told, so that it may depend on values.
        front: Axes of the inputs that could be the batch.
        model: The file at these shapes.
    """

    nodes: tuple[Any, ...]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    stored: Mapping[str, Constant]
    fixed: frozenset[str]
    shapes: Mapping[str, tuple[int, ...]]
    kinds: Mapping[str, int]
    measured: frozenset[str]
    front: Front
    model: Any

    def size(self, name: str) -> int | None:
        """Bytes of a tensor of a run, or None where they are not known."""
        width = bits(self.kinds.get(name, TensorProto.UNDEFINED))
        if name not in self.shapes or width is None:
            return None
        return (prod(self.shapes[name]) * width + 7) // 8


def bits(kind: int) -> int | None:
    """Bits of one element; None for text and unknown types.

    >>> bits(TensorProto.FLOAT), bits(TensorProto.INT8), bits(TensorProto.UINT4), bits(TensorProto.STRING)
    (32, 8, 4, None)
    """
    name = TensorProto.DataType.Name(kind)
    found = re.search(r"\d+", name)
    return int(found[0]) if found else _WORDS.get(name)


def read_graph(
    content: bytes,
    *,
    row_shapes: Sequence[tuple[int, ...]] | None,
    values: Sequence[AnyArray] | None,
    base: Graph | None = None,
) -> Graph:
    """Read a file and settle its shapes.

    Args:
        content: Bytes of an ONNX file.
        row_shapes: Shape of each input, whole or of a row without the batch; None for what the file says.
        values: One row (1, …) of each input, for shapes that depend on values; zeros where not given.
        base: The same file as read before, to read it with the axes that could be the batch twice as long.

    Returns:
        The graph.

    Raises:
        InvalidInput: If an input's shape is neither in the file nor given, or what is given contradicts the file, or
            a stored tensor has not the bytes that its shape needs.
    """
    model = onnx.load_model_from_string(content)
    if not model.graph.output:
        raise InvalidInput("the file holds no graph with an output: copy or export it again")
    if model.functions:
        model = inliner.inline_local_functions(model)
    sort_nodes(model.graph)
    stored = dict(stored_tensors(model.graph))
    _check_order(model.graph, frozenset(stored))
    inputs, front = settled(model, frozenset(stored), row_shapes)
    if base is not None:
        lengthen(model, inputs, front, tuple(stored), base.shapes)
    return graph_of(model, inputs, front, values)


def graph_of(model: Any, inputs: tuple[str, ...], front: Front, values: Sequence[AnyArray] | None) -> Graph:
    """The graph of a file whose inputs have settled shapes.

    Args:
        model: The file, without functions.
        inputs: Names of the inputs that the caller fills.
        front: Axes of the inputs that could be the batch.
        values: One row (1, …) of each input, or None.
    """
    stored = dict(stored_tensors(model.graph))
    shapes, kinds, measured = inferred(model, inputs, values)
    for name, constant in stored.items():
        shapes[name], kinds[name] = constant.shape, constant.kind
    return Graph(
        nodes=tuple(model.graph.node),
        inputs=inputs,
        outputs=tuple(value.name for value in model.graph.output),
        stored=stored,
        fixed=_fixed(model.graph.node, frozenset(stored)),
        shapes=shapes,
        kinds=kinds,
        measured=measured,
        front=front,
        model=model,
    )


def sort_nodes(graph: Any) -> None:
    """Put the nodes of a graph in order: runtimes sort by themselves, and quantizers forget what a loop reads."""
    nodes = list(graph.node)
    order = places_in_order([node.output for node in nodes], [reads(node) for node in nodes])
    if order != sorted(order):
        del graph.node[:]
        graph.node.extend(nodes[place] for place in order)


def reads(node: Any) -> tuple[str, ...]:
    """Names that a node reads, those that the graphs inside it take from outside included."""
    return tuple(dict.fromkeys((*(name for name in node.input if name), *taken_inside(node))))


def taken_inside(node: Any) -> tuple[str, ...]:
    """Names that the graphs inside a node take from outside."""
    names: dict[str, None] = {}
    for inner in subgraphs(node):
        made = {value.name for value in inner.input} | {name for part in inner.node for name in part.output}
        made |= {tensor.name for tensor in inner.initializer} | {part.values.name for part in inner.sparse_initializer}
        wanted = [name for part in inner.node for name in reads(part)] + [value.name for value in inner.output]
        names |= dict.fromkeys(name for name in wanted if name not in made)
    return tuple(names)


def setting(node: Any, name: str, default: Any) -> Any:
    """An attribute of a node."""
    for attribute in node.attribute:
        if attribute.name == name:
            return helper.get_attribute_value(attribute)
    return default


def subgraphs(node: Any) -> list[Any]:
    """Graphs inside a node."""
    found = [attribute.g for attribute in node.attribute if attribute.type == onnx.AttributeProto.GRAPH]
    return found + [graph for attribute in node.attribute for graph in attribute.graphs]


def _check_order(graph: Any, stored: frozenset[str]) -> None:
    """Nothing may be read before it is made, or made twice: all that follows one name to the next relies on it."""
    known = {*stored, *(value.name for value in graph.input)}
    for node in graph.node:
        early = [name for name in reads(node) if name not in known]
        again = [name for name in node.output if name and name in known and node.op_type != "Constant"]
        if early or again:
            what = f"reads {early[0]!r} before it is made" if early else f"makes {again[0]!r} a second time"
            raise InvalidInput(f"node {node.name!r} ({node.op_type}) {what}: export the file again")
        known.update(name for name in node.output if name)


def stored_tensors(graph: Any) -> Iterator[tuple[str, Constant]]:
    """Tensors that a file stores: initialisers and constants, those of inner graphs included."""
    for tensor in graph.initializer:
        yield tensor.name, _constant(tensor)
    for sparse in graph.sparse_initializer:
        yield sparse.values.name, _sparse(sparse)
    for node in graph.node:
        if node.op_type == "Constant" and node.domain in ("", "ai.onnx") and node.output:
            yield node.output[0], _of_node(node)
        for inner in subgraphs(node):
            yield from stored_tensors(inner)


def _of_node(node: Any) -> Constant:
    """What a Constant node holds."""
    (attribute,) = node.attribute[:1] or (None,)
    if attribute is None:
        raise InvalidInput(f"the constant {node.output[0]!r} holds nothing")
    if attribute.name == "value":
        return _constant(attribute.t)
    if attribute.name == "sparse_value":
        return _sparse(attribute.sparse_tensor)
    found = helper.get_attribute_value(attribute)
    several = isinstance(found, (list, tuple)) or attribute.name.endswith("s")
    shape = (len(found),) if several else ()
    if "string" in attribute.name:
        return Constant(kind=TensorProto.STRING, shape=shape, extra=sum(map(len, found if several else [found])))
    if "float" in attribute.name:
        return Constant(kind=TensorProto.FLOAT, shape=shape)
    (number,) = (found if several else [found])[:1] or (None,)
    return Constant(kind=TensorProto.INT64, shape=shape, number=number if prod(shape) == 1 else None)


def _constant(tensor: Any) -> Constant:
    """A stored tensor; what its shape needs must be there."""
    if any(size < 0 for size in tensor.dims):
        raise InvalidInput(f"the stored tensor {tensor.name!r} has shape {tuple(tensor.dims)}: no size is below 0")
    typed = getattr(tensor, _TYPED.get(tensor.data_type, ""), ())
    if len(typed) not in (0, prod(tensor.dims)):
        raise InvalidInput(
            f"the stored tensor {tensor.name!r} has shape {tuple(tensor.dims)} and {counted(len(typed), 'value')}; "
            f"{prod(tensor.dims)} are needed: export the file again"
        )
    raw, text = tensor.raw_data, sum(map(len, tensor.string_data))
    zero = raw.count(0) == len(raw) if raw else len(typed) > 0 and not any(typed)
    number = _number(tensor) if tensor.data_type in _WHOLE and prod(tensor.dims) == 1 else None
    found = Constant(kind=tensor.data_type, shape=tuple(tensor.dims), extra=text, zero=zero, number=number)
    if raw and len(raw) != found.bytes - text:
        raise InvalidInput(
            f"the stored tensor {tensor.name!r} has shape {found.shape} and {counted(len(raw), 'byte')}; "
            f"{found.bytes - text} are needed: export the file again"
        )
    return found


def _number(tensor: Any) -> int | None:
    """The value of a tensor of one element; None where it is kept outside the file, or is damaged."""
    if tensor.data_location == TensorProto.EXTERNAL:
        return None
    try:
        return int(numpy_helper.to_array(tensor).item())
    except (TypeError, ValueError):
        return None


def _sparse(sparse: Any) -> Constant:
    """A sparse tensor: its values, and their places."""
    values, places = _constant(sparse.values), _constant(sparse.indices)
    dense = Constant(kind=values.kind, shape=tuple(sparse.dims))
    return Constant(kind=values.kind, shape=dense.shape, extra=values.bytes + places.bytes - dense.bytes)


def _fixed(nodes: Sequence[Any], stored: frozenset[str]) -> frozenset[str]:
    """Names that are the same in every run."""
    fixed = set(stored)
    for node in nodes:
        wanted = reads(node)
        known = bool(wanted) and fixed.issuperset(wanted) and node.op_type not in _RANDOM and not subgraphs(node)
        if known or (node.op_type in _OF_SHAPES and node.domain in ("", "ai.onnx")):
            fixed.update(name for name in node.output if name)
    return frozenset(fixed)
