"""The interval of a metric of one model."""

import numpy as np

from robust.data.dataset import Dataset
from robust.intervals.abc_closed import abc
from robust.intervals.bca import bca
from robust.intervals.clipping import clip
from robust.intervals.clopper_pearson import clopper_pearson
from robust.intervals.interval import Interval
from robust.intervals.ranked_areas import RankedArea, ranked_areas
from robust.intervals.resampling import SmoothOfMeans, Statistic, distinct, influence
from robust.intervals.vacuous import FEW
from robust.measures.class_floors import floored_by_class
from robust.measures.dependence import dependent_interval, is_dependent
from robust.measures.floors import floored
from robust.measures.pair_statistic import PairStatistic
from robust.measures.row_means import MANY_DISTINCT, MANY_ROWS, unlike_rows
from robust.measures.truth import Scored
from robust.metrics.label_pairs import label_pairs
from robust.metrics.metric import Metric
from robust.metrics.precision_recall import WeightedAveragePrecision
from robust.metrics.ranking import WeightedAuc, against_rest
from robust.types import BoolArray, FloatArray, IntArray


def single_interval(metric: Metric, scored: Scored, data: Dataset, *, level: float, seed: int) -> Interval:
    """Interval of a metric: exact for a proportion, from ranks for areas under curves, BCa for the rest.

    Of many distinct rows the closed form of BCa; blocks or clusters where rows depend on each other.
    """
    if is_dependent(data):
        interval = _of_dependent(metric, scored, data, level=level, seed=seed)
    elif metric.proportion:
        interval = clopper_pearson(int(scored.right().sum()), len(scored.truth), level=level)
    elif metric.function is None:
        interval = area_interval(metric, _area(metric, scored, level=level), scored, data, level=level)
    elif metric.needs == "labels":
        interval = _of_labels(metric, scored, data, level=level, seed=seed)
    else:
        interval = _of_means(metric, scored, level=level, seed=seed)
    return clip(interval, metric.low, metric.high)


def class_scores(probabilities: FloatArray) -> FloatArray:
    """Scores as DeLong's method takes them: those of class 1 of two, or all columns."""
    return probabilities[:, 1] if probabilities.shape[1] == 2 else probabilities


def area_interval(metric: Metric, area: RankedArea, scored: Scored, data: Dataset, *, level: float) -> Interval:
    """The interval of an area under curves of independent rows, never narrower than what its rows can prove.

    Args:
        metric: The AUC or the average precision.
        area: What was found for it.
        scored: The rows.
        data: The rows.
        level: Confidence of each bound.

    Returns:
        The interval, within the range of the metric.
    """
    rate = metric.effect(scored.truth, scored.prediction, scored.prediction)
    units = len(scored.truth)
    # Where few rows carry the variance, what is in doubt is how many more there are like the badly ranked ones.
    few = area.carrying < FEW
    differing = min(area.carrying, area.astray) if few and metric.name != "auc" else area.carrying
    interval = floored(area.interval, differing=differing, units=units, rate=rate, level=level)
    return clip(_by_class(metric, interval, scored, data, odd=area.odd, level=level), metric.low, metric.high)


def _by_class(
    metric: Metric,
    interval: Interval,
    scored: Scored,
    data: Dataset,
    *,
    odd: BoolArray,
    level: float,
    statistic: Statistic | None = None,
) -> Interval:
    """An interval, widened to what the rows of each class can prove; `statistic` says how long blocks in time are."""
    if metric.class_effects is None:
        return interval
    return floored_by_class(
        interval,
        data,
        scored.truth,
        differ=odd,
        effects=metric.class_effects(scored.truth, scored.prediction),
        slopes=None if statistic is None else lambda: influence(statistic, np.ones(len(data))),
        level=level,
        classes=scored.predictions.classes or (),
    )


def _area(metric: Metric, scored: Scored, *, level: float) -> RankedArea:
    """The area under the ROC or precision-recall curves."""
    areas = ranked_areas(
        against_rest(scored.truth, scored.prediction),
        None if scored.multilabel else scored.truth,
        len(scored.truth),
        level=level,
        auc=metric.name == "auc",
        average_precision=metric.name != "auc",
    )
    area = areas.auc or areas.average_precision
    if area is None:
        raise ValueError(f"{metric.name} is no area under a curve")
    return area


def _of_labels(metric: Metric, scored: Scored, data: Dataset, *, level: float, seed: int) -> Interval:
    """Functions of class counts: rows with the same true and predicted labels are alike."""
    pairs = label_pairs(scored.truth, scored.prediction)
    rate = metric.effect(scored.truth, scored.prediction, scored.prediction)
    rows = metric.rows(pairs.truth, pairs.labels)
    interval = _resampled(metric, rows, pairs.counts, level=level, seed=seed)
    wrong = ~scored.right()
    interval = floored(interval, differing=int(wrong.sum()), units=len(wrong), rate=rate, level=level)
    return _by_class(metric, interval, scored, data, odd=scored.truth != scored.prediction, level=level)


def _of_means(metric: Metric, scored: Scored, *, level: float, seed: int) -> Interval:
    """Functions of means of row statistics."""
    rows = metric.rows(scored.truth, scored.prediction)
    rate = metric.effect(scored.truth, scored.prediction, scored.prediction)
    n = len(rows)
    if n > MANY_ROWS:
        # Rows that differ in one statistic differ: one column shows that there are many, without sorting the table.
        each = np.unique(rows[:, 0], return_counts=True)[1]
        if len(each) > MANY_DISTINCT and metric.function is not None:
            interval = abc(rows, None, metric.function, level=level)
            return floored(interval, differing=n - int(each.max()), units=n, rate=rate, level=level)
    values, counts = distinct(rows)
    interval = _resampled(metric, values, counts, level=level, seed=seed)
    return floored(interval, differing=n - int(counts.max()), units=n, rate=rate, level=level)


def _resampled(metric: Metric, rows: FloatArray, counts: IntArray, *, level: float, seed: int) -> Interval:
    """BCa on counts of distinct rows, or its closed form where there are many."""
    if metric.function is None:
        raise ValueError(f"{metric.name} is no function of means")
    if counts.sum() > MANY_ROWS and len(counts) > MANY_DISTINCT:
        return abc(rows, counts, metric.function, level=level)
    return bca(SmoothOfMeans(rows, metric.function), counts, level=level, seed=seed)


def _of_dependent(metric: Metric, scored: Scored, data: Dataset, *, level: float, seed: int) -> Interval:
    """Blocks in time, or clusters by group."""
    truth, prediction = scored.truth, scored.prediction
    statistic: Statistic
    if metric.function is None:
        statistic = (WeightedAuc if metric.name == "auc" else WeightedAveragePrecision)(truth, prediction)
        odd = _misranked(scored)
    elif metric.needs == "labels":
        pairs = label_pairs(truth, prediction)
        statistic = PairStatistic(SmoothOfMeans(metric.rows(pairs.truth, pairs.labels), metric.function), pairs)
        odd = ~scored.right()
    else:
        rows = metric.rows(truth, prediction)
        statistic = SmoothOfMeans(rows, metric.function)
        odd = unlike_rows(rows)
    rate = metric.effect(truth, prediction, prediction)
    interval = dependent_interval(statistic, data, level=level, seed=seed, odd=odd, effect=rate)
    if metric.class_effects is None:
        return interval
    astray = _area(metric, scored, level=level).odd if metric.function is None else truth != prediction
    return _by_class(metric, interval, scored, data, odd=astray, level=level, statistic=statistic)


def _misranked(scored: Scored) -> BoolArray:
    """Rows that lie on the wrong side of some row of another class, in the one-vs-rest ranking of some class."""
    wrong = np.zeros(len(scored.truth), dtype=bool)
    for own, scores in against_rest(scored.truth, scored.prediction):
        if own.any() and not own.all():
            wrong |= np.where(own, scores <= scores[~own].max(), scores >= scores[own].min())
    return wrong
