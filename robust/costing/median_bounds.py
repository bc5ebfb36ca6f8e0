"""The median of repeated figures, between bounds that assume nothing about how they are distributed."""

import math
from dataclasses import dataclass

import numpy as np
from scipy.special import bdtr, bdtrik

from robust.errors import InvalidInput
from robust.intervals.arguments import check_level
from robust.intervals.interval import Interval
from robust.types import FloatArray


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderSizing:
    """Bounds at the same quantiles of what was seen, were there more of it.

    Attributes:
        values: What was seen, ascending.
        level: Confidence of each bound.
    """

    values: tuple[float, ...]
    level: float

    def at(self, n: int) -> tuple[float, float]:
        """Lower and upper bound at ``n`` repetitions."""
        rank = lower_rank(n, self.level)
        if rank is None:
            return 0.0, math.inf
        size = len(self.values)
        low = math.floor((rank - 1) / n * size)
        return self.values[low], self.values[size - 1 - low]


def lower_rank(n: int, level: float) -> int | None:
    """Rank of the order statistic that the median is below with confidence `level`; its mirror image bounds it above.

    max{r : P(Bin(n, ½) ≤ r − 1) ≤ 1 − level}

    Args:
        n: Repetitions, at least 1.
        level: Confidence of the bound.

    Returns:
        A rank from 1; None where there are too few repetitions for any bound.

    >>> lower_rank(30, 0.95), lower_rank(5, 0.95), lower_rank(4, 0.95)
    (11, 1, None)
    """
    missed = 1.0 - level
    if 0.5**n > missed:
        return None
    rank = int(bdtrik(missed, n, 0.5))
    while bdtr(rank - 1, n, 0.5) > missed:
        rank -= 1
    while bdtr(rank, n, 0.5) <= missed:
        rank += 1
    return rank


def median_interval(values: FloatArray, *, level: float = 0.95) -> Interval:
    """Median of repeated figures with distribution-free bounds.

    x₍ᵣ₎ ≤ median ≤ x₍ₙ₊₁₋ᵣ₎, with r from the binomial distribution with p = ½.

    Args:
        values: Shape (n,), at least 0, finite, independent of each other.
        level: One-sided confidence of each bound, in (0.5, 1).

    Returns:
        The median between two order statistics, in the unit of the values; below 5 repetitions at 95 % nothing is
        proved, and the bounds are 0 and infinity.

    Raises:
        InvalidInput: If there are no values, or one is negative or not finite.

    Source:
        Conover (1999), Practical Nonparametric Statistics, §3.2.

    >>> found = median_interval(np.arange(1.0, 31.0))
    >>> found.lower, found.value, found.upper
    (11.0, 15.5, 20.0)
    """
    level = check_level(level)
    ascending = np.sort(np.asarray(values, dtype=np.float64).ravel())
    if not ascending.size or not np.isfinite(ascending).all() or ascending[0] < 0:
        raise InvalidInput(
            f"values got {ascending[:5].tolist()} …; one or more finite numbers of at least 0 are needed"
        )
    rank = lower_rank(len(ascending), level)
    sizing = OrderSizing(values=tuple(ascending.tolist()), level=level)
    return Interval(
        value=float(np.median(ascending)),
        lower=0.0 if rank is None else float(ascending[rank - 1]),
        upper=math.inf if rank is None else float(ascending[-rank]),
        level=level,
        n=len(ascending),
        method="median-order-statistics",
        sizing=sizing,
    )
