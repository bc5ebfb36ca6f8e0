"""What loops and branches read from outside: told to quantizers, which look at a node's own inputs alone."""

from collections.abc import Iterator, Mapping
from typing import Any

import onnx
from onnx import helper

from robust.costing.graph_onnx import sort_nodes, subgraphs, taken_inside

_END = "_inside"


def with_plain_reads(model: onnx.ModelProto) -> tuple[str, ...]:
    """Hand each tensor that a loop or branch takes from outside through an `Identity` outside of it.

    A quantizer that makes integers of a tensor, or leaves the activation behind it out, mends what reads it by the
    inputs of nodes: the `Identity` is mended, and what stands inside reads that.

    Args:
        model: A prepared float model; it is changed.

    Returns:
        Names of the nodes that were added, for `without_plain_reads`.
    """
    graph = model.graph
    makers = {name: place for place, node in enumerate(graph.node) for name in node.output if name}
    wanted = dict.fromkeys(name for node in graph.node for name in taken_inside(node) if name in makers)
    taken = {name for node in _within(graph) for name in (*node.input, *node.output)}
    taken |= {tensor.name for tensor in graph.initializer} | {value.name for value in graph.input}
    new: dict[str, str] = {}
    for name in wanted:
        new[name] = name + _END
        while new[name] in taken:
            new[name] += _END
    for node in graph.node:
        _rename_inside(node, new)
    added = [helper.make_node("Identity", [old], [name], name=name) for old, name in new.items()]
    graph.node.extend(added)
    sort_nodes(graph)
    return tuple(node.name for node in added)


def without_plain_reads(model: onnx.ModelProto, added: tuple[str, ...]) -> None:
    """Let loops and branches read what quantizers made of those tensors, and put nodes in order.

    Args:
        model: The quantized model; it is changed.
        added: Names of the nodes that were added.
    """
    graph, names = model.graph, frozenset(added)
    through = [node for node in graph.node if node.op_type == "Identity" and node.name in names]
    kept = [node for node in graph.node if node not in through]
    old = {node.output[0]: node.input[0] for node in through}
    for node in kept:
        _rename_inside(node, old)
    del graph.node[:]
    graph.node.extend(kept)
    sort_nodes(graph)


def _rename_inside(node: Any, new: Mapping[str, str]) -> None:
    """Rename what the graphs inside a node read; no name stands for two tensors, inside or outside."""
    for inner in subgraphs(node):
        for part in _within(inner):
            for place, name in enumerate(part.input):
                part.input[place] = new.get(name, name)


def _within(graph: Any) -> Iterator[Any]:
    """Nodes of a graph and of the graphs inside it."""
    for node in graph.node:
        yield node
        for inner in subgraphs(node):
            yield from _within(inner)
