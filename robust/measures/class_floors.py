"""What the few differing rows of one class can prove about a figure that weighs classes alike."""

import dataclasses
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from robust.data.dataset import Dataset
from robust.data.ordering import time_order
from robust.intervals.clopper_pearson import clopper_pearson_bounds
from robust.intervals.cluster import cluster_index
from robust.intervals.interval import Interval, Sizing
from robust.intervals.long_run import mean_block_length
from robust.intervals.vacuous import FEW, FlooredSizing
from robust.measures.floors import RatedSizing
from robust.types import AnyArray, BoolArray, FloatArray, IntArray


def floored_by_class(
    interval: Interval,
    data: Dataset,
    truth: AnyArray,
    *,
    differ: BoolArray,
    effects: FloatArray,
    level: float,
    slopes: Callable[[], FloatArray] | None = None,
    added: Callable[[BoolArray, int | None], float] | None = None,
    classes: Sequence[object] = (),
) -> Interval:
    """An interval, widened to what the rows of each class can prove where few of them differ.

    A figure that weighs classes alike (AUC, macro-F1) hangs on a rare class by much more than its share of rows: that
    enough rows of the others differ says nothing about what those of this one can do. With p the Clopper-Pearson bound
    on the share of a class that differs and e the effect of all of it, the class can have any part up to pe in the
    figure, of which the value v holds a. The bounds of v, which know of the other classes' spread, and that doubt are
    independent, so that their distances from v add in squares: v + √((U − v)² + (pe − a)²), and alike below.

    Args:
        interval: What was found for all rows, floored as such.
        data: The rows; with groups or an order, the units are those groups or blocks that hold the class.
        truth: True class indices (n,), or 0 and 1 (n, k) of several labels, each of which has rows without and with it.
        differ: Rows that differ (n,), or in which label (n, k).
        effects: Change of the figure if all rows of a class changed in the worst way, one a class (k,); of all rows
            without and with a label (k, 2).
        level: Confidence of each bound.
        slopes: Gives the influence of each row (n,), which says how long blocks are; asked of rows with an order alone.
        added: From rows of a class (n,), and of several labels the label, to what they have added to a change of two
            models; None for the figure of one, where a = pe · (share that differs)/p.
        classes: Their labels, for the note; none for their numbers.

    Returns:
        The interval, widened to the worst class; a note names it.

    Source:
        Zou and Donner (2008), Statistics in Medicine 27:1693, for limits of a sum from limits of its terms.
    """
    owner, unit = _units(data, slopes)
    doubts, names = [], []
    for name, own, odd, effect, column in _sides(truth, differ, effects, classes):
        rows, strange = int(own.sum()), int(odd.sum())
        if owner is None:
            units, differing, largest = rows, strange, 1
        else:
            held = np.bincount(owner[own])
            units, differing, largest = int((held > 0).sum()), np.unique(owner[odd]).size, int(held.max())
        # As for all rows: where at least half of the groups or blocks differ, they show their own spread.
        if differing >= FEW or effect == 0.0 or (2 * differing >= units and strange >= FEW):
            continue
        share = clopper_pearson_bounds(differing, units, level)[1]
        # One unit moves the figure by its share of the class: the largest counts for all.
        effect *= min(largest * units / rows, 1.0 / share)
        if added is None:
            risen = fallen = effect * differing / units
        else:
            risen = added(odd, column) if strange else 0.0
            fallen = -risen
        doubts.append((differing, units, effect, risen, fallen))
        names.append(f"{unit} {name}")
    if not doubts:
        return interval
    sizing = ClassSizing(inner=interval.sizing, value=interval.value, n=interval.n, level=level, doubts=tuple(doubts))
    spread = _spread(interval.sizing)
    bounds = (interval.lower, interval.upper) if spread is interval.sizing else spread.at(interval.n)
    reaches = [_reached(interval.value, bounds, doubt, level, 1.0) for doubt in doubts]
    lower, upper = min(low for low, _ in reaches), max(high for _, high in reaches)
    if interval.lower <= lower and upper <= interval.upper:
        return dataclasses.replace(interval, sizing=sizing)
    worst = max(range(len(doubts)), key=lambda c: max(interval.lower - reaches[c][0], reaches[c][1] - interval.upper))
    differing, units, name = doubts[worst][0], doubts[worst][1], names[worst]
    note = f"{differing} of {units} {name} differ: bound by Clopper-Pearson on the share of such {name}"
    return dataclasses.replace(
        interval,
        lower=min(interval.lower, lower),
        upper=max(interval.upper, upper),
        level=level,
        sizing=sizing,
        notes=(*interval.notes, note),
    )


_Doubt = tuple[int, int, float, float, float]


def _reached(
    value: float, bounds: tuple[float, float], doubt: _Doubt, level: float, scale: float
) -> tuple[float, float]:
    """Bounds of a figure with the doubt about one class, at `scale` times the rows."""
    differing, units, effect, risen, fallen = doubt
    reach = effect * clopper_pearson_bounds(differing * scale, units * scale, level)[1]
    return (
        value - math.hypot(value - bounds[0], max(reach - fallen, 0.0)),
        value + math.hypot(bounds[1] - value, max(reach - risen, 0.0)),
    )


def _spread(sizing: Sizing) -> Sizing:
    """What was found before floors: two of them are no independent doubts."""
    if isinstance(sizing, RatedSizing):
        sizing = sizing.floor
    return sizing.inner if isinstance(sizing, FlooredSizing) else sizing


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassSizing:
    """Bounds at another number of rows, with the doubt about every class: another one may be the worst there.

    Attributes:
        inner: Sizing of the interval before.
        value: Point estimate, which stays inside.
        n: Rows in all.
        level: One-sided confidence level of each bound.
        doubts: Of each class in which few units differ, how many do, of how many, the change of the figure if all did
            in the worst way, and what those that do have raised and lowered the value by.
    """

    inner: Sizing
    value: float
    n: int
    level: float
    doubts: tuple[_Doubt, ...]

    def at(self, n: int) -> tuple[float, float]:
        """Lower and upper bound at ``n`` rows, the share of differing units of each class unchanged."""
        lower, upper = self.inner.at(n)
        bounds, scale = _spread(self.inner).at(n), n / self.n
        for doubt in self.doubts:
            if doubt[0] * scale < FEW:
                low, high = _reached(self.value, bounds, doubt, self.level, scale)
                lower, upper = min(lower, low), max(upper, high)
        return min(lower, self.value), max(upper, self.value)


def _sides(
    truth: AnyArray, differ: BoolArray, effects: FloatArray, classes: Sequence[object]
) -> Iterator[tuple[str, BoolArray, BoolArray, float, int | None]]:
    """Name, rows, those of them that differ, effect and label of each class, or of what has and has not each label."""
    if truth.ndim == 1:
        for c in np.unique(truth).tolist():
            own = truth == c
            yield f"of class {classes[c] if classes else c}", own, own & differ, float(effects[c]), None
        return
    for c in range(truth.shape[1]):
        for one, word in ((0, "without"), (1, "with")):
            own = truth[:, c] == one
            if own.any():
                yield f"{word} label {classes[c] if classes else c}", own, own & differ[:, c], float(effects[c, one]), c


def _units(data: Dataset, slopes: Callable[[], FloatArray] | None) -> tuple[IntArray | None, str]:
    """Independent unit of each row (n,), None where that is the row itself, and what units are called."""
    n = len(data)
    if data.groups is not None:
        return cluster_index(data.groups)[0], "groups with rows"
    if data.order is None:
        return None, "rows"
    if slopes is None:
        raise ValueError("blocks of ordered rows need the rows' influences")
    rows = time_order(data).rows
    whole = math.ceil(mean_block_length(slopes()[rows]))
    owner = np.empty(n, dtype=np.int64)
    # A last, shorter block counts with the one before, as in `block_units`.
    owner[rows] = np.minimum(np.arange(n) // whole, max(1, n // whole) - 1)
    return owner, "blocks with rows"
