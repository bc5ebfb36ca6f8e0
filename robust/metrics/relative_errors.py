"""Kernels of errors relative to the target: MAPE and sMAPE, each where it is defined."""

import numpy as np

from robust.errors import InvalidInput
from robust.metrics.classification import first_mean
from robust.metrics.metric import Metric, Rate
from robust.metrics.regression import value_range
from robust.types import AnyArray, FloatArray


def percentage_error_rows(y: FloatArray, values: FloatArray) -> FloatArray:
    """Absolute error of each row relative to its target, averaged over outputs: (1/k) Σ_j |y_ij − ŷ_ij| / |y_ij|.

    Args:
        y: Targets (n, k), none of them 0.
        values: Predictions (n, k).

    Returns:
        (n, 1), at least 0.

    Raises:
        InvalidInput: If a target is 0, where the error would be infinite.

    >>> percentage_error_rows(np.array([[2.0], [4.0]]), np.array([[1.0], [5.0]])).ravel().tolist()
    [0.5, 0.25]
    """
    zeros = np.flatnonzero((y == 0).any(axis=1))
    if len(zeros):
        raise InvalidInput(
            f"mape is undefined for targets of 0: {len(zeros)} of {len(y)} rows, the first at position {zeros[0]}; "
            "use mae, rmse or smape"
        )
    return np.asarray((np.abs(y - values) / np.abs(y)).mean(axis=1, keepdims=True))


def symmetric_error_rows(y: FloatArray, values: FloatArray) -> FloatArray:
    """Absolute error relative to both sizes: (1/k) Σ_j 2|y_ij − ŷ_ij| / (|y_ij| + |ŷ_ij|), 0 where both are 0.

    Args:
        y: Targets (n, k).
        values: Predictions (n, k).

    Returns:
        (n, 1), in [0, 2]; 2 wherever the signs differ or one of both is 0, whatever the size of the error.

    >>> symmetric_error_rows(np.array([[1.0], [0.0], [0.0]]), np.array([[3.0], [2.0], [0.0]])).ravel().tolist()
    [1.0, 2.0, 0.0]
    """
    size = np.abs(y) + np.abs(values)
    ratio = np.divide(2.0 * np.abs(y - values), size, out=np.zeros_like(size), where=size > 0)
    # Rounding may leave a full error a bit above 2.
    return np.asarray(np.minimum(ratio, 2.0).mean(axis=1, keepdims=True))


def _mape_effect(y: AnyArray, _values: AnyArray, seen: AnyArray) -> Rate:
    return lambda _share: value_range(y, seen) / float(np.abs(y).min()) or None


def _smape_effect(_y: AnyArray, _values: AnyArray, _seen: AnyArray) -> Rate:
    return lambda _share: 2.0


MAPE = Metric(
    name="mape",
    title="MAPE",
    task="regression",
    needs="values",
    higher_is_better=False,
    unit="share of the target",
    relative=False,
    rows=percentage_error_rows,
    function=first_mean,
    effect=_mape_effect,
)
SMAPE = Metric(
    name="smape",
    title="sMAPE",
    task="regression",
    needs="values",
    higher_is_better=False,
    unit="share of both sizes",
    relative=False,
    rows=symmetric_error_rows,
    function=first_mean,
    effect=_smape_effect,
    high=2.0,
)
