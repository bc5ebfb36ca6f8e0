"""Exact bounds for a proportion (Clopper and Pearson), and Wilson's score interval for display."""

import math
from dataclasses import dataclass

from scipy.special import betaincinv, ndtri

from robust.errors import InvalidInput
from robust.intervals.arguments import check_level, check_whole
from robust.intervals.interval import Interval


def clopper_pearson_bounds(k: float, n: float, level: float) -> tuple[float, float]:
    """Clopper-Pearson bounds for counts that may be fractional, as those of rates at another n are.

    Args:
        k: Rows that have the property, 0 .. n.
        n: Rows, above 0.
        level: One-sided confidence level of each bound, in (0.5, 1).

    Returns:
        Lower and upper bound, each in [0, 1].
    """
    lower = float(betaincinv(k, n - k + 1.0, 1.0 - level)) if k > 0.0 else 0.0
    upper = float(betaincinv(k + 1.0, n - k, level)) if k < n else 1.0
    share = k / n
    return min(lower, share), max(upper, share)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProportionSizing:
    """Clopper-Pearson bounds at another number of rows, the share of successes unchanged.

    Attributes:
        k: Rows that have the property.
        n: Rows that were counted.
        level: One-sided confidence level of each bound.
    """

    k: float
    n: int
    level: float

    def at(self, n: int) -> tuple[float, float]:
        """Lower and upper bound at ``n`` rows."""
        return clopper_pearson_bounds(min(self.k * n / self.n, n), n, self.level)


def clopper_pearson(k: int, n: int, *, level: float) -> Interval:
    """Interval for a proportion whose bounds hold at every true proportion and every n.

    The lower bound is the (1 - level) quantile of Beta(k, n - k + 1), the upper one the level quantile of
    Beta(k + 1, n - k).

    Args:
        k: Rows that have the property, 0 .. n.
        n: Rows, at least 1.
        level: One-sided confidence level of each bound, in (0.5, 1).

    Returns:
        Interval for the proportion, all in [0, 1].

    Raises:
        InvalidInput: ``n`` below 1, ``k`` outside 0 .. n, or ``level`` outside (0.5, 1).

    Source:
        Clopper and Pearson (1934), Biometrika 26:404.

    Example:
        With no success in n rows the upper bound solves (1 - p)^n = 1 - level: 1 - 0.05^(1/2) for two rows.

        >>> round(clopper_pearson(0, 2, level=0.95).upper, 4)
        0.7764
    """
    k, n, level = _counts(k, n, level)
    lower, upper = clopper_pearson_bounds(k, n, level)
    return Interval(
        value=k / n,
        lower=lower,
        upper=upper,
        level=level,
        n=n,
        method="clopper-pearson",
        sizing=ProportionSizing(k=k, n=n, level=level),
    )


def wilson(k: int, n: int, *, level: float) -> tuple[float, float]:
    """Wilson's score bounds for a proportion: for display alone, at its limit it passes too often for a gate.

    The roots in p of (k/n - p)^2 = z^2 p(1 - p)/n.

    Args:
        k: Rows that have the property, 0 .. n.
        n: Rows, at least 1.
        level: One-sided confidence level of each bound, in (0.5, 1).

    Returns:
        Lower and upper bound, each in [0, 1].

    Raises:
        InvalidInput: ``n`` below 1, ``k`` outside 0 .. n, or ``level`` outside (0.5, 1).

    Source:
        Wilson (1927), Journal of the American Statistical Association 22:209.

    Example:
        With no success the upper bound is z^2/(n + z^2), z = 1.6449: 2.7055/12.7055.

        >>> round(wilson(0, 10, level=0.95)[1], 4)
        0.2129
    """
    k, n, level = _counts(k, n, level)
    return wilson_bounds(k, n, float(ndtri(level)))


def wilson_bounds(k: float, n: float, z: float) -> tuple[float, float]:
    """Wilson's score bounds at a normal quantile.

    Args:
        k: Rows that have the property, 0 .. n.
        n: Rows, above 0.
        z: Normal quantile of each bound, above 0.

    Returns:
        Lower and upper bound, each in [0, 1].
    """
    share = k / n
    centre = (k + z * z / 2.0) / (n + z * z)
    half = z * math.sqrt(k * (n - k) / n + z * z / 4.0) / (n + z * z)
    # The two exact ends are set, since rounding would leave them a few 1e-17 off.
    lower = 0.0 if k == 0 else min(centre - half, share)
    upper = 1.0 if k == n else max(centre + half, share)
    return lower, upper


def _counts(k: int, n: int, level: float) -> tuple[int, int, float]:
    """Validate the arguments that both intervals share."""
    n = check_whole("n", n, least=1)
    k = check_whole("k", k, least=0)
    if k > n:
        raise InvalidInput(f"k got {k} of n = {n} rows; at most n would be right")
    return k, n, check_level(level)
