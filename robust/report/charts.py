"""A figure as a Vega-Lite specification: the same chart is drawn live in a page and as a still SVG."""

import textwrap
from typing import Any

import altair as alt

from robust.evidence import Figure
from robust.report.chart_marks import DRAWN
from robust.report.chart_rows import Table, table
from robust.report.chart_rules import rule_layers
from robust.report.chart_theme import LIVE_FONT, STILL_FONT, config
from robust.report.wording import plural, printable

Specification = dict[str, Any]

_TITLE_LETTERS = 60


def still(figure: Figure, *, width: int = 480) -> Specification:
    """The specification of a figure that stands by itself, with its title, for SVG in Markdown and PDF.

    Args:
        figure: What to draw.
        width: Pixels between the axes.

    Returns:
        A specification as plain data, valid JSON without NaN; the same figure always gives the same.

    Raises:
        InvalidInput: If the figure's columns do not fit its kind.

    >>> from robust.evidence import Series
    >>> columns = (Series(name="x", values=("a", "b")), Series(name="y", values=(1.0, 2.0)))
    >>> figure = Figure(kind="bar", title="By class", x_title="class", y_title="F1", columns=columns)
    >>> still(figure)["description"], still(figure)["title"]
    ('By class. Bar chart of F1 by class, 2 values.', {'text': ['By class']})
    """
    title, note = (textwrap.wrap(printable(text), _TITLE_LETTERS) for text in (figure.title, figure.note))
    heading = {"text": title or ""} | ({"subtitle": note} if note else {})
    return {**untitled(_specification(figure), width=width), "title": heading}


def live(figure: Figure) -> Specification:
    """The specification of a figure in a page that sets title and note itself, as wide as its element.

    Point and line charts pan by dragging and zoom with Shift and the wheel; a click on the legend picks a series.

    Args:
        figure: What to draw.

    Returns:
        A specification as plain data.

    Raises:
        InvalidInput: If the figure's columns do not fit its kind.
    """
    return _specification(figure)


def untitled(spec: Specification, *, width: int = 480) -> Specification:
    """A live specification with a fixed width, for the still that stands in its place."""
    fixed = {key: value for key, value in spec.items() if key != "autosize"}
    return {**fixed, "width": width, "config": config(STILL_FONT)}


def described(figure: Figure, content: Table) -> str:
    """A figure in one sentence, for those who cannot see it."""
    x, y = (printable(text) for text in (figure.x_title or "x", figure.y_title or "y"))
    what = {
        "line": f"Line chart of {y} against {x}",
        "bar": f"Bar chart of {y} by {x}",
        "point": f"Scatter plot of {y} against {x}",
        "interval": f"Values with intervals: {x} by {y}",
        "matrix": f"Matrix, rows {y}, columns {x}",
        "histogram": f"Histogram of {x}",
    }[figure.kind]
    series = f"; series {', '.join(content.series[:8])}" if content.series else ""
    return f"{printable(figure.title).rstrip('.')}. {what}, {plural(len(content.rows), 'value')}{series}."


def _specification(figure: Figure) -> Specification:
    """Layers, size and look."""
    content = table(figure)
    layers, height, rows = DRAWN[figure.kind](figure, content)
    chart = alt.layer(*layers, *rule_layers(figure, content)).properties(
        height=height,
        width="container",
        autosize=alt.AutoSizeParams(type="fit-x", contains="padding"),
        description=described(figure, content),
    )
    # Altair would copy and check every row for every layer; the layers alone are what it is asked for.
    spec: Specification = chart.configure(**config(LIVE_FONT)).to_dict(validate=False)
    for layer in spec["layer"]:
        if layer.get("data") == {"name": "empty"}:  # what Altair writes for a chart without data
            del layer["data"]
    return {**spec, "data": {"values": rows}}
