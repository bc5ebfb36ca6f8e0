"""Inputs that are arrays of numbers: checked, and left as they are."""

import numpy as np

from robust.data.columns import RawColumn, plain_type, raw_column
from robust.data.large import row_blocks
from robust.data.naming import shorten, some_rows
from robust.data.spool import as_type
from robust.errors import InvalidInput
from robust.types import AnyArray


def check_tensor(x: AnyArray) -> AnyArray:
    """Inputs (n, …) of any real type, in their own type; booleans become 0 and 1 (uint8).

    Args:
        x: The array; NaN is allowed (some models take missing values).

    Returns:
        The same memory wherever type and byte order allow it.

    Raises:
        InvalidInput: If there are no rows or no features, or the values are no real numbers.

    >>> check_tensor(np.array([[True, False]]))
    array([[1, 0]], dtype=uint8)
    """
    check_shape(x)
    if x.dtype.kind == "c":
        raise InvalidInput("x is complex: real numbers would be right, e.g. real and imaginary part as two features")
    if x.dtype.kind == "b":
        return as_type(x, np.dtype(np.uint8))
    if x.dtype.kind not in "iuf":
        raise InvalidInput(f"x has type {x.dtype} and shape {x.shape}: numbers would be right, or a table (n, d)")
    return as_type(x, plain_type(x.dtype))


def check_shape(x: AnyArray) -> None:
    """Refuse inputs without rows or without features.

    Raises:
        InvalidInput: With the shape.
    """
    if x.ndim == 0:
        raise InvalidInput("x is a single value: an array with one row a sample, (n, …), would be right")
    if len(x) == 0:
        raise InvalidInput(f"x has zero rows (shape {x.shape}): at least one would be right")
    if x.size == 0:
        raise InvalidInput(f"x has rows without features (shape {x.shape}): at least one feature would be right")


def table_columns(x: AnyArray, names: tuple[str, ...]) -> tuple[RawColumn, ...]:
    """The columns of a matrix (n, d), each of its own type."""
    return tuple(raw_column(name, x[:, j]) for j, name in enumerate(names))


def check_finite(x: AnyArray, names: tuple[str, ...]) -> None:
    """Refuse infinite inputs; NaN stays, as a missing value.

    Raises:
        InvalidInput: With the rows and columns.
    """
    if x.dtype.kind != "f":
        return
    rows, features = np.zeros(len(x), dtype=bool), np.zeros(len(names), dtype=bool)
    for block in row_blocks(x):
        infinite = np.isinf(x[block])
        if infinite.any():
            flat = infinite.reshape(len(infinite), -1)
            rows[block] = flat.any(axis=1)
            features |= flat.any(axis=0)
    if features.any():
        columns = [names[j] for j in np.flatnonzero(features)[:20]]
        raise InvalidInput(
            f"x is infinite in {some_rows(rows)}, columns {shorten(columns)}: finite numbers, "
            "or NaN for a missing value, would be right"
        )
