"""Whether the first axis of a torch module's inputs is the batch, found by a run with twice as many rows."""

from collections.abc import Callable, Sequence
from typing import Literal

import torch
from torch.utils._pytree import tree_leaves

from robust.costing.recorder_torch import Recorder

Finding = tuple[Literal["batch", "none", "unknown"], str]


def rows_finding(recorder: Recorder, outputs: object, rows: int, again: Callable[[], Recorder | None]) -> Finding:
    """Whether rows are independent, as far as recurrent layers and products tell.

    Rows of a batch do not meet: no product grows by more than they do, and no recurrent layer takes its steps along
    them.

    Args:
        recorder: Of a run with so many rows.
        outputs: What that run returned.
        rows: How many.
        again: Runs with twice as many; None where the module does not take them.

    Returns:
        A word and a reason.
    """
    for name, batch, _ in recorder.sequences:
        if batch != rows:
            return "none", _steps(name)
    if rows > 1 and not _in_front(outputs, rows):
        return "none", "an output does not have it in front"
    if not recorder.sequences and not recorder.meeting:
        return "batch", ""
    other = again()
    if other is None:
        same = [name for name, _, steps in recorder.sequences if steps == rows > 1]
        inside = [name for name, first in recorder.meeting if first % rows]
        if same:
            return "none", _steps(same[0])
        if inside:
            return "none", f"{inside[0] or 'the model'} multiplies activations that have another axis in front"
        return "unknown", "the model does not take twice as many rows"
    for name, batch, _ in other.sequences:
        if batch != 2 * rows:
            return "none", _steps(name)
    for name, once in recorder.macc.items():
        twice = other.macc.get(name, 0)
        if twice > 2 * once:
            label = name or recorder.kinds.get("", "the model")
            return "none", f"the products of {label} grow {twice / once:.3g} times with twice its length"
    return "batch", ""


def _steps(name: str) -> str:
    return f"{name or 'a recurrent layer'} takes its steps along it"


def _in_front(outputs: object, rows: int) -> bool:
    tensors: Sequence[torch.Tensor] = [leaf for leaf in tree_leaves(outputs) if isinstance(leaf, torch.Tensor)]
    return all(tensor.ndim > 0 and tensor.shape[0] == rows for tensor in tensors)
