"""Bounds at corrected quantiles of resampled figures: shared by bootstraps of rows, blocks and clusters."""

import math

import numpy as np
from scipy.special import ndtr, ndtri

from robust.types import FloatArray

# Resampled figures beyond a bound below which their quantile is too noisy: the bound is then extrapolated.
_TAIL = 5


def acceleration(influences: FloatArray, weights: FloatArray) -> float:
    """A sixth of the skewness of the sum of independent influences, a = sum(i^3)/(6 sum(i^2)^(3/2)).

    Args:
        influences: Shape (u,), weighted mean 0.
        weights: Shape (u,): multiplicities.

    Returns:
        The acceleration; 0 where all influences are 0.

    Example:
        For 2, -1, -1 the sums are 6 and 6, and a is 1/(6 sqrt(6)).

        >>> round(acceleration(np.array([2.0, -1.0]), np.array([1.0, 2.0])), 4)
        0.068
    """
    largest = float(np.abs(influences).max())
    if largest == 0.0:
        return 0.0
    scaled = influences / largest
    return float(weights @ scaled**3) / (6.0 * math.sqrt(float(weights @ scaled**2)) ** 3)


def corrected_bounds(
    resampled: FloatArray, value: float, *, skew: float, z: float
) -> tuple[float, float, tuple[str, ...]]:
    """Bounds at the bias-corrected and accelerated quantiles, rounded outwards to an order statistic.

    Args:
        resampled: Shape (B,); NaN where the figure was not defined.
        value: The estimate.
        skew: Acceleration.
        z: Quantile of each bound on the normal scale, before the correction; above 0, infinite for no
            bound.

    Returns:
        Lower bound, at most the estimate; upper bound, at least the estimate; facts about the resamples, in
        words. Both bounds are the estimate where the resampled figures do not vary; a resample without a
        figure counts as beyond either bound.
    """
    defined = np.sort(resampled[np.isfinite(resampled)])
    lost = resampled.size - defined.size
    notes = (f"{lost} of {resampled.size} resamples have no figure and count against both bounds",) if lost else ()
    if not defined.size or math.isinf(z):
        return -math.inf, math.inf, notes
    if not lost and is_flat(defined):
        return value, value, notes
    below = np.searchsorted(defined, value, "left") + np.searchsorted(defined, value, "right")
    half = 0.5 / resampled.size
    bias = float(ndtri(min(max(0.5 * float(below) / defined.size, half), 1.0 - half)))
    # Beyond the quantile that the resamples can show, the distance from the estimate grows in proportion to
    # z.
    shown = min(z, -float(ndtri(_TAIL / resampled.size)))
    # The k-th smallest of B, k = (B + 1) share, in a sample where the undefined resamples lie beyond the
    # bound.
    low = math.floor(_share(bias, skew, -shown) * (resampled.size + 1)) - 1 - lost
    high = math.ceil(_share(bias, skew, shown) * (resampled.size + 1)) - 1
    lower = -math.inf if low < 0 and lost else float(defined[max(low, 0)])
    upper = math.inf if high >= defined.size and lost else float(defined[min(high, defined.size - 1)])
    lower, upper = min(lower, value), max(upper, value)
    return value - (value - lower) * (z / shown), value + (upper - value) * (z / shown), notes


def is_flat(resampled: FloatArray) -> bool:
    """Whether figures differ by no more than rounding: sums of equal rows can differ in the last bits.

    Args:
        resampled: Shape (B,), ascending, finite.

    Returns:
        True where they are all the same figure.
    """
    spread = float(resampled[-1] - resampled[0])
    return spread <= 1e-13 * max(abs(float(resampled[0])), abs(float(resampled[-1])))


def _share(bias: float, skew: float, z: float) -> float:
    """Share of resampled figures below the bound; 0 or 1 where the correction has no finite value."""
    shifted = bias + z
    stretch = 1.0 - skew * shifted
    if stretch <= 0.0:
        return 1.0 if z > 0.0 else 0.0
    return float(ndtr(bias + shifted / stretch))
