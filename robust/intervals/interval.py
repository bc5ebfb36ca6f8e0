"""The interval that every bound comes in, and how many rows would settle a limit."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol

from robust.errors import InvalidInput
from robust.intervals.arguments import check_finite, check_whole


class Sizing(Protocol):
    """How bounds move with the number of rows while the observed rates stay unchanged; picklable."""

    def at(self, n: int) -> tuple[float, float]:
        """Lower and upper bound at ``n`` rows."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class RootSizing:
    """Half-widths that shrink with the square root of the number of rows, as those of a bootstrap do.

    Attributes:
        value: Point estimate.
        lower: Lower bound at ``n`` rows.
        upper: Upper bound at ``n`` rows.
        n: Rows that the bounds rest on.
    """

    value: float
    lower: float
    upper: float
    n: int

    def at(self, n: int) -> tuple[float, float]:
        """Lower and upper bound at ``n`` rows."""
        shrink = math.sqrt(self.n / n)
        return self.value - (self.value - self.lower) * shrink, self.value + (self.upper - self.value) * shrink


@dataclass(frozen=True, slots=True, kw_only=True)
class UnboundedSizing:
    """No bounds at any number of rows: nothing is known about the spread."""

    def at(self, n: int) -> tuple[float, float]:  # noqa: ARG002 - the same at every n
        """Lower and upper bound at ``n`` rows."""
        return -math.inf, math.inf


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """A point estimate between two confidence bounds, each one-sided at ``level``.

    Together the two bounds are a two-sided interval at ``2 * level - 1``.

    Attributes:
        value: Point estimate, finite.
        lower: Lower bound, at most ``value``; may be -inf (nothing is proved).
        upper: Upper bound, at least ``value``; may be inf.
        level: One-sided confidence level of each bound, in (0.5, 1]; 1 where there is no uncertainty.
        n: Rows that it rests on, at least 1.
        method: Name of the method, such as ``tango-corrected``.
        sizing: How the bounds move with the number of rows.
        notes: Facts about the bounds, in words.

    Raises:
        InvalidInput: A bound is NaN or on the wrong side of the value, or ``level`` or ``n`` is out of range.
    """

    value: float
    lower: float
    upper: float
    level: float
    n: int
    method: str
    sizing: Sizing
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse what no method may produce, so that a broken bound never reaches a gate."""
        check_finite("value", self.value)
        check_whole("n", self.n, least=1)
        if not 0.5 < self.level <= 1.0:
            raise InvalidInput(f"level got {self.level!r}; a number above 0.5 and at most 1 would be right")
        if not self.lower <= self.value <= self.upper:
            raise InvalidInput(
                f"bounds got {self.lower!r} .. {self.upper!r} around {self.value!r}; "
                "lower <= value <= upper would be right"
            )


def needed_n(
    sizing: Sizing,
    *,
    limit: float,
    settles: Literal["below", "above"],
    n: int,
    n_max: int = 10**9,
) -> int | None:
    """Smallest number of rows that puts the limit outside the interval, observed rates unchanged.

    min{n' : upper(n') < limit} for ``below``, min{n' : lower(n') > limit} for ``above``, by bisection on the
    bound that was used.

    Args:
        sizing: How the bounds move with the number of rows.
        limit: The limit, in the unit of the bounds; finite.
        settles: Which side of the limit the interval has to come to lie on.
        n: Rows measured so far, at least 1; where the search starts.
        n_max: Largest number of rows considered, at least ``n``.

    Returns:
        The number of rows, 1 .. ``n_max``, from which on the limit stays outside; None where no number up to
        ``n_max`` settles it, as when the value itself lies on the limit or on its other side.

    Raises:
        InvalidInput: ``limit`` is not finite, ``settles`` is another word, or ``n`` or ``n_max`` is out of
        range.

    Example:
        A bound 0.4 above the value 0 at 4 rows is 0.8/sqrt(n'), which is below 0.1 from 65 rows on.

        >>> needed_n(RootSizing(value=0.0, lower=-0.4, upper=0.4, n=4), limit=0.1, settles="below", n=4)
        65
    """
    limit = check_finite("limit", limit)
    n = check_whole("n", n, least=1)
    n_max = check_whole("n_max", n_max, least=n)
    if settles not in ("below", "above"):
        raise InvalidInput(f"settles got {settles!r}; 'below' or 'above' would be right")

    def settled(size: int) -> bool:
        lower, upper = sizing.at(size)
        return upper < limit if settles == "below" else lower > limit

    if not settled(n_max):
        return None
    unsettled, enough = 0, n
    while not settled(enough):
        unsettled, enough = enough, min(2 * enough, n_max)
    while True:
        enough = _bisect(settled, unsettled, enough)
        relapse = _relapse(settled, enough, n_max)
        if relapse is None:
            return enough
        unsettled, enough = relapse, n_max


def _bisect(settled: Callable[[int], bool], unsettled: int, enough: int) -> int:
    """Narrow a bracket down to the boundary: ``settled`` is false at ``unsettled`` and true at ``enough``."""
    while enough - unsettled > 1:
        middle = (unsettled + enough) // 2
        if settled(middle):
            enough = middle
        else:
            unsettled = middle
    return enough


def _relapse(settled: Callable[[int], bool], enough: int, n_max: int) -> int | None:
    """Largest probed size above ``enough`` that is unsettled again: bounds need not be monotone in n."""
    found = None
    size = enough + 1
    while size < n_max:
        if not settled(size):
            found = size
        size += max(1, size // 4)
    return found
