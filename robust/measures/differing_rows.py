"""Rows on which two models differ, and what those of one class have changed."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from robust.intervals.resampling import Statistic, influence
from robust.measures.area_changes import moving_rows
from robust.measures.change_statistic import metric_value, signed_change
from robust.measures.truth import Scored
from robust.metrics.metric import Metric
from robust.types import BoolArray, FloatArray

#: Changes of a row's loss up to this share of the mean loss are no difference.
_MATERIAL = 1e-3


def differing_rows(metric: Metric, reference: Scored, candidate: Scored) -> BoolArray:
    """Rows on which the two models differ, as far as this metric can see.

    Two builds of one network differ on every row by rounding, which says nothing about how far a row can go: where
    the metric averages a loss, a row differs when its loss changes by more than a thousandth of the mean loss. Where it
    has several means (of several outputs), each counts by what it moves the metric: an output that is right up to
    rounding has rows that all "change", and none that matters.
    """
    old, new = reference.prediction, candidate.prediction
    if metric.task == "classification" and metric.needs == "labels":
        changed = np.asarray(old != new)
        return np.asarray(changed.any(axis=1)) if changed.ndim == 2 else changed
    if metric.function is None:
        return np.asarray((old != new).any(axis=1))
    before, after = metric.rows(reference.truth, old), metric.rows(candidate.truth, new)
    typical = (np.abs(before).mean(axis=0) + np.abs(after).mean(axis=0)) / 2
    moved = np.abs(after - before)
    if moved.shape[1] == 1:
        return np.asarray(moved[:, 0] > _MATERIAL * typical[0])
    weights = np.where(moved.any(axis=0), _steepness(metric, before.mean(axis=0), typical), 0.0)
    return np.asarray(moved @ weights > _MATERIAL * float(typical @ weights))


def _steepness(metric: Metric, means: FloatArray, typical: FloatArray) -> FloatArray:
    """Size of the metric's change by each of its means (m,), from a small step; 0 by one that is always 0."""
    if metric.function is None:
        raise ValueError(f"{metric.name} is no function of means")
    steps = 1e-6 * typical
    values = metric.function(np.vstack([means, means + np.diag(steps)]))
    slopes = np.abs(values[1:] - values[0])
    return np.asarray(np.divide(slopes, steps, out=np.zeros_like(slopes), where=steps > 0))


def differing_by_class(
    metric: Metric, reference: Scored, candidate: Scored, statistic: Statistic, differ: BoolArray
) -> tuple[BoolArray, Callable[[], FloatArray]]:
    """Rows that differ by more than the rest of their class makes look like rounding, and what gives their influences.

    Of several labels, in which of them each row does (n, k).
    """
    if metric.function is not None:
        moved = reference.prediction != candidate.prediction if reference.multilabel else differ
        return np.asarray(moved), lambda: influence(statistic, np.ones(len(differ)))
    moving, slopes = moving_rows(reference, candidate)
    return moving & (differ[:, None] if moving.ndim == 2 else differ), lambda: slopes


def undone_change(
    metric: Metric, reference: Scored, candidate: Scored, *, relative: bool
) -> Callable[[BoolArray, int | None], float]:
    """From rows (n,), and of several labels one of them, to what those rows have added to the change.

    It is the change less that of a candidate which answers there as the reference does.
    """
    old = np.array([metric_value(metric, reference)])

    def change(new: Scored) -> float:
        return float(signed_change(metric, old, np.array([metric_value(metric, new)]), relative=relative)[0])

    whole = change(candidate)

    def added(rows: BoolArray, column: int | None) -> float:
        prediction = candidate.prediction.copy()
        where = rows if column is None else (rows, column)
        prediction[where] = reference.prediction[where]
        return whole - change(replace(candidate, prediction=prediction))

    return added
