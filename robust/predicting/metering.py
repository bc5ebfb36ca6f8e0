"""Counts what a measurement asks of its models, and keeps what it found odd in their answers."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field

from robust.evidence import Cost, Finding


@dataclass(slots=True)
class Meter:
    """Rows asked of models so far, forwards and backwards, and what their readers must know of the answers."""

    forward_rows: int = 0
    backward_rows: int = 0
    started: float = 0.0
    remarks: list[str] = field(default_factory=list)

    def cost(self) -> Cost:
        """What was counted up to now."""
        return Cost(
            forward_rows=self.forward_rows,
            backward_rows=self.backward_rows,
            seconds=time.perf_counter() - self.started,
        )

    def findings(self) -> tuple[Finding, ...]:
        """The remarks, once each, for the evidence of what is measured."""
        return tuple(Finding(text=text) for text in dict.fromkeys(self.remarks))


_meters: ContextVar[tuple[Meter, ...]] = ContextVar("robust_meters", default=())


@contextmanager
def metered() -> Iterator[Meter]:
    """Count rows inside the block; meters nest."""
    meter = Meter(started=time.perf_counter())
    token = _meters.set((*_meters.get(), meter))
    try:
        yield meter
    finally:
        _meters.reset(token)


def count_rows(*, forward: int = 0, backward: int = 0) -> None:
    """Add rows to every open meter."""
    for meter in _meters.get():
        meter.forward_rows += forward
        meter.backward_rows += backward


def remark(text: str) -> None:
    """Tell every open meter something that a reader of the measurement must know of a model's answers."""
    for meter in _meters.get():
        meter.remarks.append(text)
