"""Each of several outputs of a regression model by itself: its name, its figures, and which is the worst."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from robust.errors import InvalidInput
from robust.measures.truth import Scored
from robust.metrics.metric import Metric


def output_name(position: int, outputs: int) -> str:
    """What an output is called, counted from 1.

    >>> output_name(1, 2)
    'output 2 of 2'
    """
    return f"output {position + 1} of {outputs}"


def worst_output(scored: Scored) -> int:
    """Position of the output with the lowest R², which no unit decides; of equal ones the first.

    With constant targets R² is undefined: any error there is the worst, and none is no error.
    """
    squares = ((scored.truth - scored.prediction) ** 2).mean(axis=0)
    variances = np.where(np.ptp(scored.truth, axis=0) > 0, scored.truth.var(axis=0), 0.0)
    left = np.where(squares > 0, np.inf, 0.0)
    np.divide(squares, variances, out=left, where=variances > 0)
    return int(left.argmax())


def values_by_output(metrics: Sequence[Metric], scored: Scored) -> tuple[dict[str, float], ...]:
    """The value of every metric for each of several outputs.

    Args:
        metrics: Functions of means of rows.
        scored: Targets and predictions (n, k).

    Returns:
        One a column, by the metric's name, with `median_absolute_error` and `max_error`; without those that its targets
        leave undefined. Empty for a single output.
    """
    k = scored.truth.shape[1]
    return () if k == 1 else tuple(_values(metrics, _only(scored, j)) for j in range(k))


def _only(scored: Scored, position: int) -> Scored:
    """One output by itself."""
    column = slice(position, position + 1)
    return replace(scored, truth=scored.truth[:, column], prediction=scored.prediction[:, column])


def _values(metrics: Sequence[Metric], one: Scored) -> dict[str, float]:
    found: dict[str, float] = {}
    constant = bool(one.truth.max() == one.truth.min())
    for metric in metrics:
        if metric.function is None or (metric.name == "r2" and constant):
            continue
        try:
            rows = metric.rows(one.truth, one.prediction)
        except InvalidInput:
            continue  # undefined for these targets, as the measure of all outputs says
        found[metric.name] = float(metric.function(rows.mean(axis=0, keepdims=True))[0])
    errors = np.abs(one.truth - one.prediction)
    return found | {"median_absolute_error": float(np.median(errors)), "max_error": float(errors.max())}
