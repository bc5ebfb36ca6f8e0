"""Rows for models that take integers of 8 or 16 bits: real numbers are quantized, which is told; codes stay codes."""

import numpy as np

from robust.data.dataset import Dataset
from robust.errors import InvalidInput
from robust.models.base import Model
from robust.models.row_types import RowType, row_type
from robust.tensors.code_likeness import asked_back, clipped_codes
from robust.tensors.spec import QUANTIZED, Quantization
from robust.types import AnyArray

#: Rows that are looked at together: a data set may be larger than the memory.
_BLOCK = 65536
#: Frameworks whose models are networks; scikit-learn's take the numbers of a table in whatever type.
_NETWORKS = frozenset({"onnx", "torch"})


def conversion_note(model: Model, x: AnyArray) -> str | None:
    """What is done to rows before a model sees them, or None.

    Args:
        model: The model.
        x: Rows (n, …).

    Returns:
        A sentence where floating rows are quantized.
    """
    known = _coding(model, x)
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
    known = _coding(model, data.x)
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


def row_notes(model: Model, data: Dataset) -> tuple[str, ...]:
    """What a reader must know of the rows that a model is asked: numbers that are clipped, and int8 for floats."""
    return tuple(note for note in (clipping_note(model, data), plain_note(model, data)) if note is not None)


def check_no_codes(model: Model, data: Dataset) -> None:
    """Refuse floating rows that look like the codes of a model's integers: they would be quantized a second time.

    Args:
        model: The model.
        data: The rows.

    Raises:
        InvalidInput: If all are whole numbers of its integer type, and some lie beyond the reals that it can hold.
    """
    known = _coding(model, data.x)
    if known is None or known.codes is None:
        return
    if beyond := clipped_codes(data.x, known.codes):
        rows, taker = f"the rows of {data.name}", f"the input of {model.name}"
        form = ".npz or arrays; tables are read as floating numbers"
        raise InvalidInput(asked_back(beyond, data.x, known.codes, rows=rows, taker=taker, form=form))


def _coding(model: Model, x: AnyArray) -> RowType | None:
    """What a model that can quantize floating rows makes of them: ONNX files alone do, others need not be opened."""
    return row_type(model) if x.dtype.kind == "f" and model.framework == "onnx" else None


def plain_note(model: Model, data: Dataset) -> str | None:
    """That a network takes int8 rows for the numbers that they look like, or None.

    Pixels are uint8 and samples of sound int16, and tables hold small integers of any type; int8 rows of a network are
    mostly codes, which nothing here can tell from numbers.

    Args:
        model: The model.
        data: The rows.

    Returns:
        A sentence for int8 rows of a network with floating input.
    """
    if data.x.dtype != np.int8 or model.framework not in _NETWORKS:
        return None
    known = row_type(model)
    if known is None or not known.dtype.startswith("float"):
        return None
    return (
        f"the rows of {data.name} are int8, {model.name} takes {known.dtype}: they are taken as the numbers that they "
        "look like; if they are codes of a quantized model, the float rows that they stand for would be right"
    )


def check_rows_of_both(reference: Model, candidate: Model, data: Dataset) -> str | None:
    """Refuse to compare two models on rows that are codes of the one and real numbers, or other codes, to the other.

    Args:
        reference: The one model.
        candidate: The other.
        data: The rows; floating ones are quantized for whoever takes integers, and always fit.

    Returns:
        What a reader must know where a function gets the codes of the other model, which it may read itself; or None.

    Raises:
        InvalidInput: If the rows are integers, of whatever width, that have a scale in one model and not the same in
            the other.
    """
    kind = data.x.dtype
    if kind.kind not in "biu":
        return None
    for one, other in ((candidate, reference), (reference, candidate)):
        own, theirs = row_type(one), row_type(other)
        codes = _codes(own, str(kind))
        if codes is None or own is None or _codes(theirs, str(kind)) == codes:
            continue
        found = f"the rows of {data.name} are {kind}: codes of {one.name} ({codes.words})"
        if theirs is None:
            return f"{found}; {other.name} reads them as they are, which is right if it knows what they stand for"
        if theirs.dtype == own.dtype and theirs.codes is None:
            continue  # it takes the very integers, and does not say what they stand for
        scale = f" ({theirs.codes.words})" if theirs.codes is not None else ""
        raise InvalidInput(
            f"{found}, whereas {other.name} takes {theirs.dtype}{scale}, for which they are other numbers; give the "
            "float rows, they are quantized for whoever takes integers"
        )
    return None


def _codes(known: RowType | None, kind: str) -> Quantization | None:
    """The scale that integer rows have to a model; None where they are the numbers that they look like.

    Wider integers that fit are taken as its codes, too; those of another small type it refuses itself.
    """
    if known is None or known.codes is None or (kind in QUANTIZED and kind != known.dtype):
        return None
    plain = known.codes.scale == 1.0 and known.codes.zero_point == 0
    return None if plain else known.codes
