"""Numbers as a reader sees them: enough decimals to tell different numbers apart, and no more."""

import math
from collections.abc import Iterable

from robust.record.shape import Entry

NO_BOUND = "no bound"
NO_NUMBER = "not a number"

_FRACTIONS = frozenset({"share", "relative", "share of variance", "nats"})
_MOST_PLACES = 12
#: Numbers that are all smaller have a power of ten instead of a row of zeros.
_TINY = 1e-4
_LEAST_DIGITS = 3


def places(unit: str, numbers: Iterable[float | None], *, apart: bool = True) -> int:
    """Decimals for numbers of a unit that stand side by side.

    Shares have at least four; other units four significant digits; whole numbers none. Numbers of which the largest is
    below 0.0001 have significant digits and a power of ten, at least three: these are counted below zero.

    Args:
        unit: Unit of the numbers.
        numbers: What will stand side by side; None and infinities are passed over.
        apart: Whether different numbers must look different, whatever that takes.

    Returns:
        Decimals, at most twelve; or minus the significant digits before a power of ten.

    >>> places("share", [0.0104, 0.01]), places("share", [0.010004, 0.01])
    (4, 6)
    >>> places("bytes", [422195.0]), places("target", [53.12, 0.5])
    (0, 2)
    >>> places("target", [7.975e-07, 7.963e-07])
    -3
    """
    finite = [number for number in numbers if number is not None and math.isfinite(number)]
    if unit not in _FRACTIONS and all(number == int(number) for number in finite):
        return 0
    size = max((abs(number) for number in finite), default=0.0)
    if 0 < size < _TINY:
        digits = range(_LEAST_DIGITS, _MOST_PLACES if apart else _LEAST_DIGITS + 1)
        return -next((count for count in digits if _told_apart(finite, f".{count - 1}e")), digits[-1])
    least = 4
    if unit not in _FRACTIONS:
        least = min(max(3 - math.floor(math.log10(size)), 0), _MOST_PLACES)
    if not apart:
        return least
    counts = range(least, _MOST_PLACES)
    return next((count for count in counts if _told_apart(finite, f".{count}f")), _MOST_PLACES)


def _told_apart(numbers: list[float], form: str) -> bool:
    """Whether different numbers look different."""
    return len({float(format(number, form)) for number in numbers}) == len(set(numbers))


def written(number: float | None, count: int, *, missing: str = NO_BOUND) -> str:
    """A number with so many decimals, or as many digits as it is below zero; thousands stand apart where it has none.

    >>> written(0.9, 4), written(422195.0, 0), written(-0.00001, 4), written(None, 4)
    ('0.9000', '422,195', '0.0000', 'no bound')
    >>> written(7.975e-07, -3), written(0.0, -3)
    ('7.97e-07', '0')
    """
    if number is None or not math.isfinite(number):
        return missing
    if abs(number) >= 1e15:
        return f"{number:.6g}"
    if count < 0:
        return f"{number:.{-count - 1}e}" if number else "0"
    text = f"{number:,.0f}" if count == 0 else f"{number:.{count}f}"
    # A negative number that rounds to zero reads as a drop where there is none.
    return text.removeprefix("-") if float(text.replace(",", "")) == 0 else text


def brief(number: float | None, *, missing: str = NO_NUMBER) -> str:
    """A number by itself, in at most six significant digits.

    >>> brief(0.25), brief(3.0), brief(1797.0), brief(2.98023e-08)
    ('0.25', '3', '1797', '2.98e-08')
    """
    if number is None or not math.isfinite(number):
        return missing
    if number == int(number) and abs(number) < 1e15:
        return str(int(number))
    return f"{number:.3g}" if abs(number) < 1e-4 else f"{number:.6g}"


def grouped(number: float | None, *, missing: str = NO_NUMBER) -> str:
    """The same with thousands apart, from ten thousand on: a year is no thousand.

    >>> grouped(84224.0), grouped(1958.0), grouped(0.25)
    ('84,224', '1958', '0.25')
    """
    text = brief(number, missing=missing)
    if number is None or not 1e4 <= abs(number) < 1e15 or "e" in text:
        return text
    whole, dot, rest = text.partition(".")
    return f"{int(whole):,}{dot}{rest}"


def short(limit: float) -> str:
    """A limit as it was set, without trailing zeros.

    >>> short(0.01), short(95.0), short(0.030000000000000002), short(2097152.0)
    ('0.01', '95', '0.03', '2097152')
    """
    return format(limit, ".12g")


def signed(number: float | None, count: int) -> str:
    """A margin with its sign.

    >>> signed(0.0076, 4), signed(-0.0112, 4), signed(None, 4)
    ('+0.0076', '-0.0112', 'no bound')
    """
    text = written(number, count)
    return text if number is None or text.startswith("-") else f"+{text}"


class Shown:
    """The texts of one entry, all with the same decimals, so that they can be compared digit by digit.

    Args:
        entry: A measurement with or without a gate.
    """

    __slots__ = ("bound", "bounds", "limit", "lower", "margin", "upper", "value")

    def __init__(self, entry: Entry) -> None:
        m, gate = entry.measurement, entry.gate
        gated = () if gate is None else (gate.limit, gate.bound)
        count = places(m.unit, (m.value, m.lower, m.upper, *gated))
        ends = {part: "∞" if sign > 0 else "-∞" for part, sign in m.infinities.items()}
        self.value = ends.get("value") or written(m.value, count, missing=NO_NUMBER)
        self.lower = ends.get("lower") or written(m.lower, count)
        self.upper = ends.get("upper") or written(m.upper, count)
        self.bounds = "exact" if m.method == "exact" else f"{self.lower} .. {self.upper}"
        self.limit = "" if gate is None else f"{gate.operator} {short(gate.limit)}"
        self.bound = self.margin = ""
        if gate is not None:
            self.bound = ends.get(gate.decided_by) or written(gate.bound, count)
            # A bound without end is beyond the limit, on one side or the other.
            beyond = "+∞" if gate.status == "PASS" else "-∞"
            self.margin = beyond if gate.decided_by in ends else signed(gate.margin, count)
