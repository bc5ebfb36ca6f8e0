"""The change of a metric from a reference to a candidate, paired by row."""

import math
from dataclasses import dataclass, replace

import numpy as np

from robust.data.dataset import Dataset
from robust.errors import InvalidInput
from robust.evidence import SelfCheck
from robust.intervals.auc_components import auc_components
from robust.intervals.bca import bca
from robust.intervals.clipping import clip
from robust.intervals.delong import delong_paired
from robust.intervals.delong_grouped import delong_paired_grouped
from robust.intervals.interval import Interval, UnboundedSizing
from robust.intervals.resampling import SmoothOfMeans, Statistic, distinct, influence
from robust.intervals.tango import tango
from robust.intervals.vacuous import never_vacuous
from robust.measurement import Measurement
from robust.measures.dependence import dependent_interval, floored_by_groups, is_dependent
from robust.measures.floors import floored, floored_by_class
from robust.measures.single import class_scores
from robust.measures.truth import Scored
from robust.measures.zero_reference import ROUNDING, away_from_zero
from robust.metrics.metric import Metric, Rate
from robust.metrics.ranking import WeightedAuc
from robust.types import BoolArray, FloatArray

#: Changes of a row's loss up to this share of the mean loss are no difference.
_MATERIAL = 1e-3


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
    old, new = _values(metric, reference), _values(metric, candidate)
    unit = "relative" if relative else metric.unit
    reach = _reach(metric, relative=relative)
    differ = _differing(metric, reference, candidate)
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
    statistic = _statistic(metric, reference, candidate, relative=relative)
    rate = _rate(metric, reference, candidate, relative=relative)
    resolution = ROUNDING * (1.0 if relative else max(abs(old), abs(new)))
    ranked = metric.function is None and not relative
    if ranked and data.groups is not None:
        old_scores, new_scores = class_scores(reference.prediction), class_scores(candidate.prediction)
        interval = delong_paired_grouped(reference.truth, old_scores, new_scores, data.groups, level=level)
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
        old_scores, new_scores = class_scores(reference.prediction), class_scores(candidate.prediction)
        estimate = delong_paired(reference.truth, old_scores, new_scores, level=level)
        few = min(int(differ.sum()), estimate.carrying)
        interval = never_vacuous(
            estimate.interval, differing=few, units=len(differ), effect=estimate.effect, level=level, anchor=0.0
        )
    else:
        if metric.function is None:
            by_content = _statistic(metric, *_sorted(reference, candidate), relative=relative)
            interval = bca(by_content, np.ones(len(differ), dtype=np.int64), level=level, seed=seed)
        else:
            values, counts = distinct(_rows(metric, reference, candidate))
            smooth = _smooth(metric, values, _width(metric, reference), relative=relative)
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
        moved, slopes = _by_class(metric, reference, candidate, statistic, differ)
        interval = floored_by_class(
            interval, data, reference.truth, differ=moved, effects=effects, slopes=slopes, level=level, anchor=0.0
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


def _sorted(reference: Scored, candidate: Scored) -> tuple[Scored, Scored]:
    """Rows in the order of their content, so that resamples do not depend on how they were stored."""
    keys = np.column_stack([reference.truth, reference.prediction, candidate.prediction])
    order = np.lexsort(keys.T[::-1])
    return (
        replace(reference, truth=reference.truth[order], prediction=reference.prediction[order]),
        replace(candidate, truth=candidate.truth[order], prediction=candidate.prediction[order]),
    )


def _values(metric: Metric, scored: Scored) -> float:
    """The metric itself."""
    if metric.function is None:
        return float(WeightedAuc(scored.truth, scored.prediction)(np.ones((1, len(scored.truth))))[0])
    rows = metric.rows(scored.truth, scored.prediction)
    return float(metric.function(rows.mean(axis=0, keepdims=True))[0])


def _rows(metric: Metric, reference: Scored, candidate: Scored) -> FloatArray:
    """Row statistics of both models side by side (n, m_r + m_c)."""
    return np.hstack(
        [metric.rows(reference.truth, reference.prediction), metric.rows(candidate.truth, candidate.prediction)]
    )


def _width(metric: Metric, reference: Scored) -> int:
    return int(metric.rows(reference.truth, reference.prediction).shape[1])


def _change(metric: Metric, old: FloatArray, new: FloatArray, *, relative: bool) -> FloatArray:
    """Signed so that positive is worse; NaN where it would divide by 0."""
    worse = old - new if metric.higher_is_better else new - old
    if not relative:
        return worse
    return np.divide(worse, np.abs(old), out=np.full_like(worse, np.nan), where=old != 0)


def _smooth(metric: Metric, values: FloatArray, width: int, *, relative: bool) -> SmoothOfMeans:
    function = metric.function
    if function is None:
        raise InvalidInput(f"{metric.name} is no function of means")

    def change(means: FloatArray) -> FloatArray:
        return _change(metric, function(means[:, :width]), function(means[:, width:]), relative=relative)

    return SmoothOfMeans(values, change)


def _statistic(metric: Metric, reference: Scored, candidate: Scored, *, relative: bool) -> Statistic:
    """The change as a function of row weights."""
    if metric.function is not None:
        return _smooth(metric, _rows(metric, reference, candidate), _width(metric, reference), relative=relative)
    old = WeightedAuc(reference.truth, reference.prediction)
    new = WeightedAuc(candidate.truth, candidate.prediction)

    def change(weights: FloatArray) -> FloatArray:
        return _change(metric, old(weights), new(weights), relative=relative)

    return change


def _differing(metric: Metric, reference: Scored, candidate: Scored) -> BoolArray:
    """Rows on which the two models differ, as far as this metric can see.

    Two builds of one network differ on every row by rounding, which says nothing about how far a row can go: where
    the metric averages a loss, a row differs when its loss changes by more than a thousandth of the mean loss.
    """
    old, new = reference.prediction, candidate.prediction
    if metric.task == "classification" and metric.needs == "labels":
        return np.asarray(old != new)
    if metric.function is None:
        return np.asarray((old != new).any(axis=1))
    before, after = metric.rows(reference.truth, old), metric.rows(candidate.truth, new)
    typical = (np.abs(before).mean(axis=0) + np.abs(after).mean(axis=0)) / 2
    return np.asarray((np.abs(after - before) > _MATERIAL * typical).any(axis=1))


def _by_class(
    metric: Metric, reference: Scored, candidate: Scored, statistic: Statistic, differ: BoolArray
) -> tuple[BoolArray, FloatArray]:
    """Rows that differ by more than the rest of their class makes look like rounding, and each row's influence."""
    if metric.function is not None:
        return differ, influence(statistic, np.ones(len(differ)))
    old, new = (auc_components(one.truth, class_scores(one.prediction)) for one in (reference, candidate))
    return differ & old.moving(new), old.influence - new.influence


def _rate(metric: Metric, reference: Scored, candidate: Scored, *, relative: bool) -> Rate:
    """Largest change a share of rows, seen from the reference; relative to its value where asked."""
    old, new = reference.prediction, candidate.prediction
    seen = np.hstack([old, new]) if metric.task == "regression" else old
    rate = metric.effect(reference.truth, old, seen)
    if not relative:
        return rate
    value = abs(_values(metric, reference))

    def scaled(share: float) -> float | None:
        found = rate(share)
        return None if found is None or value == 0 else found / value

    return scaled


def _unproved(n: int, level: float) -> Interval:
    """An interval around 0 that proves nothing."""
    return Interval(
        value=0.0, lower=-math.inf, upper=math.inf, level=level, n=n, method="none", sizing=UnboundedSizing()
    )
