"""How dependent rows are in time: long-run variance, block length, and blocks as units."""

import math

import numpy as np
from scipy.fft import dct

from robust.errors import InvalidInput
from robust.intervals.arguments import check_column, check_finite
from robust.types import BoolArray, FloatArray


def long_run_variance(influence: FloatArray) -> tuple[float, int]:
    """Variance of a mean of rows in time order, from equally weighted cosine projections.

    With L_j = sqrt(2/n) sum_t x_t cos(pi j (t - 1/2)/n), j = 1 .. K, K = 0.4 n^(2/3), the variance is
    mean(L_j^2)/n, and the mean over its square root follows Student's t with K degrees of freedom, because
    the L_j are almost independent and have almost the spectrum at frequency 0 as their variance. At the sizes
    of tests (hundreds of rows) this keeps its level where a lag window with a normal quantile does not: it
    pays for the noise of the variance by its degrees of freedom and has little bias.

    Args:
        influence: Shape (n,), rows in time order.

    Returns:
        Variance of the mean of ``influence``, at least 0, and the degrees of freedom, at least 1.

    Source:
        Lazarus, Lewis, Stock and Watson (2018), Journal of Business and Economic Statistics 36:541, for the
        equally weighted cosines and the rule K = 0.4 n^(2/3); in the line of Kiefer and Vogelsang (2005),
        Econometric Theory 21:1130, whose critical values too allow for the noise of the variance.

    Example:
        Four rows leave one cosine, cos(pi/8), cos(3 pi/8), -cos(3 pi/8), -cos(pi/8): for the rows 1, 0, 0, -1
        L^2 = (4/8) (2 cos(pi/8))^2 = 1.7071.

        >>> variance, freedom = long_run_variance(np.array([1.0, 0.0, 0.0, -1.0]))
        >>> round(variance * 4, 4), freedom
        (1.7071, 1)
    """
    n = influence.size
    freedom = max(1, math.floor(0.4 * n ** (2.0 / 3.0)))
    projections = dct(influence - influence.mean(), norm="ortho")[1 : freedom + 1]
    return float((projections**2).sum()) / (freedom * n), freedom


def mean_block_length(influence: FloatArray) -> float:
    """Mean block length of the stationary bootstrap that makes its variance most accurate.

    (2 G^2/D)^(1/3) n^(1/3), D = 2 g^2, with g = sum w(k/M) R(k) and G = sum w(k/M) |k| R(k) over the lags -M
    .. M of the autocovariance R; w is the trapezoidal window, M twice the lag behind which the
    autocorrelation is noise.

    Args:
        influence: Shape (n,), finite, rows in time order.

    Returns:
        Mean length in rows, 1 .. min(3 sqrt(n), n/3), and never below 1. Where no row has any influence
        nothing is known about the dependence: n^(1/3), the rate of the best length.

    Raises:
        InvalidInput: No rows, or a value that is not finite.

    Source:
        Politis and White (2004), Econometric Reviews 23:53, with the correction of D of Patton, Politis and
        White (2009), Econometric Reviews 28:372.

    Example:
        >>> mean_block_length(np.zeros(1000))
        10.0
    """
    column = check_column("influence", influence)
    n = column.size
    longest = max(1.0, float(math.ceil(min(3.0 * math.sqrt(n), n / 3.0))))
    centred = column - column.mean()
    power = float(centred @ centred) / n
    if power <= (1e-13 * float(np.abs(column).max())) ** 2:
        return min(float(round(n ** (1.0 / 3.0), 9)), longest)
    run = max(5, math.ceil(math.sqrt(math.log10(n))))
    reach = min(n - 1, math.ceil(math.sqrt(n)) + run)
    covariance = np.array([centred[k:] @ centred[: n - k] for k in range(reach + 1)]) / n
    noise = 2.0 * math.sqrt(math.log10(n) / n)
    last = _last_lag(np.abs(covariance[1:] / power) < noise, run)
    window = min(2 * max(last, 1), reach)
    lags = np.arange(1, window + 1)
    weights = np.minimum(1.0, 2.0 * (1.0 - lags / window))
    spectrum = covariance[0] + 2.0 * float(weights @ covariance[1 : window + 1])
    slope = 2.0 * float((weights * lags) @ covariance[1 : window + 1])
    if spectrum <= 0.0:
        return longest
    return min(math.cbrt(max((slope / spectrum) ** 2 * n, 1.0)), longest)


def _last_lag(small: BoolArray, run: int) -> int:
    """Last lag before the first run of lags whose autocorrelation is noise; all where there is none."""
    streak = 0
    for lag, quiet in enumerate(small, start=1):
        streak = streak + 1 if quiet else 0
        if streak == run:
            return lag - run
    return int(small.size)


def block_units(differs: BoolArray, length: float) -> tuple[int, int]:
    """Blocks of rows in time order that count as independent units, and those in which any row differs.

    Args:
        differs: Shape (n,): whether each row, in time order, differs.
        length: Mean block length in rows, at least 1; it is rounded up.

    Returns:
        Blocks with a differing row, and blocks in all; a last, shorter block counts as one where there is no
        other.

    Raises:
        InvalidInput: No rows, another shape, or a length below 1.

    Example:
        Seven rows in blocks of three: two blocks, the last row belongs to the second.

        >>> block_units(np.array([True, True, False, False, False, False, True]), 3.0)
        (2, 2)
    """
    rows = np.asarray(differs)
    if rows.ndim != 1 or rows.size == 0 or rows.dtype != np.bool_:
        raise InvalidInput(f"differs got {rows.dtype} of shape {rows.shape}; one bool a row would be right")
    if check_finite("length", length) < 1.0:
        raise InvalidInput(f"length got {length!r}; at least one row would be right")
    whole = math.ceil(length)
    units = max(1, rows.size // whole)
    owner = np.minimum(np.arange(rows.size) // whole, units - 1)
    return int(np.unique(owner[rows]).size), units
