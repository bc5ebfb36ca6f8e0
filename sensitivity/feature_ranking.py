"""Features ranked by how far they move the mean prediction."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from robust.check import Check, Subject
from robust.data.dataset import Dataset
from robust.data.live import as_data
from robust.errors import InvalidInput
from robust.evidence import Evidence, Fact, Slice, Slices
from robust.intervals.arguments import check_level
from robust.intervals.cluster import FEWEST
from robust.intervals.interval import Interval, RootSizing
from robust.intervals.vacuous import never_vacuous
from robust.measurement import Measurement
from robust.measures.assembling import assemble
from robust.models.base import Label
from robust.models.conversion import as_model
from robust.predicting.metering import metered
from robust.sensitivity.answering import answering, target_class
from robust.sensitivity.dependence_curve import dependence_figures, heterogeneity
from robust.sensitivity.extrapolation import extrapolation_check, extrapolation_share
from robust.sensitivity.feature_grid import asked_features, feature_grid
from robust.sensitivity.feature_reach import Reach, feature_reach
from robust.sensitivity.friedman2001 import Asking, broken_relations, curve_of, ice_table, kept_rows
from robust.sensitivity.ice_bounds import method_of

_DRAWN = 3


def dependence_range(
    model: Any,
    data: Any,
    *,
    features: Sequence[str | int] | str | None = None,
    points: int = 20,
    target: Label | None = None,
    rows: int = 1000,
    level: float = 0.95,
    seed: int = 0,
) -> Measurement:
    """How far any one feature moves the mean prediction: the largest range of a partial dependence.

    max over features S of max_g PD_S(g) − min_g PD_S(g)

    Args:
        model: Anything `as_model` takes.
        data: Anything `as_data` takes; no targets are needed.
        features: One feature or several (one-hot groups by name); None for all that vary, or for the 3 with
            the largest variance where there are more than 20.
        points: Most grid points a feature.
        target: As in `partial_dependence`.
        rows: Rows averaged over, at most; chosen by row id.
        level: Confidence of each bound, in (0.5, 1).
        seed: Chooses the rows.

    Returns:
        A value ≥ 0 in the unit of the prediction (a probability for classifiers). It has no better direction.
        The lower bound holds for all pairs of grid points of all features at once (Bonferroni); the upper one
        is the largest bound of any pair, which suffices. Differences are paired by row; errors follow groups
        or the order where there are any. Where rows do not differ (the feature acts alike on all), rows that
        were not seen are allowed twice the largest effect that was.

    Raises:
        InvalidInput: If there is no such feature or class, or no feature varies.
        ModelFault: If the model breaks its contract.

    Source: Friedman (2001), Annals of Statistics 29:1189, section 8.2; Berger (1982), Technometrics 24:295,
    for the upper bound (intersection of tests).

    >>> import numpy as np
    >>> x = np.array([[0.0, 1.0], [1.0, 3.0]])
    >>> dependence_range(as_model(lambda x: 3 * x[:, 0] + x[:, 1], task="regression"), x).value
    3.0
    """
    level = check_level(level)
    tested, every = as_model(model), as_data(data)
    kept = kept_rows(every, rows, seed=seed)
    chosen = _features(every, features)
    with metered() as meter:
        asked = answering(tested, kept)
        column = target_class(asked.base, target)
        found = []
        for feature in chosen:
            grid = feature_grid(every, feature, points=points)
            found.append(feature_reach(ice_table(asked, kept, grid, column), grid, kept))
        found.sort(key=lambda reach: -reach.value)
        label = None if column is None else asked.base.classes[column]
        worst = found[: min(_DRAWN, len(found))]
        asking = Asking(model=tested, data=every, kept=kept, level=level, seed=seed)
        curve = curve_of(found[0].ice, found[0].grid, asking, meter, target=label)
        evidence: tuple[Evidence, ...] = (
            _sentence(found, label),
            _by_feature(found, level=level),
            *([] if label is None else [Fact(name="probability of class", value=label)]),
            *([] if len(kept) == len(every) else [Fact(name="rows kept", value=f"{len(kept)} of {len(every)}")]),
            *_coverage(every, chosen, features),
            *(
                Fact(
                    name=f"share of points of {reach.grid.name} that break a relation of the schema",
                    value=broken,
                )
                for reach in worst
                if (broken := broken_relations(kept, reach.grid)) > 0
            ),
            *dependence_figures(curve),
        )
        return assemble(
            _interval(found, kept, level=level),
            name="dependence_range",
            unit="target" if column is None else "probability",
            higher_is_better=None,
            models=(tested,),
            data=every,
            meter=meter,
            seed=seed,
            options={
                "features": tuple(reach.grid.name for reach in found),
                "points": points,
                "target": label,
                "rows": rows,
            },
            evidence=evidence,
            validity=[
                extrapolation_check(reach.grid.name, extrapolation_share(kept, reach.grid, seed=seed))
                for reach in worst
            ],
            reach=(0.0, math.inf if column is None else 1.0),
        )


def _features(data: Dataset, features: Sequence[str | int] | str | None) -> tuple[str | int, ...]:
    """Features asked for, or those that stand for all."""
    if features is None:
        chosen = asked_features(data, few=_DRAWN)
        if not chosen:
            raise InvalidInput(f"no feature of {data.name} varies; at least one that does would be right")
        return chosen
    asked = (features,) if isinstance(features, str | int) else tuple(features)
    if not asked:
        raise InvalidInput("features got none; None for all, or at least one, would be right")
    return asked


def _interval(found: Sequence[Reach], data: Dataset, *, level: float) -> Interval:
    """Bounds of the largest range over all features."""
    pairs = sum(2 * len(reach.contrasts) for reach in found)
    bounds = [reach.bounds(below=1.0 - (1.0 - level) / pairs, above=level) for reach in found]
    value = found[0].value
    lower, upper = max(low for low, _ in bounds), max(high for _, high in bounds)
    n = len(data)
    interval = Interval(
        value=value,
        lower=max(0.0, min(lower, value)),
        upper=max(upper, value),
        level=level,
        n=n,
        method=method_of(data),
        sizing=RootSizing(value=value, lower=lower, upper=upper, n=n),
        notes=() if np.isfinite(upper) else (f"fewer than {FEWEST} groups prove nothing",),
    )
    top = found[0]
    return never_vacuous(interval, differing=top.differing, units=n, effect=2.0 * top.largest, level=level)


def _by_feature(found: Sequence[Reach], *, level: float) -> Slices:
    """Range of each feature, bounds for all features at once."""
    parts = []
    for reach in found[:20]:
        each = (1.0 - level) / len(found)
        low, high = reach.bounds(below=1.0 - each / (2 * len(reach.contrasts)), above=1.0 - each)
        parts.append(
            Slice(
                name=reach.grid.name,
                n=len(reach.grid.grid),
                value=reach.value,
                lower=max(0.0, low),
                upper=high,
                note=f"{reach.grid.shown(reach.low)} → {reach.grid.shown(reach.high)}; sd of centred ICE "
                f"{heterogeneity(reach.ice):.3g}",
            )
        )
    return Slices(
        by="feature", measure="range of partial dependence (n: grid points)", level=level, slices=tuple(parts)
    )


def _sentence(found: Sequence[Reach], label: Label | None) -> Fact:
    """The answer in words."""
    top = found[0]
    what = "mean prediction" if label is None else f"mean probability of class {label!r}"
    return Fact(
        name="feature that matters most",
        value=f"{top.grid.name}: the {what} moves by {top.value:.4g} between {top.grid.shown(top.low)} and "
        f"{top.grid.shown(top.high)}",
    )


def _coverage(data: Dataset, chosen: Sequence[str | int], features: object) -> tuple[Evidence, ...]:
    """Say so where a few features stand for all."""
    if features is not None or len(chosen) >= data.schema.width or data.schema.groups:
        return ()
    return (Fact(name="features looked at", value=f"{len(chosen)} of {data.schema.width} (largest variance)"),)


@dataclass(frozen=True, slots=True, kw_only=True)
class DependenceOptions:
    """What a gate on `dependence_range` may set; no features stands for all."""

    features: tuple[str, ...] = ()
    points: int = 20
    target: str | int | None = None
    rows: int = 1000


def _run(subject: Subject, options: DependenceOptions) -> Measurement:
    return dependence_range(
        subject.model,
        subject.test,
        features=options.features or None,
        points=options.points,
        target=options.target,
        rows=options.rows,
        level=subject.level,
        seed=subject.seed,
    )


CHECKS = (
    Check(
        code="SEN001",
        name="dependence_range",
        title="partial dependence",
        measure=dependence_range,
        run=_run,
        options=DependenceOptions,
        needs=frozenset({"classification", "regression"}),
        why="Which inputs move the answer, how far and in which direction, is what people who know the "
        "subject can check against what they know.",
        remedy="Where a feature moves the answer against what is known, or further than it should, look at "
        "its curve and the rows behind it: leakage, a proxy, too few rows in that range. Constrain the "
        "model or mend the data.",
    ),
)
