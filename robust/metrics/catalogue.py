"""Metrics by name."""

from robust.errors import InvalidInput
from robust.metrics.classification import ACCURACY, F1, LOG_LOSS
from robust.metrics.metric import Metric
from robust.metrics.ranking import AUC
from robust.metrics.regression import MAE, R2, RMSE

METRICS: tuple[Metric, ...] = (ACCURACY, F1, LOG_LOSS, AUC, RMSE, MAE, R2)


def find_metric(name: str) -> Metric:
    """The metric of a name.

    Args:
        name: e.g. `accuracy`.

    Returns:
        The metric.

    Raises:
        InvalidInput: If no metric has that name.

    >>> find_metric("rmse").higher_is_better
    False
    """
    for metric in METRICS:
        if metric.name == name:
            return metric
    raise InvalidInput(f"no metric is named {name!r}; the metrics are {', '.join(m.name for m in METRICS)}")
