"""What to do next, by rule: every sentence states the number that called for it."""

from collections.abc import Sequence

import numpy as np

from robust.intervals.clopper_pearson import clopper_pearson_bounds
from robust.measurement import Measurement
from robust.measures.class_table import ClassTable
from robust.types import IntArray

#: An accuracy below this, or an F1 of a class, calls for advice; so does a drop of a percentage point.
LOW_ACCURACY, LOW_F1, LARGE_DROP = 0.9, 0.8, 0.01
_MOST_CLASSES = 5


def advice(
    *,
    accuracy: Measurement | None = None,
    table: ClassTable | None = None,
    counts: IntArray | None = None,
    drop: Measurement | None = None,
    train_accuracy: float | None = None,
) -> tuple[str, ...]:
    """Sentences on what to look at, for low accuracy, weak classes and a drop by quantization.

    Rules: accuracy below 0.9; F1 of a class below 0.8, or its recall below the accuracy by more than chance (all
    classes at once, 95 %); a degradation of 0.01 or more, or one proved to be above 0.

    Args:
        accuracy: Of the model under test.
        table: Counts of its classes.
        counts: Confusion counts (k, k), rows actual, which name the class that another is taken for.
        drop: Degradation of the accuracy against the float model, a share.
        train_accuracy: Accuracy on the training rows, where they are given.

    Returns:
        Sentences, in the order of the rules; none where no rule applies.

    >>> m = Measurement(name="accuracy", value=0.7, lower=0.6, upper=0.8, n=90, method="clopper-pearson")
    >>> advice(accuracy=m)[0]
    'Accuracy 0.7000 is below 0.9: check the quality of the data set first (separability, labels, sensor faults).'
    """
    found: list[str] = []
    if accuracy is not None and accuracy.value < LOW_ACCURACY:
        found += _low(accuracy, train_accuracy)
    if table is not None and not table.multilabel:
        found += _weak(table, counts)
    if drop is not None and (drop.value >= LARGE_DROP or drop.lower > 0):
        found += _dropped(drop)
    return tuple(found)


def _low(accuracy: Measurement, train_accuracy: float | None) -> list[str]:
    said = f"Accuracy {accuracy.value:.4f}"
    found = [
        f"{said} is below {LOW_ACCURACY:g}: check the quality of the data set first (separability, labels, sensor "
        "faults)."
    ]
    if train_accuracy is None:
        found.append(f"{said}: try a larger model, more training epochs, or better features.")
    elif train_accuracy < LOW_ACCURACY:
        found.append(
            f"{said}, and {train_accuracy:.4f} on the training rows: the model fits neither, so try a larger model, "
            "more training epochs, or better features."
        )
    else:
        found.append(
            f"{said}, but {train_accuracy:.4f} on the training rows: the model does not generalise, so more, and more "
            "varied, training rows, regularisation and better features come before a larger model."
        )
    return found


def _weak(table: ClassTable, counts: IntArray | None) -> list[str]:
    """Classes by falling need."""
    f1, recall = table.ratios("f1"), table.ratios("recall")
    present = np.flatnonzero(table.actual > 0)
    overall = table.right / table.rows
    each = 1 - 0.05 / max(len(present), 1)
    weak = [
        c
        for c in present.tolist()
        if f1[c] < LOW_F1 or clopper_pearson_bounds(int(table.hits[c]), int(table.actual[c]), each)[1] < overall
    ]
    weak.sort(key=lambda c: f1[c])
    found = []
    for c in weak[:_MOST_CLASSES]:
        name, support = table.names[c], int(table.actual[c])
        text = f"Class {name} is weak, F1 {f1[c]:.4f} and recall {recall[c]:.4f} of {support} rows"
        text += f" against an accuracy of {overall:.4f}: look at its error samples"
        mean = table.rows / len(present)
        if support < mean / 2:
            text += f"; balance the classes, it has {support} rows where classes have {mean:.0f} on average"
        else:
            text += f"; give it more varied data, its {support} rows are not few here"
        found.append(f"{text}{_confused(c, table.names, counts)}.")
    if len(weak) > _MOST_CLASSES:
        found.append(f"{len(weak) - _MOST_CLASSES} more classes are weak; see classification_report.txt.")
    return found


def _confused(c: int, names: Sequence[str], counts: IntArray | None) -> str:
    if counts is None:
        return ""
    others = counts[c].copy()
    others[c] = 0
    if not others.any():
        return ""
    most = int(others.argmax())
    taken = f"{int(others[most])} of its {int(others.sum())} mistakes are taken for {names[most]}"
    return f"; {taken}: see how alike the two are"


def _dropped(drop: Measurement) -> list[str]:
    proved = "proved above 0" if drop.lower > 0 else "not proved above 0"
    bounds = f"{100 * drop.lower:.2f} .. {100 * drop.upper:.2f}"
    said = f"Quantization costs {100 * drop.value:.2f} percentage points ({bounds}, {proved})"
    return [
        f"{said}: train with quantization (QAT) instead of quantizing afterwards (PTQ).",
        f"{said}: calibrate with more rows, of all classes and conditions.",
        f"{said}: keep the most sensitive layers at higher precision, or use a larger model, which quantization harms "
        "less.",
    ]
