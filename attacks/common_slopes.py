"""The slopes that all rows of a linear model share, so that each of its classes can be looked at."""

from dataclasses import dataclass

import numpy as np

from robust.attacks.linear_exact import linear_weights
from robust.attacks.losses import Scale
from robust.attacks.minimal_classes import class_slopes, levels_of
from robust.attacks.target import Target
from robust.types import AnyArray, FloatArray, IntArray

#: Classes that are looked at by the slopes of each row, those with the largest scores.
LOOKED_AT = 10
# Numbers of all slopes together, at most.
_LARGEST = 1 << 22
# What a linear model may miss its own line by, as a share of the sum's parts: single precision and some to spare.
_ROUNDING = 1e-5


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CommonSlopes:
    """Scores as lines of the features, up to what they have in common: f_l(x) = ⟨w_l, x⟩ + b_l + c(x).

    Args:
        weights: w (k, d).
        offsets: b (k,).
        origin: The class whose w and b are 0 where they were measured; None where they were read.
    """

    weights: FloatArray
    offsets: FloatArray
    origin: int | None

    def gaps(self, scores: FloatArray, x: AnyArray, y: IntArray, *, scale: Scale) -> FloatArray | None:
        """How far each class is behind the true one (m, k), −inf for that one; None where the scores are no such lines.

        Weights that were read are believed: probabilities that have saturated say less than they do.

        Args:
            scores: Of the rows (m, k).
            x: The rows (m, d).
            y: Their labels (m,).
            scale: What the scores are.
        """
        rows, every = x.astype(np.float64), np.arange(len(x))
        levels: FloatArray = rows @ self.weights.T + self.offsets
        if self.origin is not None:
            told, levels = levels, levels_of(scores, scale)
            seen = levels - levels[:, [self.origin]]
            parts = np.abs(rows) @ np.abs(self.weights).T + np.abs(self.offsets)
            parts += np.abs(levels).max(axis=1, keepdims=True)
            if not (np.abs(seen - told) <= _ROUNDING * parts).all():
                return None
        gaps = np.asarray(levels - levels[every, y][:, None], dtype=np.float64)
        gaps[every, y] = -np.inf
        return None if np.isnan(gaps).any() else gaps


def common_slopes(target: Target) -> CommonSlopes | None:
    """The weights of a linear model that can be read; else slopes of one row, which are those of all rows.

    Args:
        target: The classifier and its rows.

    Returns:
        The slopes; None where each row can be asked about all of its classes, or there is no room for them.
    """
    k, d = target.classes, target.x.shape[1]
    if k * d > _LARGEST or not len(target):
        return None
    read = linear_weights(target)
    if read is not None:
        return CommonSlopes(weights=read[0], offsets=read[1], origin=None)
    if k <= LOOKED_AT + 1:
        return None
    own = int(target.y[0])
    others = np.flatnonzero(np.arange(k) != own)
    _, gaps, slopes = class_slopes(target, target.x[:1], np.zeros(1, dtype=int), others[None])
    weights, offsets = np.zeros((k, d)), np.zeros(k)
    weights[others] = slopes[0]
    offsets[others] = gaps[0] - slopes[0] @ target.x[0].astype(np.float64)
    return CommonSlopes(weights=weights, offsets=offsets, origin=own)
