"""Kernels of regression metrics: targets and predictions in, row statistics out."""

import math

import numpy as np

from robust.metrics.classification import first_mean
from robust.metrics.metric import Metric, Rate
from robust.types import AnyArray, FloatArray


def squared_error_rows(y: FloatArray, values: FloatArray) -> FloatArray:
    """Squared error of each row, averaged over outputs: (1/k) Σ_j (y_ij − ŷ_ij)².

    Args:
        y: Targets (n, k).
        values: Predictions (n, k).

    Returns:
        (n, 1), in the target's unit squared.

    >>> squared_error_rows(np.array([[1.0], [3.0]]), np.array([[0.0], [3.0]])).ravel().tolist()
    [1.0, 0.0]
    """
    return np.asarray(((y - values) ** 2).mean(axis=1, keepdims=True))


def output_squares(y: FloatArray, values: FloatArray) -> FloatArray:
    """Squared error of each row and output: (y_ij − ŷ_ij)².

    Args:
        y: Targets (n, k).
        values: Predictions (n, k).

    Returns:
        (n, k), in the target's unit squared.

    >>> output_squares(np.array([[1.0, 5.0]]), np.array([[0.0, 7.0]])).tolist()
    [[1.0, 4.0]]
    """
    return np.asarray((y - values) ** 2)


def absolute_error_rows(y: FloatArray, values: FloatArray) -> FloatArray:
    """Absolute error of each row, averaged over outputs: (1/k) Σ_j |y_ij − ŷ_ij|.

    Args:
        y: Targets (n, k).
        values: Predictions (n, k).

    Returns:
        (n, 1), in the target's unit.
    """
    return np.asarray(np.abs(y - values).mean(axis=1, keepdims=True))


def r2_rows(y: FloatArray, values: FloatArray) -> FloatArray:
    """Per row and output: squared error, target and its square; R² needs only their means.

    Targets are centred first, which changes nothing but the rounding.

    Args:
        y: Targets (n, k).
        values: Predictions (n, k).

    Returns:
        (n, 3k).
    """
    centred = y - y.mean(axis=0)
    return np.hstack([(y - values) ** 2, centred, centred**2])


def r2_of_means(means: FloatArray) -> FloatArray:
    """Coefficient of determination R² = 1 − Σ(y − ŷ)² / Σ(y − ȳ)², averaged over outputs.

    Args:
        means: Means of `r2_rows` (B, 3k).

    Returns:
        At most 1 (B,); NaN where the targets of a resample do not vary.

    >>> r2_of_means(np.array([[1.0, 0.0, 4.0]])).tolist()
    [0.75]
    """
    k = means.shape[1] // 3
    variance = means[:, 2 * k :] - means[:, k : 2 * k] ** 2
    safe = np.where(variance > 0, variance, np.nan)
    return np.asarray(1.0 - (means[:, :k] / safe).mean(axis=1))


def mean_of_roots(means: FloatArray) -> FloatArray:
    """Root mean square error (1/k) Σ_j √m_j, m_j the mean squared error of output j.

    Args:
        means: Means of `output_squares` (B, k).

    Returns:
        In the target's unit (B,).

    >>> mean_of_roots(np.array([[1.0, 9.0]])).tolist()
    [2.0]
    """
    return np.asarray(np.sqrt(means).mean(axis=1))


def value_range(y: AnyArray, seen: AnyArray) -> float:
    """Largest error that one row can have while targets and predictions stay in the range that was seen."""
    return float(max(y.max(), seen.max()) - min(y.min(), seen.min()))


def _mse_effect(y: AnyArray, _values: AnyArray, seen: AnyArray) -> Rate:
    return lambda _share: value_range(y, seen) ** 2 or None


def _rmse_effect(y: AnyArray, values: AnyArray, seen: AnyArray) -> Rate:
    """Rises and falls of the mean of √m_j when a share s of rows gains or loses squares of up to R², R the range.

    Of one output, with u = sR²/m: √m(√(1 + u) − 1)/s and √m(1 − √(1 − min(u, 1)))/s. The fall is the larger, and R²/√m
    at its most, where u = 1; a smaller share than s never does better than that of min(u, 1). All outputs of a row may
    change, so that the mean changes by the mean of these at most. No bound a share where an m is 0.
    """
    squares = ((y - values) ** 2).mean(axis=0).tolist()
    reach = value_range(y, seen) ** 2

    def rate(share: float) -> float | None:
        if 0.0 in squares:
            return None
        # 1 − √(1 − u) = u/(1 + √(1 − u)), which keeps its digits for a small u.
        falls = [reach / math.sqrt(m) / (1.0 + math.sqrt(1.0 - min(share * reach / m, 1.0))) for m in squares]
        return sum(falls) / len(falls)

    return rate


def _mae_effect(y: AnyArray, _values: AnyArray, seen: AnyArray) -> Rate:
    # Targets and predictions that never vary say nothing about how far a row can err.
    return lambda _share: value_range(y, seen) or None


def variance_share_effect(y: AnyArray, _values: AnyArray, seen: AnyArray) -> Rate:
    """A changed row adds at most R² to the mean square of the errors, R the range; their variance is no more."""
    variance = float(y.var(axis=0).min())
    return lambda _share: value_range(y, seen) ** 2 / variance if variance > 0 else None


RMSE = Metric(
    name="rmse",
    title="RMSE",
    task="regression",
    needs="values",
    higher_is_better=False,
    unit="target",
    relative=True,
    rows=output_squares,
    function=mean_of_roots,
    effect=_rmse_effect,
)
MSE = Metric(
    name="mse",
    title="MSE",
    task="regression",
    needs="values",
    higher_is_better=False,
    unit="target units squared",
    relative=True,
    rows=squared_error_rows,
    function=first_mean,
    effect=_mse_effect,
)
MAE = Metric(
    name="mae",
    title="MAE",
    task="regression",
    needs="values",
    higher_is_better=False,
    unit="target",
    relative=True,
    rows=absolute_error_rows,
    function=first_mean,
    effect=_mae_effect,
)
R2 = Metric(
    name="r2",
    title="R²",
    task="regression",
    needs="values",
    higher_is_better=True,
    unit="share of variance",
    relative=False,
    rows=r2_rows,
    function=r2_of_means,
    effect=variance_share_effect,
    low=-math.inf,
    high=1.0,
)
