"""What is reported about residuals and unused columns: words, a table by column, and charts."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from robust.data.dataset import Dataset
from robust.evidence import Evidence, Fact, Figure, Finding, Slice, Slices
from robust.intervals.interval import Interval
from robust.measures.details import numbers, words
from robust.randomness import row_words
from robust.residuals.column_terms import ARCH, FEW, STEADY, Terms
from robust.residuals.correlations import Correlations
from robust.residuals.residual_rows import Residuals
from robust.types import FloatArray, IntArray

_POINTS = 300
_BINS = 10
_MOST_COLUMNS = 20
_STREAM = 3001


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Analysed:
    """One column: its terms, its correlations, and those given the model's inputs (None: not known)."""

    terms: Terms
    marginal: Correlations
    given_inputs: Correlations | None


def holm(p: Sequence[float]) -> FloatArray:
    """Holm's adjusted p-values: the i-th smallest of m times m − i + 1, never falling (Holm 1979).

    >>> holm([0.01, 0.04, 0.03]).tolist()
    [0.03, 0.06, 0.06]
    """
    values = np.asarray(p, dtype=np.float64)
    order = np.argsort(values, kind="stable")
    adjusted = np.empty(len(values))
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(values[order] * np.arange(len(values), 0, -1)))
    return adjusted


def findings(analysed: Sequence[Analysed], interval: Interval) -> tuple[Evidence, ...]:
    """In words: columns whose correlation is proved, and whether the inputs account for it."""
    proved = interval.upper - interval.lower < 1.0
    adjusted = holm([one.marginal.p() for one in analysed])
    found: list[Evidence] = []
    for one, p in zip(analysed, adjusted, strict=True):
        if not proved or p > 1.0 - interval.level or one.terms.differing < FEW:
            continue
        r = one.marginal.values[one.marginal.strongest]
        shown = f"{_shape(one)} (correlation {r:+.2f}, p = {p:.2g})"
        found.append(Finding(text=f"residuals {shown}: {_meaning(one, interval.level)}"))
    best = analysed[0]
    return (*found[:3], Fact(name="strongest", value=_strongest(best, adjusted[0])))


def _strongest(one: Analysed, p: float) -> str:
    """A column and its strongest term."""
    j = one.marginal.strongest
    label = one.marginal.labels[j]
    where = one.terms.name
    if label != "linear":
        where += f" by {label}" if one.terms.numeric else f" {label}"
    return f"{where} (r = {one.marginal.values[j]:+.2f}, p = {p:.2g})"


def _shape(one: Analysed) -> str:
    """How residuals move with a column, in words."""
    j, name = one.marginal.strongest, one.terms.name
    label, up = one.marginal.labels[j], one.marginal.values[j] > 0
    if not one.terms.numeric:
        where = f"{name} {label}" if label.startswith("= ") else f"{name} has a less common value"
        return f"are {'higher' if up else 'lower'} where {where}"
    if label in STEADY:
        return f"{'rise' if up else 'fall'} with {name}"
    if label == ARCH:
        return f"are {'highest' if up else 'lowest'} in the middle of the range of {name}"
    return f"rise and fall by turns as {name} grows"


def _meaning(one: Analysed, level: float) -> str:
    """Whether the column adds information, or stands for an input that the model underfits."""
    if one.given_inputs is None:
        return "the model could use this column, or it underfits an input that moves with it"
    left, size = one.given_inputs.p(), float(np.abs(one.given_inputs.values).max())
    remains = f"with the model's inputs accounted for, a correlation of {size:.2f} remains"
    if left <= 1.0 - level:
        return f"{remains}, so the model could use this column"
    return f"{remains}, which may be chance: the model may only underfit an input that moves with this column"


def column_slices(analysed: Sequence[Analysed], *, level: float, provable: bool) -> Slices:
    """Largest correlation by size of each column, with bounds that hold for all columns at once."""
    adjusted = holm([one.marginal.p() for one in analysed])
    count = len(analysed)
    parts = []
    for one, p in zip(analysed, adjusted, strict=True):
        found, sizes = one.marginal, np.abs(one.marginal.values)
        j = found.strongest
        lower = float((sizes - found.reach(1.0 - (1.0 - level) / (2 * count * len(sizes)))).max())
        upper = float((sizes + found.reach(1.0 - (1.0 - level) / count)).max())
        if not provable or one.terms.differing < FEW:
            lower, upper = 0.0, 1.0
        note = f"{found.labels[j]}: r = {found.values[j]:+.3f}, p = {p:.2g} (Holm)"
        if one.given_inputs is not None:
            k = one.given_inputs.strongest
            note += f"; given the inputs {one.given_inputs.values[k]:+.3f} ({one.given_inputs.labels[k]})"
        value = float(sizes[j])
        parts.append(
            Slice(
                name=one.terms.name,
                n=found.n,
                value=value,
                lower=max(0.0, min(lower, value)),
                upper=min(1.0, max(upper, value)),
                note=note,
            )
        )
    return Slices(
        by="unused column", measure="largest correlation with the residuals", level=level, slices=tuple(parts)
    )


def correlation_figures(
    analysed: Sequence[Analysed], residuals: Residuals, data: Dataset, *, level: float, seed: int
) -> tuple[Figure, ...]:
    """All columns with their bounds, and the residuals against the worst column."""
    shown = column_slices(analysed[:_MOST_COLUMNS], level=level, provable=True).slices
    overview = Figure(
        kind="interval",
        title="Correlation of residuals with unused columns",
        x_title="largest correlation by size",
        y_title="",
        columns=(
            words("y", [part.name for part in shown]),
            numbers("x", np.array([part.value for part in shown])),
            numbers("lower", np.array([part.lower for part in shown])),
            numbers("upper", np.array([part.upper for part in shown])),
        ),
        note="bounds hold for all columns at once",
    )
    worst = analysed[0].terms
    column = next(column for column in data.unused if column.name == worst.name)
    values, errors = column.values[worst.known], residuals.values[worst.known]
    if worst.numeric:
        keys = data.row_keys()[worst.known]
        return overview, _scatter(worst.name, values.astype(np.float64), errors, keys, residuals.unit, seed=seed)
    return overview, _level_means(worst, errors, residuals.unit)


def _scatter(name: str, z: FloatArray, errors: FloatArray, keys: IntArray, unit: str, *, seed: int) -> Figure:
    """A sample of rows, and the mean residual in ten bins with equal numbers of rows."""
    draw = row_words(keys, 1, seed=seed, stream=_STREAM)[:, 0]
    kept = np.sort(np.argsort(draw, kind="stable")[:_POINTS])
    bins = [part for part in np.array_split(np.argsort(z, kind="stable"), _BINS) if len(part)]
    x = np.concatenate([z[kept], [z[part].mean() for part in bins]])
    y = np.concatenate([errors[kept], [errors[part].mean() for part in bins]])
    return Figure(
        kind="point",
        title=f"Residuals against {name}, which the model does not see",
        x_title=name,
        y_title=unit,
        columns=(
            numbers("x", x),
            numbers("y", y),
            words("series", ["row"] * len(kept) + ["mean of a tenth of the rows"] * len(bins)),
        ),
        rules=(("y", 0.0, ""),),
        note="" if len(kept) == len(z) else f"{len(kept)} of {len(z)} rows, chosen by row id",
    )


def _level_means(terms: Terms, errors: FloatArray, unit: str) -> Figure:
    """Mean residual of each common value."""
    names, means = [], []
    for j, label in enumerate(terms.labels):
        names.append(label.removeprefix("= "))
        means.append(errors[terms.values[:, j] == 1.0].mean())
    order = np.argsort(means, kind="stable")
    return Figure(
        kind="bar",
        title=f"Mean residual by {terms.name}, which the model does not see",
        x_title=terms.name,
        y_title=unit,
        columns=(words("x", [names[i] for i in order]), numbers("y", np.array(means)[order])),
        rules=(("y", 0.0, ""),),
    )
