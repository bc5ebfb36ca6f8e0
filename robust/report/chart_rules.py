"""Reference lines of a figure, with their labels kept inside the chart."""

from typing import Any

import altair as alt

from robust.evidence import Figure
from robust.report.chart_rows import Table
from robust.report.chart_theme import INK
from robust.report.wording import printable

_MOST_LETTERS = 48


def rule_layers(figure: Figure, content: Table) -> list[Any]:
    """Dashed lines at positions on an axis.

    Args:
        figure: The figure.
        content: Its rows, for the range of the axes.

    Returns:
        Two layers a rule, a line and its label; none for a rule on an axis of labels.
    """
    layers: list[Any] = []
    seen = {"x": 0, "y": 0}
    for axis, position, label in figure.rules:
        if figure.kind == "matrix" or (axis == "x" and content.x_labels) or (axis == "y" and figure.kind == "interval"):
            continue
        base = alt.Chart(alt.Data(values=[{"at": position, "label": _fitting(label)}]))
        where = alt.X("at:Q") if axis == "x" else alt.Y("at:Q")
        layers.append(base.mark_rule(strokeDash=[5, 4], strokeWidth=1.2, color=INK).encode(**{axis: where}))
        if label:
            near_end = _late(figure, content, position) if axis == "x" else _high(content, position)
            layers.append(_label(base, axis, where, near_end, seen[axis]))
            seen[axis] += 1
    return layers


def common_limits(content: Table) -> tuple[float, float] | None:
    """Limits that hold the numbers of both axes, with a margin; None where an axis has none.

    Args:
        content: Rows with x and y.
    """
    found = [[row[axis] for row in content.rows if isinstance(row[axis], float)] for axis in ("x", "y")]
    if not all(found):
        return None
    low, high = min(map(min, found)), max(map(max, found))
    margin = 0.03 * (high - low) or 0.05 * abs(high) or 1.0
    return low - margin, high + margin


def diagonal_layers(label: str, limits: tuple[float, float]) -> list[Any]:
    """The line y = x from one corner to the other, and its label left of its upper end.

    Args:
        label: What the line means.
        limits: Of both axes.
    """
    corners = [{"along": limits[0]}, {"along": limits[1]}]
    line = alt.Chart(alt.Data(values=corners)).mark_line(strokeDash=[5, 4], strokeWidth=1.2, color=INK)
    end = alt.Chart(alt.Data(values=[{"along": limits[1], "label": _fitting(label)}]))
    text = end.mark_text(align="right", dx=-30, dy=8, fontSize=10.5, color=INK)
    where = {"x": alt.X("along:Q"), "y": alt.Y("along:Q")}
    return [line.encode(**where), text.encode(**where, text="label:N")]


def _label(base: Any, axis: str, where: Any, late: bool, number: int) -> Any:
    """A label beside its line; one near the right end is set to the left of it, one at the top below it."""
    if axis == "y":
        text = base.mark_text(align="left", dx=4, dy=9 if late else -6, fontSize=10.5, color=INK)
        return text.encode(y=where, x=alt.value(0), text="label:N")
    # Neighbouring labels step down, so that they do not lie over each other.
    text = base.mark_text(
        align="right" if late else "left", dx=-4 if late else 4, dy=6 + 13 * number, fontSize=10.5, color=INK
    )
    return text.encode(x=where, y=alt.value(0), text="label:N")


def _late(figure: Figure, content: Table, position: float) -> bool:
    """Whether a position lies in the right half of the data."""
    across = ("x", "lower", "upper") if figure.kind == "interval" else ("x",)
    numbers = [row[name] for row in content.rows for name in across if isinstance(row.get(name), float)]
    return bool(numbers) and position > (min(numbers) + max(numbers)) / 2


def _high(content: Table, position: float) -> bool:
    """Whether a position lies at the top of the data, where a label above it would be cut."""
    numbers = [row[name] for row in content.rows for name in ("y", "upper") if isinstance(row.get(name), float)]
    return bool(numbers) and position > max(numbers) - 0.06 * (max(numbers) - min(numbers))


def _fitting(label: str) -> str:
    """A label short enough for the chart; the caption beside it has it whole."""
    text = printable(label)
    return text if len(text) <= _MOST_LETTERS else f"{text[: _MOST_LETTERS - 1]}…"
