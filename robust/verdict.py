"""The comparison is the test: a measurement against a limit gives a three-valued verdict, or INVALID.

With bounds l ≤ v ≤ u, each one-sided at the measurement's level, and a limit L:

    m < L    PASS when u < L     FAIL when l ≥ L    else INCONCLUSIVE
    m ≤ L    PASS when u ≤ L     FAIL when l > L
    m > L    PASS when l > L     FAIL when u ≤ L
    m ≥ L    PASS when l ≥ L     FAIL when u < L

This is the confidence-interval inclusion rule of non-inferiority testing (Wellek 2010, §3.1): a PASS at the
limit itself happens with probability at most 1 − level.

Where other settings of the host move the value by up to f, its resolution, a PASS or FAIL must hold for its bound moved
by f towards the limit, and a limit within f of 0 is asked of a value that is not known that finely: else INVALID.
"""

import operator
from contextvars import ContextVar
from dataclasses import dataclass
from math import floor, inf, isclose, isfinite, isnan, log10
from numbers import Number
from typing import TYPE_CHECKING, Literal

from robust.errors import InvalidInput
from robust.evidence import Values
from robust.limits import as_limit
from robust.observing import announce

if TYPE_CHECKING:
    from robust.measurement import Measurement

Operator = Literal["<", "<=", ">", ">=", "==", "!="]
Status = Literal["PASS", "FAIL", "INCONCLUSIVE", "INVALID"]
Decide = Literal["bound", "value"]

#: What settles a comparison: the confidence bound (default), or the point estimate where a project says so.
decide_by: ContextVar[Decide] = ContextVar("robust_decide_by", default="bound")

_COMPARE = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
}
#: Smallest and largest value by unit; units that are not here have no end.
_REACH = {
    "share": (0.0, 1.0),
    "probability": (0.0, 1.0),
    "correlation": (-1.0, 1.0),
    "share of variance": (-inf, 1.0),
}
_NEGATION: dict[str, str] = {"<": ">=", "<=": ">", ">": "<=", ">=": "<", "==": "!=", "!=": "=="}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Verdict:
    """What a comparison of a measurement with a limit says.

    Args:
        measurement: What was measured.
        operator: How it was compared.
        limit: With what.
        status: `PASS`, `FAIL`, `INCONCLUSIVE` (the limit lies inside the interval) or `INVALID` (a failed
            self-check could have produced the answer). Only `PASS` is true.
        decided_by: Which number settled it, or came closest: `lower`, `upper` or `value`.
        bound: That number.
        needed_n: For `INCONCLUSIVE`, the smallest number of rows at which, with the observed rates unchanged,
            the limit leaves the interval; None when no number does.
        reason: One sentence that says why.
    """

    measurement: "Measurement"
    operator: Operator
    limit: float
    status: Status
    decided_by: Literal["lower", "upper", "value"]
    bound: float
    needed_n: int | None
    reason: str

    def __bool__(self) -> bool:
        announce("used", self)
        return self.status == "PASS"

    def __eq__(self, other: object) -> bool:
        """Compare with a bool or a number as the truth value it is: `(m < x) != 0` must not be green."""
        if isinstance(other, Number) or hasattr(other, "dtype"):
            return bool(self) == other
        if isinstance(other, str):
            # `verdict != "FAIL"` would be true for ever.
            raise TypeError(f"a verdict is no text: compare verdict.status with {other!r}")
        return self is other

    def __hash__(self) -> int:
        return id(self)

    def __repr__(self) -> str:
        return self.line()

    @property
    def margin(self) -> float:
        """Distance of the deciding bound from the limit, positive on the passing side."""
        distance = self.limit - self.bound
        if self.operator in ("==", "!="):
            return -abs(distance) if self.operator == "==" else abs(distance)
        return distance if self.operator in ("<", "<=") else -distance

    def line(self) -> str:
        """Value, operator, limit, verdict, deciding bound and n in one line."""
        m = self.measurement
        value, limit, bound = aligned(m.value, self.limit, self.bound)
        if m.resolution > 1e-3 * abs(self.limit):  # a smaller one is rounding beside it
            limit += f" (host floor {m.resolution:.3g})"
        if self.decided_by == "value":
            decider = "exact" if m.exact else f"decided by the value, {percentage(m.level)} interval ignored"
        else:
            decider = f"{percentage(m.level)} {self.decided_by} bound {bound}"
        status: str = self.status
        if self.status == "INCONCLUSIVE":
            if self.needed_n:
                status += f", need n>={self.needed_n}"
            elif m.sizing is not None or m.value == self.limit:  # without a sizing it is not known
                status += ", no n settles it"
        elif self.status == "INVALID":
            status += f" ({self.reason})"
        return f"{value} {self.operator} {limit} [{status}: {decider}, n={m.n}]"


def judge(measurement: "Measurement", comparison: Operator, limit: object) -> Verdict:
    """Compare a measurement with a limit and tell the observers.

    Args:
        measurement: What was measured.
        comparison: The operator as the user wrote it, the measurement on its left.
        limit: A finite real number.

    Returns:
        The verdict.

    Raises:
        TypeError: If the limit is no real number.
        InvalidInput: If it is NaN or infinite, or no value of the measurement's unit can miss, or meet, it.
    """
    number = as_limit(limit)
    _refuse_empty(measurement, comparison, number)
    status, decided_by = _settle(measurement, comparison, number)
    bound: float = getattr(measurement, decided_by)
    fault = measurement.fault(comparison, status) or _unresolved(measurement, comparison, status, bound, number)
    needed = None
    if fault is not None:
        reason, status = fault, "INVALID"
    elif status == "INCONCLUSIVE":
        needed = measurement.needed_n(number)
        lower, upper, shown = aligned(measurement.lower, measurement.upper, number)
        reason = f"not enough data: the limit {shown} lies inside the interval {lower} .. {upper}"
    else:
        bound_text, shown = aligned(bound, number)
        relation = comparison if status == "PASS" else _NEGATION[comparison]
        name = "the value" if decided_by == "value" else f"the {decided_by} bound"
        reason = f"{name} {bound_text} {relation} {shown}"
    verdict = Verdict(
        measurement=measurement,
        operator=comparison,
        limit=number,
        status=status,
        decided_by=decided_by,
        bound=bound,
        needed_n=needed,
        reason=reason,
    )
    announce("made", verdict)
    return verdict


def _settle(m: "Measurement", comparison: Operator, limit: float) -> tuple[Status, Literal["lower", "upper", "value"]]:
    """Apply the table at the top of this module."""
    holds, fails = _COMPARE[comparison], _COMPARE[_NEGATION[comparison]]
    if m.exact or decide_by.get() == "value":
        return ("PASS" if holds(m.value, limit) else "FAIL"), "value"
    proves: Literal["lower", "upper"] = "upper" if comparison in ("<", "<=") else "lower"
    refutes: Literal["lower", "upper"] = "lower" if proves == "upper" else "upper"
    if holds(getattr(m, proves), limit):
        return "PASS", proves
    if fails(getattr(m, refutes), limit):
        return "FAIL", refutes
    return "INCONCLUSIVE", proves


def _unresolved(m: "Measurement", comparison: Operator, status: Status, bound: float, limit: float) -> str | None:
    """Why other settings of the host could have made another verdict, or None."""
    step = m.resolution
    if not step or m.exact:
        return None
    moved, shown = f"another setting of the host moves the value by up to {step:.3g}", f"{limit:g}"
    if status in ("PASS", "FAIL"):
        told = comparison if status == "PASS" else _NEGATION[comparison]
        if not _COMPARE[told](bound + step if told in ("<", "<=") else bound - step, limit):
            return f"host floor: {moved}, which is more than lies between {aligned(bound)[0]} and the limit {shown}"
    elif abs(limit) < step:
        return f"host floor: {moved}, which is more than the limit {shown}"
    return None


def reach_of(m: "Measurement") -> tuple[float, float]:
    """Smallest and largest value that there can be: as the measure says, or by unit."""
    if m.reach is not None:
        return m.reach
    low, high = _REACH.get(m.unit, (-inf, inf))
    return (low, high) if low <= m.lower and m.upper <= high else (-inf, inf)


def _refuse_empty(m: "Measurement", comparison: Operator, limit: float) -> None:
    """Refuse a comparison that decides nothing: a percent sign was forgotten, and the gate would be green for ever."""
    reach = reach_of(m)
    change = reach[0] < 0 and any(isinstance(item, Values) for item in m.evidence)
    if is_empty(comparison, limit, reach, change=change, higher_is_better=m.higher_is_better):
        hint = f"; did you mean {limit:g}%, in Python percent({limit:g})?" if 1 <= abs(limit) <= 100 else ""
        raise InvalidInput(
            f"{m.name} {comparison} {limit:g} decides nothing: it {reach_words(reach)} ({m.unit}), whatever the "
            f"model{hint}"
        )


def is_empty(
    comparison: Operator, limit: float, reach: tuple[float, float], *, change: bool, higher_is_better: bool | None
) -> bool:
    """Whether no value can miss, or meet, a limit.

    Args:
        comparison: The operator.
        limit: The limit.
        reach: Smallest and largest value that there can be.
        change: Whether the value is a change between two models.
        higher_is_better: Direction.

    >>> is_empty(">=", 95.0, (0.0, 1.0), change=False, higher_is_better=True)
    True
    """
    low, high = reach
    at_low, at_high = isclose(limit, low, abs_tol=1e-9), isclose(limit, high, abs_tol=1e-9)
    if not (low <= limit <= high or at_low or at_high):
        return True
    # At an end one value alone can miss. To ask for more than nothing at all makes sense; for less than all, in what
    # should be small, does not, and neither does any change short of the largest.
    if at_high and (comparison == "<=" or (comparison == "<" and (change or higher_is_better is not True))):
        return True
    return at_low and (comparison == ">=" or (comparison == ">" and change))


def reach_words(reach: tuple[float, float]) -> str:
    """Where a value can lie.

    >>> reach_words((0.0, 1.0)), reach_words((-inf, 1.0))
    ('lies from 0 to 1', 'is at most 1')
    """
    low, high = reach
    if low == -inf:
        return f"is at most {high:g}"
    return f"lies from {low:g} to {high:g}" if high < inf else f"is at least {low:g}"


def aligned(*numbers: float) -> list[str]:
    """Write numbers with the fewest decimals that keep different numbers different, and small ones from reading as 0.

    At least four decimals, fewer where numbers are large. Numbers that no twelve decimals tell apart, or too large
    for decimals, are written in full.

    >>> aligned(0.0104, 0.01)
    ['0.0104', '0.01']
    >>> aligned(0.010004, 0.01)
    ['0.010004', '0.01']
    >>> aligned(53.29017, 60), aligned(0.0000091, 0.1)
    (['53.29', '60'], ['0.00001', '0.1'])
    """
    plain = [float(number) + 0.0 for number in numbers]  # + 0.0: a negative zero is written as 0
    different = len({number for number in plain if not isnan(number)})
    texts = [repr(number) for number in plain]
    if all(abs(number) < 1e15 or not isfinite(number) for number in plain):
        largest = max((abs(number) for number in plain if isfinite(number)), default=0.0)
        for decimals in range(4 if largest < 10 else max(3 - floor(log10(largest)), 1), 13):
            rounded = [f"{number:.{decimals}f}" for number in plain]
            # As numbers, not as texts: -0.0000 and 0.0000 read the same.
            zeros = any(number and not float(text) for number, text in zip(plain, rounded, strict=True))
            if not zeros and len({float(text) for text in rounded if text != "nan"}) == different:
                texts = rounded
                break
    # A number that came in short (a limit such as 0.01) stays short; a measured one keeps its decimals.
    short = [text.rstrip("0").rstrip(".") if "." in text and "e" not in text else text for text in texts]
    return [brief if float(brief) == number else text for number, text, brief in zip(plain, texts, short, strict=True)]


def percentage(share: float) -> str:
    """Write a share as a percentage.

    >>> percentage(0.95)
    '95%'
    """
    return f"{100 * share:.10g}%"
