"""How many decisions a change of one feature flips."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from robust.check import Check, Subject
from robust.curve import Curve
from robust.data.dataset import Dataset
from robust.data.live import as_data
from robust.errors import InvalidInput
from robust.evidence import SelfCheck
from robust.intervals.arguments import check_level
from robust.measurement import Measurement
from robust.measures.assembling import assemble
from robust.measures.row_means import share_interval
from robust.models.conversion import as_model
from robust.predicting.metering import metered
from robust.sensitivity.answering import Answering, answering, target_class
from robust.sensitivity.flip_evidence import Flipped, flip_evidence
from robust.sensitivity.sweep import Sweep, SweepSpec, default_sweeps, read_sweeps, sweep_steps
from robust.types import BoolArray

#: Share of rows that no step of a sweep moves, above which a low flip rate says little.
_MOST_UNMOVED = 0.5


def flip_rate(
    model: Any,
    data: Any,
    *,
    sweep: SweepSpec,
    tolerance: float | None = None,
    level: float = 0.95,
    seed: int = 0,
) -> Measurement:
    """Share of rows whose decision flips at some change of a sweep.

    (1/n) Σ_i max_δ 1[decision(x_i with the feature changed by δ) ≠ decision(x_i)]

    Args:
        model: Anything `as_model` takes.
        data: Anything `as_data` takes; no targets are needed.
        sweep: `Sweep(feature="age", relative=(-0.1, 0.1))`, a dict of the same, or a list of them: then a row
            counts once if any change of any sweep flips it. One feature is changed at a time.
        tolerance: For regression, the change of the prediction that counts as a flip, in the target's unit.
        level: Confidence of each bound, in (0.5, 1).
        seed: Seed of the bootstrap, where rows have groups or an order.

    Returns:
        A share in [0, 1], lower is better; Clopper-Pearson bounds, from blocks or clusters where rows have an
        order or groups. The row is the unit, never row × change. Values stay inside the schema. Costs rows ×
        changes forward passes.

    Raises:
        InvalidInput: If a feature is unknown, immutable or of a kind that the sweep does not fit, if no
            change moves any row, or if a tolerance is missing, or given to a classifier.
        ModelFault: If the model breaks its contract.

    Source: Clopper and Pearson (1934), Biometrika 26:404.

    >>> import numpy as np
    >>> model = as_model(lambda x: (x[:, 0] > 0).astype(int), task="classification", classes=[0, 1])
    >>> x = np.array([[-2.0], [-0.5], [0.25], [3.0]])
    >>> flip_rate(model, x, sweep=Sweep(feature=0, absolute=(-1, 1))).value
    0.5
    """
    level = check_level(level)
    tested, rows = as_model(model), as_data(data)
    sweeps = read_sweeps(sweep)
    with metered() as meter:
        asked = answering(tested, rows)
        limit = _tolerance(asked, tolerance)
        found = [_flipped(asked, one, rows, limit) for one in sweeps]
        hits = np.any([one.ever for one in found], axis=0)
        interval = share_interval(hits, rows, level=level, seed=seed)
        return assemble(
            interval,
            name="flip_rate",
            unit="share",
            higher_is_better=False,
            models=(tested,),
            data=rows,
            meter=meter,
            seed=seed,
            options={"sweep": tuple(repr(one) for one in sweeps), "tolerance": tolerance},
            evidence=flip_evidence(found, interval, rows, level=level, seed=seed),
            validity=[_moved_check(found)],
            row_values=hits.astype(np.float64),
        )


def flip_curve(
    model: Any,
    data: Any,
    *,
    sweep: Sweep | dict[str, object],
    tolerance: float | None = None,
    level: float = 0.95,
    seed: int = 0,
) -> Curve:
    """Share of rows whose decision flips at each change of a sweep by itself.

    (1/n) Σ_i 1[decision(x_i with the feature changed by δ) ≠ decision(x_i)] at each δ

    Args:
        model: Anything `as_model` takes.
        data: Anything `as_data` takes.
        sweep: One sweep.
        tolerance: As in `flip_rate`.
        level: Confidence of each bound, in (0.5, 1).
        seed: Seed of the bootstrap, where rows have groups or an order.

    Returns:
        The curve over changes (positions of the values, for a category); its bounds are pointwise.

    Raises:
        InvalidInput: As `flip_rate`; or if there are several sweeps.
        ModelFault: If the model breaks its contract.

    >>> import numpy as np
    >>> model = as_model(lambda x: (x[:, 0] > 0).astype(int), task="classification", classes=[0, 1])
    >>> x = np.array([[-2.0], [-0.5], [0.25], [3.0]])
    >>> flip_curve(model, x, sweep=Sweep(feature=0, absolute=(-1, 1), points=3)).values.tolist()
    [0.25, 0.25]
    """
    level = check_level(level)
    tested, rows = as_model(model), as_data(data)
    sweeps = read_sweeps(sweep)
    if len(sweeps) != 1:
        raise InvalidInput(f"flip_curve got {len(sweeps)} sweeps; one would be right")
    with metered() as meter:
        asked = answering(tested, rows)
        found = _flipped(asked, sweeps[0], rows, _tolerance(asked, tolerance))
        points = [
            assemble(
                share_interval(hits, rows, level=level, seed=seed),
                name=f"flip rate at {label}",
                unit="share",
                higher_is_better=False,
                models=(tested,),
                data=rows,
                meter=meter,
                seed=seed,
                options={"sweep": repr(sweeps[0]), "change": change, "tolerance": tolerance},
                validity=[_moved_check([found])],
                row_values=hits.astype(np.float64),
            )
            for change, label, hits in zip(found.changes, found.labels, found.flips, strict=True)
        ]
    return Curve(name=str(sweeps[0].feature), grid=found.changes, points=tuple(points))


def _flipped(asked: Answering, sweep: Sweep, data: Dataset, limit: float) -> Flipped:
    """Ask about every change; rows that did not move keep their answer and are not asked again."""
    base = asked.base
    before = base.values[:, 0] if base.task == "regression" else base.labels
    changes, labels, flips, moved, after = [], [], [], [], []
    for step in sweep_steps(sweep, data):
        hit: BoolArray = np.zeros(len(data), dtype=bool)
        answer = np.array(before)
        if step.moved.any():
            given = asked.predictions(step.x[step.moved])
            answer[step.moved] = given.values[:, 0] if base.task == "regression" else given.labels
            hit = np.abs(answer - before) > limit if base.task == "regression" else answer != before
        changes.append(step.change)
        labels.append(step.label)
        flips.append(hit)
        moved.append(step.moved)
        after.append(answer)
    if not np.any(moved):
        raise InvalidInput(
            f"the sweep of {sweep} moves no row: changes round back, or every row is at a bound; larger "
            "changes would be right"
        )
    return Flipped(
        sweep=sweep,
        changes=np.array(changes),
        labels=tuple(labels),
        flips=np.array(flips),
        moved=np.any(moved, axis=0),
        before=before,
        after=np.array(after),
        classes=base.classes,
        tolerance=limit,
    )


def _tolerance(asked: Answering, tolerance: float | None) -> float:
    """Read the change of a prediction that counts as a flip; 0 for classifiers, whose labels are compared."""
    if asked.base.task == "classification":
        if tolerance is not None:
            raise InvalidInput(
                f"tolerance got {tolerance!r}, but {asked.model.name} is a classifier; None would be right"
            )
        return 0.0
    target_class(asked.base, None)
    if tolerance is None:
        raise InvalidInput(
            f"{asked.model.name} is a regression model: tolerance= must say which change of its prediction "
            "counts as a flip"
        )
    if isinstance(tolerance, bool) or not math.isfinite(tolerance) or tolerance < 0:
        raise InvalidInput(f"tolerance got {tolerance!r}; a finite number of at least 0 would be right")
    return float(tolerance)


def _moved_check(found: Sequence[Flipped]) -> SelfCheck:
    """Rows that no change moves cannot flip: where they are most, a low figure says little."""
    unmoved = 1.0 - float(np.any([one.moved for one in found], axis=0).mean())
    return SelfCheck(
        name="sweep moves the rows",
        passed=unmoved <= _MOST_UNMOVED,
        reason=f"{100 * unmoved:.3g}% of the rows are moved by no change (at a bound, zero, rounded back, "
        "or held by a relation)",
        bias="lowers",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class FlipOptions:
    """What a gate on `flip_rate` may set; no feature stands for `default_sweeps`."""

    feature: str = ""
    relative: tuple[float, float] | None = None
    absolute: tuple[float, float] | None = None
    points: int = 11
    tolerance: float | None = None


def _run(subject: Subject, options: FlipOptions) -> Measurement:
    sweep: SweepSpec = default_sweeps(subject.test)
    if options.feature:
        sweep = Sweep(
            feature=options.feature,
            relative=options.relative,
            absolute=options.absolute,
            points=options.points,
        )
    tolerance = options.tolerance
    if tolerance is None and subject.task == "regression":
        # A tenth of the targets' own spread; of the predictions' where there are no targets.
        scale = subject.test.y if subject.test.y is not None else answering(subject.model, subject.test).base.values
        tolerance = 0.1 * float(np.std(np.asarray(scale, dtype=np.float64)))
    return flip_rate(
        subject.model, subject.test, sweep=sweep, tolerance=tolerance, level=subject.level, seed=subject.seed
    )


CHECKS = (
    Check(
        code="SEN002",
        name="flip_rate",
        title="decisions flipped by small changes",
        measure=flip_rate,
        run=_run,
        options=FlipOptions,
        needs=frozenset({"classification", "regression"}),
        reach=(0.0, 1.0),
        why="A decision that a small change of one input flips hangs on measurement noise: the same case, "
        "measured again, may be decided otherwise. By default every number is changed by 0.1 of its "
        "standard deviation.",
        remedy="Look at the rows that flip first and the feature that flips them: a threshold learned from "
        "few rows, a model that is too steep, or a tie between classes. Smooth or regularise, or send such "
        "rows to a person.",
    ),
)
