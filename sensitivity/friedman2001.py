"""Partial dependence with individual curves, after Friedman (2001)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from robust.curve import Curve
from robust.data.dataset import Dataset
from robust.data.live import as_data
from robust.errors import InvalidInput
from robust.evidence import Evidence, Fact, Figure
from robust.intervals.arguments import check_level, check_whole
from robust.measures.assembling import assemble
from robust.measures.details import numbers, words
from robust.measures.single import mean_interval
from robust.models.base import Label
from robust.models.conversion import as_model
from robust.predicting.metering import metered
from robust.randomness import row_words
from robust.sensitivity.answering import Answering, answering, target_class
from robust.sensitivity.extrapolation import extrapolation_check, extrapolation_share
from robust.sensitivity.feature_grid import FeatureGrid, feature_grid
from robust.types import AnyArray, FloatArray

_STREAM = 2001
_ICE_LINES = 20


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PartialDependence(Curve):
    """Partial dependence on one feature; iterating gives a measurement a grid point.

    Args:
        target: Class whose probability it is of; None for regression.
        labels: Names of the grid's values where they are categories, else None.
        ice: Individual conditional expectations (rows kept, k): the same for each row by itself.
        ids: Ids of those rows.
        heterogeneity: Root mean square, over grid and rows, of the ICE centred by row and by grid point: 0 where the
            feature acts alike on all rows, in the unit of the values.
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
        return f"PartialDependence({self.name}={self.labels or self.grid.tolist()}, values={values})"


def partial_dependence(
    model: Any,
    data: Any,
    feature: str | int,
    *,
    grid: Sequence[object] | None = None,
    points: int = 20,
    target: Label | None = None,
    rows: int = 1000,
    level: float = 0.95,
    seed: int = 0,
) -> PartialDependence:
    """Mean prediction when one feature is set to each of some values, the others left as they are.

    PD_S(x_S) = (1/n) Σ_i f(x_S, x_iC)

    Args:
        model: Anything `as_model` takes.
        data: Anything `as_data` takes; no targets are needed.
        feature: Name or position of a feature, or name of a one-hot group, which is set as a whole.
        grid: Values to set; None for quantiles 5 % … 95 % of the data (all values of a category).
        points: Most values of a number where no grid is given.
        target: Class whose probability is averaged; None for the second of two classes, and for the one predicted most
            often of more. Regression averages the value.
        rows: Rows averaged over, at most; chosen by row id.
        level: Confidence of each bound, in (0.5, 1).
        seed: Chooses the rows; seed of the bootstrap.

    Returns:
        The curve, with `.grid`, `.values`, `.lower`, `.upper`, `.ice`, `.heterogeneity`; bounds are those of the mean
        over rows at each point by itself (pointwise). Costs rows × points forward passes.

    Raises:
        InvalidInput: If there is no such feature or class, or a value breaks the schema.
        ModelFault: If the model breaks its contract.

    Source: Friedman (2001), Annals of Statistics 29:1189, section 8.2; Goldstein, Kapelner, Bleich and Pitkin (2015),
    Journal of Computational and Graphical Statistics 24:44, for ICE.

    >>> import numpy as np
    >>> x = np.array([[0.0, 1.0], [1.0, 3.0]])
    >>> partial_dependence(as_model(lambda x: x[:, 0] * x[:, 1], task="regression"), x, 0).values.tolist()
    [0.0, 2.0]
    """
    level = check_level(level)
    tested, every = as_model(model), as_data(data)
    kept = kept_rows(every, rows, seed=seed)
    values = feature_grid(every, feature, grid=grid, points=points)
    with metered() as meter:
        asked = answering(tested, kept)
        chosen = target_class(asked.base, target)
        ice = ice_table(asked, kept, values, chosen)
        share = extrapolation_share(kept, values, seed=seed)
        effect = largest_effect(ice, chosen)
        label = None if chosen is None else asked.base.classes[chosen]
        evidence: list[Evidence] = [Fact(name="feature", value=values.name)]
        evidence += [] if label is None else [Fact(name="probability of class", value=label)]
        evidence += [] if len(kept) == len(every) else [Fact(name="rows kept", value=f"{len(kept)} of {len(every)}")]
        evidence.append(Fact(name="bounds", value="pointwise: each holds for its own grid point"))
        if (broken := broken_relations(kept, values)) > 0:
            evidence.append(Fact(name="share of points that break a relation of the schema", value=broken))
        measured = [
            assemble(
                mean_interval(ice[:, point], kept, level=level, seed=seed, effect=effect),
                name=f"partial dependence at {values.name} = {_shown(values, point)}",
                unit="target" if chosen is None else "probability",
                higher_is_better=None,
                models=(tested,),
                data=every,
                meter=meter,
                seed=seed,
                options={"feature": values.name, "target": label, "rows": rows, "value": _shown(values, point)},
                evidence=evidence,
                validity=(extrapolation_check(values.name, share),),
            )
            for point in range(len(values.grid))
        ]
    return PartialDependence(
        name=values.name,
        grid=values.grid,
        points=tuple(measured),
        target=label,
        labels=values.labels,
        ice=_frozen(ice),
        ids=kept.ids,
        heterogeneity=heterogeneity(ice),
        extrapolation=share,
    )


def kept_rows(data: Dataset, rows: int, *, seed: int) -> Dataset:
    """At most `rows` rows, chosen by row id alone, in the order of the data."""
    rows = check_whole("rows", rows, least=2)
    if len(data) < 2:
        raise InvalidInput(f"{data.name} got {len(data)} row; at least two would be right")
    if rows >= len(data):
        return data
    draw = row_words(data.row_keys(), 1, seed=seed, stream=_STREAM)[:, 0]
    return data.rows(np.sort(np.argsort(draw, kind="stable")[:rows]))


def ice_table(asked: Answering, data: Dataset, grid: FeatureGrid, target: int | None) -> FloatArray:
    """Individual conditional expectations (n, k), one grid point at a time: one giant batch falls out of the cache."""
    columns = [asked.scores(asked.predictions(grid.at(data.x, point)), target) for point in range(len(grid.grid))]
    return np.column_stack(columns)


def heterogeneity(ice: FloatArray) -> float:
    """Root mean square of ICE (n, k) centred by row and by grid point.

    >>> heterogeneity(np.array([[0.0, 1.0], [5.0, 6.0]])), heterogeneity(np.array([[0.0, 1.0], [1.0, 0.0]]))
    (0.0, 0.5)
    """
    centred = ice - ice.mean(axis=1, keepdims=True)
    return float(np.sqrt(np.mean((centred - centred.mean(axis=0)) ** 2)))


def largest_effect(ice: FloatArray, target: int | None) -> float:
    """Largest change of a mean of ICE that is allowed for where rows do not vary: 1 for a probability, else the range
    that was seen.
    """
    return 1.0 if target is not None else float(np.ptp(ice))


def broken_relations(data: Dataset, grid: FeatureGrid) -> float:
    """Share of points asked about that break a linear relation of the schema."""
    if not data.schema.relations:
        return 0.0
    broken = []
    for point in range(len(grid.grid)):
        flat = data.schema.flat(grid.at(data.x, point))
        broken.append(np.any([relation.violated(flat) for relation in data.schema.relations], axis=0).mean())
    return float(f"{np.mean(broken):.4g}")


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
            words("x", list(curve.labels) * len(shown)) if curve.labels else numbers("x", np.tile(curve.grid, len(shown))),
            numbers("y", curve.ice[shown].ravel()),
            words("series", np.repeat(curve.ids[shown], len(curve))),
        ),
        note=f"{len(shown)} of {len(curve.ice)} rows, by id",
    )
    return mean, lines


def _shown(grid: FeatureGrid, point: int) -> str:
    return grid.labels[point] if grid.labels else f"{grid.grid[point]:.6g}"


def _frozen(array: FloatArray) -> FloatArray:
    array.flags.writeable = False
    return array


