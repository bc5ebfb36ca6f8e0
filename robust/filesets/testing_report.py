"""The report of a test: what the model is, what it reached, the pictures, and what to do next."""

import base64
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from markupsafe import escape

from robust.costing.whole_model import cost
from robust.data.dataset import Dataset
from robust.errors import InvalidInput, MissingExtra, ModelFault
from robust.filesets.testing_options import ReportFormat
from robust.models.base import Model
from robust.report.numbers import brief
from robust.report.wording import printable

_MOST_LAYERS = 100
_NO_CURVES = "A model file holds no history of its training, so there are no curves to draw."
_STYLE = (
    "body{font:15px/1.5 system-ui,sans-serif;max-width:60em;margin:2em auto;padding:0 1em;color:#1d232b}"
    "table{border-collapse:collapse;margin:1em 0}td,th{border-bottom:1px solid #ccd2d9;padding:.25em .8em;"
    "text-align:left}img{max-width:100%}"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """One part of a report.

    Args:
        title: Its heading.
        lines: Sentences, one a paragraph.
        headings: Headings of its table; none for no table.
        rows: Rows of its table.
        pictures: Files shown in it.
    """

    title: str
    lines: tuple[str, ...] = ()
    headings: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()
    pictures: tuple[Path, ...] = ()


def report_sections(
    model: Model | None,
    data: Dataset,
    results: dict[str, Any],
    *,
    text: Sequence[str],
    pictures: Sequence[Path],
    advice: Sequence[str],
) -> tuple[Section, ...]:
    """What a report says.

    Args:
        model: The model under test; None where it is no model of one output a row.
        data: Rows that it was tested on.
        results: What `test_results.json` holds.
        text: What stands out, a sentence each.
        pictures: Pictures of the folder.
        advice: What to do next.

    Returns:
        Model summary, training, test metrics, findings, pictures and recommendations.
    """
    metrics = results.get("metrics", {})
    rows = tuple(
        (
            name,
            brief(m["value"]),
            f"{brief(m['lower'], missing='none')} .. {brief(m['upper'], missing='none')}",
            m["unit"],
        )
        for name, m in sorted(metrics.items())
    )
    bounds = f"bounds ({100 * results['level']:g}% each)"
    return (
        _summary(model, data),
        Section(title="Training curves", lines=(_NO_CURVES,)),
        Section(title="Test metrics", headings=("metric", "value", bounds, "unit"), rows=rows),
        *((Section(title="Findings", lines=tuple(text)),) if text else ()),
        *((Section(title="Pictures", pictures=tuple(pictures)),) if pictures else ()),
        Section(title="Recommendations", lines=tuple(advice) or ("No rule of the advice applies to these figures.",)),
    )


def written_report(sections: Sequence[Section], form: ReportFormat, *, title: str) -> tuple[str, str]:
    """A report as a file.

    Args:
        sections: Its parts.
        form: `markdown`, which links the pictures beside it, or `html`, one file that holds them; `pdf` gives the same
            page, which every browser prints.
        title: Its heading.

    Returns:
        Name and content of the file.
    """
    if form == "markdown":
        return "report.md", "\n".join(_markdown(sections, title)) + "\n"
    return "report.html", "".join(_html(sections, title))


def _summary(model: Model | None, data: Dataset) -> Section:
    """Name, size and layers, as far as they can be read."""
    rows = f"Tested on {len(data)} rows of {data.name}, each of shape {tuple(data.x.shape[1:])}."
    if model is None:
        return Section(title="Model summary", lines=(rows,))
    lines = [f"{model.name}, loaded with {model.framework}.", rows]
    try:
        found = cost(model, data=data.rows(np.arange(1)))  # one row is enough to count layers
    except (InvalidInput, MissingExtra, ModelFault) as error:
        return Section(title="Model summary", lines=(*lines, f"Its layers cannot be counted: {error}"))
    figures = [
        _figure(name, m.value, m.unit)
        for name, m in (("parameters", found.parameters), ("MACC", found.macc), ("ROM", found.rom), ("RAM", found.ram))
    ]
    layers = tuple(
        (layer.name, layer.kind, "not counted" if layer.macc is None else brief(layer.macc), brief(layer.parameters))
        for layer in found.layers[:_MOST_LAYERS]
    )
    return Section(
        title="Model summary",
        lines=(*lines, f"Its cost: {', '.join(figures)}."),
        headings=("layer", "kind", "MACC", "parameters") if layers else (),
        rows=layers,
    )


def _figure(name: str, value: float, unit: str) -> str:
    """A name with its number and its unit, which for some is the same word."""
    if not math.isfinite(value):
        return f"{name} not counted"
    return f"{name} {brief(value)}" if unit == name else f"{name} {brief(value)} {unit}"


def _markdown(sections: Sequence[Section], title: str) -> list[str]:
    lines = [f"# {_plain(title)}"]
    for section in sections:
        lines += ["", f"## {_plain(section.title)}"]
        for line in section.lines:
            lines += ["", _plain(line)]
        if section.headings:
            lines += ["", _row(section.headings), _row(["---"] * len(section.headings), safe=str)]
            lines += [_row(row) for row in section.rows]
        for picture in section.pictures:
            lines += ["", f"![{_plain(picture.stem)}]({picture.name})"]
    return lines


def _row(cells: Sequence[str], *, safe: Callable[[str], str] | None = None) -> str:
    return f"| {' | '.join((safe or _plain)(cell) for cell in cells)} |"


def _plain(text: str) -> str:
    """Text from data as Markdown shows it letter by letter."""
    return "".join(f"\\{letter}" if letter in "\\`*_[]<>|#!" else letter for letter in printable(text))


def _html(sections: Sequence[Section], title: str) -> list[str]:
    name = escape(printable(title))
    parts = [f"<!doctype html><html lang=en><meta charset=utf-8><title>{name}</title><style>{_STYLE}</style>"]
    parts.append(f"<h1>{name}</h1>")
    for section in sections:
        parts.append(f"<h2>{escape(printable(section.title))}</h2>")
        parts += [f"<p>{escape(printable(line))}</p>" for line in section.lines]
        if section.headings:
            heads = "".join(f"<th>{escape(printable(head))}" for head in section.headings)
            parts.append(f"<table><tr>{heads}")
            parts += ["<tr>" + "".join(f"<td>{escape(printable(cell))}" for cell in row) for row in section.rows]
            parts.append("</table>")
        for picture in section.pictures:
            content = base64.b64encode(picture.read_bytes()).decode()
            alt = escape(printable(picture.stem))
            parts.append(f'<p><img alt="{alt}" src="data:image/png;base64,{content}"></p>')
    return [*parts, "</html>\n"]
