"""One weight that several operators read: a copy for each before quantizers rewrite it, and one again afterwards."""

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import onnx
from onnx import TensorProto

from robust.costing.graph_onnx import subgraphs


def unshared(model: onnx.ModelProto) -> dict[str, str]:
    """Give each operator that reads a stored tensor of floats one of its own.

    Quantizers transpose the weight of a `Gemm` in place, once for each operator that reads it, and round a bias by the
    scale of the first input that it meets: where two share it, one of them computes with other numbers.

    Args:
        model: A float model; it is changed.

    Returns:
        Name of the original by name of each copy.
    """
    graph = model.graph
    stored = {t.name: t for t in graph.initializer if t.data_type == TensorProto.FLOAT and t.dims}
    taken = {t.name for t in graph.initializer} | {name for node in _within(graph) for name in node.output}
    taken |= {value.name for value in graph.input} | {name for node in _within(graph) for name in node.input}
    # What is read inside a branch or loop, or handed out, keeps its name.
    seen = Counter(name for node in graph.node for inner in subgraphs(node) for n in _within(inner) for name in n.input)
    seen.update(value.name for value in graph.output)
    copies: dict[str, str] = {}
    for node in graph.node:
        for place, name in enumerate(node.input):
            if name not in stored:
                continue
            seen[name] += 1
            if seen[name] > 1:
                copy = _free(name, taken)
                taken.add(copy)
                copies[copy] = name
                node.input[place] = copy
                tensor = graph.initializer.add()
                tensor.CopyFrom(stored[name])
                tensor.name = copy
    return copies


def rejoined(model: onnx.ModelProto, copies: Mapping[str, str]) -> None:
    """Store once what quantizers made of a tensor and of its copies, where it is the same bit for bit.

    Args:
        model: The quantized model; it is changed.
        copies: Name of the original by name of each copy.
    """
    stored = {tensor.name: tensor for tensor in model.graph.initializer}
    by_length = sorted(copies, key=len, reverse=True)
    new: dict[str, str] = {}
    for name, tensor in stored.items():
        copy = next((copy for copy in by_length if name.startswith(copy)), None)
        if copy is None:
            continue
        first = stored.get(copies[copy] + name.removeprefix(copy))
        if first is not None and _content(first) == _content(tensor):
            new[name] = first.name
    if not new:
        return
    for node in _within(model.graph):
        for place, name in enumerate(node.input):
            node.input[place] = new.get(name, name)
    kept = [tensor for tensor in model.graph.initializer if tensor.name not in new]
    del model.graph.initializer[:]
    model.graph.initializer.extend(kept)


def _within(graph: Any) -> Iterator[Any]:
    """Nodes of a graph and of the graphs inside it."""
    for node in graph.node:
        yield node
        for inner in subgraphs(node):
            yield from _within(inner)


def _free(name: str, taken: set[str]) -> str:
    """A name for a copy, behind which the module's is still to be read."""
    number = 2
    while f"{name}__{number}" in taken:
        number += 1
    return f"{name}__{number}"


def _content(tensor: TensorProto) -> bytes:
    """All of a tensor but its name."""
    plain = TensorProto()
    plain.CopyFrom(tensor)
    plain.name = plain.doc_string = ""
    content: bytes = plain.SerializeToString(deterministic=True)
    return content
