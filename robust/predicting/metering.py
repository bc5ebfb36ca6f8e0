"""Counts what a measurement asks of its models, and keeps what it found odd in their answers."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field

from robust.evidence import Cost, Finding
from robust.predicting.memory import Room


@dataclass(slots=True)
class Meter:
    """Rows asked of models so far, forwards and backwards, and what their readers must know of the answers.

    Args:
        forward_rows: Rows asked.
        backward_rows: Rows of which a gradient was asked.
        unanswered_rows: Rows asked that got no answer, where somebody goes on without.
        started: When counting began.
        remarks: What readers must know, by topic.
        rooms: How many rows of each model fit into memory at once, by the model's place in memory; the model is kept
            beside it, so that no other takes its place.
    """

    forward_rows: int = 0
    backward_rows: int = 0
    unanswered_rows: int = 0
    started: float = 0.0
    remarks: dict[str, str] = field(default_factory=dict)
    rooms: dict[int, tuple[object, Room]] = field(default_factory=dict)

    def cost(self) -> Cost:
        """What was counted up to now."""
        return Cost(
            forward_rows=self.forward_rows,
            backward_rows=self.backward_rows,
            seconds=time.perf_counter() - self.started,
        )

    def findings(self) -> tuple[Finding, ...]:
        """The remarks, once each, for the evidence of what is measured."""
        return tuple(Finding(text=text) for text in dict.fromkeys(self.remarks.values()))


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


@contextmanager
def uncounted() -> Iterator[None]:
    """Count nothing inside the block: what is asked there is no model under test, but a part of an attack."""
    token = _meters.set(())
    try:
        yield
    finally:
        _meters.reset(token)


def count_rows(*, forward: int = 0, backward: int = 0, unanswered: int = 0) -> None:
    """Add rows to every open meter."""
    for meter in _meters.get():
        meter.forward_rows += forward
        meter.backward_rows += backward
        meter.unanswered_rows += unanswered


def remark(text: str, *, topic: str | None = None) -> None:
    """Tell every open meter something that a reader of the measurement must know of a model's answers.

    Args:
        text: What they must know.
        topic: What it is about: a later remark on the same topic takes the place of an earlier one.
    """
    for meter in _meters.get():
        meter.remarks[topic or text] = text


def room_of(model: object) -> Room:
    """What is known of the memory that a model's calls take, for as long as the outermost meter is open."""
    meters = _meters.get()
    return meters[0].rooms.setdefault(id(model), (model, Room()))[1] if meters else Room()
