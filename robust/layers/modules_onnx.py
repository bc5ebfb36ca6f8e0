"""Operators of an ONNX graph that make up one module, taken together as the layer that the module is in torch."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from robust.layers.blocks import Block, family
from robust.layers.flow_onnx import Flow
from robust.layers.recurrent_onnx import is_recurrent, recurrent_ends
from robust.models.layer_names import layer_of

#: A product with one weight is the layer as it is.
_PLAIN = ("conv", "convtranspose", "linear", "embedding")
_HANDING_ON = frozenset(("Identity", "Reshape", "Flatten", "Squeeze", "Unsqueeze", "Transpose", "Cast"))


def whole_modules(flow: Flow, blocks: tuple[Block, ...], modules: Mapping[str, Sequence[Block]]) -> tuple[Block, ...]:
    """Layers, those that are parts of one module of torch put together: an LSTM, attention, a layer normalisation.

    Such a module ends where the last of its parts does, after what still hands its numbers on under its name: an LSTM
    of ONNX has time as its first axis, and its module has rows there. Of a recurrent module the last states are tensors
    of their own. A module from whose inside others read is left in parts, and so is one that is called several times.

    Args:
        flow: The graph.
        blocks: Its layers, in the order of a run.
        modules: Modules of torch that are one layer each, by name: one block for each of their tensors that is read,
            in each call.

    Returns:
        The layers, in the order of a run.
    """
    places = {id(node): place for place, node in enumerate(flow.graph.node)}
    called_once = [(name, given) for name, given in modules.items() if all(block.name == name for block in given)]
    for name, given in called_once:
        parts = [block for block in blocks if _within(block.name, name)]
        ends = _ends(flow, blocks, parts)
        if not ends:
            continue
        inside = {block.end for block in parts}
        feeds = tuple(dict.fromkeys(feed for block in parts for feed in block.feeds if feed not in inside))
        wholes = {block.end: _whole(flow, places, block, parts, given) for block in ends}
        kept = [block for block in blocks if block.end in wholes or block not in parts]
        moved = {end: whole.end for end, whole in wholes.items()}
        blocks = tuple(
            replace(wholes[block.end], feeds=feeds) if block.end in wholes else _reading(block, moved) for block in kept
        )
    return blocks


def _ends(flow: Flow, blocks: Sequence[Block], parts: Sequence[Block]) -> list[Block]:
    """The parts of a module with which its tensors end; none where it is to be left as it is."""
    if is_recurrent(parts):
        return recurrent_ends(flow, blocks, parts) or []
    if not parts or (len(parts) == 1 and parts[0].family in _PLAIN) or _leaks(flow, blocks, parts):
        return []
    return [parts[-1]]


def _whole(
    flow: Flow, places: Mapping[int, int], block: Block, parts: Sequence[Block], given: Sequence[Block]
) -> Block:
    """A module that ends with one of its parts, or where it hands that one's numbers on."""
    name, kind, part = given[0].name, given[0].kind, block.part
    if len(parts) == 1 and family(kind) != block.family:
        kind = block.kind
    if len(given) == 1 and not is_recurrent(parts):
        part = given[0].part  # the one tensor that leaves the module in both
    end = _handed_on(flow, places, block.end, name)
    weighted = [one for one in parts if one.weight is not None]
    return replace(
        block,
        name=name,
        kind=kind,
        part=part,
        end=end,
        aliases=block.aliases if end == block.end else (end,),
        points=block.points if end == block.end else (),
        integers=block.integers if end == block.end else flow.bundle(end).packed is not None,
        weight=weighted[0].weight if len(weighted) == 1 else None,
        fold=weighted[0].fold if len(weighted) == 1 else None,
    )


def _reading(block: Block, moved: Mapping[str, str]) -> Block:
    """A layer that reads other points in place of some."""
    return replace(block, feeds=tuple(moved.get(feed, feed) for feed in block.feeds))


def _within(name: str, module: str) -> bool:
    """Whether an operator's module is one, or lies in it."""
    return name == module or name.startswith(f"{module}.")


def _leaks(flow: Flow, blocks: Sequence[Block], parts: Sequence[Block]) -> bool:
    """Whether anything but the module's last part is read outside it, or is an output."""
    inner = {block.end for block in parts[:-1]}
    read = any(inner.intersection(block.feeds) for block in blocks if block not in parts)
    return read or any(flow.ends(flow.bundle(end)) for end in inner)


def _handed_on(flow: Flow, places: Mapping[int, int], end: str, module: str) -> str:
    """Where a module's numbers leave it, in whatever shape it hands them on."""
    while True:
        bundle = flow.bundle(end)
        after = flow.outside(bundle)
        if len(after) != 1 or flow.ends(bundle) or not _hands_on(after[0], places, module):
            return end
        end = after[0].output[0]


def _hands_on(node: Any, places: Mapping[int, int], module: str) -> bool:
    return node.op_type in _HANDING_ON and _within(layer_of(node, places[id(node)], ())[0], module)
