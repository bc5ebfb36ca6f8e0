"""Who is told about verdicts: the pytest plugin listens here, the core never imports it.

A plain module-level list, not a context variable: verdicts made or used in a worker thread must be seen
too, and a context variable would start empty there, which fails open.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from robust.verdict import Verdict

Event = Literal["made", "used"]
_observers: list[Callable[[Event, "Verdict"], None]] = []


@contextmanager
def observed(observer: Callable[[Event, "Verdict"], None]) -> Iterator[None]:
    """Tell `observer` of every verdict that is made, or used as a truth value, inside the block."""
    _observers.append(observer)
    try:
        yield
    finally:
        _observers.remove(observer)


def announce(event: Event, verdict: "Verdict") -> None:
    """Tell all observers."""
    for observer in tuple(_observers):
        observer(event, verdict)
