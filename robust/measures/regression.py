"""Public regression measures."""

from typing import Any

from robust.data.live import as_data
from robust.measurement import Measurement
from robust.measures.single import measure_metric
from robust.metrics.regression import MAE, MSE, R2, RMSE
from robust.metrics.relative_errors import MAPE, SMAPE
from robust.metrics.variance_explained import EXPLAINED_VARIANCE
from robust.models.conversion import as_model


def rmse(model: Any, data: Any, *, level: float = 0.95, seed: int = 0) -> Measurement:
    """Root mean square error.

    RMSE = √((1/n) Σ (y_i − ŷ_i)²), of several outputs the mean of their roots

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
    >>> twice = as_model(lambda x: np.hstack([x, x]), task="regression")
    >>> rmse(twice, (np.zeros((2, 1)), [[1.0, 3.0], [-1.0, 3.0]])).value
    2.0
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


def mse(model: Any, data: Any, *, level: float = 0.95, seed: int = 0) -> Measurement:
    """Mean square error.

    MSE = (1/n) Σ (y_i − ŷ_i)², the mean also over outputs

    Args:
        model: Anything `as_model` takes.
        data: Anything `as_data` takes; targets are numbers (n,) or (n, k).
        level: Confidence of each bound, in (0.5, 1).
        seed: Seed of the bootstrap.

    Returns:
        A value ≥ 0 in the target's unit squared, lower is better; bounds as of `rmse`.

    Raises:
        InvalidInput: If targets and outputs do not fit.
        ModelFault: If the model breaks its contract.

    >>> import numpy as np
    >>> mse(as_model(lambda x: x[:, 0], task="regression"), (np.array([[0.0], [0.0]]), [3.0, -1.0])).value
    5.0
    """
    return measure_metric(MSE, as_model(model), as_data(data), level=level, seed=seed)


def explained_variance(model: Any, data: Any, *, level: float = 0.95, seed: int = 0) -> Measurement:
    """Share of the targets' variance that is left out of the errors' variance.

    1 − Var(y − ŷ) / Var(y), averaged over outputs: as R², but blind to a constant offset of the predictions

    Args:
        model: Anything `as_model` takes.
        data: Anything `as_data` takes; targets are numbers (n,) or (n, k) that vary.
        level: Confidence of each bound, in (0.5, 1).
        seed: Seed of the bootstrap.

    Returns:
        At most 1, higher is better, 0 for a model that predicts a constant; bounds as of `rmse`.

    Raises:
        InvalidInput: If the targets are constant, where it is undefined, or targets and outputs do not fit.
        ModelFault: If the model breaks its contract.

    >>> import numpy as np
    >>> shifted = as_model(lambda x: x[:, 0] + 7, task="regression")
    >>> explained_variance(shifted, (np.array([[1.0], [2.0], [3.0]]), [1.0, 2.0, 3.0])).value
    1.0
    """
    return measure_metric(EXPLAINED_VARIANCE, as_model(model), as_data(data), level=level, seed=seed)


def mape(model: Any, data: Any, *, level: float = 0.95, seed: int = 0) -> Measurement:
    """Mean absolute error relative to the target.

    MAPE = (1/n) Σ |y_i − ŷ_i| / |y_i|, the mean also over outputs; a share, not in percent

    Args:
        model: Anything `as_model` takes.
        data: Anything `as_data` takes; targets are numbers (n,) or (n, k), none of them 0.
        level: Confidence of each bound, in (0.5, 1).
        seed: Seed of the bootstrap.

    Returns:
        A value ≥ 0, lower is better; bounds as of `rmse`. A target near 0 outweighs all others; predicting too low
        costs at most 1 a row, too high any amount. The evidence says where targets have both signs.

    Raises:
        InvalidInput: If a target is 0, where it is undefined, or targets and outputs do not fit.
        ModelFault: If the model breaks its contract.

    >>> import numpy as np
    >>> mape(as_model(lambda x: x[:, 0], task="regression"), (np.array([[1.0], [5.0]]), [2.0, 4.0])).value
    0.375
    """
    return measure_metric(MAPE, as_model(model), as_data(data), level=level, seed=seed)


def smape(model: Any, data: Any, *, level: float = 0.95, seed: int = 0) -> Measurement:
    """Mean absolute error relative to the mean size of target and prediction.

    sMAPE = (1/n) Σ 2|y_i − ŷ_i| / (|y_i| + |ŷ_i|), 0 where both are 0, the mean also over outputs; a share, not in
    percent

    Args:
        model: Anything `as_model` takes.
        data: Anything `as_data` takes; targets are numbers (n,) or (n, k).
        level: Confidence of each bound, in (0.5, 1).
        seed: Seed of the bootstrap.

    Returns:
        A value in [0, 2], lower is better; bounds as of `rmse`. A row with a wrong sign, or with one of both 0, counts
        as 2 whatever its error: the evidence counts them.

    Raises:
        InvalidInput: If targets and outputs do not fit.
        ModelFault: If the model breaks its contract.

    Source: Makridakis (1993), International Journal of Forecasting 9:527, with sizes in the denominator.

    >>> import numpy as np
    >>> smape(as_model(lambda x: x[:, 0], task="regression"), (np.array([[3.0], [0.0]]), [1.0, 0.0])).value
    0.5
    """
    return measure_metric(SMAPE, as_model(model), as_data(data), level=level, seed=seed)
