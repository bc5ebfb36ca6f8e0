"""Evidence of a regression metric: rows with the largest errors, every output by itself, residuals."""

from dataclasses import replace

import numpy as np
from msgspec import structs

from robust.data.dataset import Dataset
from robust.evidence import Evidence, Fact, Figure, Slice, Slices
from robust.measures.details import costliest, histogram, numbers, sampled
from robust.measures.each_output import output_name, worst_output
from robust.measures.metric_interval import single_interval
from robust.measures.truth import Scored
from robust.metrics.metric import Metric
from robust.types import AnyArray

#: Outputs of a table, at most.
MOST_OUTPUTS = 20


def regression_evidence(
    metric: Metric, scored: Scored, data: Dataset, *, level: float, seed: int
) -> tuple[Evidence, ...]:
    """Rows with the largest errors, the figure that suits the metric, and each output by itself."""
    return (*common_evidence(metric.name, scored, data), *output_slices(metric, scored, data, level=level, seed=seed))


def common_evidence(name: str, scored: Scored, data: Dataset) -> tuple[Evidence, ...]:
    """Rows with the largest errors, and the figure that suits the metric."""
    truth, values = scored.truth, scored.prediction
    errors = np.abs(truth - values).mean(axis=1)
    worst = costliest(errors, data, what="rows with the largest absolute error")
    facts: tuple[Evidence, ...] = ()
    if name in ("mape", "smape"):
        facts = _sign_facts(name, truth, values)
    if name in ("mae", "median_absolute_error"):
        return (worst, _residual_histogram(scored))
    if name == "max_error":
        largest = int(np.abs(truth - values).max(axis=0).argmax())
        return (worst, residual_figure(scored, largest, "the one with the largest error"))
    if name in ("mse", "explained_variance"):
        return (worst, residual_figure(scored, worst_output(scored), "the worst"))
    return (*facts, worst, _scatter(scored))


def output_slices(metric: Metric, scored: Scored, data: Dataset, *, level: float, seed: int) -> tuple[Evidence, ...]:
    """The metric of each of several outputs, worst first, with bounds that hold for all at once."""
    k = scored.truth.shape[1]
    if k == 1:
        return ()
    each = 1 - (1 - level) / k
    parts = []
    for j in range(k):
        one = replace(scored, truth=scored.truth[:, j : j + 1], prediction=scored.prediction[:, j : j + 1])
        interval = single_interval(metric, one, data, level=each, seed=seed)
        parts.append(
            Slice(
                name=output_name(j, k), n=interval.n, value=interval.value, lower=interval.lower, upper=interval.upper
            )
        )
    parts.sort(key=lambda part: part.value, reverse=not metric.higher_is_better)
    return (Slices(by="output", measure=metric.title, level=level, slices=tuple(parts[:MOST_OUTPUTS])),)


def residual_figure(scored: Scored, output: int, why: str) -> Figure:
    """Residuals against predictions of one output, and why it is the one."""
    keep = sampled(len(scored.truth))
    residuals = scored.truth[keep, output] - scored.prediction[keep, output]
    return Figure(
        kind="point",
        title=_titled("Residual against prediction", scored, output, why),
        x_title="prediction",
        y_title="residual (target − prediction)",
        columns=(numbers("x", scored.prediction[keep, output]), numbers("y", residuals)),
        rules=(("y", 0.0, "no error"),),
        note=_note(keep, scored.truth, why),
    )


def _scatter(scored: Scored) -> Figure:
    """Targets against predictions of the worst output."""
    keep, output = sampled(len(scored.truth)), worst_output(scored)
    return Figure(
        kind="point",
        title=_titled("Target against prediction", scored, output, "the worst"),
        x_title="prediction",
        y_title="target",
        columns=(numbers("x", scored.prediction[keep, output]), numbers("y", scored.truth[keep, output])),
        note=_note(keep, scored.truth, "the worst"),
        diagonal="prediction = target",
    )


def _residual_histogram(scored: Scored) -> Figure:
    """Residuals of the worst output: those of several would cancel out in a mean."""
    output = worst_output(scored)
    figure = histogram(scored.truth[:, output] - scored.prediction[:, output], "residual (target − prediction)")
    return structs.replace(figure, title=_titled(figure.title, scored, output, "the worst"))


def _titled(title: str, scored: Scored, output: int, why: str) -> str:
    """A title with the output that is drawn, where there are several."""
    k = scored.truth.shape[1]
    return title if k == 1 else f"{title}, {output_name(output, k)}, {why}"


def _note(keep: AnyArray, truth: AnyArray, why: str) -> str:
    rows = "" if len(keep) == len(truth) else f"{len(keep)} of {len(truth)} rows"
    output = "the worst has the lowest R²" if truth.shape[1] > 1 and why == "the worst" else ""
    return ", ".join(filter(None, (rows, output)))


def _sign_facts(name: str, truth: AnyArray, values: AnyArray) -> tuple[Fact, ...]:
    """What a relative error hides: targets of both signs, wrong signs, zeros on both sides."""
    found = []
    if (truth < 0).any() and (truth > 0).any():
        found.append(Fact(name="targets of both signs", value="relative errors are by size, whatever the sign"))
    wrong = int((truth * values < 0).sum())
    if wrong and name == "smape":
        found.append(Fact(name="predictions of the wrong sign", value=f"{wrong}, each counts as 2 whatever its error"))
    both = int(((truth == 0) & (values == 0)).sum())
    if both:
        found.append(Fact(name="target and prediction both 0", value=f"{both}, counted as no error"))
    return tuple(found)
