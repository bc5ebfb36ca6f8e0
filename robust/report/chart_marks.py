"""The layers of each kind of figure."""

import textwrap
from collections.abc import Callable
from typing import Any

import altair as alt
import numpy as np

from robust.evidence import Figure
from robust.report.chart_rows import Row, Table
from robust.report.chart_theme import DASHES, PALETTE, SHADES
from robust.report.numbers import brief
from robust.report.wording import printable

#: Layers without data, their height, and the rows that they share.
Layers = tuple[list[Any], int, list[Row]]

_MOST_SERIES = len(PALETTE)
_MOST_DOTS = 40
_BINS = 40


def _line(figure: Figure, content: Table) -> Layers:
    """Lines with bands; a categorical x keeps the order of the data."""
    x = _axis(alt.X, "x", figure.x_title, labels=content.x_labels, zero=False)
    y = _axis(alt.Y, "y", figure.y_title, zero=False)
    base = alt.Chart().encode(x=x)
    many = len(content.series) > _MOST_SERIES
    layers: list[Any] = []
    if content.bounded:
        shade = {} if many else {**_hue(content, stroke=True), **_faded(content, 0.18)}
        layers.append(
            base.mark_area(opacity=0.18, color=PALETTE[0]).encode(
                y=_axis(alt.Y, "lower", figure.y_title, zero=False), y2="upper:Q", **shade
            )
        )
    if many:  # more lines than colours: each line is thin and grey, and its tooltip names it
        layers.append(
            base.mark_line(strokeWidth=1, opacity=0.45, color=PALETTE[0]).encode(y=y, detail="series:N")
        )
    else:
        stroke = base.mark_line(strokeWidth=2, color=PALETTE[0]).encode(
            y=y, **_hue(content, stroke=True), **_dash(content), **_faded(content, 1.0)
        )
        layers.append(stroke)
    # Points carry the tooltips; where they would hide the line they are there without being seen.
    seen = 0.0 if many or len(content.rows) / max(len(content.series), 1) > _MOST_DOTS else 1.0
    dots = base.mark_point(
        filled=True, size=32 if seen else 90, color=PALETTE[0], **({} if seen else {"opacity": 0.0})
    )
    hue = {} if many else {**_hue(content, stroke=True), **(_faded(content, 1.0) if seen else {})}
    layers.append(dots.encode(y=y, tooltip=_tooltips(figure, content), **hue))
    return _handled(layers, content, zoom=not content.x_labels), 230, content.rows


def _point(figure: Figure, content: Table) -> Layers:
    """A scatter; series differ in shape as well as in colour."""
    hue = _hue(content) if len(content.series) <= _MOST_SERIES else {}
    shape = (
        {
            "shape": alt.Shape(
                "series:N",
                sort=None,
                scale=alt.Scale(domain=content.series),
                legend=_legend(content, stroke=False),
            )
        }
        if hue
        else {}
    )
    dots = (
        alt.Chart()
        .mark_point(filled=True, size=28, color=PALETTE[0], **({} if hue else {"opacity": 0.55}))
        .encode(
            x=_axis(alt.X, "x", figure.x_title, labels=content.x_labels, zero=False),
            y=_axis(alt.Y, "y", figure.y_title, zero=False),
            tooltip=_tooltips(figure, content),
            **hue,
            **shape,
            **(_faded(content, 0.65) if hue else {}),
        )
    )
    return _handled([dots], content, zoom=not content.x_labels), 260, content.rows


def _bar(figure: Figure, content: Table) -> Layers:
    """Bars from zero with whiskers; long or many labels lie on their side, where they can be read."""
    labels = [row["x"] for row in content.rows]
    lying = len(labels) > 12 or max(map(len, labels)) > 10
    across, along = (alt.Y, alt.X) if lying else (alt.X, alt.Y)
    names = _axis(across, "x", figure.x_title, labels=True)
    base = alt.Chart().encode(**{"y" if lying else "x": names, "tooltip": _tooltips(figure, content)})
    end = "x" if lying else "y"
    bars = base.mark_bar(color=PALETTE[0], opacity=0.45 if content.bounded else 0.8, size=16).encode(
        **{end: _axis(along, "y", figure.y_title)}
    )
    layers = [bars]
    if content.bounded:
        layers.append(_whiskers(base, end, along, figure.y_title, zero=True))
    return layers, max(24 * len(labels), 90) if lying else 230, content.rows


def _interval(figure: Figure, content: Table) -> Layers:
    """One dot with whiskers a row, in the order of the data."""
    names = _axis(alt.Y, "y", figure.y_title, labels=True)
    base = alt.Chart().encode(y=names, tooltip=_tooltips(figure, content))
    dots = base.mark_point(filled=True, size=64, color=PALETTE[0], opacity=1).encode(
        x=_axis(alt.X, "x", figure.x_title, zero=False)
    )
    height = max(26 * len({row["y"] for row in content.rows}), 90)
    return [_whiskers(base, "x", alt.X, figure.x_title, zero=False), dots], height, content.rows


def _matrix(figure: Figure, content: Table) -> Layers:
    """Shaded cells with their counts; the shade grows with the square root, so that rare cells are seen."""
    shades = [row["value"] for row in content.rows if row["value"] is not None]
    low, high = min([0.0, *shades]), max([0.0, *shades])
    for row in content.rows:
        value = row["value"]
        depth = 0.0 if value is None or high == low else ((value - low) / (high - low)) ** 0.5
        row["text"], row["deep"] = brief(value, missing=""), depth > 0.55
    columns = list(dict.fromkeys(row["x"] for row in content.rows))
    upright = sum(map(len, columns)) * 7 > 400
    x = _axis(alt.X, "x", figure.x_title, labels=True, labelAngle=-45 if upright else 0)
    base = alt.Chart().encode(x=x, y=_axis(alt.Y, "y", figure.y_title, labels=True))
    shade = alt.Color(
        "value:Q", legend=None, scale=alt.Scale(type="sqrt", domain=[low, high], range=list(SHADES))
    )
    tips = [*_tooltips(figure, content), alt.Tooltip("text:N", title="value")]
    cells = base.mark_rect(stroke="#ffffff", strokeOpacity=0.35, strokeWidth=1).encode(
        color=shade, tooltip=tips
    )
    counts = base.mark_text(fontSize=11).encode(
        text="text:N",
        color=alt.condition("datum.deep", alt.value("#ffffff"), alt.value("#1d232b")),
        tooltip=tips,
    )
    return [cells, counts], 28 * len({row["y"] for row in content.rows}), content.rows


def _histogram(figure: Figure, content: Table) -> Layers:
    """Counts in equal bins, made here: the page carries bins, not rows."""
    kept = np.array([row["x"] for row in content.rows if row["x"] is not None], dtype=float)
    edges = (
        np.histogram_bin_edges(kept, bins=min(_BINS, max(5, int(np.sqrt(len(kept))))))
        if len(kept)
        else np.zeros(2)
    )
    bins: list[Row] = []
    for name in content.series or [None]:
        own = [row["x"] for row in content.rows if row["x"] is not None and row.get("series") == name]
        counts, _ = np.histogram(np.array(own, dtype=float), bins=edges)
        for low, high, count in zip(edges[:-1], edges[1:], counts, strict=True):
            row: Row = {"low": float(f"{low:.6g}"), "high": float(f"{high:.6g}"), "count": int(count)}
            bins.append(
                row
                | {"range": f"{brief(row['low'])} .. {brief(row['high'])}"}
                | ({} if name is None else {"series": name})
            )
    series = _hue(content) if 0 < len(content.series) <= _MOST_SERIES else {}
    tips = [
        alt.Tooltip("range:N", title=_tip(figure.x_title, "from .. to")),
        alt.Tooltip("count:Q", title="rows "),
    ]
    if series:
        tips.append(alt.Tooltip("series:N", title="series"))
    bars = (
        alt.Chart()
        .mark_bar(color=PALETTE[0], stroke=None, binSpacing=1, **({} if series else {"opacity": 0.8}))
        .encode(
            x=_axis(alt.X, "low", figure.x_title, zero=False),
            x2="high:Q",
            y=_axis(alt.Y, "count", figure.y_title or "rows", stack=None),
            y2=alt.Y2Datum(0),
            tooltip=tips,
            **series,
            **(_faded(content, 0.5) if series else {}),
        )
    )
    return _handled([bars], content, zoom=False), 200, bins


#: The layers and the height of a figure, by kind.
DRAWN: dict[str, Callable[[Figure, Table], Layers]] = {
    "line": _line,
    "bar": _bar,
    "point": _point,
    "interval": _interval,
    "matrix": _matrix,
    "histogram": _histogram,
}


def _axis(
    channel: Any,
    field: str,
    title: str,
    *,
    labels: bool = False,
    zero: bool = True,
    stack: Any = alt.Undefined,
    labelAngle: float | None = None,
) -> Any:
    """A position; labels keep the order of the data, titles are wrapped so that none is cut."""
    wrapped = textwrap.wrap(printable(title), 60 if channel is alt.X else 34) or None
    extra: dict[str, Any] = {} if stack is alt.Undefined else {"stack": stack}
    if labels:
        # Category lines carry nothing that the labels do not say.
        axis = alt.Axis(grid=False, labelAngle=0 if channel is alt.Y or labelAngle is None else labelAngle)
        return channel(f"{field}:N", sort=None, title=wrapped, axis=axis, **extra)
    # Without zero the outermost marks would lie half outside.
    scale = alt.Scale(zero=True, nice=True) if zero else alt.Scale(zero=False, nice=False, padding=8)
    return channel(f"{field}:Q", title=wrapped, axis=alt.Axis(labelFlush=False), scale=scale, **extra)


def _whiskers(base: Any, end: str, along: Any, title: str, *, zero: bool) -> Any:
    """A line between two bounds; a row that lacks one of them has none, its tooltip says so."""
    known = base.transform_filter("isValid(datum.lower) && isValid(datum.upper)")
    position = _axis(along, "lower", title, zero=zero)
    return known.mark_rule(strokeWidth=2, color=PALETTE[0]).encode(**{end: position, f"{end}2": "upper:Q"})


def _legend(content: Table, *, stroke: bool) -> Any:
    if len(content.series) < 2:
        return None
    if stroke:
        return alt.Legend(title=None, symbolType="stroke", symbolSize=320, symbolStrokeWidth=2.5)
    return alt.Legend(title=None)


def _hue(content: Table, *, stroke: bool = False) -> dict[str, Any]:
    """Colour by series, in order of appearance."""
    if not content.series:
        return {}
    scale = alt.Scale(domain=content.series, range=list(PALETTE[: len(content.series)]))
    return {"color": alt.Color("series:N", scale=scale, sort=None, legend=_legend(content, stroke=stroke))}


def _dash(content: Table) -> dict[str, Any]:
    """Dashes by series: colour is never the only sign."""
    if not content.series:
        return {}
    scale = alt.Scale(domain=content.series, range=[list(dash) for dash in DASHES[: len(content.series)]])
    return {
        "strokeDash": alt.StrokeDash("series:N", scale=scale, sort=None, legend=_legend(content, stroke=True))
    }


def _faded(content: Table, full: float) -> dict[str, Any]:
    """Series that the legend did not pick step back."""
    if len(content.series) < 2:
        return {"opacity": alt.value(full)}
    return {"opacity": alt.OpacityValue(full * 0.15, condition={"param": "picked", "value": full})}


def _handled(layers: list[Any], content: Table, *, zoom: bool) -> list[Any]:
    """Give the first layer the handles of the whole chart: a legend that filters, axes that move."""
    params = []
    if 2 <= len(content.series) <= _MOST_SERIES:
        params.append(alt.selection_point(name="picked", fields=["series"], bind="legend"))
    if zoom:
        # A wheel alone scrolls the page; a chart that swallows it traps the reader.
        params.append(alt.selection_interval(name="window", bind="scales", zoom="wheel![event.shiftKey]"))
    first = layers[0].add_params(*params).properties(name="main") if params else layers[0]
    return [first, *layers[1:]]


def _tip(title: str, otherwise: str) -> str:
    """A heading in a tooltip; the tooltip gives `title` and `image` a meaning of their own."""
    text = printable(title)
    return f"{text} " if text in ("title", "image") else text or otherwise


def _tooltips(figure: Figure, content: Table) -> list[Any]:
    """What a mark says of itself."""
    x, y = _tip(figure.x_title, "x"), _tip(figure.y_title, "y")
    kinds = {
        "x": "N" if content.x_labels else "Q",
        "y": "N" if figure.kind in ("interval", "matrix") else "Q",
    }
    tips = [
        alt.Tooltip(
            f"{field}:{kinds[field]}", title=title, **({"format": ".6~g"} if kinds[field] == "Q" else {})
        )
        for field, title in (("x", x), ("y", f"{y} " if y == x else y))
    ]
    if content.bounded:
        tips.append(alt.Tooltip("bounds:N", title="bounds"))
    if content.series:
        tips.append(alt.Tooltip("series:N", title="series"))
    return tips
