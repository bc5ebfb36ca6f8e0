"""Operators of an ONNX graph that make up one module, taken together as the layer that the module is in torch."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from robust.layers.blocks import Block, family
from robust.layers.flow_onnx import Flow
from robust.models.layer_names import layer_of

#: A product with one weight is the layer as it is.
_PLAIN = ("conv", "convtranspose", "linear")
_HANDING_ON = frozenset(("Identity", "Reshape", "Flatten", "Squeeze", "Unsqueeze", "Transpose", "Cast"))


def whole_modules(flow: Flow, blocks: tuple[Block, ...], modules: Mapping[str, str]) -> tuple[Block, ...]:
    """Layers, those that are parts of one module of torch put together: an LSTM, attention, a layer normalisation.

    Such a module ends where the last of its parts does, after what still hands its numbers on under its name: an LSTM
    of ONNX has time as its first axis, and its module has rows there. A module from whose inside others read is left in
    parts.

    Args:
        flow: The graph.
        blocks: Its layers, in the order of a run.
        modules: Names and classes of modules that are one layer each.

    Returns:
        The layers, in the order of a run.
    """
    places = {id(node): place for place, node in enumerate(flow.graph.node)}
    for name, kind in modules.items():
        parts = [block for block in blocks if _within(block.name, name)]
        if not parts or (len(parts) == 1 and parts[0].family in _PLAIN) or _leaks(flow, blocks, parts):
            continue
        last = parts[-1]
        end = _handed_on(flow, places, last.end, name)
        inside = {block.end for block in parts}
        feeds = dict.fromkeys(feed for block in parts for feed in block.feeds if feed not in inside)
        weighted = [block for block in parts if block.weight is not None]
        whole = replace(
            last,
            name=name,
            kind=kind if len(parts) > 1 or family(kind) == last.family else last.kind,
            end=end,
            aliases=last.aliases if end == last.end else (end,),
            integers=last.integers if end == last.end else flow.bundle(end).packed is not None,
            weight=weighted[0].weight if len(weighted) == 1 else None,
            fold=weighted[0].fold if len(weighted) == 1 else None,
            feeds=tuple(feeds),
        )
        kept = [block for block in blocks if block is last or block not in parts]
        blocks = tuple(whole if block is last else _reading(block, last.end, end) for block in kept)
    return blocks


def _reading(block: Block, old: str, new: str) -> Block:
    """A layer that reads another point in place of one."""
    return replace(block, feeds=tuple(new if feed == old else feed for feed in block.feeds))


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
