"""Who is told about verdicts, and what is remembered of them; the core never imports the pytest plugin.

A plain module-level list, not a context variable: verdicts made or used in a worker thread must be seen
too, and a context variable would start empty there, which fails open.
"""

import sys
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from robust.verdict import Verdict

Event = Literal["made", "used"]
#: Distinct verdicts of one test that are kept; a property-based test may make thousands.
CAP = 50
#: Packages between a comparison and the code of the user who made it.
_MACHINERY = frozenset({"robust", "_pytest", "pluggy", "unittest", "hypothesis"})
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


def _package(frame: FrameType) -> str:
    """Top-level package of the code that a frame runs."""
    return str(frame.f_globals.get("__name__", "")).partition(".")[0]


class Use:
    """A verdict that was taken for a truth value, and the line of the user's code that did so."""

    __slots__ = ("code", "line", "verdict")

    def __init__(self, verdict: "Verdict") -> None:
        frame = sys._getframe(1)
        while frame.f_back is not None and _package(frame) in _MACHINERY:
            frame = frame.f_back
        self.verdict = verdict
        self.code = frame.f_code
        self.line = frame.f_lineno

    def place(self, root: Path) -> str:
        """File and line, from the root folder where it lies in it."""
        path = Path(self.code.co_filename)
        return f"{path.relative_to(root) if path.is_relative_to(root) else path}:{self.line}"


class Record:
    """The verdicts of one test, or of the collection of one module."""

    def __init__(self) -> None:
        self.gates: dict[object, Verdict] = {}  # distinct ones, at most CAP
        self.used: set[object] = set()  # keys of those that were taken for a truth value
        self.omitted: set[int] = set()  # hashes of the keys of distinct ones that are not kept
        self.recent: deque[Verdict] = deque(maxlen=2 * CAP)  # for the explanation of the comparison at hand
        self.uses: deque[Use] = deque(maxlen=2 * CAP)
        self.unsettled: list[Use] = []  # of the present phase
        self.calling = False
        self.explained = 0

    def hear(self, event: "Event", verdict: "Verdict") -> None:
        """Note a verdict that was made, or used as a truth value, in any thread."""
        m = verdict.measurement
        key = (m.name, m.value, m.n, verdict.operator, verdict.limit, verdict.bound, verdict.status)
        self._keep(key, verdict)
        if event == "made":
            self.recent.append(verdict)
            return
        use = Use(verdict)
        self.uses.append(use)
        if key in self.gates:
            self.used.add(key)
        if verdict.status in ("INCONCLUSIVE", "INVALID") and len(self.unsettled) < CAP:
            self.unsettled.append(use)

    def _keep(self, key: object, verdict: "Verdict") -> None:
        """Keep a distinct verdict; where there is no room, one that did not pass displaces one that did."""
        if key in self.gates:
            return
        if len(self.gates) >= CAP:
            passed = [old for old, other in list(self.gates.items()) if other.status == "PASS"]
            if verdict.status == "PASS" or not passed:
                self.omitted.add(hash(key))
                return
            self.gates.pop(passed[-1], None)
            self.omitted.add(hash(passed[-1]))
        self.gates[key] = verdict

    def culprit(self, error: AssertionError, text: str) -> "Verdict | None":
        """What a wordless assertion failed on: the last comparison in its statement, else the last miss."""
        trace = error.__traceback__
        while trace is not None and trace.tb_next is not None:
            trace = trace.tb_next
        uses = tuple(self.uses)
        if trace is not None:
            code = trace.tb_frame.f_code
            first, last, *_ = next(islice(code.co_positions(), trace.tb_lasti // 2, None))
            first = trace.tb_lineno if first is None else first
            statement = range(first, (first if last is None else last) + 1)
            inside = [use.verdict for use in uses if use.code is code and use.line in statement]
            if inside:
                return inside[-1]
        missed = [use.verdict for use in uses if use.verdict.status != "PASS"]
        if missed and (text in ("", "assert False") or missed[-1].line() in text):
            return missed[-1]
        return None
