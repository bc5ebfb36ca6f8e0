"""What a minimal perturbation rests on: the most fragile rows, the distribution of the norms, what each rung bought."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from robust.attacks.minimal_norm import MinimalNorm
from robust.attacks.target import Target
from robust.data.dataset import Dataset
from robust.evidence import Evidence, Fact, Figure, Finding, Rows
from robust.measures.details import histogram, row_ids
from robust.predicting.metering import Meter
from robust.types import BoolArray, FloatArray

_MOST_ROWS = 10


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Search:
    """What the rungs found for rows that were right.

    Args:
        rungs: The attacks, in the order in which they were run.
        norms: Norms after each rung, inf where nothing was found (rungs, n).
        lucky: Rows for which noise found a smaller change than all of them (n,).
        least: The smallest norms, those of the noise included (n,).
    """

    rungs: tuple[MinimalNorm, ...]
    norms: FloatArray
    lucky: BoolArray
    least: FloatArray


def minimal_evidence(
    search: Search | None,
    target: Target | None,
    data: Dataset,
    norms: FloatArray,
    right: BoolArray,
    median: float,
    meter: Meter,
) -> tuple[Evidence, ...]:
    """Evidence of one search.

    Args:
        search: What the rungs found; None where no row was right.
        target: The rows that were right; None where there are none.
        data: All rows (n).
        norms: Their norms, 0 where wrong already, inf where nothing was found (n,).
        right: Which were right (n,).
        median: Median of the norms.
        meter: What was asked of the model so far.

    Returns:
        The evidence.
    """
    wrong = Fact(name="rows that are wrong without any change (norm 0)", value=int(np.sum(~right)))
    if search is None or target is None:
        return (wrong, Fact(name="what it means", value="no row is right before the attack"))
    norm = search.rungs[-1].norm
    unbroken = int(np.isinf(norms).sum())
    facts: list[Evidence] = [
        _fragile(search, target, norm),
        wrong,
        Fact(name="rows for which nothing was found (norm inf)", value=unbroken),
        *_bought(search, norms, right),
        Fact(name="what it means", value=_meaning(search)),
        Fact(name="forward passes a row", value=round(meter.forward_rows / len(data), 2)),
        Fact(name="backward passes a row", value=round(meter.backward_rows / len(data), 2)),
    ]
    known = search.least[np.isfinite(search.least)]
    if len(known):
        facts.append(_figure(known, norm, median))
    if np.isfinite(median):
        half = f"half of the rows are wrong, or become so by a change of {norm} norm {median:.3g}"
        return (Finding(text=half), *facts)
    return tuple(facts)


def _fragile(search: Search, target: Target, norm: str) -> Rows:
    """Ids of the rows that take the smallest change."""
    order = np.argsort(search.least, kind="stable")[:_MOST_ROWS]
    order = order[np.isfinite(search.least[order])]
    return Rows(
        what=f"most fragile rows, smallest change first ({norm} norm)",
        ids=row_ids(target.data, order),
        values=tuple(float(f"{size:.4g}") for size in search.least[order]),
        total=int(np.isfinite(search.least).sum()),
    )


def _bought(search: Search, norms: FloatArray, right: BoolArray) -> list[Evidence]:
    """The median after each rung, and rows for which noise found less."""
    facts: list[Evidence] = []
    for rung, found in zip(search.rungs, search.norms, strict=True):
        after = norms.copy()
        after[right] = found
        facts.append(Fact(name=f"median after {type(rung).__name__}", value=f"{np.median(after):.4g}"))
    if search.lucky.any():
        facts.append(Fact(name="rows for which noise found a smaller change (counted)", value=int(search.lucky.sum())))
    return facts


def _meaning(search: Search) -> str:
    """What was tried, and what that proves."""
    names = ", then ".join(repr(rung) for rung in search.rungs)
    return (
        f"an upper bound of the true median: {names} found changes of these norms, and no attack proves that there is "
        "no smaller change"
    )


def _figure(known: FloatArray, norm: str, median: float) -> Figure:
    """How the norms are distributed."""
    figure = histogram(known, f"smallest change that breaks a row ({norm} norm)")
    rules: tuple[tuple[Literal["x", "y"], float, str], ...] = ()
    if np.isfinite(median):
        rules = (("x", float(f"{median:.6g}"), "median"),)
    return Figure(
        kind="histogram",
        title="Smallest change that breaks a row",
        x_title=f"{norm} norm of the change",
        y_title="rows",
        columns=figure.columns,
        rules=rules,
        note="rows that were right and that an attack broke",
    )
