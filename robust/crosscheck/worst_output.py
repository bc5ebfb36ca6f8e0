"""Bounds on the worst of several outputs, so that a gate on it is a gate on all."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from robust.intervals.interval import Interval, Sizing


def worst_interval(
    measure: Sequence[Callable[[float], Interval]], *, level: float, higher_is_better: bool, what: str = "outputs"
) -> Interval:
    """Interval of the largest of several figures (the smallest, where higher is better).

    The outward bound is the outermost of all, which holds at `level`: it is beaten only where the bound of the one
    output that is truly worst is. Of m inward bounds the outermost one is taken too, each at 1 − (1 − level)/m
    (Bonferroni), since any of the m could be the one that chance puts there.

    Args:
        measure: For each output, from a level to the interval of its figure.
        level: Confidence of each bound, in (0.5, 1).
        higher_is_better: Which end is the worst one.
        what: What they are figures of, in the plural.

    Returns:
        The interval; that of the only output where there is one.
    """
    first = [one(level) for one in measure]
    if len(first) == 1:
        return first[0]
    sure = [one(1.0 - (1.0 - level) / len(measure)) for one in measure]
    pick = min if higher_is_better else max
    worst = pick(first, key=lambda interval: interval.value)
    lows, highs = (first, sure) if higher_is_better else (sure, first)
    lower, upper = (pick(lows, key=_lower).lower, pick(highs, key=_upper).upper)
    sizing = WorstSizing(
        lows=tuple(interval.sizing for interval in lows),
        highs=tuple(interval.sizing for interval in highs),
        smallest=higher_is_better,
    )
    note = f"the worst of {len(first)} {what}, bounds hold for all of them at once"
    return replace(
        worst,
        lower=min(lower, worst.value),
        upper=max(upper, worst.value),
        level=level,
        sizing=sizing,
        notes=(*worst.notes, note),
    )


def _lower(interval: Interval) -> float:
    return interval.lower


def _upper(interval: Interval) -> float:
    return interval.upper


@dataclass(frozen=True, slots=True, kw_only=True)
class WorstSizing:
    """Bounds on the worst output at another number of rows.

    Attributes:
        lows: How the lower bounds of all outputs move.
        highs: How their upper bounds move.
        smallest: Whether the worst is the smallest.
    """

    lows: tuple[Sizing, ...]
    highs: tuple[Sizing, ...]
    smallest: bool

    def at(self, n: int) -> tuple[float, float]:
        """Lower and upper bound at ``n`` rows."""
        pick = min if self.smallest else max
        return pick(sizing.at(n)[0] for sizing in self.lows), pick(sizing.at(n)[1] for sizing in self.highs)
