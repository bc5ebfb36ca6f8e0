"""What a model gains over a simple one."""

from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from robust.baselines.linear import fit_linear
from robust.check import Check, Subject
from robust.data.dataset import Dataset
from robust.data.live import as_data
from robust.errors import InvalidInput
from robust.evidence import Evidence, Fact, Figure, Values
from robust.intervals.mcnemar import mcnemar_p
from robust.measurement import Measurement
from robust.measures.assembling import assemble
from robust.measures.details import numbers, words
from robust.measures.paired import Change, aligned_candidate, paired_change
from robust.measures.single import single_interval
from robust.measures.truth import Scored, score
from robust.metrics.catalogue import find_metric
from robust.metrics.metric import Metric
from robust.models.conversion import as_model
from robust.predicting.metering import metered
from robust.predicting.predictions import predict


def gain(
    model: Any,
    train: Any,
    test: Any,
    *,
    over: Literal["linear"] = "linear",
    metric: str | None = None,
    relative: bool | None = None,
    level: float = 0.95,
    seed: int = 0,
) -> Measurement:
    """How much better a model is than logistic or linear regression fitted on the same training rows.

    absolute: m(model) − m(baseline) where higher is better, m(baseline) − m(model) where lower is better;
    relative: the same, divided by |m(baseline)|

    Args:
        model: Anything `as_model` takes.
        train: Rows that the baseline is fitted on, with targets: those that the model was trained on.
        test: Rows that both are judged on; no row may also be in `train`.
        over: The baseline: `linear` is logistic regression for classifiers, least squares for regression, on
            standardised features.
        metric: A metric's name; None for accuracy or RMSE.
        relative: Whether to divide by the baseline; None follows the metric.
        level: Confidence of each bound, in (0.5, 1).
        seed: Seed of the bootstrap, where one is used.

    Returns:
        The gain, positive means that the model is better; paired by row, with the bounds of `degradation`.

    Raises:
        InvalidInput: If train and test share rows, have other features, or the metric is unknown.
        ModelFault: If the model breaks its contract.

    >>> import numpy as np
    >>> x = np.linspace(-1, 1, 200)[:, None]
    >>> y = (np.abs(x[:, 0]) > 0.5).astype(int)
    >>> gain(lambda x: (np.abs(x[:, 0]) > 0.5).astype(int), (x[::2], y[::2]), (x[1::2], y[1::2])).value > 0.3
    True
    """
    if over != "linear":
        raise InvalidInput(f"gain over {over!r} is unknown; over='linear' is the baseline there is")
    candidate, fitted_on, rows = as_model(model), as_data(train), as_data(test)
    overlap = _check_splits(fitted_on, rows)
    with metered() as meter:
        predictions = predict(candidate, rows)
        chosen = find_metric(metric or ("accuracy" if predictions.task == "classification" else "rmse"))
        baseline = fit_linear(fitted_on, task=predictions.task)
        theirs = score(chosen, predict(baseline, rows), rows)
        ours = aligned_candidate(theirs, score(chosen, predictions, rows))
        change = paired_change(chosen, theirs, ours, rows, relative=relative, level=level, seed=seed)
        evidence = (
            Values(metric=chosen.title, reference=change.reference, candidate=change.candidate),
            *_evidence(chosen, theirs, ours, rows, change, level=level, seed=seed),
            *overlap,
        )
        worse = assemble(
            change.interval,
            name="gain",
            unit=change.unit,
            higher_is_better=False,
            models=(candidate,),
            data=rows,
            meter=meter,
            seed=seed,
            options={"over": over, "metric": chosen.name, "relative": change.unit == "relative", "train": fitted_on.fingerprint},
            evidence=evidence,
            validity=change.validity,
        )
    return replace(-worse, name=f"gain over {baseline.name}")


def _check_splits(train: Dataset, test: Dataset) -> tuple[Evidence, ...]:
    """Refuse splits that cannot be compared, and say which test rows also stand in the training rows."""
    if train.schema.names != test.schema.names or train.schema.shape != test.schema.shape:
        raise InvalidInput(
            f"train and test must have the same features, got {list(train.names)[:12]} and {list(test.names)[:12]}"
        )
    if train.fingerprint == test.fingerprint:
        raise InvalidInput("train and test are the same rows: a baseline judged on its own training rows proves nothing")
    seen = {row.tobytes() for row in np.ascontiguousarray(train.x)}
    shared = sum(row.tobytes() in seen for row in np.ascontiguousarray(test.x))
    return (Fact(name="test rows whose inputs also stand in train", value=shared),) if shared else ()


def _evidence(
    metric: Metric, theirs: Scored, ours: Scored, data: Dataset, change: Change, *, level: float, seed: int
) -> tuple[Evidence, ...]:
    """Who is right alone, and both values with their intervals."""
    facts: list[Evidence] = []
    if metric.task == "classification":
        base, own = theirs.right(), ours.right()
        alone, lost = int(np.sum(own & ~base)), int(np.sum(base & ~own))
        facts.append(Fact(name="rows that only the model gets right", value=alone))
        facts.append(Fact(name="rows that only the baseline gets right", value=lost))
        facts.append(Fact(name="exact McNemar p", value=mcnemar_p(lost, alone)))
    bars = [single_interval(metric, scored, data, level=level, seed=seed) for scored in (theirs, ours)]
    figure = Figure(
        kind="interval",
        title=f"{metric.title}: model and baseline",
        x_title=metric.title,
        y_title="",
        columns=(
            words("y", [theirs.predictions.model, ours.predictions.model]),
            numbers("x", np.array([change.reference, change.candidate])),
            numbers("lower", np.array([bar.lower for bar in bars])),
            numbers("upper", np.array([bar.upper for bar in bars])),
        ),
        note="intervals of each alone; the gain itself is paired and can be settled while these overlap",
    )
    return (*facts, figure)


@dataclass(frozen=True, slots=True, kw_only=True)
class GainOptions:
    """What a gate on `gain` may set."""

    metric: str = ""
    relative: bool | None = None


def _run(subject: Subject, options: GainOptions) -> Measurement:
    return gain(
        subject.model,
        subject.train,
        subject.test,
        metric=options.metric or None,
        relative=options.relative,
        level=subject.level,
        seed=subject.seed,
    )


CHECKS = (
    Check(
        code="BAS001",
        name="gain",
        title="gain over a linear baseline",
        measure=gain,
        run=_run,
        options=GainOptions,
        needs=frozenset({"train", "targets"}),
        why="A complex model that a linear one matches costs latency, memory and explanation for nothing.",
        remedy="If the gain is not proved, ship the simple model, find more data or better features, or test on more rows.",
    ),
)
