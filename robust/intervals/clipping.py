"""Bounds of a figure that cannot leave a range, such as a share."""

import dataclasses
from dataclasses import dataclass

from robust.intervals.interval import Interval, Sizing


def clip(interval: Interval, low: float, high: float) -> Interval:
    """Cut bounds off where the figure cannot go; an interval stays valid under that.

    Args:
        interval: The interval.
        low: Smallest value that the figure can take.
        high: Largest value.

    Returns:
        The interval with bounds in [low, high].

    Example:
        >>> from robust.intervals.interval import RootSizing
        >>> sizing = RootSizing(value=0.9, lower=0.7, upper=1.1, n=5)
        >>> wide = Interval(value=0.9, lower=0.7, upper=1.1, level=0.95, n=5, method="bca-bootstrap", sizing=sizing)
        >>> clip(wide, 0.0, 1.0).upper
        1.0
    """
    return dataclasses.replace(
        interval,
        lower=max(interval.lower, low),
        upper=min(interval.upper, high),
        sizing=ClippedSizing(inner=interval.sizing, low=low, high=high),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ClippedSizing:
    """Bounds at another number of rows, cut off at the ends of a range.

    Attributes:
        inner: Sizing before the cut.
        low: Smallest value that the figure can take.
        high: Largest value.
    """

    inner: Sizing
    low: float
    high: float

    def at(self, n: int) -> tuple[float, float]:
        """Lower and upper bound at ``n`` rows."""
        lower, upper = self.inner.at(n)
        return max(lower, self.low), min(upper, self.high)
