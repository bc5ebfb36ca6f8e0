"""Adversarial examples that are series: each drawn over its original."""

import re
from dataclasses import dataclass

import numpy as np

from robust.attacks.gallery_rows import FragileRows
from robust.data.schema import FeatureSchema
from robust.evidence import Figure
from robust.measures.details import numbers, words
from robust.types import AnyArray, FloatArray

_NUMBERED = re.compile(r"^(.*?)(\d+)(\D*)$")
_LEAST_STEPS, _LEAST_NUMBERED = 8, 16
_SHOWN, _MOST_POINTS = 4, 300


@dataclass(frozen=True, slots=True, kw_only=True)
class LineLayout:
    """How rows are series.

    Args:
        steps: Numbers of a series.
        channels: Series of a row.
        last: Whether the channels are the last axis.
        first: What the first step is called.
        title: What the steps are.
    """

    steps: int
    channels: int = 1
    last: bool = False
    first: int = 0
    title: str = "position"


def line_layout(schema: FeatureSchema) -> LineLayout | None:
    """Whether rows are series: one long axis beside channels, or at least 16 features numbered in order.

    Args:
        schema: The features.

    Returns:
        The layout, or None.

    >>> from robust.data.schema import build_schema
    >>> names = tuple(f"lag {j}" for j in range(1, 25))
    >>> line_layout(build_schema(None, names=names, shape=(24,))).title
    'lag'
    >>> line_layout(build_schema(None, names=("age", "bmi"), shape=(2,))) is None
    True
    """
    long = [side for side in schema.shape if side > 1]
    if len(schema.shape) == 1:
        return _numbered(schema)
    if len(long) > 2 or not long or max(long) < _LEAST_STEPS:
        return None
    steps, channels = max(long), min(long) if len(long) == 2 else 1
    if channels == steps:
        return None
    return LineLayout(steps=steps, channels=channels, last=len(long) == 2 and long[1] == channels)


def _numbered(schema: FeatureSchema) -> LineLayout | None:
    """Features of one sort whose names count up by one."""
    if schema.width < _LEAST_NUMBERED or not schema.mask("continuous").all():
        return None
    found = [_NUMBERED.match(name) for name in schema.names]
    matches = [match for match in found if match is not None]
    if len(matches) < len(found) or len({(match[1], match[3]) for match in matches}) > 1:
        return None
    places = [int(match[2]) for match in matches]
    if places != list(range(places[0], places[0] + len(places))):
        return None
    stem = matches[0][1].rstrip(" _-.") or "position"
    return LineLayout(steps=schema.width, first=places[0], title="position" if stem == "x" else stem)


def line_figures(
    rows: FragileRows,
    layout: LineLayout,
) -> tuple[Figure, ...]:
    """Draw rows before and after as two lines, at most 4 of them.

    Args:
        rows: Rows before and after, at most 8.
        layout: How rows are series.

    Returns:
        The figures.
    """
    before, after = (_series(part, layout) for part in (rows.x, rows.near))
    figures = []
    for i, row in enumerate(rows.ids[:_SHOWN]):
        channel = int(np.nan_to_num(np.abs(after[i] - before[i])).max(axis=1).argmax())
        # Of a long series the stretch around the largest change: thinned out, the change might not be seen.
        middle = int(np.nan_to_num(np.abs(after[i, channel] - before[i, channel])).argmax())
        start = max(0, min(middle - _MOST_POINTS // 2, layout.steps - _MOST_POINTS))
        shown = slice(start, min(start + _MOST_POINTS, layout.steps))
        steps = layout.first + np.arange(shown.start, shown.stop)
        of_channel = f", channel {channel}, which changed most" if layout.channels > 1 else ""
        stretch = f", steps {steps[0]} to {steps[-1]} of {layout.steps}" if len(steps) < layout.steps else ""
        figures.append(
            Figure(
                kind="line",
                title=f"Row {row}: {rows.classes[i][0]} → {rows.classes[i][1]}",
                x_title=layout.title,
                y_title="value",
                columns=(
                    numbers("x", np.tile(steps, 2)),
                    numbers("y", np.concatenate([before[i, channel, shown], after[i, channel, shown]])),
                    words("series", ["original"] * len(steps) + ["adversarial"] * len(steps)),
                ),
                note=f"true class → class after; change {rows.size[i]:.3g} ({rows.unit}){of_channel}{stretch}; number "
                f"{i + 1} of {rows.total} broken rows, smallest change first",
            )
        )
    return tuple(figures)


def _series(rows: AnyArray, layout: LineLayout) -> FloatArray:
    """Rows (m, d) as series (m, channels, steps)."""
    flat = np.asarray(rows, dtype=np.float64)
    if layout.last:
        return flat.reshape(len(rows), layout.steps, layout.channels).swapaxes(1, 2)
    return flat.reshape(len(rows), layout.channels, layout.steps)
