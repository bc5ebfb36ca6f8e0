"""What few differing rows can prove, where the effect of one depends on how many there may be."""

import dataclasses
import math
from dataclasses import dataclass

from robust.intervals.clopper_pearson import clopper_pearson_bounds
from robust.intervals.interval import Interval
from robust.intervals.vacuous import FEW, FlooredSizing, never_vacuous
from robust.metrics.metric import Rate

#: Shares at which a rate is kept for other numbers of rows: from the present one down, each by this factor.
_STEP, _STEPS = 0.85, 60


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

    Returns:
        The interval, widened where too few units differ; its sizing takes the effect at the share of each n.
    """
    share = clopper_pearson_bounds(differing if differing < FEW else 0, units, level)[1]
    shares = [share * _STEP**step for step in range(_STEPS)]
    effects = [_at(rate, one, stretch) for one in shares[:1]]
    wide = never_vacuous(
        interval, differing=differing, units=units, effect=effects[0], level=level, anchor=anchor, unit=unit
    )
    if not isinstance(wide.sizing, FlooredSizing) or wide is interval or effects[0] is None:
        return wide
    kept = tuple(found for one in shares if (found := _at(rate, one, stretch)) is not None)
    sizing = RatedSizing(floor=wide.sizing, shares=tuple(shares), effects=kept)
    return dataclasses.replace(wide, sizing=sizing)


def _at(rate: Rate, share: float, stretch: float) -> float | None:
    """Effect a share of units."""
    found = rate(min(share * stretch, 1.0))
    return None if found is None else found * stretch


@dataclass(frozen=True, slots=True, kw_only=True)
class RatedSizing:
    """Bounds at another number of rows, the effect of one row taken at the share that may differ there.

    Attributes:
        floor: Bounds with the effect at the present number of rows.
        shares: Shares of units, falling.
        effects: Effects at these shares; each holds for smaller ones too.
    """

    floor: FlooredSizing
    shares: tuple[float, ...]
    effects: tuple[float, ...]

    def at(self, n: int) -> tuple[float, float]:
        """Lower and upper bound at ``n`` rows, the share of differing units unchanged."""
        floor, scale = self.floor, n / self.floor.n
        share = clopper_pearson_bounds(floor.differing * scale, floor.units * scale, floor.level)[1]
        effect = math.inf  # nothing is known about larger shares than the present one
        for known, found in zip(self.shares, self.effects, strict=True):
            if known * (1 + 1e-12) < share:
                break
            effect = found
        return dataclasses.replace(floor, effect=effect).at(n)
