"""Where the channels of a tensor are: behind the batch, or last."""

import numpy as np

from robust.errors import InvalidInput
from robust.types import AnyArray

# The second of each pair is what a widely used converter for small devices calls it.
_FIRST, _LAST = ("channels_first", "chfirst"), ("channels_last", "chlast")


def transpose(array: AnyArray, position: str) -> AnyArray:
    """Move the channels of a batch.

    Args:
        array: (n, …, c) for `channels_first`, (n, c, …) for `channels_last`; with one axis or two there is nothing to
            move.
        position: Where the channels shall be: `channels_first` (or `chfirst`) or `channels_last` (or `chlast`).

    Returns:
        (n, c, …) or (n, …, c), in C order.

    Raises:
        InvalidInput: On another position.

    >>> transpose(np.zeros((8, 28, 28, 3)), "channels_first").shape
    (8, 3, 28, 28)
    """
    if position not in (*_FIRST, *_LAST):
        raise InvalidInput(f"channels are {' or '.join(repr(word) for word in (*_FIRST, *_LAST))}, got {position!r}")
    if array.ndim < 3:
        return array
    source, target = (-1, 1) if position in _FIRST else (1, -1)
    return np.ascontiguousarray(np.moveaxis(array, source, target))
