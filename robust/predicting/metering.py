"""Counts what a measurement asks of its models."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

from robust.evidence import Cost


@dataclass(slots=True)
class Meter:
    """Rows asked of models so far, forwards and backwards."""

    forward_rows: int = 0
    backward_rows: int = 0
    started: float = 0.0

    def cost(self) -> Cost:
        """What was counted up to now."""
        return Cost(
            forward_rows=self.forward_rows,
            backward_rows=self.backward_rows,
            seconds=time.perf_counter() - self.started,
        )


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
