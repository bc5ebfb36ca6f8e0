"""The explained variance: like R², but blind to a constant offset."""

import math

import numpy as np

from robust.errors import InvalidInput
from robust.metrics.metric import Metric, Rate
from robust.metrics.regression import value_range
from robust.types import AnyArray, FloatArray


def explained_variance_rows(y: FloatArray, values: FloatArray) -> FloatArray:
    """Per row and output: error, its square, target and its square; the explained variance needs only their means.

    Errors and targets are centred first, which changes nothing but the rounding.

    Args:
        y: Targets (n, k).
        values: Predictions (n, k).

    Returns:
        (n, 4k).

    Raises:
        InvalidInput: If the targets of an output are constant: their variance is 0.
    """
    if (y.max(axis=0) == y.min(axis=0)).any():
        raise InvalidInput("explained_variance is undefined for constant targets: their variance is 0; use rmse or mae")
    errors = y - values
    errors -= errors.mean(axis=0)
    centred = y - y.mean(axis=0)
    return np.hstack([errors, errors**2, centred, centred**2])


def explained_variance_of_means(means: FloatArray) -> FloatArray:
    """Explained variance 1 − Var(y − ŷ)/Var(y), averaged over outputs.

    Args:
        means: Means of `explained_variance_rows` (B, 4k).

    Returns:
        At most 1 (B,); NaN where the targets of a resample do not vary.

    >>> explained_variance_of_means(np.array([[0.5, 1.25, 0.0, 4.0]])).tolist()
    [0.75]
    """
    k = means.shape[1] // 4
    error, square, target, target_square = (means[:, part * k : (part + 1) * k] for part in range(4))
    variance = target_square - target**2
    unexplained = np.maximum(square - error**2, 0.0) / np.where(variance > 0, variance, np.nan)
    return np.asarray(1.0 - unexplained.mean(axis=1))


def _effect(y: AnyArray, _values: AnyArray, seen: AnyArray) -> Rate:
    """A changed row adds at most R² to the mean square of the errors, and their variance is no more than that."""
    variance = float(y.var(axis=0).min())
    return lambda _share: value_range(y, seen) ** 2 / variance if variance > 0 else None


EXPLAINED_VARIANCE = Metric(
    name="explained_variance",
    title="explained variance",
    task="regression",
    needs="values",
    higher_is_better=True,
    unit="share of variance",
    relative=False,
    rows=explained_variance_rows,
    function=explained_variance_of_means,
    effect=_effect,
    low=-math.inf,
    high=1.0,
)
