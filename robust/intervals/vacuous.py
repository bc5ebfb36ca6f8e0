"""No vacuous certainty: a bound never claims more than the number of units that differ can support."""

import dataclasses
import math
from dataclasses import dataclass

from robust.errors import InvalidInput
from robust.intervals.arguments import check_finite, check_level, check_whole
from robust.intervals.clopper_pearson import clopper_pearson_bounds
from robust.intervals.interval import Interval, Sizing

# Below this many differing units a bootstrap or a normal approximation has no basis of its own.
FEW = 10


def never_vacuous(
    interval: Interval,
    *,
    differing: int,
    units: int,
    effect: float | None,
    level: float,
    anchor: float | None = None,
    unit: str = "rows",
    resolution: float = 0.0,
    free_blocks: bool = False,
) -> Interval:
    """Widen an interval that rests on fewer than 10 differing units, or on none that vary.

    With p the Clopper-Pearson upper bound on the share of differing units, the figure lies within p * effect
    of its anchor, the value it would have if no unit differed; bounds inside that range are moved out to it.

    Args:
        interval: What the resampling or normal approximation gave.
        differing: Independent units that differ, 0 .. units.
        units: Independent units in all (rows, clusters or blocks), at least 1.
        effect: Change of the figure if all units differed in the worst way, at least 0: the largest effect of
            one unit times the number of units. None where there is no such bound.
        level: One-sided confidence level of each bound, in (0.5, 1).
        anchor: The figure if no unit differed, 0 for a difference of two models; None for the value measured.
        unit: Plural name of the units, for the note.
        resolution: A width up to this is rounding and counts as none.
        free_blocks: Whether the units are blocks whose length is the n^(1/3) of `mean_block_length`, because no row
            has any influence: then their number grows more slowly than that of rows.

    Returns:
        The interval itself where at least 10 units differ and its width is not 0; otherwise one that contains
        it, without bounds where ``effect`` is None, with a note, and with a sizing that re-evaluates the
        floor.

    Raises:
        InvalidInput: A count out of range, a negative or non-finite effect, or ``level`` outside (0.5, 1).

    Example:
        Two models agree on all of 60 rows: the share of differing rows is below 1 - 0.05^(1/60) = 0.0487.

        >>> from robust.intervals.exact import exact
        >>> agreed = never_vacuous(exact(0.0, 60), differing=0, units=60, effect=1.0, level=0.95)
        >>> round(agreed.upper, 4), round(agreed.lower, 4)
        (0.0487, -0.0487)
    """
    units = check_whole("units", units, least=1)
    differing = check_whole("differing", differing, least=0)
    level = check_level(level)
    if differing > units:
        raise InvalidInput(f"differing got {differing} of {units} {unit}; at most all of them would be right")
    if effect is not None and check_finite("effect", effect) < 0.0:
        raise InvalidInput(f"effect got {effect!r}; a size of 0 or more would be right")
    anchor = interval.value if anchor is None else check_finite("anchor", anchor)
    flat = interval.upper - interval.lower <= resolution
    if differing >= FEW and not flat:
        return interval
    if differing >= FEW:
        # All of them moved alike: what is in doubt is how far others would, so the measured value is the centre.
        anchor = interval.value
    # All units may differ and yet not vary: then none has shown by how much the figure can move.
    counted = differing if differing < FEW else 0
    sizing = FlooredSizing(
        inner=interval.sizing,
        value=interval.value,
        differing=counted,
        units=units,
        n=interval.n,
        effect=effect,
        level=level,
        anchor=anchor,
        flat=flat,
        free_blocks=free_blocks,
    )
    low, high = sizing.floor(interval.n)
    lower, upper = min(interval.lower, low), max(interval.upper, high)
    if (lower, upper) == (interval.lower, interval.upper):
        return interval
    verb = "differ" if counted == differing else "vary"
    basis = (
        f"bound by Clopper-Pearson on the share of such {unit}"
        if effect is not None
        else "too few to prove anything, the effect of one has no bound"
    )
    note = f"{counted} of {units} {unit} {verb}: {basis}"
    return dataclasses.replace(
        interval, lower=lower, upper=upper, level=level, sizing=sizing, notes=(*interval.notes, note)
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class FlooredSizing:
    """Bounds at another number of rows, never narrower than the floor while too few units differ there.

    Attributes:
        inner: Sizing of the interval before it was widened.
        value: Point estimate, which stays inside.
        differing: Units that differ.
        units: Units in all.
        n: Rows in all.
        effect: Change of the figure if all units differed in the worst way; None without bound.
        level: One-sided confidence level of each bound.
        anchor: The figure if no unit differed.
        flat: Whether the interval before had no width, so that no number of rows gives it one.
        free_blocks: Whether units are blocks of n^(1/3) rows.
    """

    inner: Sizing
    value: float
    differing: int
    units: int
    n: int
    effect: float | None
    level: float
    anchor: float
    flat: bool
    free_blocks: bool = False

    def at(self, n: int) -> tuple[float, float]:
        """Lower and upper bound at ``n`` rows, the share of differing units unchanged."""
        lower, upper = self.inner.at(n)
        if self.differing * n / self.n >= FEW and not self.flat:
            return lower, upper
        low, high = self.floor(n)
        return min(lower, low), max(upper, high)

    def share(self, n: int) -> float:
        """Upper bound on the share of differing units at ``n`` rows."""
        if self.free_blocks:
            units = max(1, n // math.ceil(round(n ** (1.0 / 3.0), 9)))
            return clopper_pearson_bounds(self.differing * units / self.units, units, self.level)[1]
        scale = n / self.n
        return clopper_pearson_bounds(self.differing * scale, self.units * scale, self.level)[1]

    def floor(self, n: int) -> tuple[float, float]:
        """Range that the differing units can prove at ``n`` rows."""
        if self.effect is None:
            return -math.inf, math.inf
        reach = self.share(n) * self.effect
        return min(self.anchor - reach, self.value), max(self.anchor + reach, self.value)
