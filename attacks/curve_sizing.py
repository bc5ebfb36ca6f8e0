"""How bounds of figures of a whole curve move with the number of rows."""

from dataclasses import dataclass

import numpy as np

from robust.attacks.curve_mean import lower_mean
from robust.intervals.arguments import check_level
from robust.intervals.interval import Sizing
from robust.types import FloatArray


@dataclass(frozen=True, slots=True, kw_only=True)
class BoundedSizing:
    """Bounds of a mean at another number of rows, the shares of the values unchanged.

    Attributes:
        low: Distinct values (u,), in [0, 1], for the lower bound.
        high: The same rows' values for the upper bound, at least as large.
        low_counts: How many rows have each.
        high_counts: The same for the upper bound.
        n: Rows.
        level: One-sided confidence level of each bound.
    """

    low: tuple[float, ...]
    high: tuple[float, ...]
    low_counts: tuple[int, ...]
    high_counts: tuple[int, ...]
    n: int
    level: float

    def at(self, n: int) -> tuple[float, float]:
        """Lower and upper bound at ``n`` rows."""
        scale = n / self.n
        lower = lower_mean(np.array(self.low), scale * np.array(self.low_counts), level=self.level)
        mirrored = lower_mean(1.0 - np.array(self.high), scale * np.array(self.high_counts), level=self.level)
        return lower, 1.0 - mirrored


@dataclass(frozen=True, slots=True, kw_only=True)
class BracketSizing:
    """Bounds of something known to lie between two means, at another number of rows.

    Attributes:
        low: Of the smaller mean, whose lower bound counts.
        high: Of the larger mean, whose upper bound counts.
    """

    low: Sizing
    high: Sizing

    def at(self, n: int) -> tuple[float, float]:
        """Lower and upper bound at ``n`` rows, both shares."""
        return max(self.low.at(n)[0], 0.0), min(self.high.at(n)[1], 1.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class MarginSizing:
    """Bounds of the smallest margin at another number of rows.

    Attributes:
        lowers: Of each point by itself, whose lower bounds count.
        uppers: Of the band, whose upper bounds count.
        limits: The limits.
    """

    lowers: tuple[Sizing, ...]
    uppers: tuple[Sizing, ...]
    limits: tuple[float, ...]

    def at(self, n: int) -> tuple[float, float]:
        """Lower and upper bound at ``n`` rows."""
        lower = min(one.at(n)[0] - limit for one, limit in zip(self.lowers, self.limits, strict=True))
        return lower, min(one.at(n)[1] - limit for one, limit in zip(self.uppers, self.limits, strict=True))


def bounded_sizing(low: FloatArray, high: FloatArray, *, level: float) -> BoundedSizing:
    """Bounds of a mean that lies between the means of two columns, at any number of rows.

    Args:
        low: Smallest value that each row can have (n,), in [0, 1].
        high: Largest value (n,), in [0, 1].
        level: One-sided confidence level of each bound, in (0.5, 1).

    >>> lower, upper = bounded_sizing(np.array([0.0, 0.0]), np.array([0.0, 0.0]), level=0.95).at(2)
    >>> lower, round(upper, 4)  # none of two: 1 - 0.05^(1/2)
    (0.0, 0.7764)
    """
    (a, b), (c, d) = (np.unique(values, return_counts=True) for values in (low, high))
    return BoundedSizing(
        low=tuple(a.tolist()),
        high=tuple(c.tolist()),
        low_counts=tuple(b.tolist()),
        high_counts=tuple(d.tolist()),
        n=len(low),
        level=check_level(level),
    )
