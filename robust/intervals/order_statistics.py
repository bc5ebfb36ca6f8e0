"""Distribution-free bounds of a quantile: order statistics whose ranks come from the binomial distribution."""

import math
from dataclasses import dataclass

import numpy as np
from scipy.special import bdtr

from robust.intervals.arguments import check_column, check_level
from robust.intervals.interval import Interval
from robust.types import AnyArray

#: Quantiles that are kept to tell how bounds move with n.
_KEPT = 257


def median_interval(values: AnyArray, *, level: float) -> Interval:
    """Interval of a median, whatever the distribution.

    The lower bound is the r-th smallest value, r the largest rank with P(Bin(n, ½) < r) ≤ 1 − level, the upper one the
    r-th largest.

    Args:
        values: Shape (n,), finite.
        level: One-sided confidence level of each bound, in (0.5, 1).

    Returns:
        The interval, exact for continuous distributions and conservative for others; without bounds where n is too
        small for any rank (below 5 rows at 0.95).

    Raises:
        InvalidInput: A value that is not finite, or ``level`` outside (0.5, 1).

    Source:
        Thompson (1936), Annals of Mathematical Statistics 7:122; David and Nagaraja (2003), Order Statistics, 7.1.

    Example:
        Of ten rows the second smallest has P(Bin(10, ½) < 2) = 11/1024.

        >>> found = median_interval(np.arange(10.0), level=0.95)
        >>> found.value, found.lower, found.upper
        (4.5, 1.0, 8.0)
    """
    level = check_level(level)
    ordered = np.sort(check_column("values", values))
    n = ordered.size
    kept = np.linspace(0, n - 1, min(n, _KEPT)).round().astype(np.int64)
    sizing = MedianSizing(
        value=float(np.median(ordered)),
        quantiles=tuple(ordered[kept].tolist()),
        ranks=tuple(kept.tolist()),
        level=level,
    )
    rank = median_rank(n, level)
    lower, upper = (-math.inf, math.inf) if rank == 0 else (float(ordered[rank - 1]), float(ordered[n - rank]))
    return Interval(
        value=sizing.value, lower=lower, upper=upper, level=level, n=n, method="order-statistics", sizing=sizing
    )


def median_rank(n: int, level: float) -> int:
    """Largest rank r with P(Bin(n, ½) < r) ≤ 1 − level; 0 where there is none.

    >>> median_rank(4, 0.95), median_rank(5, 0.95), median_rank(10, 0.95)
    (0, 1, 2)
    """
    low, high = 0, n // 2 + 1
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if float(bdtr(middle - 1, n, 0.5)) <= 1.0 - level else (low, middle)
    return low


@dataclass(frozen=True, slots=True, kw_only=True)
class MedianSizing:
    """Bounds of a median at another number of rows, the distribution unchanged.

    Attributes:
        value: Point estimate.
        quantiles: Values at the ranks, ascending.
        ranks: Their ranks from 0, the last one that of the largest of the rows measured.
        level: One-sided confidence level of each bound.
    """

    value: float
    quantiles: tuple[float, ...]
    ranks: tuple[int, ...]
    level: float

    def at(self, n: int) -> tuple[float, float]:
        """Lower and upper bound at ``n`` rows."""
        rank = median_rank(n, self.level)
        if rank == 0:
            return -math.inf, math.inf
        size = self.ranks[-1] + 1
        place = (rank - 0.5) / n * size - 0.5
        # Rounded outwards to a kept quantile.
        low = max(int(np.searchsorted(self.ranks, place, side="right")) - 1, 0)
        high = min(int(np.searchsorted(self.ranks, size - 1 - place, side="left")), len(self.ranks) - 1)
        return min(self.quantiles[low], self.value), max(self.quantiles[high], self.value)
