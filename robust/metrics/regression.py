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


def root_of_mean(means: FloatArray) -> FloatArray:
    """Square root of the only mean there is."""
    return np.sqrt(means[:, 0])


def value_range(y: AnyArray, seen: AnyArray) -> float:
    """Largest error that one row can have while targets and predictions stay in the range that was seen."""
    return float(max(y.max(), seen.max()) - min(y.min(), seen.min()))


def _mse_effect(y: AnyArray, _values: AnyArray, seen: AnyArray) -> Rate:
    return lambda _share: value_range(y, seen) ** 2 or None


def _rmse_effect(y: AnyArray, values: AnyArray, seen: AnyArray) -> Rate:
    """Rises and falls of √m when a share s of rows gains or loses squared errors of up to R² each, R the range.

    With u = sR²/m: √m(√(1 + u) − 1)/s and √m(1 − √(1 − min(u, 1)))/s. The fall is the larger, and R²/√m at its most,
    where u = 1; a smaller share than s never does better than that of min(u, 1). No bound a share where m = 0.
    """
    square = float(((y - values) ** 2).mean())
    reach = value_range(y, seen) ** 2

    def rate(share: float) -> float | None:
        if square == 0:
            return None
        fallen = min(share * reach / square, 1.0)
        # 1 − √(1 − u) = u/(1 + √(1 − u)), which keeps its digits for a small u.
        return reach / math.sqrt(square) / (1.0 + math.sqrt(1.0 - fallen))

    return rate


def _mae_effect(y: AnyArray, _values: AnyArray, seen: AnyArray) -> Rate:
    # Targets and predictions that never vary say nothing about how far a row can err.
    return lambda _share: value_range(y, seen) or None


def _r2_effect(y: AnyArray, _values: AnyArray, seen: AnyArray) -> Rate:
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
    rows=squared_error_rows,
    function=root_of_mean,
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
    effect=_r2_effect,
    low=-math.inf,
    high=1.0,
)
