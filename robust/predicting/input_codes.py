"""Rows for models that take integers of 8 or 16 bits: real numbers are quantized, which is told; codes stay codes."""

import numpy as np

from robust.data.dataset import Dataset
from robust.errors import InvalidInput
from robust.models.base import Model
from robust.models.row_types import RowType, row_type
from robust.tensors.spec import QUANTIZED, Quantization
from robust.types import AnyArray

#: Rows that are looked at together: a data set may be larger than the memory.
_BLOCK = 65536


def conversion_note(model: Model, x: AnyArray) -> str | None:
    """What is done to rows before a model sees them, or None.

    Args:
        model: The model.
        x: Rows (n, …).

    Returns:
        A sentence where floating rows are quantized.
    """
    known = row_type(model) if x.dtype.kind == "f" else None
    if known is None or known.codes is None:
        return None
    return f"{x.dtype} rows are quantized for {model.name}, which takes {known.dtype}, with {known.codes.words}"


def clipping_note(model: Model, data: Dataset) -> str | None:
    """How much of the data lies beyond what a model's integers can hold, or None.

    Args:
        model: The model.
        data: The rows.

    Returns:
        The share of numbers that are clipped, in a sentence.
    """
    known = row_type(model) if data.x.dtype.kind == "f" else None
    if known is None or known.codes is None:
        return None
    low, high = known.codes.ends
    blocks = (np.asarray(data.x[i : i + _BLOCK]) for i in range(0, len(data.x), _BLOCK))
    beyond = sum(known.codes.clipped(part) for part in blocks)
    if not beyond:
        return None
    return (
        f"{beyond} of {data.x.size} numbers of {data.name} lie beyond {low:.6g} … {high:.6g}, all that the input of "
        f"{model.name} can hold, and are clipped: was it calibrated on such rows, and are these in its units?"
    )


def check_rows_of_both(reference: Model, candidate: Model, data: Dataset) -> None:
    """Refuse to compare two models on rows that are codes of the one and real numbers, or other codes, to the other.

    Args:
        reference: The one model.
        candidate: The other; of a function nothing is known, it may read the codes itself.
        data: The rows; floating ones are quantized for whoever takes integers, and always fit.

    Raises:
        InvalidInput: If the rows are integers of 8 or 16 bits that have a scale in one model and not the same in the
            other.
    """
    kind = str(data.x.dtype)
    if kind not in QUANTIZED:
        return
    for one, other in ((candidate, reference), (reference, candidate)):
        own, theirs = row_type(one), row_type(other)
        codes = _codes(own, kind)
        if codes is None or own is None or theirs is None or _codes(theirs, kind) == codes:
            continue
        if theirs.dtype == kind and theirs.codes is None:
            continue  # it takes the very integers, and does not say what they stand for
        scale = f" ({theirs.codes.words})" if theirs.codes is not None else ""
        raise InvalidInput(
            f"the rows of {data.name} are {kind}: codes of {one.name} ({codes.words}), whereas {other.name} takes "
            f"{theirs.dtype}{scale}, for which they are other numbers; give the float rows, they are quantized for "
            "whoever takes integers"
        )


def _codes(known: RowType | None, kind: str) -> Quantization | None:
    """The scale that integer rows have to a model; None where they are the numbers that they look like."""
    if known is None or known.codes is None or known.dtype != kind:
        return None
    plain = known.codes.scale == 1.0 and known.codes.zero_point == 0
    return None if plain else known.codes
