"""What is reported about flips: which rows flip first, to what, by which change, and the curve."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from robust.data.dataset import Dataset
from robust.evidence import Evidence, Fact, Figure, Finding, Rows, Slice, Slices
from robust.intervals.interval import Interval
from robust.measures.details import numbers, row_ids, words
from robust.measures.row_means import share_interval
from robust.models.base import Label
from robust.sensitivity.sweep import Sweep
from robust.types import AnyArray, BoolArray, FloatArray

_SHOWN = 10
_MOST_SWEEPS = 20
_MOST_BOUNDS = 60
# A share of flipped decisions that is worth a sentence.
_NOTABLE = 0.05


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Flipped:
    """What a sweep did to the decisions.

    Args:
        sweep: The sweep.
        changes: δ of each of k changes (k,), or the values that a category was set to.
        labels: The same for people (k,).
        flips: Decisions that differ from those on the original rows (k, n).
        moved: Rows that any change moved (n,).
        before: Decisions on the original rows: class indices or values (n,).
        after: Decisions at each change (k, n).
        classes: Labels of the classes; empty for regression.
        tolerance: Change of a value that counts as a flip; 0 for classes.
    """

    sweep: Sweep
    changes: FloatArray
    labels: tuple[str, ...]
    flips: BoolArray
    moved: BoolArray
    before: AnyArray
    after: AnyArray
    classes: tuple[Label, ...]
    tolerance: float

    @property
    def ever(self) -> BoolArray:
        """Rows that any change flips (n,)."""
        return np.asarray(self.flips.any(axis=0))

    @property
    def first(self) -> AnyArray:
        """The change that flips each row and is smallest by size (n,); −1 where none does."""
        order = np.argsort(np.abs(self.changes), kind="stable")
        return np.where(self.ever, order[np.argmax(self.flips[order], axis=0)], -1)


def flip_evidence(
    found: Sequence[Flipped], interval: Interval, data: Dataset, *, level: float, seed: int
) -> tuple[Evidence, ...]:
    """Facts, rows, a table by feature where there are several sweeps, and the curve.

    Args:
        found: What each sweep did.
        interval: Of the share of rows that any change flips.
        data: The rows.
        level: Confidence of each bound.
        seed: Seed of the bootstrap, where rows have groups or an order.
    """
    table = (_by_sweep(found, data, level=level, seed=seed),) if len(found) > 1 else ()
    return (
        *_finding(found, interval),
        *_facts(found),
        *table,
        _first_rows(found, data),
        _curve(found, data, level=level, seed=seed),
    )


def _finding(found: Sequence[Flipped], interval: Interval) -> tuple[Evidence, ...]:
    """In words, where more decisions hang on a small change than can be chance."""
    if not _NOTABLE < interval.lower <= interval.value:
        return ()
    worst = max(found, key=lambda one: float(one.ever.mean()))
    what = "decisions flip" if worst.classes else f"predictions move by more than {worst.tolerance:.3g}"
    text = (
        f"{100 * interval.value:.3g}% of the {what} (at least {100 * interval.lower:.3g}%) when a single feature "
        f"is changed; the worst change is {worst.sweep} ({100 * worst.ever.mean():.3g}%)"
    )
    return (Finding(text=text),)


def _facts(found: Sequence[Flipped]) -> tuple[Evidence, ...]:
    """Which direction flips more rows, and from what to what."""
    facts: list[Evidence] = [Fact(name="changes", value="; ".join(str(one.sweep) for one in found[:_SHOWN]))]
    if not found[0].classes:
        facts.append(
            Fact(
                name="a flip is a change of the prediction by more than",
                value=float(f"{found[0].tolerance:.4g}"),
            )
        )
    ranged = [one for one in found if one.sweep.changes.size]
    if ranged:
        up = np.any([one.flips[one.changes > 0].any(axis=0) for one in ranged], axis=0)
        down = np.any([one.flips[one.changes < 0].any(axis=0) for one in ranged], axis=0)
        facts.append(Fact(name="rows that an increase flips", value=int(up.sum())))
        facts.append(Fact(name="rows that a decrease flips", value=int(down.sum())))
    ways: Counter[str] = Counter()
    for one in found:
        rows = np.flatnonzero(one.ever)
        if one.classes:
            pairs = zip(one.before[rows], one.after[one.first[rows], rows], strict=True)
            ways.update(f"{one.classes[int(a)]} → {one.classes[int(b)]}" for a, b in pairs)
    if ways:
        text = ", ".join(
            f"{way} ({count})" for way, count in sorted(ways.items(), key=lambda item: (-item[1], item[0]))[:3]
        )
        facts.append(Fact(name="commonest flips", value=text))
    return tuple(facts)


def _by_sweep(found: Sequence[Flipped], data: Dataset, *, level: float, seed: int) -> Slices:
    """Flip rate of each sweep, with bounds for all at once."""
    order = sorted(found, key=lambda one: -float(one.ever.mean()))[:_MOST_SWEEPS]
    each = 1.0 - (1.0 - level) / len(found)
    parts = []
    for one in order:
        interval = share_interval(one.ever, data, level=each, seed=seed)
        parts.append(
            Slice(
                name=str(one.sweep.feature),
                n=len(data),
                value=interval.value,
                lower=interval.lower,
                upper=interval.upper,
                note=str(one.sweep),
            )
        )
    return Slices(by="feature", measure="flip rate", level=level, slices=tuple(parts))


def _first_rows(found: Sequence[Flipped], data: Dataset) -> Rows:
    """Rows that flip at the smallest change, as a share of the largest change of their sweep."""
    closest = np.full(len(data), np.inf)
    signed = np.zeros(len(data))
    for one in found:
        first = one.first
        rows = np.flatnonzero(first >= 0)
        size = one.changes[first[rows]]
        # A category has no small and large changes: all count as the whole sweep.
        share = np.abs(size) / np.abs(one.changes).max() if one.sweep.changes.size else np.ones(len(rows))
        nearer = share < closest[rows]
        closest[rows[nearer]], signed[rows[nearer]] = share[nearer], size[nearer]
    flipped = np.flatnonzero(np.isfinite(closest))
    order = flipped[np.argsort(closest[flipped], kind="stable")]
    return Rows(
        what="rows that flip first, with the change that flips them",
        ids=row_ids(data, order[:_SHOWN]),
        values=tuple(float(f"{signed[i]:.4g}") for i in order[:_SHOWN]),
        total=len(flipped),
    )


def _curve(found: Sequence[Flipped], data: Dataset, *, level: float, seed: int) -> Figure:
    """Share flipped at each change; of the sweep that flips most where there are several."""
    worst = max(found, key=lambda one: float(one.ever.mean()))
    shares = worst.flips.mean(axis=1)
    bounds = []
    if len(shares) <= _MOST_BOUNDS:
        intervals = [share_interval(hits, data, level=level, seed=seed) for hits in worst.flips]
        bounds = [
            numbers("lower", np.array([interval.lower for interval in intervals])),
            numbers("upper", np.array([interval.upper for interval in intervals])),
        ]
    ranged = worst.sweep.changes.size > 0
    unit = " (relative)" if worst.sweep.relative is not None else ""
    return Figure(
        kind="line" if ranged else "bar",
        title=f"Decisions flipped by changes of {worst.sweep.feature}",
        x_title=f"change of {worst.sweep.feature}{unit}" if ranged else str(worst.sweep.feature),
        y_title="share of rows flipped",
        columns=(
            numbers("x", worst.changes) if ranged else words("x", worst.labels),
            numbers("y", shares),
            *bounds,
        ),
        note=f"pointwise {100 * (2 * level - 1):.3g}% bounds" if bounds else "",
    )
