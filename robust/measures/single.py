"""A metric of one model with its interval."""

from collections.abc import Sequence

from robust.data.dataset import Dataset
from robust.evidence import Evidence, SelfCheck
from robust.measurement import Measurement
from robust.measures.assembling import assemble
from robust.measures.metric_evidence import single_evidence
from robust.measures.metric_interval import class_scores as class_scores
from robust.measures.metric_interval import single_interval as single_interval
from robust.measures.truth import Scored, score
from robust.metrics.metric import Metric
from robust.models.base import Model
from robust.predicting.metering import metered
from robust.predicting.predictions import predict
from robust.types import FloatArray


def measure_metric(
    metric: Metric,
    model: Model,
    data: Dataset,
    *,
    level: float,
    seed: int,
    evidence: Sequence[Evidence] = (),
    validity: Sequence[SelfCheck] = (),
) -> Measurement:
    """Measure one metric of one model.

    Args:
        metric: The metric.
        model: The model.
        data: Rows with targets.
        level: Confidence of each bound.
        seed: Seed of the bootstrap, where one is used.
        evidence: Further facts.
        validity: Self-checks.

    Returns:
        The measurement, with evidence.
    """
    with metered() as meter:
        scored = score(metric, predict(model, data), data)
        interval = single_interval(metric, scored, data, level=level, seed=seed)
        found: tuple[Evidence, ...] = single_evidence(metric, scored, data, level=level, seed=seed)
        return assemble(
            interval,
            name=metric.name,
            unit=metric.unit,
            higher_is_better=metric.higher_is_better,
            models=(model,),
            data=data,
            meter=meter,
            seed=seed,
            evidence=(*evidence, *found),
            validity=validity,
            row_values=row_values(metric, scored),
            reach=(metric.low, metric.high),
        )


def row_values(metric: Metric, scored: Scored) -> FloatArray | None:
    """One value a row (n,), where the metric is their mean."""
    if metric.function is None or metric.name == "rmse" or (metric.needs == "labels" and not metric.proportion):
        return None
    rows = metric.rows(scored.truth, scored.prediction)
    return rows[:, 0] if rows.shape[1] == 1 else None
