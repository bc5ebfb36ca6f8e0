"""Recurrent operators of an ONNX graph that make up one module: one for each layer of an LSTM, GRU or RNN."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

from robust.costing.graph_onnx import setting
from robust.layers.blocks import RECURRENT, Block
from robust.layers.flow_onnx import Flow

#: Which output of an operator, and which tensor of a module, holds the last states, and an LSTM's cell.
_LAST = (1, 2)
_STACKING = ("Concat", "QLinearConcat")


def is_recurrent(parts: Sequence[Block]) -> bool:
    """Whether layers are, or hold, recurrent operators."""
    return any(block.family in RECURRENT for block in parts)


def recurrent_ends(flow: Flow, blocks: Sequence[Block], parts: Sequence[Block]) -> list[Block] | None:
    """Where a recurrent module's tensors are in a graph: the states of its last layer, and the last ones of all layers.

    A module of torch stacks the last states of all its layers into one tensor; a file has one for each layer, and puts
    them together where somebody reads them.

    Args:
        flow: The graph.
        blocks: All its layers.
        parts: Those within the module, in the order of a run.

    Returns:
        One block for each of the module's tensors that others read, `part` saying which; None where something else of
        its inside is read, or it holds more than the layers of one such module.
    """
    layers: dict[int, dict[int, Block]] = {}
    for block in parts:
        if block.family in RECURRENT:
            layers.setdefault(id(flow.makers[block.start]), {})[block.part] = block
    cells = list(layers.values())
    for given, following in pairwise(cells):
        states = given.get(0)
        if states is None or _readers(flow, blocks, states) != {block.end for block in following.values()}:
            return None
    found = [cells[-1][0]] if 0 in cells[-1] else []
    stacks = []
    for part in _LAST:
        last = [given[part] for given in cells if part in given]
        if last and len(cells) > 1:
            stack = _stack(flow, blocks, parts, last) if len(last) == len(cells) else None
            if stack is None:
                return None
            stacks.append(stack)
            found.append(replace(stack, part=part))
        else:
            found += last
    others = [block for block in parts if block.family not in RECURRENT and block not in stacks]
    return None if others else found


def _readers(flow: Flow, blocks: Sequence[Block], block: Block) -> set[str]:
    """Ends of the layers that read a layer, and the name of an output of the model that it is."""
    own = {block.end} if flow.ends(flow.bundle(block.end)) else set()
    return own | {other.end for other in blocks if block.end in other.feeds}


def _stack(flow: Flow, blocks: Sequence[Block], parts: Sequence[Block], last: Sequence[Block]) -> Block | None:
    """The one operator that reads the last states of all layers, and puts them together in their order."""
    ends = tuple(block.end for block in last)
    for block in parts:
        maker = flow.makers[block.start]
        if block.feeds == ends and maker.op_type in _STACKING and setting(maker, "axis", 0) == 0:
            return block if all(_readers(flow, blocks, one) == {block.end} for one in last) else None
    return None
