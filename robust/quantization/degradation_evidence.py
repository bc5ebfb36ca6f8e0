"""What stands behind a degradation: flipped rows, drops by class and slice, errors that grew."""

import math

import numpy as np

from robust.data.dataset import Dataset
from robust.evidence import Evidence, Figure, Flips, Rows, Slice, Slices
from robust.intervals.mcnemar import mcnemar_p
from robust.measures.dependence import bindings
from robust.measures.details import numbers, row_ids, sampled, words
from robust.measures.mean_change import mean_change_interval
from robust.measures.slicing import Slicing, column_slicings, slicings, target_slicing
from robust.measures.truth import Scored
from robust.metrics.regression import value_range
from robust.types import BoolArray, FloatArray

_SHOWN = 20


def flips(before: BoolArray, after: BoolArray, data: Dataset) -> Flips:
    """Rows that changed between right and wrong."""
    lost, won = np.flatnonzero(before & ~after), np.flatnonzero(~before & after)
    return Flips(
        right_to_wrong=len(lost),
        wrong_to_right=len(won),
        n=len(before),
        p=mcnemar_p(len(lost), len(won)),
        rows=row_ids(data, lost[:_SHOWN]),
    )


def classification_evidence(
    reference: Scored, candidate: Scored, data: Dataset, *, level: float, seed: int
) -> tuple[Evidence, ...]:
    """Flips, drops by class and slice with simultaneous bounds, and their figure."""
    before, after = reference.right(), candidate.right()
    tables, facts = slicings(reference, data)
    drops = [_accuracy_drops(table, before, after, data, level=level, seed=seed) for table in tables]
    return (flips(before, after, data), *drops, *facts, *(_drop_figure(table) for table in drops[:1]))


def _accuracy_drops(
    table: Slicing, before: BoolArray, after: BoolArray, data: Dataset, *, level: float, seed: int
) -> Slices:
    """Accuracy drop on each part of the rows, worst first, with bounds that hold for all parts at once."""
    worse = before.astype(np.float64) - after
    parts = []
    for name, inside in table.parts:
        b, c = int(np.sum(worse[inside] > 0)), int(np.sum(worse[inside] < 0))
        interval = mean_change_interval(
            worse[inside], bindings(data, inside), level=table.level(level), seed=seed, share=True
        )
        parts.append(
            Slice(
                name=name,
                n=interval.n,
                value=interval.value,
                lower=interval.lower,
                upper=interval.upper,
                note=f"{b} right->wrong, {c} wrong->right" if b or c else "",
            )
        )
    parts.sort(key=lambda part: (-part.value, part.name))
    return Slices(by=table.by, measure="accuracy drop", level=level, slices=tuple(parts[:_SHOWN]))


def row_drops(
    before: FloatArray,
    after: FloatArray,
    data: Dataset,
    *,
    name: str,
    worse: FloatArray,
    share: bool,
    level: float,
    seed: int,
    effect: float | None = None,
) -> tuple[Evidence, ...]:
    """Change of a mean of row values on each part of the rows, with bounds that hold for all parts at once.

    Args:
        before: Row values of the reference (n,).
        after: Of the candidate.
        data: The rows; its slicing columns part them.
        name: What the values are of.
        worse: Their paired differences (n,), positive is worse.
        share: Whether the values are 0 or 1.
        level: Confidence that all bounds of a table hold at once.
        seed: Seed of the bootstrap, where one is used.
        effect: Largest difference that one row can have; None where it has no bound.

    Returns:
        A table of classes, where the values are 0 or 1, and of each slicing column, worst part first; and facts about
        columns that make none.
    """
    found: list[Evidence] = []
    tables, facts = column_slicings(data)
    for table in (*(target_slicing(data) if share else ()), *tables):
        parts = []
        for part, inside in table.parts:
            interval = mean_change_interval(
                worse[inside],
                bindings(data, inside),
                level=table.level(level),
                seed=seed,
                share=share,
                typical=float(np.abs(before[inside]).mean() + np.abs(after[inside]).mean()) / 2,
                effect=effect,
            )
            parts.append(
                Slice(name=part, n=interval.n, value=interval.value, lower=interval.lower, upper=interval.upper)
            )
        parts.sort(key=lambda part: (-part.value, part.name))
        found.append(Slices(by=table.by, measure=f"loss of {name}", level=level, slices=tuple(parts[:_SHOWN])))
    return (*found, *facts, *(_drop_figure(table) for table in found[:1] if isinstance(table, Slices)))


def _drop_figure(table: Slices) -> Figure:
    slices = [part for part in table.slices if math.isfinite(part.upper - part.lower)]
    return Figure(
        kind="interval",
        title=f"{table.measure[0].upper()}{table.measure[1:]} by {table.by}",
        x_title="drop (positive is worse)",
        y_title=table.by,
        columns=(
            words("y", [part.name.partition("=")[2] for part in slices]),
            numbers("x", np.array([part.value for part in slices])),
            numbers("lower", np.array([part.lower for part in slices])),
            numbers("upper", np.array([part.upper for part in slices])),
        ),
        rules=(("x", 0.0, ""),),
        note=f"bounds hold for all of them at once at {table.level:g}",
    )


def regression_evidence(
    reference: Scored, candidate: Scored, data: Dataset, *, level: float, seed: int
) -> tuple[Evidence, ...]:
    """Rows whose error grew most, errors of both models against each other, and growth by slice."""
    old = np.abs(reference.truth - reference.prediction).mean(axis=1)
    new = np.abs(candidate.truth - candidate.prediction).mean(axis=1)
    order = np.argsort(old - new, kind="stable")[:10]
    grown = Rows(
        what="rows whose absolute error grew most",
        ids=row_ids(data, order),
        values=tuple(float(f"{new[i] - old[i]:.4g}") for i in order),
        total=int(np.sum(new > old)),
    )
    keep = sampled(len(old))
    figure = Figure(
        kind="point",
        title="Absolute error, reference against candidate",
        x_title="reference",
        y_title="candidate",
        columns=(numbers("x", old[keep]), numbers("y", new[keep])),
    )
    drops = row_drops(
        old,
        new,
        data,
        name="mean absolute error",
        worse=new - old,
        share=False,
        level=level,
        seed=seed,
        # As for the error itself: no row errs by more than the range that was seen.
        effect=value_range(reference.truth, np.hstack([reference.prediction, candidate.prediction])) or None,
    )
    return (grown, figure, *drops)
