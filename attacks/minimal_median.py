"""The median of norms some of which are infinite."""

import math

import numpy as np

from robust.attacks.row_bounds import RowBounds, root_sizing
from robust.data.dataset import Dataset
from robust.intervals.arguments import check_level
from robust.intervals.order_statistics import MedianSizing, median_rank
from robust.measures.dependence import is_dependent
from robust.measures.row_means import share_interval
from robust.types import FloatArray

# Quantiles that are kept to tell how bounds move with n.
_KEPT = 257


def median_of_norms(norms: FloatArray, data: Dataset, *, level: float, seed: int) -> RowBounds:
    """Median of norms, and bounds whatever their distribution.

    The lower bound is the r-th smallest norm, r the largest rank with P(Bin(n, ½) < r) ≤ 1 − level, the upper one the
    r-th largest; where rows have an order or groups, the quantiles at the bounds of the share of rows below the median

    Args:
        norms: At least 0, inf where nothing was found (n,).
        data: The rows.
        level: One-sided confidence of each bound, in (0.5, 1).
        seed: Seed of a bootstrap, where one is used.

    Returns:
        The median, the mean of the middle two of an even number, and its bounds; from 0 to inf where n is too small for
        any.

    Raises:
        InvalidInput: If level is out of range.

    Source:
        Thompson (1936), Annals of Mathematical Statistics 7:122; for dependent rows Woodruff (1952), Journal of the
        American Statistical Association 47:635.

    >>> from robust.data.live import as_data
    >>> found = median_of_norms(np.array([0.0, 1.0, 2.0, 3.0, np.inf]), as_data(np.zeros((5, 1))), level=0.95, seed=0)
    >>> found.value, found.lower, found.upper
    (2.0, 0.0, inf)
    """
    level = check_level(level)
    ordered = np.sort(np.asarray(norms, dtype=np.float64))
    n = len(ordered)
    middle = ordered[(n - 1) // 2 : n // 2 + 1]
    value = float(middle.mean()) if np.isfinite(middle).all() else math.inf
    if is_dependent(data):
        return _dependent(ordered, norms, value, data, level=level, seed=seed)
    rank = median_rank(n, level)
    lower, upper = (0.0, math.inf) if rank == 0 else (float(ordered[rank - 1]), float(ordered[n - rank]))
    kept = np.linspace(0, n - 1, min(n, _KEPT)).round().astype(np.int64)
    sizing = MedianSizing(value=value, quantiles=tuple(ordered[kept].tolist()), ranks=tuple(kept.tolist()), level=level)
    return RowBounds(value=value, lower=lower, upper=upper, level=level, n=n, method="order-statistics", sizing=sizing)


def _dependent(
    ordered: FloatArray, norms: FloatArray, value: float, data: Dataset, *, level: float, seed: int
) -> RowBounds:
    """Bounds where rows depend on each other."""
    n, share = len(ordered), share_interval(norms <= value, data, level=level, seed=seed)
    low, high = 0.5 - (share.upper - share.value), 0.5 + (share.value - share.lower)
    lower = float(ordered[max(int(np.floor(low * (n - 1))), 0)]) if low > 0 else 0.0
    upper = float(ordered[min(int(np.ceil(high * (n - 1))), n - 1)]) if high < 1 else math.inf
    lower, upper = min(lower, value), max(upper, value)
    sizing = root_sizing(value, lower, upper, n)
    return RowBounds(
        value=value, lower=lower, upper=upper, level=level, n=n, method=share.method, sizing=sizing, notes=share.notes
    )
