"""All regression metrics at once, from one prediction."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from robust.data.live import as_data
from robust.errors import InvalidInput
from robust.evidence import Evidence
from robust.intervals.arguments import check_level
from robust.measurement import Measurement
from robust.measures.assembling import assemble
from robust.measures.by_name import measured
from robust.measures.each_output import values_by_output
from robust.measures.error_quantiles import largest_error, median_of_outputs
from robust.measures.metric_evidence import single_evidence
from robust.measures.metric_interval import single_interval
from robust.measures.single import row_values
from robust.measures.truth import Scored, score
from robust.metrics.metric import Metric
from robust.metrics.regression import MAE, MSE, R2, RMSE
from robust.metrics.relative_errors import MAPE, SMAPE
from robust.metrics.variance_explained import EXPLAINED_VARIANCE
from robust.models.conversion import as_model
from robust.predicting.metering import metered
from robust.predicting.predictions import predict

_METRICS: tuple[Metric, ...] = (MSE, RMSE, MAE, R2, EXPLAINED_VARIANCE, MAPE, SMAPE)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RegressionMetrics:
    """All metrics of a regression model; iterates as its measurements.

    Args:
        measurements: One a metric that could be measured, by its name.
        missing: Name and reason of each that could not.
        by_output: Of several outputs, the value of every metric for each by itself, by name; those that its targets
            leave undefined are left out. Empty for one output.
    """

    measurements: dict[str, Measurement]
    missing: tuple[tuple[str, str], ...]
    by_output: tuple[dict[str, float], ...] = ()

    def __iter__(self) -> Iterator[Measurement]:
        return iter(self.measurements.values())

    def __getitem__(self, name: str) -> Measurement:
        return measured(name, self.measurements, self.missing)


def regression_metrics(model: Any, data: Any, *, level: float = 0.95, seed: int = 0) -> RegressionMetrics:
    """Measure all regression metrics of a model from one prediction.

    mse, rmse, mae, r2, explained_variance, mape, smape, median_absolute_error, max_error: the formulas are those of the
    measures of these names

    Args:
        model: Anything `as_model` takes.
        data: Anything `as_data` takes, with targets (n,) or (n, k).
        level: Confidence of each bound, in (0.5, 1).
        seed: Seed of bootstraps.

    Returns:
        A measurement a metric, with the value and bounds of the measure of its name. Those that constant targets or
        targets of 0 leave undefined are named with the reason. Of several outputs, which a measurement averages,
        `by_output` holds the values of each.

    Raises:
        InvalidInput: If targets and outputs do not fit.
        ModelFault: If the model breaks its contract.

    >>> import numpy as np
    >>> net = as_model(lambda x: x[:, 0], task="regression")
    >>> found = regression_metrics(net, (np.array([[1.0], [2.0], [2.0]]), [1.0, 2.0, 3.0]))
    >>> found["r2"].value, found["max_error"].value, found["mape"].value.__round__(4)
    (0.5, 1.0, 0.1111)
    """
    judged, rows, level = as_model(model), as_data(data), check_level(level)
    found: dict[str, Measurement] = {}
    missing: list[tuple[str, str]] = []
    with metered() as meter:
        predictions = predict(judged, rows)
        shared = score(MAE, predictions, rows)

        def keep(name: str, unit: str, interval: Any, evidence: tuple[Evidence, ...], higher: bool, own: Any) -> None:
            found[name] = assemble(
                interval,
                name=name,
                unit=unit,
                higher_is_better=higher,
                models=(judged,),
                data=rows,
                meter=meter,
                seed=seed,
                evidence=evidence,
                row_values=own,
            )

        for metric in _METRICS:
            try:
                scored: Scored = score(metric, predictions, rows)
                interval = single_interval(metric, scored, rows, level=level, seed=seed)
            except InvalidInput as error:
                missing.append((metric.name, str(error)))
                continue
            evidence = single_evidence(metric, scored, rows, level=level, seed=seed)
            keep(metric.name, metric.unit, interval, evidence, metric.higher_is_better, own=row_values(metric, scored))
        median = median_of_outputs(shared, rows, level=level, seed=seed)
        keep("median_absolute_error", "target", median, (), higher=False, own=None)
        keep("max_error", "target", largest_error(shared), (), higher=False, own=None)
    return RegressionMetrics(measurements=found, missing=tuple(missing), by_output=values_by_output(_METRICS, shared))
