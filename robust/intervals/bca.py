"""The bias-corrected and accelerated bootstrap for figures of independent rows."""

import math

import numpy as np
from scipy.special import stdtrit

from robust.intervals.arguments import check_level, check_whole
from robust.intervals.draws import check_multiplicities, draw_counts, generator
from robust.intervals.interval import Interval, RootSizing
from robust.intervals.quantiles import acceleration, corrected_bounds
from robust.intervals.resampling import Statistic, estimate, evaluate, influence
from robust.types import AnyArray


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

    Bounds at the quantiles Phi(z0 + (z0 -+ z)/(1 - a(z0 -+ z))) of the resampled figures; z0 is the normal
    quantile of the share of resampled figures below the estimate (half of those equal to it), a = sum(i^3)/(6
    sum(i^2)^(3/2)) over the jackknife influences i of the rows, and z = t sqrt(n/(n - 1)) with t the Student
    quantile at n - 1 degrees of freedom, which makes up for the narrowness of a bootstrap of few rows.

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
        Introduction to the Bootstrap, equations 14.9, 14.10, 14.14 and 14.15; Hesterberg (2015), The American
        Statistician 69:371, for the expanded quantile. Drawing the counts of distinct rows is the same law as
        drawing rows.

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
    lower, upper, notes = corrected_bounds(resampled, value, skew=skew, z=expanded_quantile(level, n))
    return Interval(
        value=value,
        lower=lower,
        upper=upper,
        level=level,
        n=n,
        method="bca-bootstrap",
        sizing=RootSizing(value=value, lower=lower, upper=upper, n=n),
        notes=notes,
    )


def expanded_quantile(level: float, units: int) -> float:
    """Student quantile with which percentiles of few resampled units are as wide as a t interval.

    Args:
        level: One-sided confidence level, in (0.5, 1).
        units: Independent units, at least 1.

    Returns:
        t sqrt(units/(units - 1)); infinite for a single unit.

    Example:
        Two units: the Cauchy quantile 6.3138 times the square root of 2.

        >>> round(expanded_quantile(0.95, 2), 3)
        8.929
    """
    if units < 2:
        return math.inf
    return float(stdtrit(units - 1, level)) * math.sqrt(units / (units - 1))
