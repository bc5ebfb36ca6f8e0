"""The small structured facts that a measurement rests on; everything that a report shows is one of these.

They pickle (worker processes of pytest) and are written to the record as they stand.
"""

from dataclasses import dataclass
from typing import Literal, TypeAlias

RowId: TypeAlias = int | str


@dataclass(frozen=True, slots=True, kw_only=True)
class Values:
    """The metric of each of two models: `reference -> candidate`."""

    metric: str
    reference: float
    candidate: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Flips:
    """Rows whose correctness changed between two models, both ways.

    `p` is McNemar's exact two-sided p-value; `rows` are ids of right→wrong rows (a capped sample).
    """

    right_to_wrong: int
    wrong_to_right: int
    n: int
    p: float
    rows: tuple[RowId, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Slice:
    """One part of the rows, with bounds that hold for all parts of the table at once."""

    name: str
    n: int
    value: float
    lower: float
    upper: float
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Slices:
    """A measure on parts of the rows, worst first; bounds are simultaneous at `level` (Bonferroni)."""

    by: str
    measure: str
    level: float
    slices: tuple[Slice, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """Ids of rows worth looking at, worst first, each with a number where there is one."""

    what: str
    ids: tuple[RowId, ...]
    values: tuple[float, ...] = ()
    total: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """One named fact in words or as a number."""

    name: str
    value: str | float | int


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """One named column of a figure, numbers or labels."""

    name: str
    values: tuple[float, ...] | tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """A chart as data; `robust.report` draws it.

    Kinds and the columns that each reads:

    * `line`: x, y, optional lower and upper (a band), optional series (one line a value);
    * `bar`: x (labels), y, optional lower and upper (whiskers);
    * `point`: x, y, optional series;
    * `interval`: y (labels), x, lower, upper (a dot with whiskers, one a row);
    * `matrix`: x, y (labels), value;
    * `histogram`: x, optional series.

    `rule` draws reference lines, (`x` or `y`, position, label).
    """

    kind: Literal["line", "bar", "point", "interval", "matrix", "histogram"]
    title: str
    x_title: str
    y_title: str
    columns: tuple[Series, ...]
    rules: tuple[tuple[Literal["x", "y"], float, str], ...] = ()
    note: str = ""


Evidence: TypeAlias = Values | Flips | Slices | Rows | Fact | Figure


@dataclass(frozen=True, slots=True, kw_only=True)
class SelfCheck:
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What a measurement cost: rows through the model forwards and backwards, wall seconds, rows from cache."""

    forward_rows: int = 0
    backward_rows: int = 0
    cached_rows: int = 0
    seconds: float = 0.0

    def __add__(self, other: "Cost") -> "Cost":
        return Cost(
            forward_rows=self.forward_rows + other.forward_rows,
            backward_rows=self.backward_rows + other.backward_rows,
            cached_rows=self.cached_rows + other.cached_rows,
            seconds=self.seconds + other.seconds,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    """Where a number comes from: content hashes, seed, options, and what it cost."""

    models: tuple[tuple[str, str], ...] = ()
    data: tuple[tuple[str, str], ...] = ()
    seed: int | None = None
    options: tuple[tuple[str, str], ...] = ()
    cost: Cost = Cost()
