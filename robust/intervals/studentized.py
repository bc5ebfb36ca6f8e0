"""Bootstrap-t bounds: resampled figures in units of their own standard errors."""

import math

import numpy as np

from robust.types import FloatArray


def studentized_bounds(
    resampled: FloatArray, errors: FloatArray, *, value: float, error: float, level: float
) -> tuple[float, float]:
    """Bounds value - q error, q the quantiles at level and 1 - level of (resampled - value)/errors.

    Unlike percentiles they follow the dependence of the spread on the figure, which is what leaves a bound
    short above a right-skewed loss of few units.

    Args:
        resampled: Shape (B,): resampled figures; NaN where the figure was not defined.
        errors: Shape (B,): standard error of each, at least 0.
        value: The estimate.
        error: Its standard error, at least 0.
        level: One-sided confidence level of each bound, in (0.5, 1).

    Returns:
        Lower bound, at most the estimate, and upper bound, at least the estimate. Resamples without a figure
        or without any spread have no studentized figure and are left out; with fewer than 2 others both
        bounds are the estimate.

    Source:
        Efron (1982), The Jackknife, the Bootstrap and Other Resampling Plans, section 10.10; Hall (1988),
        Annals of Statistics 16:927, for its second-order accuracy.

    Example:
        Of the figures -1, 0 and 1, each with error 1, the extreme ones are the quantiles.

        >>> studentized_bounds(np.array([-1.0, 0.0, 1.0]), np.ones(3), value=0.0, error=2.0, level=0.75)
        (-2.0, 2.0)
    """
    usable = np.isfinite(resampled) & (errors > 0.0)
    ratios = np.sort((resampled[usable] - value) / errors[usable])
    number = ratios.size
    if number < 2:
        return value, value
    # Order statistics (B + 1) level, rounded outwards.
    high = min(math.ceil(level * (number + 1)), number) - 1
    low = max(math.floor((1.0 - level) * (number + 1)), 1) - 1
    return min(value - float(ratios[high]) * error, value), max(value - float(ratios[low]) * error, value)
