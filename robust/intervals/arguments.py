"""What every bound asks of its arguments, so that each says it in the same words."""

import math
from numbers import Integral, Real

import numpy as np

from robust.errors import InvalidInput
from robust.types import AnyArray, FloatArray


def check_level(level: object) -> float:
    """Return a one-sided confidence level as a float.

    Args:
        level: One-sided confidence level, strictly between 0.5 and 1.

    Returns:
        The level.

    Raises:
        InvalidInput: ``level`` is no number strictly between 0.5 and 1.
    """
    if isinstance(level, bool) or not isinstance(level, Real) or not 0.5 < float(level) < 1.0:
        raise InvalidInput(f"level got {level!r}; a number strictly between 0.5 and 1, such as 0.95, would be right")
    return float(level)


def check_whole(name: str, number: object, *, least: int) -> int:
    """Return a whole number of rows or draws as an int.

    Args:
        name: What is counted, as the subject of the message.
        number: The count.
        least: Smallest value allowed.

    Returns:
        The count.

    Raises:
        InvalidInput: ``number`` is not whole or is below ``least``.
    """
    if isinstance(number, bool) or not isinstance(number, Integral) or int(number) < least:
        raise InvalidInput(f"{name} got {number!r}; a whole number of at least {least} would be right")
    return int(number)


def check_finite(name: str, number: object) -> float:
    """Return a finite number as a float.

    Args:
        name: What the number is, as the subject of the message.
        number: The number.

    Returns:
        The number.

    Raises:
        InvalidInput: ``number`` is no number, NaN or infinite.
    """
    if isinstance(number, bool) or not isinstance(number, Real) or not math.isfinite(float(number)):
        raise InvalidInput(f"{name} got {number!r}; a finite number would be right")
    return float(number)


def check_column(name: str, values: AnyArray, *, length: int | None = None) -> FloatArray:
    """Return one finite float a row.

    Args:
        name: What the values are, as the subject of the message.
        values: Shape (n,), n at least 1.
        length: Number of rows that it must have; None for any.

    Returns:
        The values as float64, shape (n,).

    Raises:
        InvalidInput: Wrong shape, no rows, another length, or a value that is no finite number.
    """
    array = np.asarray(values)
    if array.ndim != 1 or array.size == 0:
        raise InvalidInput(f"{name} got shape {array.shape}; one value a row, at least one row, would be right")
    if length is not None and array.size != length:
        raise InvalidInput(f"{name} got {array.size} rows; {length} rows, one for each of the others, would be right")
    if array.dtype.kind not in "fiub":
        raise InvalidInput(f"{name} got dtype {array.dtype}; numbers would be right")
    column = array.astype(np.float64)
    if not np.isfinite(column).all():
        row = int(np.flatnonzero(~np.isfinite(column))[0])
        raise InvalidInput(f"{name} got {float(column[row])!r} in row {row}; finite numbers would be right")
    return column
