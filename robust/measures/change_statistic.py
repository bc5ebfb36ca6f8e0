"""The change of a metric from a reference to a candidate, as a function of the weights of rows."""

from dataclasses import replace

import numpy as np

from robust.intervals.resampling import SmoothOfMeans, Statistic
from robust.measures.truth import Scored
from robust.metrics.label_pairs import label_pairs
from robust.metrics.metric import Metric
from robust.metrics.ranking import WeightedAuc
from robust.types import FloatArray


def in_order_of_content(reference: Scored, candidate: Scored) -> tuple[Scored, Scored]:
    """Rows in the order of their content, so that resamples do not depend on how they were stored."""
    keys = np.column_stack([reference.truth, reference.prediction, candidate.prediction])
    order = np.lexsort(keys.T[::-1])
    return (
        replace(reference, truth=reference.truth[order], prediction=reference.prediction[order]),
        replace(candidate, truth=candidate.truth[order], prediction=candidate.prediction[order]),
    )


def metric_value(metric: Metric, scored: Scored) -> float:
    """The metric itself."""
    if metric.function is None:
        return float(WeightedAuc(scored.truth, scored.prediction)(np.ones((1, len(scored.truth))))[0])
    if metric.needs == "labels":
        pairs = label_pairs(scored.truth, scored.prediction)
        means = np.average(metric.rows(pairs.truth, pairs.labels), axis=0, weights=pairs.counts)
    else:
        means = metric.rows(scored.truth, scored.prediction).mean(axis=0)
    return float(metric.function(means[np.newaxis])[0])


def both_rows(metric: Metric, reference: Scored, candidate: Scored) -> FloatArray:
    """Row statistics of both models side by side (n, m_r + m_c)."""
    return np.hstack(
        [metric.rows(reference.truth, reference.prediction), metric.rows(candidate.truth, candidate.prediction)]
    )


def row_width(metric: Metric, reference: Scored) -> int:
    """Statistics a row of one model."""
    return int(metric.rows(reference.truth, reference.prediction).shape[1])


def signed_change(metric: Metric, old: FloatArray, new: FloatArray, *, relative: bool) -> FloatArray:
    """Signed so that positive is worse; NaN where it would divide by 0."""
    worse = old - new if metric.higher_is_better else new - old
    if not relative:
        return worse
    return np.divide(worse, np.abs(old), out=np.full_like(worse, np.nan), where=old != 0)


def smooth_change(metric: Metric, values: FloatArray, width: int, *, relative: bool) -> SmoothOfMeans:
    """The change as a function of the means of both models' row statistics (n, 2·width)."""
    function = metric.function
    if function is None:
        raise ValueError(f"{metric.name} is no function of means")

    def change(means: FloatArray) -> FloatArray:
        return signed_change(metric, function(means[:, :width]), function(means[:, width:]), relative=relative)

    return SmoothOfMeans(values, change)


def change_statistic(metric: Metric, reference: Scored, candidate: Scored, *, relative: bool) -> Statistic:
    """The change as a function of row weights."""
    if metric.function is not None:
        rows = both_rows(metric, reference, candidate)
        return smooth_change(metric, rows, row_width(metric, reference), relative=relative)
    old = WeightedAuc(reference.truth, reference.prediction)
    new = WeightedAuc(candidate.truth, candidate.prediction)

    def change(weights: FloatArray) -> FloatArray:
        return signed_change(metric, old(weights), new(weights), relative=relative)

    return change
