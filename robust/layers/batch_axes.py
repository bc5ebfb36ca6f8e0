"""Where the rows are in what layers give: recurrent layers and attention often have time first."""

from collections.abc import Callable, Mapping

import numpy as np

from robust.errors import ModelFault
from robust.layers.blocks import Values
from robust.types import AnyArray

_FEW, _MORE = 2, 3


def batch_axes(values: Callable[[AnyArray], Values], probe: AnyArray) -> dict[str, int]:
    """Axes that hold the rows, of points where these are not the first: the one that grows with them.

    Args:
        values: What each point holds, for some rows (b, …).
        probe: At least one row.

    Returns:
        An axis, at least 1, by point; no entry where the rows are first, or no one axis is as long as they are many;
        none at all where the model does not take another number of rows.
    """
    try:
        few, more = (values(np.repeat(probe[:1], n, axis=0)) for n in (_FEW, _MORE))
    except ModelFault:
        return {}
    found = {}
    for end in few.keys() & more.keys():
        sizes = zip(few[end].shape, more[end].shape, strict=False)
        grown = [axis for axis, size in enumerate(sizes) if size[0] != size[1]]
        if len(grown) == 1 and grown[0] and few[end].shape[grown[0]] == _FEW and more[end].shape[grown[0]] == _MORE:
            found[end] = grown[0]
    return found


def rows_first(values: Values, axes: Mapping[str, int]) -> Values:
    """Values with the rows as first axis."""
    return {end: np.moveaxis(array, axes[end], 0) if end in axes else array for end, array in values.items()}


def rows_back(values: Values, axes: Mapping[str, int]) -> Values:
    """Values with the rows where the model has them."""
    return {end: np.moveaxis(array, 0, axes[end]) if end in axes else array for end, array in values.items()}
