"""Whether floating numbers are the integers of a quantized tensor, which must not be quantized a second time."""

import numpy as np

from robust.tensors.spec import Quantization
from robust.types import AnyArray

#: Rows that are looked at together: a data set may be larger than the memory.
_BLOCK = 65536
#: Share of numbers above which clipped ones are taken for codes.
_SHARE = 0.1


def clipped_codes(x: AnyArray, q: Quantization) -> int:
    """How many of some numbers are clipped where all of them look like integers of the tensor that they are meant for.

    They do where all are whole and in the range of its type, and more than a tenth lie beyond the real numbers that it
    can hold: of counts that are given as they are, only what the calibration has not seen lies so far out. Zeros and
    ones (and −1) alone never do: indicators may miss the end of a range by a step.

    Args:
        x: Numbers (n, …).
        q: Scale, zero point and type of the tensor.

    Returns:
        The count; 0 where they are no codes, by all that can be told (clipped ones are counted elsewhere).

    >>> q = Quantization(scale=0.05, zero_point=3, dtype="int8")
    >>> clipped_codes(np.array([[-7.0, 5.0]]), q), clipped_codes(np.array([[-7.5, 5.0]]), q)
    (1, 0)
    """
    if x.dtype.kind != "f":
        return 0
    low, high = q.range
    beyond, largest = 0, 0.0
    for start in range(0, len(x), _BLOCK):
        part = np.asarray(x[start : start + _BLOCK])
        if not ((part >= low) & (part <= high) & (part == np.rint(part))).all():
            return 0
        beyond += q.clipped(part)
        largest = max(largest, float(np.abs(part).max(initial=0.0)))
    return beyond if largest > 1 and beyond > _SHARE * x.size else 0


def asked_back(beyond: int, x: AnyArray, q: Quantization, *, rows: str, taker: str, form: str) -> str:
    """The question for numbers that look like codes.

    Args:
        beyond: How many are clipped.
        x: The numbers.
        q: Scale, zero point and type of the tensor.
        rows: What they are called.
        taker: The tensor, as what takes them.
        form: Files that hold integers as such.
    """
    low, high = q.ends
    return (
        f"{rows} are {x.dtype}, but whole numbers alone, {x.min():g} … {x.max():g}, of which {beyond} of {x.size} lie "
        f"beyond {low:.6g} … {high:.6g}, all that {taker} can hold ({q.dtype}, {q.words}): are these its {q.dtype} "
        f"codes? Give them as {q.dtype} ({form}), or the real numbers that they stand for; real numbers that lie so "
        "far out ask for another calibration"
    )
