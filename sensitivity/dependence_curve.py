"""The curve of a partial dependence: its type, its figures, and how alike its rows are."""

from dataclasses import dataclass

import numpy as np

from robust.curve import Curve
from robust.evidence import Figure
from robust.measures.details import numbers, words
from robust.models.base import Label
from robust.types import AnyArray, FloatArray

_ICE_LINES = 20


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PartialDependence(Curve):
    """Partial dependence on one feature; iterating gives a measurement a grid point.

    Args:
        target: Class whose probability it is of; None for regression.
        labels: Names of the grid's values where they are categories, else None.
        ice: Individual conditional expectations (rows kept, k): the same for each row by itself.
        ids: Ids of those rows.
        heterogeneity: Root mean square, over grid and rows, of the ICE centred by row and by grid point: 0
            where the feature acts alike on all rows, in the unit of the values.
        extrapolation: Share of points asked about that lie outside the data; None where it is not known.
    """

    target: Label | None
    labels: tuple[str, ...] | None
    ice: FloatArray
    ids: AnyArray
    heterogeneity: float
    extrapolation: float | None

    def __repr__(self) -> str:
        values = [round(float(value), 4) for value in self.values]
        grid = list(self.labels) if self.labels else [float(f"{value:.4g}") for value in self.grid]
        return f"PartialDependence({self.name}={grid}, values={values})"


def heterogeneity(ice: FloatArray) -> float:
    """Root mean square of ICE (n, k) centred by row and by grid point.

    >>> heterogeneity(np.array([[0.0, 1.0], [5.0, 6.0]])), heterogeneity(np.array([[0.0, 1.0], [1.0, 0.0]]))
    (0.0, 0.5)
    """
    centred = ice - ice.mean(axis=1, keepdims=True)
    return float(np.sqrt(np.mean((centred - centred.mean(axis=0)) ** 2)))


def dependence_figures(curve: PartialDependence) -> tuple[Figure, Figure]:
    """The curve with its band, and a sample of individual curves."""
    y_title = "mean prediction" if curve.target is None else f"mean probability of {curve.target!r}"
    x = words("x", curve.labels) if curve.labels else numbers("x", curve.grid)
    finite = np.isfinite(curve.lower).all() and np.isfinite(curve.upper).all()
    bounds = (numbers("lower", curve.lower), numbers("upper", curve.upper)) if finite else ()
    pointwise = f"pointwise {100 * (2 * curve[0].level - 1):.3g}% bounds" if finite else "no bounds"
    mean = Figure(
        kind="bar" if curve.labels else "line",
        title=f"Partial dependence on {curve.name}",
        x_title=curve.name,
        y_title=y_title,
        columns=(x, numbers("y", curve.values), *bounds),
        note=f"{pointwise}, {len(curve.ice)} rows",
    )
    shown = np.linspace(0, len(curve.ice) - 1, min(_ICE_LINES, len(curve.ice))).round().astype(np.int64)
    lines = Figure(
        kind="line",
        title=f"Individual curves over {curve.name} (ICE)",
        x_title=curve.name,
        y_title=y_title.removeprefix("mean "),
        columns=(
            words("x", list(curve.labels) * len(shown))
            if curve.labels
            else numbers("x", np.tile(curve.grid, len(shown))),
            numbers("y", curve.ice[shown].ravel()),
            words("series", np.repeat(curve.ids[shown], len(curve))),
        ),
        note=f"{len(shown)} of {len(curve.ice)} rows, by id",
    )
    return mean, lines
