"""Intervals of shares and means over rows."""

import numpy as np

from robust.data.dataset import Dataset
from robust.intervals.abc_closed import abc
from robust.intervals.bca import bca
from robust.intervals.clipping import clip
from robust.intervals.clopper_pearson import clopper_pearson
from robust.intervals.interval import Interval
from robust.intervals.resampling import SmoothOfMeans, distinct
from robust.intervals.vacuous import never_vacuous
from robust.measures.dependence import dependent_interval, is_dependent
from robust.metrics.classification import first_mean
from robust.types import BoolArray, FloatArray

#: Beyond so many rows, and distinct ones, resampling gives way to its closed form.
MANY_ROWS, MANY_DISTINCT = 20_000, 2_000


def share_interval(hits: BoolArray, data: Dataset, *, level: float, seed: int) -> Interval:
    """Interval of a share of rows, e.g. of those that stay right under attack.

    Clopper-Pearson where rows are independent; blocks or clusters where `data` has an order or groups.

    Args:
        hits: Which rows count (n,).
        data: The rows.
        level: Confidence of each bound.
        seed: Seed of the bootstrap, where one is used.

    Returns:
        The interval, in [0, 1].
    """
    hits = np.asarray(hits, dtype=bool)
    if not is_dependent(data):
        return clopper_pearson(int(hits.sum()), len(hits), level=level)
    minority = hits if hits.mean() <= 0.5 else ~hits
    statistic = SmoothOfMeans(hits.astype(np.float64), first_mean)
    return clip(dependent_interval(statistic, data, level=level, seed=seed, odd=minority, effect=1.0), 0.0, 1.0)


def mean_interval(
    values: FloatArray, data: Dataset, *, level: float, seed: int, effect: float | None = None
) -> Interval:
    """Interval of a mean over rows.

    BCa where rows are independent, of many distinct values in closed form; blocks or clusters where `data` has an order
    or groups.

    Args:
        values: One value a row (n,).
        data: The rows.
        level: Confidence of each bound.
        seed: Seed of the bootstrap.
        effect: Largest change of the mean if all rows differed in the worst way; None where there is no bound.

    Returns:
        The interval.
    """
    if is_dependent(data):
        statistic = SmoothOfMeans(values, first_mean)
        odd = unlike_rows(values[:, None])
        return dependent_interval(statistic, data, level=level, seed=seed, odd=odd, effect=effect)
    distinct_values, counts = distinct(values)
    if len(values) > MANY_ROWS and len(counts) > MANY_DISTINCT:
        interval = abc(distinct_values, counts, first_mean, level=level)
    else:
        interval = bca(SmoothOfMeans(distinct_values, first_mean), counts, level=level, seed=seed)
    differing = len(values) - int(counts.max())
    return never_vacuous(interval, differing=differing, units=len(values), effect=effect, level=level)


def unlike_rows(rows: FloatArray) -> BoolArray:
    """Rows whose statistics are not the commonest ones."""
    _, inverse, counts = np.unique(rows, axis=0, return_inverse=True, return_counts=True)
    return np.asarray(inverse.ravel() != int(np.argmax(counts)))
