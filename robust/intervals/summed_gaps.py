"""Bounds of a sum of absolute means, such as the expected calibration error, which its estimate overstates."""

import math

import numpy as np
from scipy.special import ndtri, stdtrit

from robust.intervals.abc_closed import abc
from robust.intervals.arguments import check_level
from robust.intervals.draws import generator
from robust.intervals.interval import Interval, RootSizing
from robust.types import FloatArray, IntArray

#: Normal draws for the quantile of the lower bound, and the share of the error that picks the bins of known sign.
_DRAWS, _PICK = 20_000, 0.1


def summed_gaps(
    gaps: FloatArray, bins: IntArray, *, number: int, null: FloatArray, level: float, seed: int
) -> Interval:
    """Interval of Σ_b |μ_b|, μ_b = E[gap · 1(bin b)], from independent rows.

    The estimate Σ_b |m_b| is biased upwards, most of all where all μ_b are 0, so that no interval around it would do.
    Lower bound Σ_b |m_b| − q: with Z_b the errors of the m_b, Σ|m_b| − Σ|μ_b| ≤ Σ_{known} s_b Z_b + Σ_{other} |Z_b|,
    whose quantile is q; the sign s_b counts as known where |m_b| exceeds twice its simultaneous bound. Upper bound:
    Σ|μ_b| − Σ|m_b| ≤ −Σ_b sign(μ_b) Z_b pointwise, the error of one mean of signed gaps, whose ABC bound is taken for
    the estimated signs and for all gaps of one sign, the largest of the three.

    Args:
        gaps: One number a row (n,), in [−1, 1].
        bins: Bin of each row (n,), 0 … `number` − 1.
        number: Bins in all.
        null: Variance of each row's gap if all μ_b were 0 (n,); a bin's variance is not taken for less.
        level: One-sided confidence level of each bound, in (0.5, 1).
        seed: Seed of the normal draws, at least 0.

    Returns:
        The interval; the lower bound is 0 where nothing proves a gap.

    Source:
        Own derivation, by the triangle inequality; that the estimate is biased: Bröcker (2012), Climate Dynamics
        39:655; Roelofs, Cain, Shlens and Mozer (2022), AISTATS.

    Example:
        Twenty rows of one bin, all with a gap of 0.5 or 0.3: both bounds are those of a mean.

        >>> gaps = np.tile([0.5, 0.3], 10)
        >>> found = summed_gaps(gaps, np.zeros(20, dtype=int), number=1, null=np.zeros(20), level=0.95, seed=0)
        >>> round(found.value, 2), round(found.lower, 2), round(found.upper, 2)
        (0.4, 0.36, 0.44)
    """
    level = check_level(level)
    n = len(gaps)
    sums = np.bincount(bins, weights=gaps, minlength=number) / n
    value = float(np.abs(sums).sum())
    if n < 2:
        lower, upper = -math.inf, math.inf
        return _interval(value, lower, upper, level, n)
    squares = np.bincount(bins, weights=gaps**2, minlength=number) / n
    variance = np.maximum(squares - sums**2, np.bincount(bins, weights=null, minlength=number) / n) / (n - 1)
    lower = value - _overstated(sums, np.sqrt(np.maximum(variance, 0.0)), level=level, n=n, seed=seed)
    signs = np.where(sums < 0, -1.0, 1.0)[bins]
    reach = 0.0
    for signed in (signs * gaps, gaps, -gaps):
        mean = abc(signed, None, _mean, level=level)
        reach = max(reach, mean.upper - mean.value)
    return _interval(value, max(lower, 0.0), value + reach, level, n)


def _overstated(sums: FloatArray, errors: FloatArray, *, level: float, n: int, seed: int) -> float:
    """Quantile of what the estimate lies above the truth, at most."""
    miss = 1.0 - level
    box = -float(ndtri(_PICK * miss / (2.0 * len(sums))))
    known = np.abs(sums) > 2.0 * box * errors
    normal = generator(seed).standard_normal((_DRAWS, int((~known).sum())))
    loose = np.abs(normal) @ errors[~known]
    # The bins of known sign add one normal error; their variances add up.
    loose += generator(seed + 1).standard_normal(_DRAWS) * math.sqrt(float((errors[known] ** 2).sum()))
    widen = float(stdtrit(n - 1, level)) / float(ndtri(level))
    return float(np.quantile(loose, level + _PICK * miss, method="higher")) * widen


def _mean(means: FloatArray) -> FloatArray:
    return means[:, 0]


def _interval(value: float, lower: float, upper: float, level: float, n: int) -> Interval:
    return Interval(
        value=value,
        lower=lower,
        upper=upper,
        level=level,
        n=n,
        method="summed-gaps",
        sizing=RootSizing(value=value, lower=lower, upper=upper, n=n),
    )
