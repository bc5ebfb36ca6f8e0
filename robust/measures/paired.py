"""The change of a metric from a reference to a candidate, paired by row."""

import math
from dataclasses import dataclass, replace

import numpy as np

from robust.data.dataset import Dataset
from robust.evidence import SelfCheck
from robust.intervals.bca import bca
from robust.intervals.clipping import clip
from robust.intervals.interval import Interval, UnboundedSizing
from robust.intervals.resampling import distinct
from robust.intervals.tango import tango
from robust.intervals.vacuous import never_vacuous
from robust.measurement import Measurement
from robust.measures.area_changes import area_change, area_change_by_group
from robust.measures.change_statistic import (
    both_rows,
    change_statistic,
    in_order_of_content,
    metric_value,
    row_width,
    smooth_change,
)
from robust.measures.class_floors import floored_by_class
from robust.measures.dependence import dependent_interval, floored_by_groups, is_dependent
from robust.measures.differing_rows import differing_by_class, differing_rows, undone_change
from robust.measures.floors import floored
from robust.measures.truth import Scored
from robust.measures.zero_reference import ROUNDING, away_from_zero
from robust.metrics.metric import Metric, Rate


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Change:
    """How much worse a candidate is than a reference.

    Args:
        interval: Of the change; positive is worse.
        reference: The metric of the reference.
        candidate: The metric of the candidate.
        unit: `share`, `relative` or the metric's own.
        reach: Smallest and largest change that there can be.
        validity: Self-checks of the comparison.
        undefined: Whether there is no such number: a relative change of a reference of 0.
    """

    interval: Interval
    reference: float
    candidate: float
    unit: str
    reach: tuple[float, float]
    validity: tuple[SelfCheck, ...]
    undefined: bool = False

    def settled(self, m: Measurement) -> Measurement:
        """A measurement of this change; NaN, not 0, where there is no such number."""
        return replace(m, value=math.nan) if self.undefined else m


def paired_change(
    metric: Metric,
    reference: Scored,
    candidate: Scored,
    data: Dataset,
    *,
    relative: bool | None,
    level: float,
    seed: int,
) -> Change:
    """Change of a metric, positive is worse, with the rows of both models paired.

    absolute: reference − candidate where higher is better, candidate − reference where lower is better;
    relative: the same, divided by the reference.

    Args:
        metric: The metric.
        reference: The reference's predictions.
        candidate: The candidate's, on the same rows.
        data: The rows.
        relative: Whether to divide by the reference; None for the metric's own convention.
        level: Confidence of each bound.
        seed: Seed of the bootstrap.

    Returns:
        The change. Tango's score bound with a half-count correction for accuracy, the same on DeLong's variance for
        the AUC, BCa for the rest; blocks or clusters where rows depend on each other; never narrower than what the
        rows that differ can prove.
    """
    relative = metric.relative if relative is None else relative
    old, new = metric_value(metric, reference), metric_value(metric, candidate)
    unit = "relative" if relative else metric.unit
    reach = _reach(metric, relative=relative)
    differ = differing_rows(metric, reference, candidate)
    validity: tuple[SelfCheck, ...] = ()
    if relative:
        check = away_from_zero(metric, reference, data, level=level, seed=seed)
        validity = (check,)
        if old == 0:
            return Change(
                interval=_unproved(len(data), level),
                reference=old,
                candidate=new,
                unit=unit,
                reach=reach,
                validity=validity,
                undefined=new != 0,
            )
    statistic = change_statistic(metric, reference, candidate, relative=relative)
    rate = _rate(metric, reference, candidate, relative=relative)
    resolution = ROUNDING * (1.0 if relative else max(abs(old), abs(new)))
    ranked = metric.function is None and not relative
    if ranked and data.groups is not None:
        interval = area_change_by_group(reference, candidate, data.groups, level=level)
        interval = floored_by_groups(
            interval, data.groups, level=level, odd=differ, rate=rate, anchor=0.0, resolution=resolution
        )
    elif is_dependent(data):
        interval = dependent_interval(
            statistic, data, level=level, seed=seed, odd=differ, effect=rate, anchor=0.0, resolution=resolution
        )
    elif metric.proportion and not relative:
        before, after = reference.right(), candidate.right()
        interval = tango(int(np.sum(before & ~after)), int(np.sum(~before & after)), len(data), level=level)
    elif ranked:
        estimate = area_change(reference, candidate, level=level)
        few = min(int(differ.sum()), estimate.carrying)
        interval = never_vacuous(
            estimate.interval, differing=few, units=len(differ), effect=estimate.effect, level=level, anchor=0.0
        )
    else:
        if metric.function is None:
            by_content = change_statistic(metric, *in_order_of_content(reference, candidate), relative=relative)
            interval = bca(by_content, np.ones(len(differ), dtype=np.int64), level=level, seed=seed)
        else:
            values, counts = distinct(both_rows(metric, reference, candidate))
            smooth = smooth_change(metric, values, row_width(metric, reference), relative=relative)
            interval = bca(smooth, counts, level=level, seed=seed)
        interval = floored(
            interval,
            differing=int(differ.sum()),
            units=len(differ),
            rate=rate,
            level=level,
            anchor=0.0,
            resolution=resolution,
        )
    if metric.class_effects is not None:
        effects = metric.class_effects(reference.truth, reference.prediction) / (abs(old) if relative else 1.0)
        moved, slopes = differing_by_class(metric, reference, candidate, statistic, differ)
        added = undone_change(metric, reference, candidate, relative=relative)
        interval = floored_by_class(
            interval,
            data,
            reference.truth,
            differ=moved,
            effects=effects,
            slopes=slopes,
            level=level,
            added=added,
            classes=reference.predictions.classes,
        )
    if abs(interval.value) <= resolution:
        interval = replace(interval, value=0.0, lower=min(interval.lower, 0.0), upper=max(interval.upper, 0.0))
    if not relative and math.isfinite(reach[1]):
        interval = clip(interval, *reach)
    return Change(interval=interval, reference=old, candidate=new, unit=unit, reach=reach, validity=validity)


def _reach(metric: Metric, *, relative: bool) -> tuple[float, float]:
    """Smallest and largest change: a share of what the reference has can be lost once, and won without end."""
    if not relative:
        span = metric.high - metric.low
        return -span, span
    if metric.low < 0:
        return -math.inf, math.inf
    return (-math.inf, 1.0) if metric.higher_is_better else (-1.0, math.inf)


def _rate(metric: Metric, reference: Scored, candidate: Scored, *, relative: bool) -> Rate:
    """Largest change a share of rows, seen from the reference; relative to its value where asked."""
    old, new = reference.prediction, candidate.prediction
    seen = np.hstack([old, new]) if metric.task == "regression" else old
    rate = metric.effect(reference.truth, old, seen)
    if not relative:
        return rate
    value = abs(metric_value(metric, reference))

    def scaled(share: float) -> float | None:
        found = rate(share)
        return None if found is None or value == 0 else found / value

    return scaled


def _unproved(n: int, level: float) -> Interval:
    """An interval around 0 that proves nothing."""
    return Interval(
        value=0.0, lower=-math.inf, upper=math.inf, level=level, n=n, method="none", sizing=UnboundedSizing()
    )
