"""Numbers in the place of what is none, at little cost where all are numbers."""

import numpy as np

from robust.types import FloatArray


def finite(values: FloatArray, *, largest: float | None = None) -> FloatArray:
    """The same values, 0 for NaN and a large number for what is infinite; not copied.

    A sum is finite where all parts are: it takes a tenth of the time of looking at each.

    Args:
        values: Numbers of any shape; changed in place.
        largest: What stands for infinity; None for the largest number of the type.

    >>> finite(np.array([1.0, np.nan, -np.inf]), largest=9.0)
    array([ 1.,  0., -9.])
    """
    with np.errstate(over="ignore", invalid="ignore"):
        if np.isfinite(values.sum()):
            return values
    return np.nan_to_num(values, copy=False, posinf=largest, neginf=None if largest is None else -largest)
