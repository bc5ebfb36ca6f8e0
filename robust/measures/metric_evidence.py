"""Evidence of a single model's metric: where its errors are, and figures."""

from dataclasses import replace

import numpy as np

from robust.data.dataset import Dataset
from robust.evidence import Evidence, Figure, Slice, Slices
from robust.intervals.ranked_areas import RankedArea, ranked_areas
from robust.measures.class_table import ClassTable, class_slices, class_table
from robust.measures.confusions import MOST_CLASSES, asymmetries, confusion_figure
from robust.measures.curves import CurveFigures, area_slices
from robust.measures.dependence import bindings, is_dependent
from robust.measures.details import costliest, histogram, numbers, words
from robust.measures.regression_details import regression_evidence
from robust.measures.row_means import share_interval
from robust.measures.score_evidence import score_evidence, wrong_rows
from robust.measures.slicing import slicings
from robust.measures.truth import Scored
from robust.metrics.class_ratios import Ratio
from robust.metrics.label_pairs import confusion_counts
from robust.metrics.metric import Metric
from robust.metrics.ranking import against_rest


def single_evidence(metric: Metric, scored: Scored, data: Dataset, *, level: float, seed: int) -> tuple[Evidence, ...]:
    """Worst rows, slices and figures for one model's metric."""
    if metric.task == "regression":
        return regression_evidence(metric, scored, data, level=level, seed=seed)
    if metric.name == "accuracy":
        return accuracy_evidence(scored, data, level=level, seed=seed)
    ratio = ratio_of(metric)
    if ratio is not None:
        return ratio_evidence(ratio, class_table(scored), scored, data, level=level, seed=seed)
    if metric.function is not None:
        losses = metric.rows(scored.truth, scored.prediction)[:, 0]
        title = "loss of a row (nats)" if metric.name == "log_loss" else "squared distance of a row"
        found: tuple[Evidence, ...] = (
            costliest(losses, data, what="rows with the largest loss"),
            histogram(losses, title),
        )
        if metric.name == "log_loss" and not scored.multilabel:
            labelled = replace(scored, prediction=scored.predictions.labels)
            found += score_evidence(labelled, scored.predictions.probabilities, data)
        return found
    return _ranking_evidence(metric, scored, data, level=level)


def ratio_of(metric: Metric) -> Ratio | None:
    """Which ratio of class counts a metric averages, if any."""
    names: tuple[Ratio, ...] = ("precision", "recall", "f1")
    return next((name for name in names if metric.name == name or metric.name.startswith(f"{name}_")), None)


def accuracy_evidence(scored: Scored, data: Dataset, *, level: float, seed: int) -> tuple[Evidence, ...]:
    """Accuracy by class and column, wrong rows, the confusion matrix and its asymmetries."""
    found: tuple[Evidence, ...] = (*_label_slices(scored, data, level=level, seed=seed), wrong_rows(scored, data))
    if scored.multilabel:
        return found
    names = tuple(str(label) for label in scored.predictions.classes)
    counts = confusion_counts(scored.truth, scored.prediction, len(names))
    return (
        *found,
        *asymmetries(counts, names, level=level, independent=not is_dependent(data)),
        confusion_figure(counts, names),
    )


def ratio_evidence(
    ratio: Ratio, table: ClassTable, scored: Scored, data: Dataset, *, level: float, seed: int
) -> tuple[Evidence, ...]:
    """A ratio of each class with bounds, what is 0 by convention, wrong rows, and a figure."""
    slices = class_slices(table, scored, data, ratios=(ratio,), level=level, seed=seed)
    return (*table.conventions(), *slices, wrong_rows(scored, data), _ratio_figure(slices[0]))


def area_evidence(
    area: RankedArea, figure: Figure, scored: Scored, *, measure: str, level: float
) -> tuple[Evidence, ...]:
    """An area of each class with bounds, and its curves."""
    problems = _problem_names(scored)
    truth, columns = scored.truth, len(scored.predictions.classes)
    if scored.multilabel:
        positives = tuple(truth.sum(axis=0).tolist())
    else:
        positives = tuple(np.bincount(truth, minlength=columns).tolist())
        positives = positives[1:] if columns == 2 else positives
    return (area_slices(problems, area.by_class, positives, measure=measure, level=level), figure)


def curve_figures(scored: Scored) -> CurveFigures:
    """An empty collection of curves for the classes of a ranking."""
    return CurveFigures(names=_problem_names(scored))


def class_level(scored: Scored, level: float) -> float:
    """Level of each class's bounds with which all of them hold at once (Bonferroni)."""
    return 1 - (1 - level) / len(_problem_names(scored))


def _problem_names(scored: Scored) -> tuple[str, ...]:
    """Classes in the order of `against_rest`."""
    names = tuple(str(label) for label in scored.predictions.classes)
    return names if scored.multilabel or len(names) != 2 else names[1:]


def _ranking_evidence(metric: Metric, scored: Scored, data: Dataset, *, level: float) -> tuple[Evidence, ...]:
    """Areas and curves of each class; the areas of rows that depend on each other have no bounds here."""
    curves, auc = curve_figures(scored), metric.name == "auc"
    areas = ranked_areas(
        against_rest(scored.truth, scored.prediction),
        None if scored.multilabel else scored.truth,
        len(scored.truth),
        level=level,
        class_level=class_level(scored, level),
        auc=auc,
        average_precision=not auc,
        visit=curves,
    )
    figure = curves.roc() if auc else curves.precision_recall()
    area = areas.auc or areas.average_precision
    if area is None or is_dependent(data):
        return (figure,)
    return area_evidence(area, figure, scored, measure=metric.title, level=level)


def _label_slices(scored: Scored, data: Dataset, *, level: float, seed: int) -> tuple[Evidence, ...]:
    """Accuracy by true class, and by each slicing column, with bounds that hold for all parts of a table at once."""
    right = scored.right()
    tables, facts = slicings(scored, data)
    found = []
    for table in tables:
        parts = []
        for name, inside in table.parts:
            interval = share_interval(right[inside], bindings(data, inside), level=table.level(level), seed=seed)
            parts.append(
                Slice(name=name, n=interval.n, value=interval.value, lower=interval.lower, upper=interval.upper)
            )
        parts.sort(key=lambda part: part.value)
        found.append(Slices(by=table.by, measure="accuracy", level=level, slices=tuple(parts[:MOST_CLASSES])))
    return (*found, *facts)


def _ratio_figure(slices: Slices) -> Figure:
    """A bar a class, worst first, with whiskers."""
    shown = slices.slices[:MOST_CLASSES]
    return Figure(
        kind="bar",
        title=f"{slices.measure[0].upper()}{slices.measure[1:]} by class",
        x_title="class",
        y_title=slices.measure,
        columns=(
            words("x", [part.name for part in shown]),
            numbers("y", np.array([part.value for part in shown])),
            numbers("lower", np.array([part.lower for part in shown])),
            numbers("upper", np.array([part.upper for part in shown])),
        ),
        note="worst first",
    )
