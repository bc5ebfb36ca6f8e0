"""The best F1 over thresholds, with bounds that hold although the threshold was searched on the same rows."""

import dataclasses
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from robust.data.dataset import Dataset
from robust.data.live import as_data
from robust.errors import InvalidInput
from robust.evidence import Fact, SelfCheck
from robust.intervals.arguments import check_level
from robust.intervals.clopper_pearson import clopper_pearson_bounds
from robust.intervals.interval import Interval
from robust.measurement import Measurement
from robust.measures.assembling import assemble
from robust.measures.dependence import is_dependent
from robust.measures.score_thresholds import ThresholdTable, threshold_table
from robust.measures.share_bounds import f1_interval, f1_of_overlap
from robust.measures.threshold_figures import trade_figure
from robust.models.base import Label
from robust.models.conversion import as_model
from robust.operating.positive_class import OneAgainstRest, against_rest
from robust.predicting.metering import metered
from robust.types import FloatArray

#: The grid that small tools search, and what they add to denominators.
TENTHS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
_SMOOTHING = 1e-8


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class BestF1(Measurement):
    """The best F1 over thresholds, a measurement that also names its threshold.

    Args:
        threshold: The lowest threshold with the best F1; a row is detected where its score ≥ threshold.
        positive: The class that is detected.
    """

    threshold: float
    positive: Label


def best_f1(
    model: Any,
    data: Any,
    *,
    positive: Label | None = None,
    grid: Literal["tenths"] | None = None,
    level: float = 0.95,
    seed: int = 0,
) -> BestF1:
    """Best F1 of a class over thresholds on its score, and the threshold that reaches it.

    F1(t) = 2 TP / (2 TP + FP + FN) with score ≥ t detected; its largest value over all scores, or over 0.1, 0.2 … 0.9.
    On the grid precision, recall and F1 have 1e-8 added to their denominators. Ties go to the lowest threshold.

    The value flatters: the threshold was fitted to these rows. The bounds do not: they hold for the F1 that the
    threshold found reaches on new rows, because they hold at every threshold that was searched (Bonferroni). Over all
    scores each of the n rows sets a threshold, which the n − 1 other rows judge: exact bounds (Clopper and Pearson
    1934) of the share of hits among rows that are positive or detected, at level 1 − (1 − level)/n. For bounds at the
    plain level choose the threshold on other rows (`choose_threshold`, then `at_threshold`).

    Args:
        model: Anything `as_model` takes, with probabilities or logits.
        data: Anything `as_data` takes, with targets.
        positive: The class that is detected; None for the second of two.
        grid: `tenths` for the nine thresholds 0.1 … 0.9; None for all scores.
        level: Confidence of each bound, in (0.5, 1).
        seed: Seed of the bootstrap; used on the grid alone, where rows have an order or groups.

    Returns:
        A share in [0, 1], higher is better, with `.threshold` and `.positive`. Over all scores of rows that depend on
        each other (order, groups) there is no such bound: a self-check fails.

    Raises:
        InvalidInput: If `grid` is another word, classes do not fit, or rows of one kind are missing.
        ModelFault: If the model breaks its contract.

    >>> net = as_model(lambda x: x[:, 0], output="probabilities")
    >>> rows = (np.array([[0.15], [0.45], [0.35], [0.85]]), [0, 0, 1, 1])
    >>> exact, coarse = best_f1(net, rows), best_f1(net, rows, grid="tenths")
    >>> round(exact.value, 4), exact.threshold, round(coarse.value, 4), coarse.threshold
    (0.8, 0.35, 0.8, 0.2)
    """
    if grid not in (None, "tenths"):
        raise InvalidInput(f"grid got {grid!r}; 'tenths' (0.1 … 0.9), or None for all scores, would be right")
    level = check_level(level)
    judged, rows = as_model(model), as_data(data)
    with metered() as meter:
        scored = against_rest(judged, rows, positive)
        table = threshold_table(scored.truth, scored.scores)
        if grid is None:
            threshold, interval = _over_all_scores(table, rows, level=level)
            searched = len(rows)
        else:
            threshold, interval = _over_tenths(table, scored, rows, level=level, seed=seed)
            searched = len(TENTHS)
        m = assemble(
            interval,
            name="best_f1",
            unit="share",
            higher_is_better=True,
            models=(judged,),
            data=rows,
            meter=meter,
            seed=seed if is_dependent(rows) else None,
            options={"grid": grid, "positive": scored.label},
            evidence=(
                Fact(name="threshold", value=threshold),
                Fact(
                    name="bounds", value=f"for new rows at this threshold, at once over {searched} thresholds searched"
                ),
                trade_figure(table, threshold),
            ),
            validity=(_independence(rows),) if grid is None else (),
        )
    fields = {field.name: getattr(m, field.name) for field in dataclasses.fields(m)}
    return BestF1(**fields, threshold=threshold, positive=scored.label)


def smoothed_f1(table: ThresholdTable) -> FloatArray:
    """F1 with 1e-8 added to the denominators of precision, recall and F1 itself.

    Args:
        table: Thresholds (m,).

    Returns:
        F1 at each (m,); 0 where nothing is detected.

    >>> table = threshold_table([False, True], [0.2, 0.7]).at([0.5, 0.9])
    >>> smoothed_f1(table).round(6).tolist()
    [1.0, 0.0]
    """
    precision = table.detected / (table.detected + table.alarms + _SMOOTHING)
    recall = table.detected / (table.positives + _SMOOTHING)
    return np.asarray(2 * (precision * recall) / (precision + recall + _SMOOTHING))


def _over_tenths(
    table: ThresholdTable, scored: OneAgainstRest, data: Dataset, *, level: float, seed: int
) -> tuple[float, Interval]:
    """Best of the nine thresholds, with bounds that hold at all nine."""
    tenths = table.at(np.array(TENTHS))
    values = smoothed_f1(tenths)
    best = int(np.argmax(values))
    detected = np.asarray(scored.scores >= TENTHS[best])
    each = 1.0 - (1.0 - level) / len(TENTHS)
    interval = f1_interval(scored.truth, detected, data, level=each, seed=seed)
    value = float(values[best])
    return TENTHS[best], replace(interval, value=value, lower=min(interval.lower, value), level=level)


def _over_all_scores(table: ThresholdTable, data: Dataset, *, level: float) -> tuple[float, Interval]:
    """Best of all scores; the row that sets the threshold is left out of its own bounds."""
    best = int(np.argmax(table.f1))
    hits = int(table.detected[best])
    among = int(table.alarms[best]) + table.positives
    sizing = SearchSizing(hits=hits, among=among, n=len(data), level=level)
    lower, upper = sizing.at(len(data))
    overlap = Interval(
        value=hits / among,
        lower=lower,
        upper=upper,
        level=level,
        n=len(data),
        method="clopper-pearson-simultaneous",
        sizing=sizing,
    )
    return float(table.threshold[best]), f1_of_overlap(overlap)


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchSizing:
    """Bounds of a share of hits at another n, where each of the n rows could have set the threshold.

    Attributes:
        hits: Positive rows detected at the best threshold.
        among: Rows positive or detected there.
        n: Rows.
        level: One-sided confidence level of each bound.
    """

    hits: int
    among: int
    n: int
    level: float

    def at(self, n: int) -> tuple[float, float]:
        """Lower and upper bound at ``n`` rows, the shares unchanged."""
        hits, among = self.hits * n / self.n, self.among * n / self.n
        share = hits / among
        if among <= 1.0 or hits <= 1.0:
            return 0.0, 1.0
        # The best threshold is the score of a positive row: below one, alarms alone would be added.
        lower, upper = clopper_pearson_bounds(hits - 1.0, among - 1.0, 1.0 - (1.0 - self.level) / n)
        return min(lower, share), max(upper, share)


def _independence(data: Dataset) -> SelfCheck:
    """Bounds over all scores rest on independent rows."""
    dependent = is_dependent(data)
    return SelfCheck(
        name="independent rows",
        passed=not dependent,
        reason="rows have an order or groups, for which no bounds hold over all scores at once: use grid='tenths', or "
        "choose the threshold on other rows (choose_threshold) and judge it with at_threshold"
        if dependent
        else "bounds over all scores are exact for independent rows",
        bias="either",
    )
