"""The columns of a figure as clean rows of plain data."""

import math
from dataclasses import dataclass
from typing import Any

from robust.errors import InvalidInput
from robust.evidence import Figure
from robust.report.numbers import NO_BOUND, brief
from robust.report.wording import printable

Row = dict[str, Any]

_NEEDED = {
    "line": ("x", "y"),
    "bar": ("x", "y"),
    "point": ("x", "y"),
    "interval": ("y", "x", "lower", "upper"),
    "matrix": ("x", "y", "value"),
    "histogram": ("x",),
}
_LABELS = {"bar": ("x",), "interval": ("y",), "matrix": ("x", "y")}
_NUMERIC = frozenset({"lower", "upper", "value"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A figure's columns, one dictionary a row; a number that is not finite is None.

    Args:
        rows: The rows.
        series: Names of the series in order of appearance; empty where there is one only.
        bounded: Whether there are bounds; then each row has its `bounds` in words.
        x_labels: Whether x holds labels rather than numbers.
    """

    rows: list[Row]
    series: list[str]
    bounded: bool
    x_labels: bool


def table(figure: Figure) -> Table:
    """Read a figure's columns.

    Args:
        figure: A figure.

    Returns:
        Its rows.

    Raises:
        InvalidInput: If a column that the kind reads is missing or not numeric, if columns differ in length, or if
            there is no row.
    """
    columns = {series.name: series.values for series in figure.columns}
    missing = [name for name in _NEEDED[figure.kind] if name not in columns]
    if missing:
        raise InvalidInput(
            f"a {figure.kind} figure needs the columns {', '.join(_NEEDED[figure.kind])}, "
            f"{figure.title!r} lacks {', '.join(missing)}"
        )
    lengths = {name: len(values) for name, values in columns.items()}
    if len(set(lengths.values())) > 1:
        raise InvalidInput(f"the columns of a figure must be equally long, got {lengths} in {figure.title!r}")
    if not next(iter(lengths.values())):
        raise InvalidInput(f"a figure needs at least one row, {figure.title!r} has none")
    x_labels = any(isinstance(value, str) for value in columns["x"])
    clean = {name: _column(figure, name, values, x_labels) for name, values in columns.items()}
    bounded = figure.kind in ("line", "bar", "interval") and "lower" in clean and "upper" in clean
    if bounded:
        clean["bounds"] = [
            f"{brief(low, missing=NO_BOUND)} .. {brief(high, missing=NO_BOUND)}"
            for low, high in zip(clean["lower"], clean["upper"], strict=True)
        ]
    rows = [dict(zip(clean, values, strict=True)) for values in zip(*clean.values(), strict=True)]
    return Table(
        rows=rows,
        series=list(dict.fromkeys(clean.get("series", ()))),
        bounded=bounded,
        x_labels=x_labels or "x" in _LABELS.get(figure.kind, ()),
    )


def _column(figure: Figure, name: str, values: tuple[float | str, ...], x_labels: bool) -> list[Any]:
    """Labels as printable text, numbers as finite floats or None."""
    labels = (
        name == "series" or name in _LABELS.get(figure.kind, ()) or (name == "x" and figure.kind == "line" and x_labels)
    )
    if labels:
        return [brief(value) if isinstance(value, float) else printable(value) for value in values]
    if any(isinstance(value, str) for value in values):
        raise InvalidInput(f"column {name!r} of the {figure.kind} figure {figure.title!r} must hold numbers, got text")
    return [_finite(value) for value in values]


def _finite(value: float | str | None) -> float | None:
    """A number as JSON can hold it; a record that was read back has None where there was no number."""
    return None if value is None or not math.isfinite(float(value)) else float(value)
