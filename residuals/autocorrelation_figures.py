"""Charts of residuals over time and of their autocorrelation."""

import numpy as np

from robust.data.dataset import Dataset
from robust.data.ordering import TimeOrder
from robust.evidence import Figure, Slice
from robust.measures.details import numbers, words
from robust.residuals.lag_products import Autocorrelations
from robust.types import FloatArray

_POINTS = 400


def autocorrelation_figure(found: Autocorrelations, table: tuple[Slice, ...], *, level: float) -> Figure:
    """Autocorrelation at each lag with simultaneous bounds."""
    parts = {part.name: part for part in table}
    shown = [parts[f"lag {k}"] for k in found.lags]
    return Figure(
        kind="bar",
        title="Autocorrelation of residuals",
        x_title="lag (rows)",
        y_title="autocorrelation",
        columns=(
            words("x", found.lags.tolist()),
            numbers("y", np.array([part.value for part in shown])),
            numbers("lower", np.array([part.lower for part in shown])),
            numbers("upper", np.array([part.upper for part in shown])),
        ),
        rules=(("y", 0.0, ""),),
        note=f"whiskers hold for all lags at once, each side at {100 * level:g}%",
    )


def sequence_figure(sequence: FloatArray, data: Dataset, order: TimeOrder, *, unit: str) -> Figure:
    """Residuals of the first group in time order, as means of blocks where there are many rows."""
    first = order.rows[: order.starts[1]]
    values = sequence[: len(first)]
    numeric = data.order is not None and data.order.dtype.kind in "fiu"
    at = data.order[first].astype(np.float64) if numeric and data.order is not None else np.arange(1.0, len(first) + 1)
    edges = np.unique(np.linspace(0, len(values), min(len(values), _POINTS) + 1).round().astype(np.int64))[:-1]
    sizes = np.diff(np.append(edges, len(values)))
    notes = []
    if len(edges) < len(values):
        notes.append(f"means of {len(edges)} blocks of {len(values)} rows")
    if data.groups is not None:
        notes.append(f"group {data.groups[first[0]]}, one of {len(order.starts) - 1}")
    return Figure(
        kind="line",
        title="Residuals over time",
        x_title="order" if numeric else "row in time order",
        y_title=unit,
        columns=(
            numbers("x", np.add.reduceat(at, edges) / sizes),
            numbers("y", np.add.reduceat(values, edges) / sizes),
        ),
        rules=(("y", 0.0, ""),),
        note="; ".join(notes),
    )
