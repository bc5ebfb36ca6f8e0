"""A metric of one model with its interval."""

import numpy as np

from robust.data.dataset import Dataset
from robust.evidence import Evidence
from robust.intervals.bca import bca
from robust.intervals.clipping import clip
from robust.intervals.clopper_pearson import clopper_pearson
from robust.intervals.delong import delong
from robust.intervals.interval import Interval
from robust.intervals.resampling import SmoothOfMeans, Statistic, distinct
from robust.intervals.vacuous import never_vacuous
from robust.measurement import Measurement
from robust.measures.assembling import assemble
from robust.measures.dependence import dependent_interval, is_dependent
from robust.measures.details import single_evidence
from robust.measures.floors import floored
from robust.measures.row_means import unlike_rows
from robust.measures.truth import Scored, score
from robust.metrics.metric import Metric
from robust.metrics.ranking import WeightedAuc
from robust.models.base import Model
from robust.predicting.metering import metered
from robust.predicting.predictions import predict
from robust.types import BoolArray, FloatArray


def measure_metric(metric: Metric, model: Model, data: Dataset, *, level: float, seed: int) -> Measurement:
    """Measure one metric of one model.

    Args:
        metric: The metric.
        model: The model.
        data: Rows with targets.
        level: Confidence of each bound.
        seed: Seed of the bootstrap, where one is used.

    Returns:
        The measurement, with evidence.
    """
    with metered() as meter:
        scored = score(metric, predict(model, data), data)
        interval = single_interval(metric, scored, data, level=level, seed=seed)
        evidence: tuple[Evidence, ...] = single_evidence(metric, scored, data, level=level, seed=seed)
        rows = metric.rows(scored.truth, scored.prediction)
        return assemble(
            interval,
            name=metric.name,
            unit=metric.unit,
            higher_is_better=metric.higher_is_better,
            models=(model,),
            data=data,
            meter=meter,
            seed=seed,
            evidence=evidence,
            row_values=rows[:, 0] if rows.shape[1] == 1 and metric.name != "rmse" else None,
            reach=(metric.low, metric.high),
        )


def single_interval(metric: Metric, scored: Scored, data: Dataset, *, level: float, seed: int) -> Interval:
    """Interval of a metric: exact for a proportion, DeLong for the AUC, BCa for the rest.

    Blocks or clusters where rows depend on each other.
    """
    return clip(_unclipped(metric, scored, data, level=level, seed=seed), metric.low, metric.high)


def _unclipped(metric: Metric, scored: Scored, data: Dataset, *, level: float, seed: int) -> Interval:
    truth, prediction = scored.truth, scored.prediction
    rows = metric.rows(truth, prediction)
    statistic: Statistic
    if metric.function is None:
        statistic = WeightedAuc(truth, prediction)
        odd = _misranked(truth, prediction)
    else:
        statistic = SmoothOfMeans(rows, metric.function)
        odd = scored.right() == 0 if metric.task == "classification" and metric.needs == "labels" else unlike_rows(rows)
    rate = metric.effect(truth, prediction, prediction)
    if is_dependent(data):
        return dependent_interval(statistic, data, level=level, seed=seed, odd=odd, effect=rate)
    if metric.proportion:
        return clopper_pearson(int(rows.sum()), len(rows), level=level)
    if metric.function is None:
        estimate = delong(truth, class_scores(prediction), level=level)
        return never_vacuous(
            estimate.interval, differing=estimate.carrying, units=len(truth), effect=estimate.effect, level=level
        )
    values, counts = distinct(rows)
    interval = bca(SmoothOfMeans(values, metric.function), counts, level=level, seed=seed)
    return floored(interval, differing=int(odd.sum()), units=len(odd), rate=rate, level=level)


def class_scores(probabilities: FloatArray) -> FloatArray:
    """Scores as DeLong's method takes them: those of class 1 of two, or all columns."""
    return probabilities[:, 1] if probabilities.shape[1] == 2 else probabilities


def _misranked(truth: FloatArray, scores: FloatArray) -> BoolArray:
    """Rows that lie on the wrong side of some row of another class, in the one-vs-rest ranking of some class."""
    columns = (1,) if scores.shape[1] == 2 else range(scores.shape[1])
    wrong = np.zeros(len(truth), dtype=bool)
    for c in columns:
        own = truth == c
        if own.any() and not own.all():
            wrong |= np.where(own, scores[:, c] <= scores[~own, c].max(), scores[:, c] >= scores[own, c].min())
    return wrong
