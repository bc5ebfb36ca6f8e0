"""What comes back from an attack of another library: rows of numbers, or a clear word of what it was instead."""

from typing import Any

import numpy as np

from robust.errors import ModelFault
from robust.types import AnyArray, FloatArray


class ModuleRaised(Exception):
    """A model that was lent to an attack raised when the attack asked it.

    Args:
        rows: What it was asked about (m, *row shape); None where that were no rows of the data.
    """

    def __init__(self, rows: AnyArray | None) -> None:
        super().__init__()
        self.rows = rows


def rows_given(found: object, shape: tuple[int, ...], *, title: str) -> FloatArray:
    """The rows that an attack returned, flat (m, d), float64.

    Args:
        found: What it returned: an array, a tensor, or lists of numbers.
        shape: What it was given (m, *row shape).
        title: What a reader calls the attack.

    Raises:
        ModelFault: If it is something else, holds what are no real numbers, or has another shape.

    >>> rows_given([[1, 2], [3, 4]], (2, 2), title="mine").tolist()
    [[1.0, 2.0], [3.0, 4.0]]
    >>> rows_given(([[1, 2]], 0.5), (1, 2), title="it")
    Traceback (most recent call last):
    robust.errors.ModelFault: it returned a tuple; an array or a tensor of shape (1, 2), the rows alone, would be right
    """
    wanted = f"an array or a tensor of shape {shape}, the rows alone, would be right"
    if found is None or isinstance(found, (tuple, dict, str, bytes)):
        raise ModelFault(f"{title} returned a {type(found).__name__}; {wanted}".replace("a NoneType", "nothing"))
    given = _array(found)
    if given is None:
        raise ModelFault(f"{title} returned a {type(found).__name__} that is no array of numbers; {wanted}")
    if given.shape != shape:
        raise ModelFault(f"{title} returned rows of shape {given.shape}, not {shape}")
    return np.array(given.reshape(len(given), -1), dtype=np.float64)


def _array(found: Any) -> AnyArray | None:
    """An array of real numbers; None where there are none."""
    if hasattr(found, "detach"):
        found = found.detach().cpu()
    try:
        given = np.asarray(found)
        given = given.astype(np.float64) if given.dtype.kind == "O" else given
    except (TypeError, ValueError, RuntimeError):  # ragged lists, objects, tensors of types that numpy does not have
        return None
    return given if given.dtype.kind in "biuf" else None
