"""What few differing rows can prove, where the effect of one depends on how many there may be."""

import dataclasses
import math
from dataclasses import dataclass

from robust.intervals.clopper_pearson import clopper_pearson_bounds
from robust.intervals.interval import Interval
from robust.intervals.vacuous import FEW, FlooredSizing, never_vacuous
from robust.metrics.metric import Rate

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
