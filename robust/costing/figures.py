"""Costs as figures."""

from collections.abc import Callable, Sequence

from robust.costing.tally import Layer, Peak
from robust.evidence import Figure, Series

_MOST_BARS = 40
_MOST_POINTS = 500


def layer_bars(
    layers: Sequence[Layer], *, title: str, unit: str, amount: Callable[[Layer], float | None]
) -> Figure | None:
    """A quantity by layer, in the order of the run; the largest where there are too many to draw.

    Args:
        layers: The layers.
        title: Title of the figure.
        unit: Unit of the quantity.
        amount: The quantity of a layer; None where it is not known.

    Returns:
        A bar chart; None where no layer has any of it.
    """
    found = [(layer.name, float(amount(layer) or 0)) for layer in layers]
    found = [pair for pair in found if pair[1] > 0]
    if not found:
        return None
    kept = found
    if len(found) > _MOST_BARS:
        least = sorted((size for _, size in found), reverse=True)[_MOST_BARS - 1]
        kept = [pair for pair in found if pair[1] >= least][:_MOST_BARS]
    rest = sum(size for _, size in found) - sum(size for _, size in kept)
    return Figure(
        kind="bar",
        title=title,
        x_title="layer",
        y_title=unit,
        columns=(
            Series(name="x", values=tuple(_distinct([name for name, _ in kept]))),
            Series(name="y", values=tuple(size for _, size in kept)),
        ),
        note=f"the {len(kept)} largest of {len(found)} layers; the others come to {rest:,.0f} {unit}" if rest else "",
    )


def live_line(peak: Peak) -> Figure | None:
    """Live memory over the steps of a run.

    Args:
        peak: The fullest step, and what lives at each.

    Returns:
        A line chart with the peak as a reference line; None for a run without steps.
    """
    if not peak.live:
        return None
    width = -(-len(peak.live) // _MOST_POINTS)
    # Of several steps that fall on one point the fullest is drawn: the peak stays.
    points = [
        (start, max(size for _, size in peak.live[start : start + width])) for start in range(0, len(peak.live), width)
    ]
    return Figure(
        kind="line",
        title="Live activations over the run",
        x_title="step",
        y_title="bytes",
        columns=(
            Series(name="x", values=tuple(float(start) for start, _ in points)),
            Series(name="y", values=tuple(float(size) for _, size in points)),
        ),
        rules=(("y", float(peak.bytes), f"peak, in {peak.at}"),),
        note="inputs and outputs of the model included",
    )


def _distinct(names: Sequence[str]) -> list[str]:
    """Names that are bars of their own: a second one of a name is numbered."""
    seen: dict[str, int] = {}
    distinct = []
    for name in names:
        seen[name] = seen.get(name, 0) + 1
        distinct.append(name if seen[name] == 1 else f"{name} ({seen[name]})")
    return distinct
