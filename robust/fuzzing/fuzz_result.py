"""What a fuzz found: a count that compares, a table, and one small example of each kind of failure."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from robust.data.schema import FeatureSchema
from robust.fuzzing.batch_forms import BatchForm
from robust.fuzzing.campaign import Tally
from robust.fuzzing.faults import PROPERTIES, Level, Property
from robust.intervals.clopper_pearson import clopper_pearson
from robust.measurement import Measurement
from robust.types import AnyArray

_SHOWN = 6


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FuzzExample:
    """A batch on which a model fails, shrunk.

    Args:
        property: Which property does not hold.
        level: Where the rows lie.
        kind: What was seen, in a word or two.
        words: What was seen, in a sentence.
        rows: The batch (b, *row shape), in the number type of the data, as the schema writes it.
        form: What the batch looks like to the model, beyond its values.
        inputs: How many inputs of the fuzz failed so.
        names: Names of the features that differ from the simplest row, of each row: `(0, 'age', 130.0)`.
        found_in: Rows of the batch that it was found in.
        path: The file that it was saved in, or None.
    """

    property: Property
    level: Level
    kind: str
    words: str
    rows: AnyArray
    form: BatchForm
    inputs: int
    names: tuple[tuple[int, str, float], ...]
    found_in: int
    path: Path | None = None

    def __repr__(self) -> str:
        return f"<FuzzExample {self}>"

    def __str__(self) -> str:
        shown = [
            f"{name} = {_number(value, self.rows.dtype)}" + (f" in row {i}" if len(self.rows) > 1 else "")
            for i, name, value in self.names
        ]
        more = f", and {len(shown) - _SHOWN} more" if len(shown) > _SHOWN else ""
        size = f"{len(self.rows)} row{'' if len(self.rows) == 1 else 's'}"
        parts = [self.form.dtype, self.form.layout if self.form.layout != "rows" else None]
        odd = "".join(f", {part}" for part in parts if part)
        plain = ", the simplest there is" if len(self.rows) else ""
        cells = f": {', '.join(shown[:_SHOWN])}{more}" if shown else plain
        return f"{self.property}, {self.level} ({self.kind}): {self.words}; {size}{odd}{cells}"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FuzzResult:
    """What a fuzz found.

    Args:
        failures: Inputs that failed (rows, or batches where it is the batch that fails): an exact count, so that
            `failures == 0` is a gate.
        examples: One shrunk example for each property, level and kind of failure.
        levels: What was run at each level.
        refusals: What the model said no to, outside the schema, and how.
        seconds: Of the whole run, shrinking aside.
        inside_model: Share of them inside the model.
        noise: Largest difference between a row's answers in batches of different sizes that counts as rounding, as a
            share of the outputs' spread on the data.
        notes: What a reader must know.
        interrupted: Whether Ctrl-C ended it.
        schema: The features.
    """

    failures: Measurement
    examples: tuple[FuzzExample, ...]
    levels: tuple[tuple[Level, Tally], ...]
    refusals: tuple[tuple[str, str], ...]
    seconds: float
    inside_model: float
    noise: float
    notes: tuple[str, ...]
    interrupted: bool
    schema: FeatureSchema

    @property
    def claims(self) -> tuple[str, ...]:
        """What may be said of this run, in sentences."""
        return tuple(claim for level, tally in self.levels for claim in level_claims(level, tally))

    def table(self) -> str:
        """Levels, and what failed at each."""
        columns = ["level", "rows", "batches", "refused", "failed", "property that failed"]
        lines = [
            [
                level,
                f"{tally.rows:,}",
                f"{tally.batches:,}",
                f"{tally.refused:,}",
                f"{tally.failed:,}" + ("+" if tally.stopped else ""),
                ", ".join(f"{name} {tally.by_property[name]:,}" for name in PROPERTIES if name in tally.by_property)
                or "none",
            ]
            for level, tally in self.levels
        ]
        widths = [max(len(row[i]) for row in (columns, *lines)) for i in range(len(columns))]
        aligned = [
            "  ".join(
                cell.ljust(width) if i in (0, len(columns) - 1) else cell.rjust(width)
                for i, (cell, width) in enumerate(zip(row, widths, strict=True))
            ).rstrip()
            for row in (columns, *lines)
        ]
        return "\n".join(aligned)

    def __repr__(self) -> str:
        count = f"{int(self.failures.value)} failures of {self.failures.n:,} inputs"
        return f"<FuzzResult {count}, {len(self.examples)} kinds>"

    def __str__(self) -> str:
        parts = [self.table(), *self.claims]
        parts += [f"refused {what}: {how}" for what, how in self.refusals]
        parts += [f"note: {note}" for note in self.notes]
        parts += [f"{i}. {example}" for i, example in enumerate(self.examples, start=1)]
        return "\n".join(parts)


def _number(value: float, dtype: "np.dtype[Any]") -> str:
    """Six digits, all of them where fewer would look like a round number next to it."""
    short = f"{value:.6g}"
    hidden = np.isfinite(value) and float(short) != value and len(short.lstrip("-0.").replace(".", "")) < 6
    return f"{dtype.type(value)!s}" if hidden else short


def level_claims(level: Level, tally: Tally) -> list[str]:
    """What may be said of one level.

    Only rows inside the schema are drawn independently of each other from one distribution, that of this fuzz: of them
    alone a rate is bounded (Clopper and Pearson), and only for properties that were looked at on every row.

    Args:
        level: Which.
        tally: What came of it.
    """
    if not tally.rows:
        return []
    if tally.failed:
        return [f"{level}: {tally.failed:,} of {tally.rows:,} random inputs failed"]
    if level == "inside":
        bound = clopper_pearson(0, tally.rows, level=0.95).upper
        return [
            f"inside: {tally.rows:,} random inputs, none failed; a failure rate above {100 * bound:.3g} % of such "
            f"inputs is excluded at 95 % (determinism and batch invariance aside, which were looked at on "
            f"{tally.sampled:,} of {tally.batches:,} batches)"
        ]
    told = f"{level}: {tally.rows:,} random inputs, none failed"
    if tally.forms:
        told += f", {tally.forms} odd sizes, types and orders of memory among them"
    if tally.refused:
        told += f"; the model said no to {tally.refused:,}"
    return [f"{told}; they are no sample of anything, so that no rate is bounded"]
