"""Metrics by name."""

from robust.errors import InvalidInput
from robust.metrics.class_ratios import PRECISION, RECALL
from robust.metrics.classification import ACCURACY, BRIER, F1, LOG_LOSS
from robust.metrics.metric import Metric
from robust.metrics.ranking import AUC
from robust.metrics.regression import MAE, MSE, R2, RMSE
from robust.metrics.relative_errors import MAPE, SMAPE
from robust.metrics.variance_explained import EXPLAINED_VARIANCE

#: Metrics that two models can be compared by, row by row.
METRICS: tuple[Metric, ...] = (
    ACCURACY,
    F1,
    LOG_LOSS,
    AUC,
    RMSE,
    MAE,
    R2,
    PRECISION,
    RECALL,
    BRIER,
    MSE,
    EXPLAINED_VARIANCE,
    MAPE,
    SMAPE,
)
#: Measures of one model for whose change no valid paired bound is known, and what to compare by instead.
UNPAIRED = {
    "average_precision": "auc",
    "calibration_error": "brier or log_loss",
    "median_absolute_error": "mae",
    "max_error": "rmse",
}


def find_metric(name: str) -> Metric:
    """The metric of a name, by which two models can be compared.

    Args:
        name: e.g. `accuracy`.

    Returns:
        The metric.

    Raises:
        InvalidInput: If no metric has that name, or it has no valid paired bound.

    >>> find_metric("rmse").higher_is_better
    False
    """
    for metric in METRICS:
        if metric.name == name:
            return metric
    if name in UNPAIRED:
        raise InvalidInput(
            f"no valid bound is known for the change of {name} between two models; measure it on each, or compare by "
            f"{UNPAIRED[name]}"
        )
    raise InvalidInput(f"no metric is named {name!r}; the metrics are {', '.join(m.name for m in METRICS)}")
