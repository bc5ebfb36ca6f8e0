"""What stands behind an agreement: the worst samples, values against values, errors, classes, and how to read them."""

from collections.abc import Sequence

import numpy as np

from robust.crosscheck.output_rows import ComparedOutput, OutputRow
from robust.crosscheck.summary_table import figure_text, percentage_text
from robust.data.dataset import Dataset
from robust.evidence import Evidence, Fact, Figure, Finding, Rows
from robust.measures.details import numbers, row_ids, sampled, words

_WORST = 10
_BINNED = 2000
RANDOM = (
    "The inputs are random: they are not distributed as real ones are, so these figures say how alike the two models "
    "compute, not how alike they answer in use. Give representative samples before anything rests on them."
)
_ONE_HOT = (
    "Against one-hot rows rmse, mae and l2r are large even for right answers, and larger still without a softmax: read "
    "acc there"
)
_REGRESSOR = "For a regressor acc has no meaning; give real values as ground truth."
_MEAN = "mean is reference − prediction: above 0 the prediction is too low."
_SAMPLES = (
    "The l2r lines are about these samples alone; a gate on .l2r uses its bound, which is about rows not yet seen."
)


def remarks_on(outputs: Sequence[ComparedOutput], *, random: bool) -> tuple[str, ...]:
    """How to read the figures, as far as it concerns these outputs."""
    crossed = any(row.role == "X-cross" for output in outputs for row in output.rows)
    one_hot = _ONE_HOT + (", and the X-cross lines." if crossed else ".")
    return (
        *([RANDOM] if random else []),
        *([one_hot] if any(output.one_hot for output in outputs) else []),
        *([_REGRESSOR] if not all(output.classes for output in outputs) else []),
        _MEAN,
        *([_SAMPLES] if crossed else []),
    )


def agreement_evidence(
    outputs: Sequence[ComparedOutput], *, worst: int, data: Dataset | None, random: bool
) -> tuple[Evidence, ...]:
    """Facts of all outputs, samples and figures of the worst one.

    Args:
        outputs: All outputs, compared.
        worst: Position of the one that the figures are about.
        data: Where the samples came from, for their ids.
        random: Whether they were drawn at random.

    Returns:
        Evidence for a report.
    """
    rows = [row for output in outputs for row in output.rows]
    shown = outputs[worst]
    return (
        *([Finding(text=RANDOM)] if random else []),
        *(Fact(name=row.name, value=_figures(row)) for row in rows),
        _worst_samples(shown, data),
        *_class_figure(shown),
        _values_figure(shown),
        _errors_figure(shown),
        *(Fact(name="how to read it", value=text) for text in remarks_on(outputs, random=False)),
    )


def _figures(row: OutputRow) -> str:
    m = row.metrics
    names = ("rmse", "mae", "l2r", "mean", "std", "nse", "cos")
    figures = ", ".join(f"{name} {figure_text(getattr(m, name))}" for name in names)
    return f"acc {percentage_text(m.acc)}, {figures} ({row.tensor})"


def _worst_samples(output: ComparedOutput, data: Dataset | None) -> Rows:
    """Samples with the largest error, by id or position."""
    errors = np.sqrt(((output.reference - output.candidate) ** 2).sum(axis=1))
    order = np.argsort(-errors, kind="stable")[:_WORST]
    return Rows(
        what=f"samples that differ most in output #{output.number} (by ‖r − p‖)",
        ids=tuple(order.tolist()) if data is None else row_ids(data, order),
        values=tuple(float(f"{errors[i]:.4g}") for i in order),
        total=int((errors > 0).sum()),
    )


def _values_figure(output: ComparedOutput) -> Figure:
    """Values of the one against values of the other."""
    r, p = output.reference.ravel(), output.candidate.ravel()
    keep = sampled(r.size)
    return Figure(
        kind="point",
        title=f"Output #{output.number}: candidate against reference",
        x_title="reference",
        y_title="candidate",
        columns=(numbers("x", r[keep]), numbers("y", p[keep])),
        note="" if len(keep) == r.size else f"{len(keep)} of {r.size} values",
    )


def _errors_figure(output: ComparedOutput) -> Figure:
    """Distribution of reference − candidate."""
    error = (output.reference - output.candidate).ravel()
    keep = sampled(error.size, _BINNED)
    return Figure(
        kind="histogram",
        title=f"Output #{output.number}: error",
        x_title="reference − candidate",
        y_title="values",
        columns=(numbers("x", error[keep]),),
        rules=(("x", 0.0, ""),),
        note="" if len(keep) == error.size else f"{len(keep)} of {error.size} values",
    )


def _class_figure(output: ComparedOutput) -> tuple[Figure, ...]:
    """Classes of the reference against those of the candidate, where they are few enough to read."""
    confusion = output.rows[-1].confusion
    if confusion is None or confusion.counts is None:
        return ()
    names = [f"C{i}" for i in range(confusion.classes)]
    return (
        Figure(
            kind="matrix",
            title=f"Output #{output.number}: classes",
            x_title="candidate",
            y_title="reference",
            columns=(
                words("x", names * len(names)),
                words("y", [name for name in names for _ in names]),
                numbers("value", confusion.counts.ravel()),
            ),
        ),
    )
