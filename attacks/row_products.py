"""Products of rows and weights, each row by itself."""

import numpy as np

from robust.types import FloatArray


def row_products(rows: FloatArray, weights: FloatArray) -> FloatArray:
    """Sums over features, whose bits do not depend on the rows beside them.

    `rows @ weights.T` sums in another order for one row than for many, and for rows at the end of a batch.

    Args:
        rows: (m, d).
        weights: (…, d).

    Returns:
        (m, …).

    >>> row_products(np.array([[1.0, 2.0], [0.0, 1.0]]), np.array([[3.0, 4.0]])).tolist()
    [[11.0], [4.0]]
    """
    return np.asarray(np.einsum("md,...d->m...", rows, weights))
