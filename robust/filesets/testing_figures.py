"""The pictures of a `testing` folder as figures."""

from collections.abc import Sequence

import numpy as np

from robust.evidence import Figure
from robust.measures.class_table import ClassTable
from robust.measures.details import numbers, sampled, words
from robust.measures.score_thresholds import ThresholdTable
from robust.metrics.label_pairs import confusion_counts
from robust.mistakes.wrong_rows import Judged
from robust.models.base import Label
from robust.operating.class_thresholds import ClassTables
from robust.types import IntArray

#: Classes of a picture of the confusion matrix, and curves of one of ROC curves.
_MOST_CLASSES, _MOST_CURVES = 40, 6
_POINTS = 150


def judged_counts(judged: Judged) -> IntArray:
    """Confusion counts over all declared classes (k, k), rows actual and columns predicted."""
    return confusion_counts(judged.scored.truth, judged.scored.prediction, len(judged.scored.predictions.classes))


def confusion_picture(counts: IntArray, names: Sequence[str]) -> Figure:
    """The confusion matrix: rows actual, whose sums are the classes' rows, columns predicted.

    Args:
        counts: (k, k).
        names: The classes.

    Returns:
        A matrix; of more than 40 classes the 40 with the most mistakes.
    """
    off = counts - np.diag(np.diag(counts))
    shown = np.sort(np.argsort(-(off.sum(0) + off.sum(1)), kind="stable")[:_MOST_CLASSES])
    sums = counts.sum(axis=1)
    across = [names[c] for c in shown]
    down = [f"{names[c]} ({sums[c]})" for c in shown]
    right, n = int(np.trace(counts)), int(counts.sum())
    note = f"{right} of {n} right, {n - right} wrong; in brackets the rows of each class"
    if off.any():
        a, b = divmod(int(off.argmax()), len(names))
        note += f"; most often {names[a]} is taken for {names[b]} ({off[a, b]}, back {off[b, a]})"
    if len(names) > _MOST_CLASSES:
        note += f"; the {_MOST_CLASSES} classes with the most mistakes of {len(names)}"
    return Figure(
        kind="matrix",
        title="Confusion matrix",
        x_title="predicted",
        y_title="actual",
        columns=(
            words("x", across * len(across)),
            words("y", [name for name in down for _ in down]),
            numbers("value", counts[np.ix_(shown, shown)].ravel()),
        ),
        note=note,
    )


def area_under(table: ThresholdTable) -> float:
    """Area under the ROC curve of a table of all distinct scores: P(s⁺ > s⁻) + ½ P(s⁺ = s⁻)."""
    fpr, tpr = table.fpr, table.tpr
    return float(((fpr[:-1] - fpr[1:]) * (tpr[:-1] + tpr[1:]) / 2).sum())


def shown_area(area: float) -> str:
    """An area in four digits, and in as many more as keep it apart from 0 and 1, up to eight.

    >>> shown_area(0.91234), shown_area(0.99998), shown_area(1.0), shown_area(1 - 1e-12)
    ('0.9123', '0.99998', '1.0000', '> 0.99999999')
    """
    if area in (0.0, 1.0):
        return f"{area:.4f}"
    for digits in range(4, 9):
        text = f"{area:.{digits}f}"
        if 0.0 < float(text) < 1.0:
            return text
    return "> 0.99999999" if area > 0.5 else "< 0.00000001"


def roc_picture(tables: ClassTables) -> Figure:
    """ROC curves, one class against the rest, with their areas and the line of chance.

    Args:
        tables: Of a model.

    Returns:
        A line a class; of more than six classes those with the smallest areas, and the pooled curve.
    """
    areas = [area_under(table) for _, table in tables.tables]
    two = tables.pooled is None
    curves: list[tuple[str, ThresholdTable]] = []
    if two:
        label, table = tables.tables[-1]
        curves.append((f"{label}: AUC {shown_area(areas[-1])}", table))
    else:
        chosen = np.sort(np.argsort(areas, kind="stable")[:_MOST_CURVES])
        curves += [(f"{tables.tables[i][0]}: AUC {shown_area(areas[i])}", tables.tables[i][1]) for i in chosen]
        curves.append((f"micro-average: AUC {shown_area(area_under(tables.overall))}", tables.overall))
    x, y, series = [np.array([0.0, 1.0])], [np.array([0.0, 1.0])], ["chance: AUC 0.5"] * 2
    for name, table in curves:
        keep = sampled(len(table), _POINTS)[::-1]
        x.append(table.fpr[keep])
        y.append(table.tpr[keep])
        series += [name] * len(keep)
    # Chance comes last in the legend: the curves are what matters.
    x, y, series = [*x[1:], x[0]], [*y[1:], y[0]], [*series[2:], *series[:2]]
    notes = []
    if len(areas) > _MOST_CURVES:
        notes.append(f"the {_MOST_CURVES} smallest areas of {len(areas)} classes")
    if tables.absent:
        notes.append(f"without {_named(tables.absent)}, of which there are no rows, or no others")
    return Figure(
        kind="line",
        title="ROC curve" if two else "ROC curves, one class against the rest",
        x_title="false positive rate (1 − specificity)",
        y_title="true positive rate (sensitivity)",
        columns=(numbers("x", np.concatenate(x)), numbers("y", np.concatenate(y)), words("series", series)),
        note="; ".join(notes),
    )


def class_areas(tables: ClassTables) -> dict[str, float]:
    """Area under the ROC curve of each class, by name."""
    return {str(label): area_under(table) for label, table in tables.tables}


def weakest(table: ClassTable) -> int:
    """The class with the lowest F1 among those with rows."""
    return int(np.argmin(np.where(table.actual > 0, table.ratios("f1"), np.inf)))


def _named(labels: Sequence[Label]) -> str:
    return ", ".join(map(str, labels[:5])) + (", …" if len(labels) > 5 else "")
