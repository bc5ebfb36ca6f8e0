"""Public regression measures."""

from typing import Any

from robust.data.live import as_data
from robust.measurement import Measurement
from robust.measures.single import measure_metric
from robust.metrics.regression import MAE, R2, RMSE
from robust.models.conversion import as_model


def rmse(model: Any, data: Any, *, level: float = 0.95, seed: int = 0) -> Measurement:
    """Root mean square error.

    RMSE = √((1/n) Σ (y_i − ŷ_i)²), the mean also over outputs

    Args:
        model: Anything `as_model` takes.
        data: Anything `as_data` takes; targets are numbers (n,) or (n, k).
        level: Confidence of each bound, in (0.5, 1).
        seed: Seed of the bootstrap.

    Returns:
        A value ≥ 0 in the target's unit, lower is better; BCa bootstrap bounds (Efron 1987), from blocks or clusters
        where rows have an order or groups.

    Raises:
        InvalidInput: If targets and outputs do not fit.
        ModelFault: If the model breaks its contract.

    >>> import numpy as np
    >>> rmse(as_model(lambda x: x[:, 0], task="regression"), (np.array([[0.0], [0.0]]), [3.0, -3.0])).value
    3.0
    """
    return measure_metric(RMSE, as_model(model), as_data(data), level=level, seed=seed)


def mae(model: Any, data: Any, *, level: float = 0.95, seed: int = 0) -> Measurement:
    """Mean absolute error.

    MAE = (1/n) Σ |y_i − ŷ_i|, the mean also over outputs

    Args:
        model: Anything `as_model` takes.
        data: Anything `as_data` takes; targets are numbers (n,) or (n, k).
        level: Confidence of each bound, in (0.5, 1).
        seed: Seed of the bootstrap.

    Returns:
        A value ≥ 0 in the target's unit, lower is better; bounds as of `rmse`.

    Raises:
        InvalidInput: If targets and outputs do not fit.
        ModelFault: If the model breaks its contract.

    >>> import numpy as np
    >>> mae(as_model(lambda x: x[:, 0], task="regression"), (np.array([[0.0], [0.0]]), [3.0, -1.0])).value
    2.0
    """
    return measure_metric(MAE, as_model(model), as_data(data), level=level, seed=seed)


def r2(model: Any, data: Any, *, level: float = 0.95, seed: int = 0) -> Measurement:
    """Coefficient of determination.

    R² = 1 − Σ(y_i − ŷ_i)² / Σ(y_i − ȳ)², averaged over outputs

    Args:
        model: Anything `as_model` takes.
        data: Anything `as_data` takes; targets are numbers (n,) or (n, k) that vary.
        level: Confidence of each bound, in (0.5, 1).
        seed: Seed of the bootstrap.

    Returns:
        A share of variance, at most 1, higher is better, 0 for a model that predicts the mean; bounds as of `rmse`.

    Raises:
        InvalidInput: If the targets are constant, or targets and outputs do not fit.
        ModelFault: If the model breaks its contract.

    >>> import numpy as np
    >>> r2(as_model(lambda x: x[:, 0], task="regression"), (np.array([[1.0], [2.0], [2.0]]), [1.0, 2.0, 3.0])).value
    0.5
    """
    return measure_metric(R2, as_model(model), as_data(data), level=level, seed=seed)
