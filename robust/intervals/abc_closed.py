"""The ABC interval: what BCa converges to, in closed form, for figures of so many rows that resampling is slow."""

import math
from collections.abc import Callable

import numpy as np
from scipy.special import ndtr, ndtri

from robust.errors import InvalidInput
from robust.intervals.arguments import check_level
from robust.intervals.bca import expanded_quantile
from robust.intervals.interval import Interval, RootSizing
from robust.types import AnyArray, FloatArray, IntArray

#: Steps of the numerical derivatives, in standard deviations of a column, of the figure, and towards a row.
_COLUMN_STEP, _CURVE_STEP, _ROW_STEP = 1e-4, 1e-1, 1e-3
#: Distinct rows, evenly spaced in ascending order, from which the bias is estimated at most.
_BIAS_ROWS = 4096
#: Rows of a block.
_BLOCK = 1 << 16


def abc(
    values: AnyArray, counts: IntArray | None, function: Callable[[FloatArray], FloatArray], *, level: float
) -> Interval:
    """Second-order correct interval of a smooth function of means of n independent rows, without resampling.

    Bounds g(m + λ d) with λ = w/(1 − a w)², w = z0 ∓ z: d is the change of the means m along the figure's steepest
    ascent that moves it by one standard error s; a = Σ i³/(6 (Σ i²)^(3/2)) of the rows' influences i;
    z0 = Φ⁻¹(2 Φ(a) Φ(c − b/s)) with the bias b = Σ ï/(2n²) of the second derivatives towards each row and the curvature
    c along d; z = t √(n/(n − 1)) with Student's t, as of ``bca``.

    Args:
        values: Shape (u, m) or (u,): statistics of u rows, finite.
        counts: Shape (u,): how often each occurs; None for once each.
        function: Means (B, m) to figures (B,), differentiable at the means of these rows.
        level: One-sided confidence level of each bound, in (0.5, 1).

    Returns:
        The interval; of zero width where no row has an influence. A bound beyond which the figure is not defined is
        infinite.

    Raises:
        InvalidInput: Another shape, fewer than two rows, or a figure that is not finite.

    Source:
        DiCiccio and Efron (1992), Biometrika 79:231; Efron and Tibshirani (1993), An Introduction to the Bootstrap,
        section 14.4 and chapter 22, equations 22.26 to 22.36.

    Example:
        For a mean of symmetric rows the bounds are m ∓ z s.

        >>> rows = np.tile([0.0, 1.0], 5000)
        >>> mean = abc(rows, None, lambda means: means[:, 0], level=0.95)
        >>> mean.value, round(mean.upper, 5), round(0.5 + 1.645 * 0.5 / 100, 5)
        (0.5, 0.50823, 0.50823)
    """
    level = check_level(level)
    table = np.asarray(values, dtype=np.float64)
    table = table[:, np.newaxis] if table.ndim == 1 else table
    weights = np.ones(len(table)) if counts is None else np.asarray(counts, dtype=np.float64)
    if table.ndim != 2 or weights.shape != (len(table),) or weights.sum() < 2:
        raise InvalidInput(f"values got shape {np.shape(values)}; two rows or more, a count each, would be right")
    n = int(weights.sum())
    means = weights @ table / n
    value = float(function(means[np.newaxis])[0])
    if not math.isfinite(value):
        raise InvalidInput(f"function got {value!r} on the means of the rows; a finite figure would be right")
    gradient = _gradient(function, table, weights, means)
    square, cube, direction = _moments(table, weights, means, gradient)
    error = math.sqrt(square) / n
    if error <= 1e-15 * abs(value):
        return _interval(value, value, value, level, n)
    direction = direction / (n * n * error)
    skew = cube / (6.0 * square**1.5)
    shift = _correction(function, table, weights, means, direction, error=error, skew=skew, value=value)
    z = expanded_quantile(level, n)
    ends = []
    for side in (-1.0, 1.0):
        moved = shift + side * z
        stretch = 1.0 - skew * moved
        lam = moved / stretch**2 if stretch > 0 else side * math.inf
        end = float(function((means + lam * direction)[np.newaxis])[0]) if math.isfinite(lam) else math.nan
        ends.append(end if math.isfinite(end) else side * math.inf)
    return _interval(value, min(ends[0], value), max(ends[1], value), level, n)


def _interval(value: float, lower: float, upper: float, level: float, n: int) -> Interval:
    return Interval(
        value=value,
        lower=lower,
        upper=upper,
        level=level,
        n=n,
        method="abc",
        sizing=RootSizing(value=value, lower=lower, upper=upper, n=n),
    )


def _gradient(
    function: Callable[[FloatArray], FloatArray], table: FloatArray, weights: FloatArray, means: FloatArray
) -> FloatArray:
    """Central differences of the figure by each mean; 0 by a mean whose rows are all alike."""
    spread = np.zeros(len(means))
    for rows in _blocks(len(table)):
        spread += weights[rows] @ (table[rows] - means) ** 2
    steps = _COLUMN_STEP * np.sqrt(spread / weights.sum())
    moving = np.flatnonzero(steps > 1e-14 * np.abs(means))
    gradient = np.zeros(len(means))
    for part in np.array_split(moving, max(1, len(moving) * len(means) // _BLOCK)):
        moves = np.zeros((len(part), len(means)))
        moves[np.arange(len(part)), part] = steps[part]
        with np.errstate(invalid="ignore", divide="ignore"):
            gradient[part] = (function(means + moves) - function(means - moves)) / (2.0 * steps[part])
    return np.where(np.isfinite(gradient), gradient, 0.0)


def _moments(
    table: FloatArray, weights: FloatArray, means: FloatArray, gradient: FloatArray
) -> tuple[float, float, FloatArray]:
    """Sums of the squared and cubed influences, and of the influences times the deviations of the rows."""
    square, cube, direction = 0.0, 0.0, np.zeros(len(means))
    for rows in _blocks(len(table)):
        deviations = table[rows] - means
        influence = deviations @ gradient
        weighted = weights[rows] * influence
        square += float(weighted @ influence)
        cube += float(weighted @ influence**2)
        direction += weighted @ deviations
    return square, cube, direction


def _correction(
    function: Callable[[FloatArray], FloatArray],
    table: FloatArray,
    weights: FloatArray,
    means: FloatArray,
    direction: FloatArray,
    *,
    error: float,
    skew: float,
    value: float,
) -> float:
    """The bias correction z0; of a mean it is the acceleration."""

    def bend(moves: FloatArray, step: float) -> FloatArray:
        with np.errstate(invalid="ignore", divide="ignore"):
            curve = (function(means + step * moves) - 2.0 * value + function(means - step * moves)) / step**2
        return np.where(np.isfinite(curve), curve, 0.0)

    n = float(weights.sum())
    chosen = np.unique(np.linspace(0, len(table) - 1, min(len(table), _BIAS_ROWS)).round().astype(np.int64))
    seconds = np.concatenate([bend(table[part] - means, _ROW_STEP) for part in np.array_split(chosen, 16) if len(part)])
    bias = float(np.average(seconds, weights=weights[chosen])) / (2.0 * n)
    curvature = float(bend(direction[np.newaxis], _CURVE_STEP)[0]) / (2.0 * error)
    share = 2.0 * float(ndtr(skew)) * float(ndtr(curvature - bias / error))
    return float(ndtri(min(max(share, 1e-12), 1.0 - 1e-12)))


def _blocks(n: int) -> list[slice]:
    return [slice(start, min(start + _BLOCK, n)) for start in range(0, n, _BLOCK)]
