"""Figures of anomaly scores."""

from collections.abc import Sequence

import numpy as np

from robust.evidence import Figure
from robust.measures.details import numbers, sampled, words
from robust.measures.score_thresholds import ThresholdTable
from robust.types import BoolArray, FloatArray

#: Rows of each kind in a histogram, at most.
_POINTS = 1000


def error_figure(scores: FloatArray, odd: BoolArray, threshold: float, *, what: str) -> Figure:
    """Distribution of the scores of normal and of anomalous rows, with the threshold.

    Args:
        scores: One a test row (n,).
        odd: Which rows are anomalous (n,).
        threshold: The threshold.
        what: What a score is.

    Returns:
        A histogram of two series.
    """
    parts = [("normal", scores[~odd]), ("anomalous", scores[odd])]
    shown = [(name, part[sampled(len(part), _POINTS)]) for name, part in parts]
    cut = any(len(part) > _POINTS for _, part in parts)
    return Figure(
        kind="histogram",
        title=f"Distribution: {what} of normal and anomalous rows",
        x_title=what,
        y_title="rows",
        columns=(
            numbers("x", np.concatenate([part for _, part in shown])),
            words("series", [name for name, part in shown for _ in part]),
        ),
        rules=(("x", threshold, f"threshold {threshold:.4g}"),),
        note=f"at most {_POINTS} rows of each kind" if cut else "",
    )


def rule_figure(rules: Sequence[str], table: ThresholdTable) -> Figure:
    """True and false positive rates at the thresholds of several rules.

    Args:
        rules: Names of the rules.
        table: Their thresholds, in the same order.

    Returns:
        Points of two series.
    """
    return Figure(
        kind="line",
        title="Rates by threshold from normal rows",
        x_title="threshold",
        y_title="share",
        columns=(
            numbers("x", np.tile(table.threshold, 2)),
            numbers("y", np.concatenate([table.tpr, table.fpr])),
            words("series", ["tpr"] * len(table) + ["fpr"] * len(table)),
        ),
        note=f"from {rules[0]} to {rules[-1]}",
    )
