"""Runs the batches of a fuzz, counts what fails, and keeps one batch of each kind of failure."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from robust.fuzzing.asking import OutOfMemory
from robust.fuzzing.batch_forms import PLAIN, BatchForm
from robust.fuzzing.examining import Examiner, raised
from robust.fuzzing.faults import SAMPLED, Fault, Level, Property
from robust.fuzzing.row_source import RowSource
from robust.types import AnyArray, BoolArray

#: Every so many batches, those properties are looked at that take calls of their own.
_EVERY = 4
#: A level that fails on so many inputs is not run any further.
_ENOUGH = 1000


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Stream:
    """Batches of one sort.

    Args:
        level: Where the rows lie.
        name: What they are.
        rows: How many.
        source: The rows.
        form: What the batches look like.
    """

    level: Level
    name: str
    rows: int
    source: RowSource
    form: BatchForm = PLAIN


@dataclass(slots=True)
class Tally:
    """What came of one level.

    Args:
        rows: Rows that were asked.
        batches: Batches of them.
        forms: Batches of an odd form among them.
        refused: Rows that the model said no to.
        sampled: Batches that were also asked again, beside other rows and alone.
        failed: Inputs that failed: rows, or batches where it is the batch that fails.
        by_property: The same for each property.
        stopped: Whether it was ended early, after too many failures.
    """

    rows: int = 0
    batches: int = 0
    forms: int = 0
    refused: int = 0
    sampled: int = 0
    failed: int = 0
    by_property: dict[Property, int] = field(default_factory=dict)
    stopped: bool = False


@dataclass(slots=True, kw_only=True, eq=False)
class Failing:
    """The first batch of one kind of failure.

    Args:
        fault: What was found.
        level: Where.
        stream: Among which batches.
        form: What the batch looks like.
        rows: The batch (b, d).
        inputs: How many inputs failed so.
    """

    fault: Fault
    level: Level
    stream: str
    form: BatchForm
    rows: AnyArray
    inputs: int = 0


@dataclass(slots=True)
class Campaign:
    """All batches, in order.

    Args:
        examiner: The model.
        size: Rows a call.
        tallies: By level.
        failing: By property, level and kind.
        noise: Largest difference by the size of a batch alone, a share of the outputs' spread.
        refusals: What the model says no with, and to what.
        notes: What a reader must know.
        interrupted: Whether it was ended by Ctrl-C.
    """

    examiner: Examiner
    size: int
    tallies: dict[Level, Tally] = field(default_factory=dict)
    failing: dict[tuple[Property, Level, str], Failing] = field(default_factory=dict)
    noise: float = 0.0
    refusals: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    interrupted: bool = False

    def run(self, streams: Sequence[Stream]) -> None:
        """Run the streams; Ctrl-C ends them, and what was finished counts."""
        try:
            for stream in streams:
                self._run(stream)
        except KeyboardInterrupt:
            if not any(tally.batches for tally in self.tallies.values()):
                raise
            self.interrupted = True

    def _run(self, stream: Stream) -> None:
        tally = self.tallies.setdefault(stream.level, Tally())
        start, turn = 0, 0
        while start < stream.rows or (stream.rows == 0 and turn == 0):
            if tally.failed >= _ENOUGH and stream.form.plain:
                tally.stopped = True
                return
            stop = min(start + self.size, stream.rows)
            rows = stream.source.take(start, stop)
            sampled = SAMPLED if turn % _EVERY == 0 or stop == stream.rows else frozenset[Property]()
            try:
                faults, refused = self._examined(rows, stream, sampled)
            except OutOfMemory:
                self.size = max(1, self.size // 2)
                self.notes = [note for note in self.notes if not note.startswith("not enough memory")]
                self.notes.append(f"not enough memory for larger batches: {self.size} rows a call from then on")
                continue
            self._count(stream, rows, faults, refused)
            tally.sampled += bool(sampled)
            start, turn = stop, turn + 1

    def _examined(
        self, rows: AnyArray, stream: Stream, sampled: frozenset[Property]
    ) -> tuple[tuple[Fault, ...], str | None]:
        """Look at a batch; where it raises, at the rows that do, and then at the others."""
        examiner = self.examiner
        found = examiner.examine(rows, level=stream.level, form=stream.form, sampled=sampled)
        self.noise = max(self.noise, found.noise)
        if len(rows) < 2 or not any(fault.property == "no exception" and fault.rows is None for fault in found.faults):
            return found.faults, found.refused
        faults = _raising(examiner, rows, stream)
        if not faults:
            return found.faults, None
        fine = ~np.logical_or.reduce([fault.rows for fault in faults if fault.rows is not None])
        if fine.any():
            rest = examiner.examine(rows[fine], level=stream.level, form=stream.form, sampled=sampled)
            faults += [_placed(fault, fine) for fault in rest.faults if fault.rows is not None]
        faults += [fault for fault in found.faults if fault.property != "no exception"]
        return tuple(faults), None

    def _count(self, stream: Stream, rows: AnyArray, faults: Sequence[Fault], refused: str | None) -> None:
        """Add a finished batch."""
        tally = self.tallies[stream.level]
        tally.rows += len(rows)
        tally.batches += 1
        tally.forms += not stream.form.plain
        if refused is not None:
            tally.refused += len(rows)
            # NaN in an odd form is no news where the form, or NaN, was refused before.
            if not any(part in self.refusals for part in stream.name.split(", ")):
                self.refusals[stream.name] = refused
        if not faults:
            return
        failed, batch = np.zeros(len(rows), dtype=bool), False
        for fault in faults:
            inputs = 1 if fault.rows is None else int(fault.rows.sum())
            failed |= False if fault.rows is None else fault.rows
            batch |= fault.rows is None
            tally.by_property[fault.property] = tally.by_property.get(fault.property, 0) + inputs
            # What fails in any form needs no example for each.
            known = (fault.property, stream.level, fault.kind)
            key = known if known in self.failing else (fault.property, stream.level, _kind(fault, stream))
            kept = self.failing.setdefault(
                key, Failing(fault=fault, level=stream.level, stream=stream.name, form=stream.form, rows=rows)
            )
            kept.inputs += inputs
        tally.failed += int(failed.sum()) + int(batch)


def _kind(fault: Fault, stream: Stream) -> str:
    """A kind of failure; odd types and orders of memory are told apart, since each may have a cause of its own."""
    form = stream.form
    odd = "empty" if form.size == 0 else form.dtype or (form.layout if form.layout != "rows" else "")
    return f"{fault.kind}, {odd}" if odd else fault.kind


def _raising(examiner: Examiner, rows: AnyArray, stream: Stream) -> list[Fault]:
    """The rows of a batch that raise by themselves, found by halves; none where it takes several to raise."""
    found: dict[str, tuple[Fault, BoolArray]] = {}
    waiting = [np.arange(len(rows))]
    while waiting:
        part = waiting.pop()
        if len(part) < len(rows):
            answer = examiner.asker.ask(rows[part], stream.form)
            if answer.error is None or examiner.may_say_no(answer.error, rows[part], stream.level, stream.form):
                continue
            if len(part) == 1:
                fault = raised(answer)
                _, mask = found.setdefault(fault.kind, (fault, np.zeros(len(rows), dtype=bool)))
                mask[part] = True
        if len(part) > 1:
            waiting += [part[: len(part) // 2], part[len(part) // 2 :]]
    return [
        Fault(property=fault.property, kind=kind, words=fault.words, rows=mask) for kind, (fault, mask) in found.items()
    ]


def _placed(fault: Fault, among: BoolArray) -> Fault:
    """A fault of some rows of a batch as one of the batch."""
    rows = np.zeros(len(among), dtype=bool)
    rows[np.flatnonzero(among)] = fault.rows
    return Fault(property=fault.property, kind=fault.kind, words=fault.words, rows=rows)
