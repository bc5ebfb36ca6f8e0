"""A figure as a Vega-Lite specification: the same chart is drawn live in a page and as a still SVG."""

import textwrap
from typing import Any, Literal

import altair as alt

from robust.evidence import Figure
from robust.report.chart_marks import DRAWN
from robust.report.chart_rows import Table, table
from robust.report.chart_rules import rule_layers
from robust.report.chart_theme import LIVE_FONT, STILL_FONT, config
from robust.report.wording import printable

Width = int | Literal["container"]
_STILL = 480


def specification(figure: Figure, *, width: Width = _STILL, titled: bool = True) -> dict[str, Any]:
    """The Vega-Lite specification of a figure.

    Point and line charts pan by dragging and zoom with Shift and the wheel; a click on the legend picks out a
    series. The same figure always gives the same specification.

    Args:
        figure: What to draw.
        width: Pixels, or `container` for the width of the element that it is drawn in.
        titled: Whether title and note belong to the chart; a page that sets them itself says False.

    Returns:
        A specification as plain data, valid JSON without NaN.

    Raises:
        InvalidInput: If the figure's columns do not fit its kind.

    >>> from robust.evidence import Series
    >>> columns = (Series(name="x", values=("a", "b")), Series(name="y", values=(1.0, 2.0)))
    >>> figure = Figure(kind="bar", title="T", x_title="class", y_title="F1", columns=columns)
    >>> specification(figure)["description"]
    'T. Bar chart of F1 by class, 2 values.'
    """
    content = table(figure)
    layers, height = DRAWN[figure.kind](figure, content)
    layers += rule_layers(figure, content)
    chart = alt.layer(*layers).properties(height=height, width=width, description=described(figure, content))
    if width == "container":
        chart = chart.properties(autosize=alt.AutoSizeParams(type="fit-x", contains="padding"))
    if titled:
        title, note = (textwrap.wrap(printable(text), 64) for text in (figure.title, figure.note))
        chart = chart.properties(title=alt.TitleParams(text=title or "", subtitle=note) if note else alt.TitleParams(text=title))
    spec: dict[str, Any] = chart.configure(**config(LIVE_FONT if width == "container" else STILL_FONT)).to_dict()
    return spec


def described(figure: Figure, content: Table) -> str:
    """A figure in one sentence, for those who cannot see it."""
    x, y = (printable(text) for text in (figure.x_title or "x", figure.y_title or "y"))
    what = {
        "line": f"Line chart of {y} against {x}",
        "bar": f"Bar chart of {y} by {x}",
        "point": f"Scatter plot of {y} against {x}",
        "interval": f"Values with intervals of {x} by {y}",
        "matrix": f"Matrix of counts, rows {y}, columns {x}",
        "histogram": f"Histogram of {x}",
    }[figure.kind]
    count = f"{len(content.rows)} value{'' if len(content.rows) == 1 else 's'}"
    parts = f"; series {', '.join(content.series[:8])}" if content.series else ""
    return f"{printable(figure.title).rstrip('.')}. {what}, {count}{parts}."
