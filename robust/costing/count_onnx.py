"""Counts an ONNX file from its graph."""

import ast
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from robust.costing.graph_onnx import Graph, read_graph
from robust.costing.liveness import peak_memory
from robust.costing.memory_onnx import Plan, memory_run
from robust.costing.operators_onnx import RULES, is_free, reason
from robust.costing.tally import Layer, Quantity, Tally, Uncounted
from robust.costing.weights_onnx import Owned, is_folded, owners
from robust.types import AnyArray

_NOTE = (
    "operators run in the file's order; activations between quantization nodes are priced at their integer width, "
    "folded constants belong to ROM, scratch memory of an operator is not counted"
)
#: What exporters and quantizers append to the name of a weight.
_ENDINGS = ("_quantized", "_Q4", "_fp16")
_LONGEST = 10_000
_HIERARCHY, _SCOPES = "pkg.torch.onnx.class_hierarchy", "pkg.torch.onnx.name_scopes"


def count_onnx(
    content: bytes, *, row_shapes: Sequence[tuple[int, ...]] | None, values: Sequence[AnyArray] | None
) -> Tally:
    """Count a file.

    Args:
        content: Bytes of an ONNX file.
        row_shapes: Shape of a row of each input, without the batch; None for what the file says.
        values: One row (1, …) of each input, or None.

    Returns:
        The counts; MACC are a row's.

    Raises:
        InvalidInput: If an input's shape is neither in the file nor given, or contradicts the file.
    """
    graph = read_graph(content, row_shapes=row_shapes, values=values)
    owned, plan = owners(graph), Plan(graph)
    named = _names(graph, plan, owned)
    layers: dict[str, Layer] = {}
    uncounted: list[Uncounted] = []
    for node, own, (name, kind) in zip(graph.nodes, owned, named, strict=True):
        if is_folded(node, graph):
            continue
        macc = _macc(node, graph)
        if macc is None:
            uncounted.append(_missed(node, name, known=(node.domain, node.op_type) in RULES))
        output = graph.size(plan.buffer(node.output[0])) or 0
        layer = Layer(name=name, kind=kind, macc=macc, parameters=own.parameters, rom=own.rom, output=output)
        layers[name] = _joined(layers[name], layer) if name in layers else layer
    run = memory_run(graph, plan, [name for name, _ in named])
    uncounted += [_sizeless(name) for name in run.unknown]
    ram, ram_without_io = (
        peak_memory(run.steps, run.sizes, inputs=run.inputs, outputs=run.outputs, boundary=boundary)
        for boundary in (True, False)
    )
    return Tally(
        layers=tuple(layer for layer in layers.values() if _is_shown(layer)),
        uncounted=tuple(dict.fromkeys(uncounted)),
        parameters=sum(own.parameters for own in owned),
        rom=sum(own.rom for own in owned),
        ram=ram,
        ram_without_io=ram_without_io,
        rows=graph.rows,
        notes=(_NOTE,),
    )


def _macc(node: Any, graph: Graph) -> int | None:
    """Multiply-accumulates of a node for one row, or None.

    Where the first axis of the inputs is no batch (time, a height), a row of it is no inference: a share that is no
    whole number shows it, and so does a recurrent layer whose batch has another size.
    """
    rule = RULES.get((node.domain, node.op_type))
    if rule is None:
        return 0 if is_free(node) else None
    try:
        total = rule(node, graph)
    except (KeyError, IndexError, ValueError, ZeroDivisionError, UnicodeDecodeError):
        return None
    return None if total % graph.rows else total // graph.rows


def _missed(node: Any, name: str, *, known: bool) -> Uncounted:
    kind = f"{node.domain}.{node.op_type}" if node.domain not in ("", "ai.onnx") else node.op_type
    why = "its shapes are not known, or the first axis of the model's inputs is no batch" if known else reason(node)
    inside = any(attribute.HasField("g") or attribute.graphs for attribute in node.attribute)
    affects: tuple[Quantity, ...] = ("macc", "ram") if inside else ("macc",)
    return Uncounted(name=name, kind=kind, reason=why, affects=affects)


def _sizeless(name: str) -> Uncounted:
    return Uncounted(name=name, kind="tensor", reason="its size is not known before the run", affects=("ram",))


def _joined(first: Layer, second: Layer) -> Layer:
    """Two nodes of one module."""
    counted = None if first.macc is None and second.macc is None else (first.macc or 0) + (second.macc or 0)
    return replace(
        first,
        kind=second.kind if second.macc and not first.macc else first.kind,
        macc=counted,
        parameters=first.parameters + second.parameters,
        rom=first.rom + second.rom,
        output=second.output,
    )


def _is_shown(layer: Layer) -> bool:
    """Whether a layer is more than a conversion."""
    conversion = layer.kind in ("QuantizeLinear", "DequantizeLinear", "Cast", "Identity")
    return not conversion or layer.macc != 0 or layer.rom > 0


def _names(graph: Graph, plan: Plan, owned: Sequence[Owned]) -> list[tuple[str, str]]:
    """Name and kind of the layer of each node; one that only renames bytes belongs to the layer that made them."""
    named: list[tuple[str, str]] = []
    makers: dict[str, tuple[str, str]] = {}
    for place, (node, own) in enumerate(zip(graph.nodes, owned, strict=True)):
        maker = makers.get(node.input[0]) if node.input else None
        found = maker if maker is not None and plan.vanishes(node) else _named(node, place, own)
        named.append(found)
        if not is_folded(node, graph):
            makers |= {name: found for name in node.output if name}
    return named


def _named(node: Any, place: int, own: Owned) -> tuple[str, str]:
    """Name and kind of the layer of a node: its module's, where the weights' names or the exporter's notes tell."""
    notes = {entry.key: entry.value for entry in node.metadata_props if entry.key in (_HIERARCHY, _SCOPES)}
    scopes, classes = _listed(notes.get(_SCOPES)), _listed(notes.get(_HIERARCHY))
    kind = classes[-2].rpartition(".")[2] if len(classes) > 1 and scopes[-2:-1] not in ([], [""]) else node.op_type
    for stored in own.names:
        for ending in _ENDINGS:
            stored = stored.removesuffix(ending)
        module, dot, leaf = stored.rpartition(".")
        if dot and leaf.startswith(("weight", "bias", "kernel", "in_proj_weight", "in_proj_bias")):
            return module, node.op_type
    if len(scopes) > 1 and scopes[-2] and not scopes[-2].startswith("_empty_nn_module_stack"):
        return scopes[-2], kind
    if node.name.startswith("/"):
        module, _, own_name = node.name[1:].rpartition("/")
        return (module.replace("/", ".") or own_name), node.op_type
    return node.name or f"{node.op_type}_{place}", node.op_type


def _listed(text: str | None) -> list[str]:
    """A list of words as an exporter wrote it."""
    if not text or len(text) > _LONGEST:
        return []
    try:
        found = ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return []
    return [str(item) for item in found] if isinstance(found, list) else []
