"""What few differing rows can prove, where the effect of one depends on how many there may be."""

import dataclasses
import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from robust.data.dataset import Dataset
from robust.data.ordering import time_order
from robust.intervals.clopper_pearson import clopper_pearson_bounds
from robust.intervals.cluster import cluster_index
from robust.intervals.interval import Interval, Sizing
from robust.intervals.long_run import mean_block_length
from robust.intervals.vacuous import FEW, FlooredSizing, never_vacuous
from robust.metrics.metric import Rate
from robust.types import AnyArray, BoolArray, FloatArray, IntArray

#: A rate is kept at shares from the present one down, each by this factor, until it hardly falls any more.
_STEP, _STEPS, _NEARLY = 0.85, 60, 1.001


def floored(
    interval: Interval,
    *,
    differing: int,
    units: int,
    rate: Rate,
    level: float,
    anchor: float | None = None,
    unit: str = "rows",
    stretch: float = 1.0,
    resolution: float = 0.0,
    free_blocks: bool = False,
) -> Interval:
    """`never_vacuous`, with the effect taken at the share of rows that may differ.

    Args:
        interval: What the resampling or normal approximation gave.
        differing: Independent units that differ.
        units: Independent units in all.
        rate: Effect of a share of rows, divided by the share.
        level: Confidence of each bound.
        anchor: The figure if no unit differed; None for the value measured.
        unit: Plural name of the units.
        stretch: Largest share of rows that a share of units can hold, divided by that share.
        resolution: A width up to this is rounding.
        free_blocks: Whether the units are blocks whose length grows with n alone.

    Returns:
        The interval, widened where too few units differ; its sizing takes the effect at the share of each n.
    """
    share = clopper_pearson_bounds(differing if differing < FEW else 0, units, level)[1]

    def at(one: float) -> float | None:
        found = rate(min(one * stretch, 1.0))
        return None if found is None else found * stretch

    effect = at(share)
    wide = never_vacuous(
        interval,
        differing=differing,
        units=units,
        effect=effect,
        level=level,
        anchor=anchor,
        unit=unit,
        resolution=resolution,
        free_blocks=free_blocks,
    )
    least = at(share * 1e-9)
    if wide is interval or not isinstance(wide.sizing, FlooredSizing) or effect is None or least is None:
        return wide
    effects = [effect]
    while effects[-1] > _NEARLY * least and len(effects) < _STEPS:
        effects.append(at(share * _STEP ** len(effects)) or least)
    if len(effects) == 1:
        return wide
    sizing = RatedSizing(floor=wide.sizing, share=share, step=_STEP, effects=tuple(effects))
    return dataclasses.replace(wide, sizing=sizing)


def floored_by_class(
    interval: Interval,
    data: Dataset,
    truth: AnyArray,
    *,
    differ: BoolArray,
    effects: FloatArray,
    level: float,
    slopes: FloatArray | None = None,
    anchor: float | None = None,
) -> Interval:
    """An interval, widened to what the rows of each class can prove where few of them differ.

    A figure that weighs classes alike (AUC, macro-F1) hangs on a rare class by much more than its share of rows: that
    enough rows of the others differ says nothing about what those of this one can do.

    Args:
        interval: What was found for all rows, floored as such.
        data: The rows; with groups or an order, the units are those groups or blocks that hold the class.
        truth: True class indices (n,), or 0 and 1 (n, k) of several labels, each of which has rows without and with it.
        differ: Rows that differ (n,), or in which label (n, k).
        effects: Change of the figure if all rows of a class changed in the worst way, one a class (k,); of all rows
            without and with a label (k, 2).
        level: Confidence of each bound.
        slopes: Influence of each row (n,), which says how long blocks are; needed where rows have an order alone.
        anchor: The figure if no row differed; None for the value measured.

    Returns:
        The interval, widened to the worst class; a note names it.
    """
    owner, unit = _units(data, slopes)
    worst = 0.0, 0, 0, 0.0, ""
    floors = []
    for name, own, odd, effect in _sides(truth, differ, effects):
        rows, strange = int(own.sum()), int(odd.sum())
        if owner is None:
            units, differing, largest = rows, strange, 1
        else:
            held = np.bincount(owner[own])
            units, differing, largest = int((held > 0).sum()), np.unique(owner[odd]).size, int(held.max())
        # As for all rows: where at least half of the groups or blocks differ, they show their own spread.
        if differing >= FEW or (2 * differing >= units and strange >= FEW):
            continue
        share = clopper_pearson_bounds(differing, units, level)[1]
        # One unit moves the figure by its share of the class: the largest counts for all.
        effect *= min(largest * units / rows, 1.0 / share)
        if anchor is None:
            # The value holds what the units that differ have done: only more of them can move it.
            effect *= 1.0 - differing / (units * share)
        floors.append((differing, units, effect))
        worst = max(worst, (share * effect, differing, units, effect, f"{unit} {name}"))
    reach, differing, units, effect, name = worst
    if reach == 0.0:
        return interval
    sizing = ClassSizing(
        inner=interval.sizing,
        value=interval.value,
        n=interval.n,
        level=level,
        anchor=interval.value if anchor is None else anchor,
        floors=tuple(floors),
    )
    interval = never_vacuous(
        interval, differing=differing, units=units, effect=effect, level=level, anchor=anchor, unit=name
    )
    return dataclasses.replace(interval, sizing=sizing)


def _sides(
    truth: AnyArray, differ: BoolArray, effects: FloatArray
) -> Iterator[tuple[str, BoolArray, BoolArray, float]]:
    """Name, rows, those of them that differ, and effect of each class, or of what has and has not each label."""
    if truth.ndim == 1:
        for c in np.unique(truth).tolist():
            own = truth == c
            yield f"of class {c}", own, own & differ, float(effects[c])
        return
    for c in range(truth.shape[1]):
        for one, word in ((0, "without"), (1, "with")):
            own = truth[:, c] == one
            if own.any():
                yield f"{word} label {c}", own, own & differ[:, c], float(effects[c, one])


def _units(data: Dataset, slopes: FloatArray | None) -> tuple[IntArray | None, str]:
    """Independent unit of each row (n,), None where that is the row itself, and what units are called."""
    n = len(data)
    if data.groups is not None:
        return cluster_index(data.groups)[0], "groups with rows"
    if data.order is None:
        return None, "rows"
    if slopes is None:
        raise ValueError("blocks of ordered rows need the rows' influences")
    rows = time_order(data).rows
    whole = math.ceil(mean_block_length(slopes[rows]))
    owner = np.empty(n, dtype=np.int64)
    # A last, shorter block counts with the one before, as in `block_units`.
    owner[rows] = np.minimum(np.arange(n) // whole, max(1, n // whole) - 1)
    return owner, "blocks with rows"


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassSizing:
    """Bounds at another number of rows, floored by every class: another one may be the worst there.

    Attributes:
        inner: Sizing of the interval before.
        value: Point estimate, which stays inside.
        n: Rows in all.
        level: One-sided confidence level of each bound.
        anchor: The figure if no unit differed.
        floors: Of each class in which few units differ, how many do, of how many, and the change of the figure if all
            did in the worst way.
    """

    inner: Sizing
    value: float
    n: int
    level: float
    anchor: float
    floors: tuple[tuple[int, int, float], ...]

    def at(self, n: int) -> tuple[float, float]:
        """Lower and upper bound at ``n`` rows, the share of differing units of each class unchanged."""
        lower, upper = self.inner.at(n)
        scale = n / self.n
        for differing, units, effect in self.floors:
            if differing * scale < FEW:
                reach = effect * clopper_pearson_bounds(differing * scale, units * scale, self.level)[1]
                lower, upper = min(lower, self.anchor - reach), max(upper, self.anchor + reach)
        return min(lower, self.value), max(upper, self.value)


@dataclass(frozen=True, slots=True, kw_only=True)
class RatedSizing:
    """Bounds at another number of rows, the effect of one row taken at the share that may differ there.

    Attributes:
        floor: Bounds with the effect at the present number of rows.
        share: Share of units that may differ at the present number of rows.
        step: Factor from one share to the next.
        effects: Effects at the shares share, share·step, …; each holds for all smaller shares.
    """

    floor: FlooredSizing
    share: float
    step: float
    effects: tuple[float, ...]

    def at(self, n: int) -> tuple[float, float]:
        """Lower and upper bound at ``n`` rows, the share of differing units unchanged."""
        floor = self.floor
        share = floor.share(n)
        # The last kept share that is not below the one at n; about larger ones than the present nothing is known.
        place = math.floor(math.log(share / self.share) / math.log(self.step) + 1e-9)
        effect = math.inf if place < 0 else self.effects[min(place, len(self.effects) - 1)]
        return dataclasses.replace(floor, effect=effect).at(n)
