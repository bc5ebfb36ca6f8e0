"""Weights of two layers beside each other: whether they are those of one layer of one network."""

import numpy as np

from robust.layers.blocks import Block
from robust.types import FloatArray

#: Layers of one network, whatever was done to their scale, point the same way: the least cosine.
ALIKE = 0.5
#: Weights alone tell a layer from others by a larger one, where they are so many.
_SURE, _MANY = 0.8, 16


def same_weights(old: Block, new: Block) -> bool:
    """Whether two layers have weights of one shape that point the same way."""
    found = cosine(folded(old, new), folded(new, old))
    return found is not None and found >= ALIKE


def surely_same(old: Block, new: Block) -> bool:
    """Whether two layers have weights so many and so much alike that they are one layer, whatever their names.

    Args:
        old: Of the reference.
        new: Of the candidate.
    """
    found = cosine(folded(old, new), folded(new, old))
    return found is not None and found >= _SURE and old.weight is not None and old.weight.size >= _MANY


def folded(block: Block, other: Block) -> FloatArray | None:
    """A layer's weights as they compare with another's: times the normalisation that follows it, but not the other.

    Args:
        block: The layer.
        other: Its partner.

    Returns:
        Weights (out, …), or None where they are not seen.
    """
    weight, fold = block.weight, block.fold
    if weight is None or fold is None or other.fold is not None:
        return weight
    # Transposed convolutions have their outputs along the second axis.
    axis = 1 if block.family == "convtranspose" else 0
    if weight.shape[axis] != len(fold):
        return None
    shape = [1] * weight.ndim
    shape[axis] = -1
    return np.asarray(weight * fold.reshape(shape))


def cosine(a: FloatArray | None, b: FloatArray | None) -> float | None:
    """Cosine of the angle between two arrays; None where one is missing, 0 or of another shape.

    >>> cosine(np.array([3.0, 4.0]), np.array([4.0, 3.0]))
    0.96
    """
    if a is None or b is None or a.shape != b.shape:
        return None
    size = float(np.linalg.norm(a)) * float(np.linalg.norm(b))
    return float(np.vdot(a, b)) / size if size > 0 else None
