"""The layers of each kind of figure."""

from collections.abc import Callable
from typing import Any

import altair as alt
import numpy as np

from robust.evidence import Figure
from robust.report.chart_encodings import (
    MOST_SERIES,
    dash,
    faded,
    handled,
    hue,
    labels,
    numbers,
    shape,
    tip,
    tooltips,
    whiskers,
)
from robust.report.chart_rows import Row, Table
from robust.report.chart_rules import common_limits, diagonal_layers
from robust.report.chart_theme import DARK_INK, LIGHT_INK, PALETTE, SHADES
from robust.report.numbers import brief

#: Layers without data, their height, and the rows that they share.
Layers = tuple[list[Any], int, list[Row]]

_MOST_DOTS = 40
_BINS = 40


def _line(figure: Figure, content: Table) -> Layers:
    """Lines with bands; more lines than colours are thin, and their tooltips name them."""
    x = _across(figure, content)
    y = numbers(alt.Y, "y", figure.y_title, zero=False)
    base = alt.Chart().encode(x=x)
    many = len(content.series) > MOST_SERIES
    layers: list[Any] = []
    if content.bounded and not many:
        low = numbers(alt.Y, "lower", figure.y_title, zero=False)
        band = base.mark_area(color=PALETTE[0])
        layers.append(band.encode(y=low, y2="upper:Q", **hue(content, stroke=True), **faded(content, 0.18)))
    if many:
        layers.append(
            base.mark_line(strokeWidth=1, color=PALETTE[0]).encode(y=y, detail="series:N", opacity=alt.value(0.45))
        )
    else:
        line = base.mark_line(strokeWidth=2, color=PALETTE[0])
        layers.append(line.encode(y=y, **hue(content, stroke=True), **dash(content), **faded(content, 1.0)))
    # Points carry the tooltips; where they would hide the line they are there without being seen.
    seen = not many and len(content.rows) <= _MOST_DOTS * max(len(content.series), 1)
    opacity = faded(content, 1.0) if seen else {"opacity": alt.value(0.0)}
    dots = base.mark_point(filled=True, size=32 if seen else 90, color=PALETTE[0])
    layers.append(dots.encode(y=y, tooltip=tooltips(figure, content), **hue(content, stroke=True), **opacity))
    return handled(layers, content, zoom=not content.x_labels), 230, content.rows


def _point(figure: Figure, content: Table) -> Layers:
    """A scatter; series differ in shape as well as in colour. With a diagonal both axes have the same limits."""
    limits = common_limits(content) if figure.diagonal else None
    dots = (
        alt.Chart()
        .mark_point(filled=True, size=28, color=PALETTE[0])
        .encode(
            x=_across(figure, content, limits),
            y=numbers(alt.Y, "y", figure.y_title, zero=False, limits=limits),
            tooltip=tooltips(figure, content),
            **hue(content),
            **shape(content),
            **faded(content, 0.6),
        )
    )
    layers = handled([dots], content, zoom=not content.x_labels)
    return layers + ([] if limits is None else diagonal_layers(figure.diagonal, limits)), 260, content.rows


def _bar(figure: Figure, content: Table) -> Layers:
    """Bars from zero with whiskers; long or many labels lie on their side, where they can be read."""
    names = [row["x"] for row in content.rows]
    lying = len(names) > 12 or max(map(len, names)) > 10
    across, along, side, end = (alt.Y, alt.X, "y", "x") if lying else (alt.X, alt.Y, "x", "y")
    base = alt.Chart().encode(**{side: labels(across, "x", figure.x_title), "tooltip": tooltips(figure, content)})
    bars = base.mark_bar(color=PALETTE[0], opacity=0.45 if content.bounded else 0.8, size=16)
    layers = [bars.encode(**{end: numbers(along, "y", figure.y_title)})]
    if content.bounded:
        layers.append(whiskers(base, end, numbers(along, "lower", figure.y_title)))
    return layers, max(24 * len(names), 90) if lying else 230, content.rows


def _interval(figure: Figure, content: Table) -> Layers:
    """One dot with whiskers a row, in the order of the data."""
    base = alt.Chart().encode(y=labels(alt.Y, "y", figure.y_title), tooltip=tooltips(figure, content))
    dots = base.mark_point(filled=True, size=64, color=PALETTE[0], opacity=1)
    layers = [
        whiskers(base, "x", numbers(alt.X, "lower", figure.x_title, zero=False)),
        dots.encode(x=numbers(alt.X, "x", figure.x_title, zero=False)),
    ]
    return layers, max(26 * len({row["y"] for row in content.rows}), 90), content.rows


def _matrix(figure: Figure, content: Table) -> Layers:
    """Shaded cells with their counts; the shade grows with the square root, so that rare cells are seen."""
    values = [row["value"] for row in content.rows if row["value"] is not None]
    low, high = min([0.0, *values]), max([0.0, *values])
    rows = []
    for row in content.rows:
        value = row["value"]
        depth = 0.0 if value is None or high == low else ((value - low) / (high - low)) ** 0.5
        rows.append(row | {"text": brief(value, missing=""), "deep": depth > 0.55})
    # Names that would run into each other stand aslant.
    aslant = sum(map(len, {row["x"] for row in rows})) * 7 > 400
    tips = [*tooltips(figure, content), alt.Tooltip("text:N", title="value")]
    base = alt.Chart().encode(
        x=labels(alt.X, "x", figure.x_title, angle=-45 if aslant else 0),
        y=labels(alt.Y, "y", figure.y_title),
        tooltip=tips,
    )
    scale = alt.Scale(type="sqrt", domain=[low, high], range=list(SHADES))
    cells = base.mark_rect(stroke="#ffffff", strokeOpacity=0.35, strokeWidth=1)
    ink = alt.condition("datum.deep", alt.value(LIGHT_INK), alt.value(DARK_INK))
    layers = [
        cells.encode(color=alt.Color("value:Q", legend=None, scale=scale)),
        base.mark_text(fontSize=11).encode(text="text:N", color=ink),
    ]
    return layers, 28 * len({row["y"] for row in rows}), rows


def _histogram(figure: Figure, content: Table) -> Layers:
    """Counts in equal bins, made here: the page carries bins, not rows."""
    bins = _bins(content)
    tips = [
        alt.Tooltip("range:N", title=tip(figure.x_title, "from .. to")),
        alt.Tooltip("count:Q", title="rows "),
        *([alt.Tooltip("series:N", title="series")] if content.series else []),
    ]
    bars = (
        alt.Chart()
        .mark_bar(color=PALETTE[0], binSpacing=1)
        .encode(
            x=numbers(alt.X, "low", figure.x_title, zero=False),
            x2="high:Q",
            y=numbers(alt.Y, "count", figure.y_title or "rows", stacked=False),
            y2=alt.Y2Datum(0),
            tooltip=tips,
            **hue(content),
            **faded(content, 0.5 if content.series else 0.8),
        )
    )
    return handled([bars], content, zoom=False), 200, bins


def _bins(content: Table) -> list[Row]:
    """Rows counted in bins that all series share."""
    finite = [row for row in content.rows if row["x"] is not None]
    x = np.array([row["x"] for row in finite], dtype=float)
    if not len(x):
        return []
    edges = np.histogram_bin_edges(x, bins=min(_BINS, max(5, int(np.sqrt(len(x))))))
    bins: list[Row] = []
    names: list[str | None] = [*content.series] or [None]
    for name in names:
        inside = np.array([row.get("series") == name for row in finite])
        for low, high, count in zip(edges[:-1], edges[1:], np.histogram(x[inside], bins=edges)[0], strict=True):
            series = {} if name is None else {"series": name}
            ends = {"low": float(f"{low:.6g}"), "high": float(f"{high:.6g}")}
            bins.append({**ends, "range": f"{brief(low)} .. {brief(high)}", "count": int(count), **series})
    return bins


def _across(figure: Figure, content: Table, limits: tuple[float, float] | None = None) -> Any:
    """The x axis of a line or a scatter, numbers or labels."""
    if content.x_labels:
        return labels(alt.X, "x", figure.x_title)
    return numbers(alt.X, "x", figure.x_title, zero=False, limits=limits)


#: The layers of a figure, by kind.
DRAWN: dict[str, Callable[[Figure, Table], Layers]] = {
    "line": _line,
    "bar": _bar,
    "point": _point,
    "interval": _interval,
    "matrix": _matrix,
    "histogram": _histogram,
}
