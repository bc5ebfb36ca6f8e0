"""Lines that enclose a rectifier, and members and lines that enclose a maximum over windows."""

from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np

from robust.certified.interval_bounds import Bounds, windowed
from robust.certified.operators import Maximum, Rectifier, scattered
from robust.certified.perturbations import UNIT
from robust.types import BoolArray, FloatArray

Below: TypeAlias = Literal["nearer", "flat", "steep"]
#: Lines below a rectifier: the one that leaves the smaller triangle, the flat one, the steep one.
BELOW: tuple[Below, ...] = ("nearer", "flat", "steep")


@dataclass(slots=True, eq=False)
class RectifierLines:
    """low · z ≤ rectified z ≤ high · z + offset, each (b, n).

    Args:
        unstable: Where z may have both signs: there any slope between the two is below.
        flat: Slope of the rectifier below 0.
        high: Slope of the line above.
        offset: Its constant.
    """

    unstable: BoolArray
    flat: float
    high: FloatArray
    offset: FloatArray
    _upper: FloatArray
    _lower: FloatArray

    def low(self, below: Below) -> FloatArray:
        """Slopes of the line below (b, n)."""
        found = np.where(self._upper <= 0, self.flat, 1.0)
        if below != "steep":
            found = np.where(self.unstable & ((self._upper < -self._lower) | (below == "flat")), self.flat, found)
        return found


def rectifier_lines(bounds: Bounds, source: int, operator: Rectifier) -> RectifierLines:
    """The lines around a rectifier of a node: above, through (l, slope · l) and (u, u)."""
    lower, upper, flat = bounds.lower[source], bounds.upper[source], operator.slope
    unstable = (lower < 0) & (upper > 0)
    width = np.where(unstable, upper - lower, 1.0)
    high = np.where(unstable, (upper - flat * lower) / width, np.where(upper <= 0, flat, 1.0))
    return RectifierLines(unstable, flat, high, np.where(unstable, flat * lower - high * lower, 0.0), upper, lower)


@dataclass(slots=True, eq=False)
class MaximumLines:
    """z_chosen ≤ max z ≤ Σ slope · z + offset.

    Args:
        chosen: The member that is below (b, n_out, w).
        slope: Slopes of the sum above (b, n_out, w).
        offset: Its constant (b, n_out).
    """

    chosen: BoolArray
    slope: FloatArray
    offset: FloatArray


def maximum_lines(bounds: Bounds, source: int, operator: Maximum) -> MaximumLines:
    """What encloses a maximum over windows of a node.

    Above, max z ≤ c + max(z_i − c, 0), i the member with the largest upper bound and c the largest of all lower bounds
    and of the other members' upper bounds, which lies below the line through (l_i, c) and (u_i, u_i). Below is the
    member with the largest middle. A member that is above all others is both, exactly.
    """
    lower, upper = windowed(bounds.lower[source], operator), windowed(bounds.upper[source], operator)
    members = np.arange(lower.shape[2])
    leader = members == upper.argmax(axis=2)[:, :, None]
    top, bottom = upper.max(axis=2), np.where(leader, lower, -np.inf).max(axis=2)
    level = np.maximum(lower.max(axis=2), np.where(leader, -np.inf, upper).max(axis=2, initial=-np.inf))
    width = top - bottom
    rise = np.where(width > 0, np.minimum((top - level) / np.where(width > 0, width, 1.0), 1.0), 0.0)
    # The rounding of the line, which the node's own error does not hold.
    offset = level - rise * bottom + 64.0 * UNIT * (np.abs(level) + np.abs(top) + np.abs(bottom))
    middle = np.where(np.isfinite(lower), lower + upper, -np.inf)
    chosen = members == middle.argmax(axis=2)[:, :, None]
    return MaximumLines(chosen, np.where(leader, rise[:, :, None], 0.0), offset)


def to_members(a: FloatArray, operator: Maximum, lines: MaximumLines) -> FloatArray:
    """Coefficients of maxima (b, m, n_out) as coefficients of their members (b, m, n_in)."""
    chosen, slope, owner = lines.chosen, lines.slope, operator.owner
    if owner is not None:
        window, place = owner
        none = np.zeros((len(a), 1, chosen.shape[2]))
        up = np.concatenate([chosen, none], axis=1)[:, window, place]
        down = np.concatenate([slope, none], axis=1)[:, window, place]
        own = np.take(a, np.minimum(window, a.shape[2] - 1), axis=2)  # a window that there is not gets factors of 0
        rising = np.maximum(own, 0.0)
        rising *= (up - down)[:, None]
        own *= down[:, None]
        own += rising
        return np.asarray(own)
    parts = np.maximum(a, 0.0)[..., None] * chosen[:, None] + np.minimum(a, 0.0)[..., None] * slope[:, None]
    flow = scattered(parts.reshape(-1, *parts.shape[2:]), operator.index, operator.width)
    return flow.reshape(*a.shape[:2], -1)
