"""Whether the numbers that a torch module reads of its data steer it, or are factors: others are put in their place."""

import math
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from robust.costing.decided_torch import READ
from robust.costing.tally import Uncounted

if TYPE_CHECKING:
    from robust.costing.recorder_torch import Recorder

_LARGE = 1e6
#: Numbers that are read in one run and may be told from each other by their signs.
_MOST = 32
Instead = Callable[[int], float]


def steering_numbers(
    recorder: "Recorder", run: Callable[[Instead | None, int | None], tuple["Recorder", bool]]
) -> list[Uncounted]:
    """Modules whose operators change with the numbers that they read.

    A comparison with any limit up to a million changes with one of: no number at all, zero, large ones of both signs in
    several orders. What makes a whole number of it fails on the first.

    Args:
        recorder: Of a run.
        run: Runs the model from its present state with other numbers, and with at most so many operators; returns its
            recorder, and whether it came to its end.

    Returns:
        One entry a module that reads numbers, where any run took another course.
    """
    reads = dict.fromkeys(recorder.flow.numbers)
    if not reads:
        return []
    if len(recorder.flow.numbers) <= _MOST:
        before, done = run(None, None)
        course, count = before.flow.course, len(before.flow.numbers)
        if done and all(_same(course, *run(instead, len(course)), instead=instead) for instead in _others(count)):
            return []
    return [Uncounted(name=name, kind=kind, reason=READ, affects=("macc", "ram")) for name, kind in reads]


def _others(count: int) -> Iterator[Instead]:
    """Numbers in place of the i-th: each sign for all, and patterns in which any two differ."""
    yield lambda _: math.nan
    yield lambda _: 0.0
    for bit in range(-1, max(count - 1, 0).bit_length()):
        for sign in (1, -1):
            yield _signed(bit, sign)


def _signed(bit: int, sign: int) -> Instead:
    """Large numbers of one sign, those whose place has a bit set of the other."""
    return lambda i: sign * _LARGE * (-1 if bit >= 0 and i >> bit & 1 else 1)


def _same(course: list[tuple[object, ...]], other: "Recorder", done: bool, *, instead: Instead) -> bool:
    """Whether a run took the same course; one that refuses a number took it up to there."""
    found = other.flow.course
    if done or math.isnan(instead(0)):
        return done and found == course
    return found == course[: len(found)]
