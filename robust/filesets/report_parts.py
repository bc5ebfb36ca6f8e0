"""The parts of a test's report, before they have a format: what the model is, what it reached, what to do next."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from robust.costing.whole_model import cost
from robust.data.dataset import Dataset
from robust.errors import InvalidInput, MissingExtra, ModelFault
from robust.models.base import Model
from robust.report.numbers import brief

_MOST_LAYERS = 100
_NO_CURVES = "A model file holds no history of its training, so there are no curves to draw."


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
