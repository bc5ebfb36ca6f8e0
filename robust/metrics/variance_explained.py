"""The explained variance: like R², but blind to a constant offset."""

import math

import numpy as np

from robust.errors import InvalidInput
from robust.metrics.metric import Metric
from robust.metrics.regression import variance_share_effect
from robust.types import FloatArray


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
    effect=variance_share_effect,
    low=-math.inf,
    high=1.0,
)
