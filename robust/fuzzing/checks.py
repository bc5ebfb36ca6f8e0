"""Fuzzing in the catalogue: failures on random input inside the schema, at its edges and outside it."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from time import perf_counter
from typing import Literal

import numpy as np

from robust.check import Check, Subject
from robust.errors import ModelFault
from robust.evidence import Evidence, Fact, Figure, Finding, Table
from robust.fuzzing.faults import LEVELS, PROPERTIES
from robust.fuzzing.fuzz_result import FuzzResult
from robust.fuzzing.random_attack import fuzz
from robust.measurement import Measurement
from robust.measures.details import numbers, words
from robust.predicting.calling import bind

#: A row is asked again, alone and beside others, and what it gave is looked at: passes for each row of a fuzz.
_PASSES, _LEAST_ROWS = 4, 256
_SHOWN = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class FuzzFailuresOptions:
    """What a gate on failures may set.

    Args:
        n: Random rows in all.
        seconds: About how long it may take; a slow model is asked about fewer rows, a power of two.
        levels: Of `inside`, `edges`, `outside`.
        budget: Seconds that a call may take; None for as long as it likes.
        may_refuse: Whether a clear refusal of what is outside the schema is in order.
    """

    n: int = 10_000
    seconds: float = 20.0
    levels: tuple[Literal["inside", "edges", "outside"], ...] = LEVELS
    budget: float | None = None
    may_refuse: bool = True


def _run(subject: Subject, options: FuzzFailuresOptions) -> Measurement:
    """Fuzz the candidate for so many rows, or as many as there is time for."""
    n = min(options.n, _affordable(subject, options.seconds))
    found = fuzz(
        subject.model,
        subject.test,
        n=n,
        seed=subject.seed,
        budget=options.budget,
        levels=options.levels,
        may_refuse=options.may_refuse,
    )
    short = f"{n:,} of {options.n:,}: more would have taken longer than {options.seconds:g} s"
    facts = (Fact(name="random rows", value=short),) if n < options.n else ()
    findings = tuple(item for item in found.failures.evidence if isinstance(item, Finding))
    return replace(found.failures, name="fuzz_failures", evidence=(*findings, *facts, *_told(found)))


def _affordable(subject: Subject, seconds: float) -> int:
    """Rows that the time will do for, a power of two: a host that is a little slower asks about as many."""
    model, x = subject.model, subject.test.x
    rows = x[: model.fixed_batch or model.batch_size]
    caller = bind(model, subject.test.schema)
    spent = 1e-9
    with suppress(ModelFault):  # what it does wrong on its own rows, the fuzz will say
        caller.outputs(rows)  # the first call is slower than the others
        before = perf_counter()
        caller.outputs(rows)
        spent += perf_counter() - before
    most = max(int(seconds / (_PASSES * spent) * len(rows)), _LEAST_ROWS)
    return int(2 ** (most.bit_length() - 1))


def _told(found: FuzzResult) -> Iterator[Evidence]:
    """What was run, what may be said of it, and the smallest input of each kind of failure."""
    for claim in found.claims:
        level, _, text = claim.partition(": ")
        yield Fact(name=f"rows {level}", value=text)
    for note in found.notes:
        yield Fact(name="note", value=note)
    yield Fact(name="largest effect of a batch's size on a row", value=found.noise)
    if found.examples:
        yield Table(
            title="Smallest input found for each kind of failure",
            headings=("property", "level", "inputs", "what was seen, and in which rows"),
            rows=tuple(
                (example.property, example.level, f"{example.inputs:,}", str(example).partition(": ")[2])
                for example in found.examples[:_SHOWN]
            ),
            note="files of them are written by robust fuzz --out, and run again by robust fuzz --replay",
            total=len(found.examples),
        )
        yield _figure(found)


def _figure(found: FuzzResult) -> Figure:
    """Failing inputs by level and property."""
    failing = [name for name in PROPERTIES if any(tally.by_property.get(name) for _, tally in found.levels)]
    cells = [(name, level, tally.by_property.get(name, 0)) for level, tally in found.levels for name in failing]
    return Figure(
        kind="matrix",
        title="Failures by property and level",
        x_title="property",
        y_title="level",
        columns=(
            words("x", [name for name, _, _ in cells]),
            words("y", [level for _, level, _ in cells]),
            numbers("value", np.array([count for _, _, count in cells])),
        ),
        note="inputs that failed",
    )


CHECKS = (
    Check(
        code="ATK030",
        name="fuzz_failures",
        title="failures on random input",
        measure=fuzz,
        run=_run,
        options=FuzzFailuresOptions,
        why="Test rows are polite. A deployed model meets rows at the ends of the ranges, missing values, other batch "
        "sizes: it must neither crash, nor give numbers that are none, nor answer one row by its neighbours.",
        remedy="Each failure has been shrunk to few rows that differ in few features: replay it, mend the model or "
        "narrow what it accepts, and declare the schema that it was made for.",
    ),
)
