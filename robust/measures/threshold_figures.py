"""Figures of what thresholds cost and buy."""

import numpy as np

from robust.evidence import Figure
from robust.measures.details import numbers, sampled, words
from robust.measures.score_thresholds import ThresholdTable

#: Points of a curve, at most.
_POINTS = 120


def roc_figure(table: ThresholdTable, threshold: float) -> Figure:
    """The ROC curve, with the operating point marked.

    Args:
        table: Of all distinct scores.
        threshold: The operating point.

    Returns:
        A line from (1, 1) to (0, 0), drawn with rules through the operating point.
    """
    keep = sampled(len(table), _POINTS)
    here = table.at(np.array([threshold]))
    return Figure(
        kind="line",
        title="ROC curve and operating point",
        x_title="false positive rate",
        y_title="true positive rate",
        columns=(numbers("x", table.fpr[keep][::-1]), numbers("y", table.tpr[keep][::-1])),
        rules=(
            ("x", float(here.fpr[0]), f"fpr at {threshold:.4g}"),
            ("y", float(here.tpr[0]), f"tpr at {threshold:.4g}"),
        ),
    )


def trade_figure(table: ThresholdTable, threshold: float) -> Figure:
    """Precision, recall and F1 along the threshold.

    Args:
        table: Of all distinct scores.
        threshold: The operating point, marked.

    Returns:
        Three lines.
    """
    keep = sampled(len(table), _POINTS)
    lines = (("precision", table.precision), ("recall", table.recall), ("F1", table.f1))
    return Figure(
        kind="line",
        title="Precision, recall and F1 by threshold",
        x_title="threshold",
        y_title="share",
        columns=(
            numbers("x", np.tile(table.threshold[keep], len(lines))),
            numbers("y", np.concatenate([values[keep] for _, values in lines])),
            words("series", [name for name, _ in lines for _ in keep]),
        ),
        rules=(("x", threshold, f"threshold {threshold:.4g}"),),
    )
