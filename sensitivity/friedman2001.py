"""Partial dependence with individual curves, after Friedman (2001)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from robust.data.dataset import Dataset
from robust.data.live import as_data
from robust.errors import InvalidInput
from robust.evidence import Evidence, Fact
from robust.intervals.arguments import check_level, check_whole
from robust.measures.assembling import assemble
from robust.models.base import Label, Model
from robust.models.conversion import as_model
from robust.predicting.metering import Meter, metered
from robust.randomness import row_words
from robust.sensitivity.answering import Answering, answering, target_class
from robust.sensitivity.dependence_curve import PartialDependence, heterogeneity
from robust.sensitivity.extrapolation import extrapolation_check, extrapolation_share
from robust.sensitivity.feature_grid import FeatureGrid, feature_grid
from robust.sensitivity.ice_bounds import mean_bounds
from robust.types import FloatArray

_STREAM = 2001


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
        target: Class whose probability is averaged; None for the second of two classes, and for the one
            predicted most often of more. Regression averages the value.
        rows: Rows averaged over, at most; chosen by row id.
        level: Confidence of each bound, in (0.5, 1).
        seed: Chooses the rows.

    Returns:
        The curve, with `.grid`, `.values`, `.lower`, `.upper`, `.ice`, `.heterogeneity`; bounds are those of
        the mean over rows at each point by itself (pointwise; Student's t, with errors that follow groups or
        the order). Costs rows × points forward passes.

    Raises:
        InvalidInput: If there is no such feature or class, or a value breaks the schema.
        ModelFault: If the model breaks its contract.

    Source: Friedman (2001), Annals of Statistics 29:1189, section 8.2; Goldstein, Kapelner, Bleich and Pitkin
    (2015), Journal of Computational and Graphical Statistics 24:44, for ICE.

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
        asking = Asking(model=tested, data=every, kept=kept, level=level, seed=seed)
        label = None if chosen is None else asked.base.classes[chosen]
        return curve_of(ice, values, asking, meter, target=label)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Asking:
    """What a partial dependence is of: model, rows, those that are averaged over, level and seed."""

    model: Model
    data: Dataset
    kept: Dataset
    level: float
    seed: int


def curve_of(
    ice: FloatArray, grid: FeatureGrid, asking: Asking, meter: Meter, *, target: Label | None
) -> PartialDependence:
    """Lay bounds around the means of individual curves.

    Args:
        ice: Individual conditional expectations (rows kept, k).
        grid: Values of the feature (k,).
        asking: Model and rows.
        meter: What was asked of the model.
        target: Class whose probability they are; None for values.

    Returns:
        The curve.
    """
    kept = asking.kept
    share = extrapolation_share(kept, grid, seed=asking.seed)
    # Where rows do not vary, rows that were not seen are allowed any probability, or the range of values
    # seen.
    effect, limits = (float(np.ptp(ice)), (-np.inf, np.inf)) if target is None else (1.0, (0.0, 1.0))
    evidence: list[Evidence] = [Fact(name="feature", value=grid.name)]
    if target is not None:
        evidence.append(Fact(name="probability of class", value=target))
    if len(kept) < len(asking.data):
        evidence.append(Fact(name="rows kept", value=f"{len(kept)} of {len(asking.data)}"))
    evidence.append(Fact(name="bounds", value="pointwise: each holds for its own grid point"))
    if (broken := broken_relations(kept, grid)) > 0:
        evidence.append(Fact(name="share of points that break a relation of the schema", value=broken))
    points = [
        assemble(
            interval,
            name=f"partial dependence at {grid.name} = {grid.shown(point)}",
            unit="target" if target is None else "probability",
            higher_is_better=None,
            models=(asking.model,),
            data=asking.data,
            meter=meter,
            seed=asking.seed,
            options={"feature": grid.name, "target": target, "rows": len(kept), "value": grid.shown(point)},
            evidence=evidence,
            validity=(extrapolation_check(grid.name, share),),
        )
        for point, interval in enumerate(mean_bounds(ice, kept, level=asking.level, effect=effect, limits=limits))
    ]
    table = np.array(ice)
    table.flags.writeable = False
    return PartialDependence(
        name=grid.name,
        grid=grid.grid,
        points=tuple(points),
        target=target,
        labels=grid.labels,
        ice=table,
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
    """Individual conditional expectations (n, k), point by point: one giant batch leaves the cache."""
    columns = [asked.scores(asked.predictions(grid.at(data.x, point)), target) for point in range(len(grid.grid))]
    return np.column_stack(columns)


def broken_relations(data: Dataset, grid: FeatureGrid) -> float:
    """Share of points asked about that break a linear relation of the schema."""
    if not data.schema.relations:
        return 0.0
    broken = []
    for point in range(len(grid.grid)):
        flat = data.schema.flat(grid.at(data.x, point))
        broken.append(np.any([relation.violated(flat) for relation in data.schema.relations], axis=0).mean())
    return float(f"{np.mean(broken):.4g}")
