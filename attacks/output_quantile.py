"""Distribution-free bounds of any quantile, by order statistics whose ranks come from the binomial distribution."""

import math
from dataclasses import dataclass

import numpy as np
from scipy.special import bdtr

from robust.attacks.row_bounds import RowBounds, root_sizing
from robust.data.dataset import Dataset
from robust.errors import InvalidInput
from robust.intervals.arguments import check_level
from robust.limits import is_number
from robust.measures.dependence import is_dependent
from robust.measures.row_means import share_interval
from robust.types import FloatArray

# Quantiles that are kept to tell how bounds move with n.
_KEPT = 257


def quantile_of_rows(values: FloatArray, data: Dataset, *, share: float, level: float, seed: int) -> RowBounds:
    """The smallest value that at least a share of the rows do not exceed, and bounds whatever the distribution.

    The lower bound is the r-th smallest value, r the largest rank with P(Bin(n, q) < r) ≤ 1 − level; the upper one the
    s-th, s the smallest rank with P(Bin(n, q) ≥ s) ≤ 1 − level; where rows have an order or groups, the quantiles at
    the bounds of the share of rows below it

    Args:
        values: One a row, at least 0, inf where there is no bound (n,).
        data: The rows.
        share: q, in (0, 1]; 1 is the largest value of these rows, an exact statement about them and no others.
        level: One-sided confidence of each bound, in (0.5, 1).
        seed: Seed of a bootstrap, where one is used.

    Returns:
        The quantile; its lower bound is 0, its upper one inf where n is too small for any.

    Raises:
        InvalidInput: If share or level is out of range.

    Source:
        Thompson (1936), Annals of Mathematical Statistics 7:122; David and Nagaraja (2003), Order Statistics, 7.1; for
        dependent rows Woodruff (1952), Journal of the American Statistical Association 47:635.

    Of 100 rows P(Bin(100, 0.95) ≥ 99) is 0.037, and P(Bin(100, 0.95) ≥ 98) is 0.118: the 99th is the upper bound.

    >>> from robust.data.live import as_data
    >>> found = quantile_of_rows(np.arange(1.0, 101.0), as_data(np.zeros((100, 1))), share=0.95, level=0.95, seed=0)
    >>> found.value, found.lower, found.upper
    (95.0, 91.0, 99.0)
    """
    share, level = read_quantile(share), check_level(level)
    ordered = np.sort(np.asarray(values, dtype=np.float64))
    n = len(ordered)
    value = float(ordered[_place(share, n)])
    if share == 1.0:
        return RowBounds.known(value, n)
    if is_dependent(data):
        return _dependent(ordered, values, value, data, share=share, level=level, seed=seed)
    low, high = quantile_ranks(n, share, level)
    kept = np.linspace(0, n - 1, min(n, _KEPT)).round().astype(np.int64)
    return RowBounds(
        value=value,
        lower=min(float(ordered[low - 1]), value) if low else 0.0,
        upper=max(float(ordered[high - 1]), value) if high <= n else math.inf,
        level=level,
        n=n,
        method="order-statistics",
        sizing=QuantileSizing(
            value=value, share=share, quantiles=tuple(ordered[kept].tolist()), ranks=tuple(kept.tolist()), level=level
        ),
    )


def read_quantile(share: object) -> float:
    """Check which quantile is meant.

    Raises:
        InvalidInput: If it is no number in (0, 1].
    """
    number = float(share) if is_number(share) else math.nan
    if not 0.0 < number <= 1.0:
        raise InvalidInput(f"quantile got {share!r}; a number above 0 and at most 1, such as 0.95, would be right")
    return number


def quantile_ranks(n: int, share: float, level: float) -> tuple[int, int]:
    """Ranks of the bounds, counted from 1; 0 and n + 1 where there is none.

    >>> quantile_ranks(58, 0.95, 0.95), quantile_ranks(59, 0.95, 0.95)  # 0.95^59 is the first power below 0.05
    ((52, 59), (53, 59))
    """
    # P(Bin ≤ k) for k = 0 … n.
    below = bdtr(np.arange(n + 1), n, share)
    low = int(np.searchsorted(below, 1.0 - level, side="right"))
    high = int(np.searchsorted(below, level, side="left")) + 1
    return low, high


def _place(share: float, n: int) -> int:
    """Position of a quantile among n ordered values; a share such as 0.95 of 100 is not meant to round up."""
    return min(max(math.ceil(share * n - 1e-9), 1), n) - 1


def _dependent(
    ordered: FloatArray, values: FloatArray, value: float, data: Dataset, *, share: float, level: float, seed: int
) -> RowBounds:
    """Bounds where rows depend on each other."""
    n, below = len(ordered), share_interval(values <= value, data, level=level, seed=seed)
    # Where the share below may be lower than it is here by d, the quantile may be as far up as that at q + d.
    low, high = share - (below.upper - below.value), share + (below.value - below.lower)
    lower = float(ordered[_place(low, n)]) if low > 0 else 0.0
    upper = float(ordered[_place(high, n)]) if high < 1 else math.inf
    lower, upper = min(lower, value), max(upper, value)
    sizing = root_sizing(value, lower, upper, n)
    return RowBounds(
        value=value, lower=lower, upper=upper, level=level, n=n, method=below.method, sizing=sizing, notes=below.notes
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class QuantileSizing:
    """Bounds of a quantile at another number of rows, the distribution unchanged.

    Attributes:
        value: Point estimate.
        share: Which quantile.
        quantiles: Values at the ranks, ascending.
        ranks: Their ranks from 0, the last one that of the largest of the rows measured.
        level: One-sided confidence level of each bound.
    """

    value: float
    share: float
    quantiles: tuple[float, ...]
    ranks: tuple[int, ...]
    level: float

    def at(self, n: int) -> tuple[float, float]:
        """Lower and upper bound at ``n`` rows."""
        size = self.ranks[-1] + 1
        low, high = quantile_ranks(n, self.share, self.level) if n <= _LARGEST else _normal_ranks(n, self)
        lower, upper = 0.0, math.inf
        # Rounded outwards to a kept quantile.
        if low:
            place = (low - 0.5) / n * size - 0.5
            lower = self.quantiles[max(int(np.searchsorted(self.ranks, place, side="right")) - 1, 0)]
        if high <= n:
            place = (high - 0.5) / n * size - 0.5
            upper = self.quantiles[min(int(np.searchsorted(self.ranks, place, side="left")), len(self.ranks) - 1)]
        return min(lower, self.value), max(upper, self.value)


# Ranks are exact up to so many rows, and those of the normal limit beyond.
_LARGEST = 1 << 20


def _normal_ranks(n: int, sizing: QuantileSizing) -> tuple[int, int]:
    """Ranks of many rows, by the normal limit of the binomial distribution."""
    from scipy.special import ndtri

    wide = float(ndtri(sizing.level)) * math.sqrt(n * sizing.share * (1.0 - sizing.share))
    return math.floor(n * sizing.share - wide), math.ceil(n * sizing.share + wide) + 1
