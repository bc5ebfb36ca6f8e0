"""Whether two data sets share rows: cheap keys first, contents only where keys meet."""

import numpy as np

from robust.data.dataset import Dataset
from robust.measures.row_contents import row_contents
from robust.types import IntArray

#: Rows whose numbers are looked at at once.
_BLOCK = 1024


def shared_rows(known: Dataset, data: Dataset) -> int:
    """Rows of `data` that are among others, as `RowContents.shared` counts them.

    Equal rows have equal keys, so that where no key of one set is a key of the other no row is shared.

    Args:
        known: The other rows.
        data: Rows of the same shape.

    >>> from robust.data.live import as_data
    >>> one, other = as_data(np.array([[1.0, 2.0], [0.0, 3.0]])), as_data(np.array([[2, 1], [0, 3], [5, 5]]))
    >>> shared_rows(one, other), shared_rows(one, other.rows(np.array([0, 2])))
    (1, 0)
    """
    if np.isin(row_keys(data), row_keys(known)).any():
        return row_contents(known).shared(data)
    return 0


def row_keys(data: Dataset) -> IntArray:
    """A number for each row (n,), the same for rows of the same numbers whatever their type; few others share it.

    Σ_j m_j · w_j modulo 2⁶⁴, w_j the bits of the j-th number as float64, the upper half added to the lower; m_j odd
    """
    width = int(np.prod(data.x.shape[1:]))
    draw = np.random.Generator(np.random.Philox(key=width))
    odd = draw.integers(0, 2**64, size=width, dtype=np.uint64) | np.uint64(1)
    keys = np.empty(len(data), dtype=np.uint64)
    for start in range(0, len(data), _BLOCK):
        rows = data.x[start : start + _BLOCK]
        numbers = np.array(rows, dtype=np.float64).reshape(len(rows), width)
        numbers += 0.0  # the two zeros are one number
        numbers[np.isnan(numbers)] = np.nan
        words = numbers.view(np.uint64)
        words += words >> np.uint64(32)
        words *= odd
        keys[start : start + _BLOCK] = words.sum(axis=1, dtype=np.uint64)
    return keys
