"""Where value, bounds and limit lie on the small line that a page draws beside a number."""

import math
from dataclasses import dataclass

from robust.record.shape import Entry
from robust.report.numbers import NO_BOUND, Shown
from robust.report.wording import unit_words

# Ends of the line in percent: marks keep clear of its edges.
_FIRST, _LAST = 6.0, 94.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """Positions in percent of the line's length.

    Args:
        value: Of the point estimate.
        lower: Of the lower bound, the start of the line where there is none.
        upper: Of the upper bound, the end of the line where there is none.
        open_below: Whether there is no lower bound.
        open_above: Whether there is no upper bound.
        limit: Of the gate's limit, or None.
        good: Start and end of the side on which the gate passes, or None.
        words: The same in a sentence.
    """

    value: float
    lower: float
    upper: float
    open_below: bool
    open_above: bool
    limit: float | None
    good: tuple[float, float] | None
    words: str


def scale(entry: Entry) -> Scale | None:
    """Place an entry's numbers on a line.

    Args:
        entry: A measurement with or without a gate.

    Returns:
        Positions, or None where there is no value.
    """
    m, gate, shown = entry.measurement, entry.gate, Shown(entry)
    if m.value is None:
        return None
    numbers = [m.value, *(number for number in (m.lower, m.upper) if number is not None)]
    numbers += [] if gate is None else [gate.limit]
    low, high = min(numbers), max(numbers)

    def at(number: float) -> float:
        share = 0.5 if high == low or not math.isfinite(high - low) else (number - low) / (high - low)
        return round(_FIRST + (_LAST - _FIRST) * share, 2)

    limit = None if gate is None else at(gate.limit)
    good = None
    if gate is not None and limit is not None and gate.operator not in ("==", "!="):
        good = (0.0, limit) if gate.operator in ("<", "<=") else (limit, 100.0)
    unit = unit_words(m.unit)
    words = f"value {shown.value}{' ' if unit else ''}{unit}"
    words += "" if m.method == "exact" else f", lower bound {shown.lower}, upper bound {shown.upper}"
    words += "" if gate is None else f"; the gate asks for {shown.limit}"
    return Scale(
        value=at(m.value),
        lower=0.0 if m.lower is None else at(m.lower),
        upper=100.0 if m.upper is None else at(m.upper),
        open_below=m.lower is None,
        open_above=m.upper is None,
        limit=limit,
        good=good,
        words=words.replace(NO_BOUND, "none"),
    )
