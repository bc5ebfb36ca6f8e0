"""Figures as a page needs them: a live specification, a still, a caption and the numbers behind it."""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from markupsafe import Markup

from robust.errors import InvalidInput
from robust.evidence import Figure
from robust.report.chart_rows import table
from robust.report.numbers import grouped

_MOST_ROWS = 60
#: Width of a cell of a matrix in a picture, enough for a count of four digits.
_CELL, _WIDEST_CELL = 30, 90
#: Counts have no halves.
_WHOLE = {"tickMinStep": 1, "labelExpr": "datum.value % 1 ? '' : datum.label"}
_HEADINGS = {"series": "series", "bounds": "bounds", "value": "value"}
_HIDDEN = frozenset({"lower", "upper"})
_SVG_ID = re.compile(r'(\bid="|url\(#|href="#)((?:clip|gradient_)\d+)')


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """One figure of a page.

    Args:
        id: Its name in the page.
        title: Heading of the caption.
        caption: Notes and the meaning of reference lines.
        description: The figure in a sentence.
        hint: How to handle the live chart; empty where there is nothing to handle.
        svg: The still.
        spec: The live specification.
        headings: Headings of the numbers behind it.
        numbers: Those numbers, one row a mark, capped.
        omitted: Rows beyond the cap.
        fault: Why it cannot be drawn; then all but the title is empty.
    """

    id: str
    title: str
    caption: tuple[str, ...] = ()
    description: str = ""
    hint: str = ""
    svg: Markup = Markup("")  # noqa: RUF009 - immutable
    spec: dict[str, Any] | None = None
    headings: tuple[str, ...] = ()
    numbers: tuple[tuple[str, ...], ...] = ()
    omitted: int = 0
    fault: str = ""


def draw(figure: Figure, identifier: str, folder: Path | None = None) -> Drawn:
    """Draw a figure for a page; one whose columns do not fit is shown as a fault, the rest of the page stands.

    Args:
        figure: What to draw.
        identifier: Its name in the page, letters, digits and dashes.
        folder: Where charts are kept between runs; None lays them out anew.

    Returns:
        The drawn figure.
    """
    from robust.report.kept_charts import chart

    try:
        content, (spec, still) = table(figure), chart(figure, folder)
    except InvalidInput as error:
        return Drawn(id=identifier, title=figure.title, fault=str(error))
    rules = [f"dashed line: {label} ({grouped(position)})" for _, position, label in figure.rules if label]
    rules += [f"dashed line: {figure.diagonal}"] if figure.diagonal else []
    fields = [field for field in content.rows[0] if not (field in _HIDDEN and content.bounded)]
    titles = {"x": figure.x_title or "x", "y": figure.y_title or "y"}
    return Drawn(
        id=identifier,
        title=figure.title,
        caption=tuple(filter(None, [figure.note, *rules])),
        description=spec["description"],
        hint=_hint(spec),
        svg=inlined(still, identifier),
        spec=spec,
        headings=tuple(titles.get(field, _HEADINGS.get(field, field)) for field in fields),
        numbers=tuple(
            tuple(row[field] if isinstance(row[field], str) else grouped(row[field]) for field in fields)
            for row in content.rows[:_MOST_ROWS]
        ),
        omitted=max(0, len(content.rows) - _MOST_ROWS),
    )


def svg(spec: dict[str, Any], identifier: str) -> Markup:
    """A still of a specification, to stand inline in a page.

    Args:
        spec: A Vega-Lite specification.
        identifier: Prefix of the ids in it: several stills in one page must not clip each other.

    Returns:
        An SVG element.
    """
    import vl_convert

    from robust.report.bundle import VEGA_LITE

    return inlined(vl_convert.vegalite_to_svg(spec, vl_version=VEGA_LITE), identifier)


def png(
    figure: Figure, *, width: int = 520, height: int | None = None, scale: float = 2.0, by_series: bool = False
) -> bytes:
    """A figure as a picture with its title, for folders of files and tools that show no SVG.

    Args:
        figure: What to draw.
        width: Units between the axes; a matrix is wider with many columns and narrower with few.
        height: Units from top to bottom; None for what the kind of figure has.
        scale: Pixels a unit.
        by_series: Whether each series of a histogram has its own axis, one below the other: a few rows beside many
            would not be seen.

    Returns:
        A PNG on white.

    Raises:
        InvalidInput: If the figure's columns do not fit its kind.
    """
    import vl_convert

    from robust.report.bundle import VEGA_LITE
    from robust.report.chart_theme import INK, PAPER_INK
    from robust.report.charts import still

    if figure.kind == "matrix":
        across = len({row["x"] for row in table(figure).rows})
        width = max(_CELL * across, min(width, _WIDEST_CELL * across))
    spec = still(figure, width=width)
    spec |= {} if height is None else {"height": height}
    if by_series:
        spec = _by_series(spec)
    # On a page that is always white the ink may be darker than one that must also stand on black.
    spec = json.loads(json.dumps(spec).replace(INK, PAPER_INK))
    spec["config"] |= {"background": "white", "padding": 14}
    # Nobody can point at a label that was left out.
    spec["config"]["axis"] |= {"labelOverlap": figure.kind != "matrix"}
    content: bytes = vl_convert.vegalite_to_png(spec, vl_version=VEGA_LITE, scale=scale)
    return content


def _by_series(spec: dict[str, Any]) -> dict[str, Any]:
    """A chart of several series as one chart a series, on the same horizontal axis."""
    inner = {key: spec[key] for key in ("layer", "width", "height")}
    outer = {key: value for key, value in spec.items() if key not in inner}
    series = list(dict.fromkeys(row["series"] for row in spec["data"]["values"]))
    for layer in inner["layer"]:
        encoding = layer.get("encoding", {})
        if "color" in encoding:
            encoding["color"]["legend"] = None  # the headers name the series
        if encoding.get("y", {}).get("field") == "count":
            encoding["y"]["axis"] |= _WHOLE
    ink = spec["config"]["title"]["color"]
    header = {"title": None, "labelOrient": "top", "labelAnchor": "start", "labelFontSize": 12, "labelColor": ink}
    row = {"field": "series", "type": "nominal", "sort": series, "header": header}
    facets = {"facet": {"row": row}, "spec": inner, "spacing": 14}
    return outer | facets | {"resolve": {"scale": {"y": "independent"}}}


def inlined(text: str, identifier: str) -> Markup:
    """An SVG of the converter with ids of its own, to stand beside others in a page.

    Args:
        text: The SVG.
        identifier: Prefix of its ids: several stills in one page must not clip each other.
    """
    seen: dict[str, str] = {}

    def renamed(match: re.Match[str]) -> str:
        # Numbered anew: the converter counts on from one chart to the next.
        return match[1] + seen.setdefault(match[2], f"{identifier}-{len(seen) + 1}")

    # The converter escapes what came from data, and draws no links and no images.
    return Markup(_SVG_ID.sub(renamed, text))  # noqa: S704


def _hint(spec: dict[str, Any]) -> str:
    """What the handles of a live chart are."""
    names = {param.get("name") for param in spec.get("params", ())}
    handles = []
    if "window" in names:
        handles.append("drag to move, Shift and wheel to zoom, double-click to reset")
    if "picked" in names:
        handles.append("click the legend to pick a series, Shift for several")
    return "; ".join(handles)
