"""What a model must keep to when it is called: its input stays as it is, its outputs are one line of numbers a row."""

import numpy as np

from robust.errors import ModelFault
from robust.types import AnyArray, FloatArray

CHANGES_INPUT = "it changes its input in place: whoever uses the rows afterwards gets other rows; let it work on a copy"

_WHOLE = {1: np.uint8, 2: np.uint16, 4: np.uint32, 8: np.uint64}
# Up to so many, copies cost less than a comparison of numbers.
_FEW_BYTES = 1 << 17


def output_columns(outputs: object, rows: int) -> FloatArray:
    """Outputs as (n, k).

    Axes of length 1 beside the one of the columns are dropped: builds for small devices give (n, k, 1, 1) or
    (n, 1, 1, k).

    Args:
        outputs: What a model gave for a batch: (n,), (n, k), or (n, …) with one axis longer than 1.
        rows: n, the rows that it was asked about.

    Returns:
        (n, k), float64.

    Raises:
        ModelFault: If they are no numbers, or of another shape: several axes (a class and a place, a class and a
            step) would be judged as classes that the model does not have.

    >>> output_columns([[[1], [2]], [[3], [4]]], 2).tolist()
    [[1.0, 2.0], [3.0, 4.0]]
    """
    found = np.asarray(outputs)
    if found.dtype.kind not in "fiub":
        raise ModelFault(f"it gives outputs of type {found.dtype}, real numbers are needed")
    if found.ndim == 0 or len(found) != rows or found.size == 0:
        raise ModelFault(
            f"it gives outputs of shape {found.shape} for {rows} rows; ({rows}, k) with k of at least 1 is needed"
        )
    if found.ndim > 2 and sum(size > 1 for size in found.shape[1:]) > 1:
        raise ModelFault(
            f"it gives outputs of shape {found.shape} for {rows} rows; ({rows}, k) is needed, one number a class or "
            "target: wrap it in a function or module that picks, averages or flattens what is to be judged"
        )
    return found.reshape(rows, -1).astype(np.float64)


def same_bits(one: AnyArray, other: AnyArray) -> bool:
    """Whether two arrays of one type are the same to the last bit: NaN, which equals nothing, may stand in both.

    >>> same_bits(np.array([np.nan, 0.0]), np.array([np.nan, 0.0])), same_bits(np.array([0.0]), np.array([-0.0]))
    (True, False)
    """
    whole = None if one.nbytes <= _FEW_BYTES else _WHOLE.get(one.dtype.itemsize)
    if whole is None or one.dtype.hasobject:
        return one.shape == other.shape and one.tobytes() == other.tobytes()
    return np.array_equal(one.view(whole), other.view(whole))
