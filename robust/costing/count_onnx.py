"""Counts an ONNX file from its graph."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from robust.costing.batch_onnx import settle_batch
from robust.costing.graph_onnx import Graph, read_graph, subgraphs
from robust.costing.liveness import peak_memory
from robust.costing.memory_onnx import Plan, memory_run
from robust.costing.operators_onnx import macc_of, reason
from robust.costing.tally import Layer, Quantity, Tally, Uncounted
from robust.costing.unread import unread_note
from robust.costing.weights_onnx import Owned, is_folded, owners
from robust.models.layer_names import layer_of
from robust.types import AnyArray

_NOTE = (
    "operators run in the file's order; activations between quantization nodes are priced at their integer width, "
    "folded constants belong to ROM, scratch memory of an operator is not counted"
)


def count_onnx(
    content: bytes, *, row_shapes: Sequence[tuple[int, ...]] | None, values: Sequence[AnyArray] | None
) -> Tally:
    """Count a file.

    Args:
        content: Bytes of an ONNX file.
        row_shapes: Shape of each input, whole or of a row without the batch; None for what the file says.
        values: One row (1, …) of each input, or None.

    Returns:
        The counts; MACC are those of a row, or of a whole call where no axis is the batch.

    Raises:
        InvalidInput: If an input's shape is neither in the file nor given, or contradicts the file, or the weights of
            an operator do not fit its input.
    """
    graph = read_graph(content, row_shapes=row_shapes, values=values)
    batch = settle_batch(graph, lambda: read_graph(content, row_shapes=row_shapes, values=values, base=graph))
    owned, plan = owners(graph), Plan(graph)
    named = _names(graph, plan, owned)
    layers: dict[str, Layer] = {}
    uncounted: list[Uncounted] = []
    for node, own, (name, kind) in zip(graph.nodes, owned, named, strict=True):
        if is_folded(node, graph):
            continue
        macc = macc_of(node, graph)
        if macc is None:
            uncounted.append(_missed(node, name, graph))
        else:
            if macc and subgraphs(node):
                uncounted.append(_inside(node, name))
            macc //= batch.rows  # the decision on the batch made sure that each is a multiple
        output = graph.size(plan.buffer(node.output[0])) or 0
        layer = Layer(name=name, kind=kind, macc=macc, parameters=own.parameters, rom=own.rom, output=output)
        layers[name] = _joined(layers[name], layer) if name in layers else layer
    unread = _unread(graph, owned)
    run = memory_run(graph, plan, [name for name, _ in named])
    uncounted += [_sizeless(name) for name in run.unknown]
    ram, ram_without_io = (
        peak_memory(run.steps, run.sizes, inputs=run.inputs, outputs=run.outputs, boundary=boundary)
        for boundary in (True, False)
    )
    shown = [layer for layer in layers.values() if _is_shown(layer)]
    return Tally(
        layers=tuple(shown if unread is None else [*shown, unread[0]]),
        uncounted=tuple(dict.fromkeys(uncounted)),
        parameters=sum(own.parameters for own in owned),
        rom=sum(own.rom for own in owned) + (0 if unread is None else unread[0].rom),
        ram=ram,
        ram_without_io=ram_without_io,
        rows=batch.rows,
        whole_call=batch.whole,
        notes=tuple(note for note in (batch.note, unread[1] if unread else "", _NOTE) if note),
    )


def _missed(node: Any, name: str, graph: Graph) -> Uncounted:
    kind = f"{node.domain}.{node.op_type}" if node.domain not in ("", "ai.onnx") else node.op_type
    affects: tuple[Quantity, ...] = ("macc", "ram") if subgraphs(node) else ("macc",)
    return Uncounted(name=name, kind=kind, reason=reason(node, graph), affects=affects)


def _inside(node: Any, name: str) -> Uncounted:
    """A loop whose products are known."""
    return Uncounted(name=name, kind=node.op_type, reason="tensors inside it are not counted", affects=("ram",))


def _unread(graph: Graph, owned: Sequence[Owned]) -> tuple[Layer, str] | None:
    """Stored tensors that no operator of a run reads, as a layer and as a note."""
    read = {name for own in owned for name in own.names}
    sizes = {name: stored.bytes for name, stored in graph.stored.items() if name not in read and stored.bytes}
    if not sizes:
        return None
    layer = Layer(name="unread tensors", kind="stored", macc=0, parameters=0, rom=sum(sizes.values()), output=0)
    return layer, unread_note(sizes)


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
        found = maker if maker is not None and plan.vanishes(node) else layer_of(node, place, own.names)
        named.append(found)
        if not is_folded(node, graph):
            makers |= {name: found for name in node.output if name}
    return named
