"""How fields become axes, colours, tooltips and handles, the same in every kind of chart."""

import textwrap
from typing import Any

import altair as alt

from robust.evidence import Figure
from robust.report.chart_rows import Table
from robust.report.chart_theme import DASHES, PALETTE
from robust.report.wording import printable

#: Entries of a legend side by side at most; letters that fit beside each other; and what a symbol takes of them.
_COLUMNS, _LEGEND_LETTERS, _SYMBOL_LETTERS = 4, 84, 7
#: Beyond this many series there is neither a colour nor a legend for each.
MOST_SERIES = len(PALETTE)

_X_LETTERS, _Y_LETTERS = 60, 34
#: Ticks with thousands apart as in the text beside them, from ten thousand on: years are no thousands.
_GROUPED = "abs(datum.value) < 1e4 || abs(datum.value) >= 1e9 ? datum.label : format(datum.value, ',.10~r')"


def numbers(
    channel: Any,
    field: str,
    title: str,
    *,
    zero: bool = True,
    stacked: bool = True,
    limits: tuple[float, float] | None = None,
) -> Any:
    """A position along numbers, from zero or as wide as the data, or between limits; titles are wrapped."""
    # Without zero the outermost marks would lie half outside.
    scale = alt.Scale(zero=True, nice=True) if zero else alt.Scale(zero=False, nice=False, padding=8)
    if limits is not None:
        scale = alt.Scale(domain=list(limits), nice=False)
    axis = alt.Axis(labelFlush=False, format=".6~g", labelExpr=_GROUPED, tickCount=7)
    encoded = channel(f"{field}:Q", title=_wrapped(channel, title), axis=axis, scale=scale)
    return encoded if stacked else encoded.stack(None)


def labels(channel: Any, field: str, title: str, *, angle: float = 0) -> Any:
    """A position along labels, in the order of the data."""
    # Lines across categories carry nothing that the labels do not say.
    axis = alt.Axis(grid=False, labelAngle=angle)
    return channel(f"{field}:N", sort=None, title=_wrapped(channel, title), axis=axis)


def whiskers(base: Any, end: str, position: Any) -> Any:
    """A line between two bounds; a row that lacks one of them has none, its tooltip says so."""
    known = base.transform_filter("isValid(datum.lower) && isValid(datum.upper)")
    return known.mark_rule(strokeWidth=2, color=PALETTE[0]).encode(**{end: position, f"{end}2": "upper:Q"})


def hue(content: Table, *, stroke: bool = False) -> dict[str, Any]:
    """Colour by series, in order of appearance; nothing where there is one series, or too many."""
    if not 0 < len(content.series) <= MOST_SERIES:
        return {}
    scale = alt.Scale(domain=content.series, range=list(PALETTE[: len(content.series)]))
    return {"color": alt.Color("series:N", scale=scale, sort=None, legend=_legend(content, stroke=stroke))}


def dash(content: Table) -> dict[str, Any]:
    """Dashes by series: colour is never the only sign."""
    if not 0 < len(content.series) <= MOST_SERIES:
        return {}
    scale = alt.Scale(domain=content.series, range=[list(dash) for dash in DASHES[: len(content.series)]])
    legend = _legend(content, stroke=True)
    return {"strokeDash": alt.StrokeDash("series:N", scale=scale, sort=None, legend=legend)}


def shape(content: Table) -> dict[str, Any]:
    """Shapes by series, for the same reason."""
    if not 0 < len(content.series) <= MOST_SERIES:
        return {}
    scale = alt.Scale(domain=content.series)
    return {"shape": alt.Shape("series:N", scale=scale, sort=None, legend=_legend(content, stroke=False))}


def faded(content: Table, full: float) -> dict[str, Any]:
    """Series that the legend did not pick step back."""
    if not 2 <= len(content.series) <= MOST_SERIES:
        return {"opacity": alt.value(full)}
    return {"opacity": alt.OpacityValue(full * 0.15, condition={"param": "picked", "value": full})}


def handled(layers: list[Any], content: Table, *, zoom: bool) -> list[Any]:
    """Give the first layer the handles of the whole chart: a legend that filters, axes that move."""
    params = []
    if 2 <= len(content.series) <= MOST_SERIES:
        params.append(alt.selection_point(name="picked", fields=["series"], bind="legend"))
    if zoom:
        # A wheel alone scrolls the page; a chart that swallows it traps the reader.
        params.append(alt.selection_interval(name="window", bind="scales", zoom="wheel![event.shiftKey]"))
    first = layers[0].add_params(*params).properties(name="main") if params else layers[0]
    return [first, *layers[1:]]


def tip(title: str, otherwise: str) -> str:
    """A heading in a tooltip; the tooltip gives `title` and `image` a meaning of their own."""
    text = printable(title)
    return f"{text} " if text in ("title", "image") else text or otherwise


def tooltips(figure: Figure, content: Table) -> list[Any]:
    """What a mark says of itself."""
    x, y = tip(figure.x_title, "x"), tip(figure.y_title, "y")
    tips = [_tooltip("x", x, words=content.x_labels)]
    tips.append(_tooltip("y", f"{y} " if y == x else y, words=figure.kind in ("interval", "matrix")))
    if content.bounded:
        tips.append(alt.Tooltip("bounds:N", title="bounds"))
    if content.series:
        tips.append(alt.Tooltip("series:N", title="series"))
    return tips


def _tooltip(field: str, title: str, *, words: bool) -> Any:
    """One line of a tooltip."""
    if words:
        return alt.Tooltip(f"{field}:N", title=title)
    return alt.Tooltip(f"{field}:Q", title=title, format=".6~g")


def _legend(content: Table, *, stroke: bool) -> Any:
    """A legend of strokes or of dots; none for a series that stands alone."""
    if len(content.series) < 2:
        return None
    # Long names, side by side, would run out of the picture.
    longest = max(len(name) for name in content.series) + _SYMBOL_LETTERS
    columns = max(1, min(_COLUMNS, _LEGEND_LETTERS // longest))
    if stroke:
        return alt.Legend(title=None, columns=columns, symbolType="stroke", symbolSize=320, symbolStrokeWidth=2.5)
    return alt.Legend(title=None, columns=columns)


def _wrapped(channel: Any, title: str) -> list[str] | None:
    """A title in lines that fit along its axis."""
    return textwrap.wrap(printable(title), _X_LETTERS if channel is alt.X else _Y_LETTERS) or None
