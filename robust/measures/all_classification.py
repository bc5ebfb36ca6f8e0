"""All classification metrics at once: one prediction, one softmax, one count of pairs, one sort a class."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from robust.data.dataset import Dataset
from robust.data.live import as_data
from robust.errors import InvalidInput
from robust.evidence import Evidence
from robust.intervals.arguments import check_level
from robust.intervals.interval import Interval
from robust.intervals.ranked_areas import ranked_areas
from robust.measurement import Measurement
from robust.measures.assembling import assemble
from robust.measures.by_name import measured
from robust.measures.class_table import RATIOS, ClassTable, class_slices, class_table, table_text
from robust.measures.dependence import is_dependent
from robust.measures.details import costliest, histogram
from robust.measures.metric_evidence import accuracy_evidence, area_evidence, class_level, curve_figures
from robust.measures.metric_interval import area_interval, single_interval
from robust.measures.score_evidence import score_evidence
from robust.measures.score_quality import answer_calibration, calibration_evidence, calibration_interval
from robust.measures.single import row_values
from robust.measures.truth import Scored, score
from robust.metrics.class_ratios import ratio_metric
from robust.metrics.classification import ACCURACY, BRIER, LOG_LOSS
from robust.metrics.metric import Metric
from robust.metrics.precision_recall import AVERAGE_PRECISION
from robust.metrics.ranking import AUC, against_rest
from robust.models.base import Model
from robust.models.conversion import as_model
from robust.predicting.metering import Meter, metered
from robust.predicting.predictions import predict


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ClassificationMetrics:
    """All metrics of a classifier; iterates as its measurements.

    Args:
        measurements: One a metric that could be measured, by its name.
        missing: Name and reason of each that could not.
        table: Precision, recall, F1 and support of each class.
    """

    measurements: dict[str, Measurement]
    missing: tuple[tuple[str, str], ...]
    table: ClassTable

    def __iter__(self) -> Iterator[Measurement]:
        return iter(self.measurements.values())

    def __getitem__(self, name: str) -> Measurement:
        return measured(name, self.measurements, self.missing)

    @property
    def text(self) -> str:
        """The classification report, as scikit-learn prints it."""
        return table_text(self.table)


class _Judge:
    """Makes measurements of one model on one data set."""

    def __init__(self, model: Model, data: Dataset, meter: Meter, *, level: float, seed: int) -> None:
        self.model, self.data, self.meter, self.level, self.seed = model, data, meter, level, seed
        self.found: dict[str, Measurement] = {}
        self.missing: list[tuple[str, str]] = []

    def interval(self, metric: Metric, scored: Scored) -> Interval:
        """Interval of a metric."""
        return single_interval(metric, scored, self.data, level=self.level, seed=self.seed)

    def keep(
        self, metric: Metric, interval: Interval, evidence: tuple[Evidence, ...] = (), *, rows: Any = None
    ) -> None:
        """Keep one measurement."""
        self.keep_named(metric.name, metric.unit, interval, evidence, higher=metric.higher_is_better, rows=rows)

    def keep_named(
        self,
        name: str,
        unit: str,
        interval: Interval,
        evidence: tuple[Evidence, ...],
        *,
        higher: bool,
        rows: Any = None,
    ) -> None:
        """Keep one measurement that is no metric of the catalogue."""
        self.found[name] = assemble(
            interval,
            name=name,
            unit=unit,
            higher_is_better=higher,
            models=(self.model,),
            data=self.data,
            meter=self.meter,
            seed=self.seed,
            evidence=evidence,
            row_values=rows,
        )


def classification_metrics(model: Any, data: Any, *, level: float = 0.95, seed: int = 0) -> ClassificationMetrics:
    """Measure all classification metrics of a model, with what they share worked out once.

    accuracy; precision, recall and F1, macro-averaged, and weighted F1; log_loss, brier, calibration_error; auc and
    average_precision, one-vs-rest: the formulas are those of the measures of these names

    Args:
        model: Anything `as_model` takes.
        data: Anything `as_data` takes, with targets.
        level: Confidence of each bound, in (0.5, 1).
        seed: Seed of bootstraps.

    Returns:
        A measurement a metric, with the value and bounds of the measure of its name. Those that a model of labels
        alone, or a class without rows, leave undefined are named with the reason.

    Raises:
        InvalidInput: If labels and outputs do not fit.
        ModelFault: If the model breaks its contract.

    >>> net = as_model(lambda x: np.hstack([1 - x, x]), output="probabilities")
    >>> found = classification_metrics(net, (np.array([[0.1], [0.4], [0.35], [0.8]]), [0, 0, 1, 1]))
    >>> found["accuracy"].value, found["auc"].value, found["brier"].value.__round__(4)
    (0.75, 0.75, 0.1581)
    """
    judged, rows, level = as_model(model), as_data(data), check_level(level)
    with metered() as meter:
        predictions = predict(judged, rows)
        labelled = score(ACCURACY, predictions, rows)
        judge = _Judge(judged, rows, meter, level=level, seed=seed)
        probable = None
        if predictions.kind == "labels":
            reason = f"{judged.name} gives labels only; probabilities or logits are needed"
            judge.missing += [
                (name, reason) for name in ("log_loss", "brier", "calibration_error", "auc", "average_precision")
            ]
        else:
            probable = Scored(truth=labelled.truth, prediction=predictions.probabilities, predictions=predictions)
        table = _of_labels(judge, labelled, probable)
        if probable is not None:
            _of_probabilities(judge, labelled, probable)
            _of_rankings(judge, probable)
    return ClassificationMetrics(measurements=judge.found, missing=tuple(judge.missing), table=table)


def _of_labels(judge: _Judge, labelled: Scored, probable: Scored | None) -> ClassTable:
    """Accuracy, and what counts of pairs give."""
    table = class_table(labelled)
    evidence = accuracy_evidence(labelled, judge.data, level=judge.level, seed=judge.seed)
    if probable is not None and not labelled.multilabel:
        evidence += score_evidence(labelled, probable.prediction, judge.data)
    judge.keep(ACCURACY, judge.interval(ACCURACY, labelled), evidence, rows=row_values(ACCURACY, labelled))
    slices = class_slices(table, labelled, judge.data, ratios=RATIOS, level=judge.level, seed=judge.seed)
    for ratio, by_class in zip(RATIOS, slices, strict=True):
        metric = ratio_metric(ratio, "macro")
        judge.keep(metric, judge.interval(metric, labelled), (*table.conventions(), by_class))
    weighted = ratio_metric("f1", "weighted")
    judge.keep(weighted, judge.interval(weighted, labelled))
    return table


def _of_probabilities(judge: _Judge, labelled: Scored, probable: Scored) -> None:
    """Means of losses, and calibration."""
    for metric, title in ((LOG_LOSS, "loss of a row (nats)"), (BRIER, "squared distance of a row")):
        try:
            predictions = probable.predictions
            # A softmax sums to 1, and is not made again.
            given = probable.prediction if predictions.kind == "logits" else predictions.distribution
            proper = replace(probable, prediction=given)
        except InvalidInput as error:
            judge.missing.append((metric.name, str(error)))
            continue
        losses = metric.rows(proper.truth, proper.prediction)[:, 0]
        evidence = (costliest(losses, judge.data, what="rows with the largest loss"), histogram(losses, title))
        judge.keep(metric, judge.interval(metric, proper), evidence, rows=losses)
    found = answer_calibration(labelled, probable.prediction)
    interval = calibration_interval(found, judge.data, level=judge.level, seed=judge.seed)
    judge.keep_named(
        "calibration_error", "share", interval, calibration_evidence(found, level=judge.level), higher=False
    )


def _of_rankings(judge: _Judge, probable: Scored) -> None:
    """Areas under both curves, from one sort a class."""
    lone = _undefined(probable)
    for metric in (AUC, AVERAGE_PRECISION):
        if lone[metric.name]:
            judge.missing.append((metric.name, f"no rows of {lone[metric.name][:10]}, or none of others"))
    wanted = [metric for metric in (AUC, AVERAGE_PRECISION) if not lone[metric.name]]
    if not wanted:
        return
    curves = curve_figures(probable)
    areas = ranked_areas(
        against_rest(probable.truth, probable.prediction),
        None if probable.multilabel else probable.truth,
        len(probable.truth),
        level=judge.level,
        class_level=class_level(probable, judge.level),
        auc=AUC in wanted,
        average_precision=AVERAGE_PRECISION in wanted,
        visit=curves,
    )
    for metric, area, figure in (
        (AUC, areas.auc, curves.roc()),
        (AVERAGE_PRECISION, areas.average_precision, curves.precision_recall()),
    ):
        if area is None:
            continue
        if is_dependent(judge.data):
            judge.keep(metric, judge.interval(metric, probable), (figure,))
            continue
        evidence = area_evidence(area, figure, probable, measure=metric.title, level=judge.level)
        judge.keep(metric, area_interval(metric, area, probable, judge.data, level=judge.level), evidence)


def _undefined(probable: Scored) -> dict[str, list[str]]:
    """Classes for which each area is not defined."""
    names = [str(label) for label in probable.predictions.classes]
    n = len(probable.truth)
    if probable.multilabel:
        ones = probable.truth.sum(axis=0)
        return {
            "auc": [name for name, one in zip(names, ones, strict=True) if one in (0, n)],
            "average_precision": [name for name, one in zip(names, ones, strict=True) if one == 0],
        }
    rows = np.bincount(probable.truth, minlength=len(names))
    absent = [name for name, one in zip(names, rows, strict=True) if one == 0]
    return {"auc": absent, "average_precision": absent}
