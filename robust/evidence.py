"""The small structured facts that a measurement rests on; everything that a report shows is one of these.

They pickle (worker processes of pytest) and are written to the record, and read from it, as they stand: that is
why they are msgspec structs with a type tag rather than dataclasses.
"""

from typing import Literal, TypeAlias

from msgspec import Struct

RowId: TypeAlias = int | str


class Values(Struct, frozen=True, kw_only=True, tag_field="type"):
    """A metric of two models, or of one before and after a change: `reference -> candidate`, and what each is."""

    metric: str
    reference: float
    candidate: float
    names: tuple[str, str] = ("reference", "candidate")


class Flips(Struct, frozen=True, kw_only=True, tag_field="type"):
    """Rows whose correctness changed between two models, both ways.

    `p` is McNemar's exact two-sided p-value; `rows` are ids of right→wrong rows (a capped sample).
    """

    right_to_wrong: int
    wrong_to_right: int
    n: int
    p: float
    rows: tuple[RowId, ...]


class Slice(Struct, frozen=True, kw_only=True):
    """One part of the rows, with bounds that hold for all parts of the table at once."""

    name: str
    n: int
    value: float
    lower: float
    upper: float
    note: str = ""


class Slices(Struct, frozen=True, kw_only=True, tag_field="type"):
    """A measure on parts of the rows, worst first; bounds are simultaneous at `level` (Bonferroni)."""

    by: str
    measure: str
    level: float
    slices: tuple[Slice, ...]


class Rows(Struct, frozen=True, kw_only=True, tag_field="type"):
    """Ids of rows worth looking at, worst first, each with a number where there is one."""

    what: str
    ids: tuple[RowId, ...]
    values: tuple[float, ...] = ()
    total: int = 0


class Fact(Struct, frozen=True, kw_only=True, tag_field="type"):
    """One named fact in words or as a number."""

    name: str
    value: str | float | int


class Finding(Struct, frozen=True, kw_only=True, tag_field="type"):
    """Something that a reader of the report would want to know, in one sentence; reports list these first."""

    text: str


class Series(Struct, frozen=True, kw_only=True):
    """One named column of a figure, numbers or labels."""

    name: str
    values: tuple[float | str, ...]


class Figure(Struct, frozen=True, kw_only=True, tag_field="type"):
    """A chart as data; `robust.report` draws it.

    Kinds and the columns that each reads:

    * `line`: x, y, optional lower and upper (a band), optional series (one line a value);
    * `bar`: x (labels), y, optional lower and upper (whiskers);
    * `point`: x, y, optional series;
    * `interval`: y (labels), x, lower, upper (a dot with whiskers, one a row);
    * `matrix`: x, y (labels), value;
    * `histogram`: x, optional series.

    `rules` draws reference lines, (`x` or `y`, position, label). `diagonal` labels the line y = x of a `point` figure,
    whose axes then have the same limits.
    """

    kind: Literal["line", "bar", "point", "interval", "matrix", "histogram"]
    title: str
    x_title: str
    y_title: str
    columns: tuple[Series, ...]
    rules: tuple[tuple[Literal["x", "y"], float, str], ...] = ()
    note: str = ""
    diagonal: str = ""


class Table(Struct, frozen=True, kw_only=True, tag_field="type"):
    """A table of texts, already written as a reader should see them; `total` counts the rows that there are in all."""

    title: str
    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""
    total: int = 0


class Picture(Struct, frozen=True, kw_only=True):
    """A small image as bytes, 0 … 255, row by row, the `channels` (1 grey, 3 red green blue) of a pixel together."""

    title: str
    width: int
    height: int
    channels: Literal[1, 3]
    pixels: bytes


class Example(Struct, frozen=True, kw_only=True):
    """One row of a gallery: its id, what happened to it in a few words, and its pictures, left to right."""

    id: RowId
    words: tuple[str, ...]
    pictures: tuple[Picture, ...]


class Gallery(Struct, frozen=True, kw_only=True, tag_field="type"):
    """Rows that are images, drawn; `total` counts the rows of that sort that there are in all."""

    title: str
    examples: tuple[Example, ...]
    note: str = ""
    total: int = 0


Evidence: TypeAlias = Values | Flips | Slices | Rows | Fact | Finding | Figure | Table | Gallery


class SelfCheck(Struct, frozen=True, kw_only=True):
    """A check of the measurement itself.

    Args:
        name: Short name, e.g. `masked gradients`.
        passed: Whether the measurement survived it.
        reason: One sentence; for a failed check, why the number cannot be believed.
        bias: How a failure moves the value: a `raises` failure can only have faked a verdict that a higher
            value helps, a `lowers` failure the opposite, `either` any verdict, `none` warns only.
    """

    name: str
    passed: bool
    reason: str
    bias: Literal["raises", "lowers", "either", "none"]


class Cost(Struct, frozen=True, kw_only=True):
    """What a measurement cost: rows asked of the model forwards and backwards, from the cache or not; seconds."""

    forward_rows: int = 0
    backward_rows: int = 0
    seconds: float = 0.0

    def __add__(self, other: "Cost") -> "Cost":
        return Cost(
            forward_rows=self.forward_rows + other.forward_rows,
            backward_rows=self.backward_rows + other.backward_rows,
            seconds=self.seconds + other.seconds,
        )


class Provenance(Struct, frozen=True, kw_only=True):
    """Where a number comes from: content hashes, seed, options, what it cost, and on which host it was measured."""

    models: tuple[tuple[str, str], ...] = ()
    data: tuple[tuple[str, str], ...] = ()
    seed: int | None = None
    options: tuple[tuple[str, str], ...] = ()
    cost: Cost = Cost()
    host: tuple[tuple[str, str], ...] = ()
