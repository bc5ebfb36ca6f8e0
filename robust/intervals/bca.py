"""The bias-corrected and accelerated bootstrap for figures of independent rows."""

import math
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr, ndtri

from robust.errors import InvalidInput
from robust.intervals.arguments import check_level, check_whole
from robust.intervals.interval import Interval, RootSizing
from robust.intervals.resampling import Statistic, draw_counts, evaluate, generator, influence
from robust.types import AnyArray, FloatArray


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """Bootstrap bounds around an estimate, with what was found about the resamples.

    Attributes:
        lower: Lower bound, at most the estimate.
        upper: Upper bound, at least the estimate.
        notes: Facts about the resamples, in words.
    """

    lower: float
    upper: float
    notes: tuple[str, ...]


def bca(
    statistic: Statistic,
    counts: AnyArray,
    *,
    level: float,
    seed: int,
    resamples: int = 2000,
    batch: int | None = None,
) -> Interval:
    """Second-order correct bootstrap interval of a figure of n independent rows.

    Bound at the quantile Phi(z0 + (z0 + z)/(1 - a(z0 + z))) of the resampled figures, z = -z_level and
    z_level; z0 is the normal quantile of the share of resampled figures below the estimate (half of those
    equal to it), and a = sum(i^3)/(6 sum(i^2)^(3/2)) over the jackknife influences i of the rows.

    Args:
        statistic: The figure, as a function of weights of shape (B, u).
        counts: Shape (u,): how often each of the u distinct rows occurs, at least 1 each; n is their sum. All
            ones where every row differs.
        level: One-sided confidence level of each bound, in (0.5, 1).
        seed: At least 0; the same seed gives the same bits.
        resamples: Number of bootstrap samples, at least 100.
        batch: Samples evaluated at once; None for as many as keep a block of weights near 8 MiB.

    Returns:
        Interval of the figure. Where all resampled figures are equal its width is 0, and the caller has to
        widen it by ``never_vacuous``. A resample on which the figure is not defined counts against both
        bounds.

    Raises:
        InvalidInput: An argument out of range, or a figure that is not finite on the rows themselves.

    Source:
        Efron (1987), Journal of the American Statistical Association 82:171; Efron and Tibshirani (1993), An
        Introduction to the Bootstrap, equations 14.9, 14.10, 14.14 and 14.15. Drawing the counts of distinct
        rows is the same law as drawing rows.

    Example:
        >>> from robust.intervals.resampling import SmoothOfMeans
        >>> share = SmoothOfMeans(np.array([0.0, 1.0]), lambda means: means[:, 0])
        >>> interval = bca(share, np.array([900, 100]), level=0.95, seed=0)
        >>> interval.value, round(interval.lower, 2), round(interval.upper, 2)
        (0.1, 0.09, 0.12)
    """
    level = check_level(level)
    resamples = check_whole("resamples", resamples, least=100)
    if batch is not None:
        batch = check_whole("batch", batch, least=1)
    rng = generator(seed)
    multiplicities = check_multiplicities(counts)
    weights = multiplicities.astype(np.float64)
    n = int(multiplicities.sum())
    value = estimate(statistic, weights)
    blocks = draw_counts(multiplicities, resamples, rng, batch=batch)
    resampled = np.concatenate([evaluate(statistic, block) for block in blocks])
    skew = acceleration(influence(statistic, weights), weights) if n > 1 else 0.0
    bounds = bca_bounds(resampled, value, skew, float(ndtri(level)))
    return Interval(
        value=value,
        lower=bounds.lower,
        upper=bounds.upper,
        level=level,
        n=n,
        method="bca-bootstrap",
        sizing=RootSizing(value=value, lower=bounds.lower, upper=bounds.upper, n=n),
        notes=bounds.notes,
    )


def check_multiplicities(counts: AnyArray) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Return multiplicities as int64.

    Args:
        counts: Shape (u,): whole numbers of at least 1.

    Returns:
        The multiplicities.

    Raises:
        InvalidInput: Another shape, no row, or an entry that is no whole number of at least 1.
    """
    array = np.asarray(counts)
    if array.ndim != 1 or array.size == 0:
        raise InvalidInput(f"counts got shape {array.shape}; one multiplicity a distinct row would be right")
    if (
        array.dtype.kind not in "iuf"
        or not np.isfinite(array).all()
        or (array < 1).any()
        or (array % 1 != 0).any()
    ):
        raise InvalidInput(
            "counts got an entry that is no whole number of at least 1; multiplicities would be right"
        )
    return array.astype(np.int64)


def estimate(statistic: Statistic, weights: FloatArray) -> float:
    """Value of the statistic on the rows themselves.

    Args:
        statistic: The statistic.
        weights: Shape (u,): the multiplicities.

    Returns:
        The value, finite.

    Raises:
        InvalidInput: It is NaN or infinite.
    """
    value = float(evaluate(statistic, weights[np.newaxis, :])[0])
    if not math.isfinite(value):
        raise InvalidInput(f"statistic got {value!r} on the rows themselves; a finite figure would be right")
    return value


def acceleration(influences: FloatArray, weights: FloatArray) -> float:
    """A sixth of the skewness of the influences, over the square root of their number.

    Args:
        influences: Shape (u,), weighted mean 0.
        weights: Shape (u,): multiplicities.

    Returns:
        The acceleration; 0 where all influences are 0.
    """
    largest = float(np.abs(influences).max())
    if largest == 0.0:
        return 0.0
    scaled = influences / largest
    return float(weights @ scaled**3) / (6.0 * math.sqrt(float(weights @ scaled**2)) ** 3)


def bca_bounds(resampled: FloatArray, value: float, skew: float, z: float) -> Bounds:
    """Bounds at the corrected quantiles of resampled figures, rounded outwards to an order statistic.

    Args:
        resampled: Shape (B,); NaN where the figure was not defined.
        value: The estimate.
        skew: Acceleration.
        z: Normal quantile, above 0, of each bound before the correction.

    Returns:
        Bounds that enclose the estimate. Each resample without a figure counts as beyond either bound.
    """
    defined = np.sort(resampled[np.isfinite(resampled)])
    lost = resampled.size - defined.size
    notes = (
        (f"{lost} of {resampled.size} resamples have no figure and count against both bounds",)
        if lost
        else ()
    )
    # A spread at the level of rounding is no spread: two ways to sum equal rows differ in the last bits.
    if (
        defined.size
        and defined[-1] - defined[0] <= 1e-13 * max(abs(defined[0]), abs(defined[-1]))
        and not lost
    ):
        return Bounds(lower=value, upper=value, notes=notes)
    if not defined.size:
        return Bounds(lower=-math.inf, upper=math.inf, notes=notes)
    below = np.searchsorted(defined, value, "left") + np.searchsorted(defined, value, "right")
    half = 0.5 / resampled.size
    bias = float(ndtri(min(max(0.5 * float(below) / defined.size, half), 1.0 - half)))
    # The k-th smallest of B, k = (B + 1) share, in a sample where the undefined resamples lie beyond the
    # bound.
    low = math.floor(_quantile_share(bias, skew, -z) * (resampled.size + 1)) - 1 - lost
    high = math.ceil(_quantile_share(bias, skew, z) * (resampled.size + 1)) - 1
    lower = -math.inf if low < 0 and lost else float(defined[max(low, 0)])
    upper = math.inf if high >= defined.size and lost else float(defined[min(high, defined.size - 1)])
    return Bounds(lower=min(lower, value), upper=max(upper, value), notes=notes)


def _quantile_share(bias: float, skew: float, z: float) -> float:
    """Share of resampled figures below the bound; 0 or 1 where the correction has no finite value."""
    shifted = bias + z
    stretch = 1.0 - skew * shifted
    if stretch <= 0.0:
        return 1.0 if z > 0.0 else 0.0
    return float(ndtr(bias + shifted / stretch))
