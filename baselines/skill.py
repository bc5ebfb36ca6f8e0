"""What a model gains over a simple one."""

from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from robust.baselines.linear import code_tables, fit_linear, recoded
from robust.check import Check, Subject
from robust.data.dataset import Dataset
from robust.data.live import as_data
from robust.errors import InvalidInput
from robust.evidence import Evidence, Fact, Figure, Finding, SelfCheck, Values
from robust.intervals.mcnemar import mcnemar_p
from robust.measurement import Measurement
from robust.measures.assembling import assemble
from robust.measures.class_alignment import aligned
from robust.measures.details import numbers, words
from robust.measures.paired import Change, paired_change
from robust.measures.single import single_interval
from robust.measures.truth import Scored, score, truth_of
from robust.metrics.catalogue import find_metric
from robust.metrics.metric import Metric
from robust.models.conversion import as_model
from robust.predicting.metering import metered
from robust.predicting.predictions import Predictions, predict

#: Share of test rows that must differ from each other for an equal row in train to mean anything.
_TELLING = 0.9


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
        The gain, positive means that the model is better; paired by row, with the bounds of `degradation`. A pass is
        `INVALID` where most test rows also stand in train.

    Raises:
        InvalidInput: If train and test are the same rows or have other features, the training targets are none that
            the model could predict or lack labels of the test rows, or the metric is unknown.
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
    overlap, separate = _check_splits(fitted_on, rows)
    with metered() as meter:
        predictions = predict(candidate, rows)
        chosen = find_metric(metric or ("accuracy" if predictions.task == "classification" else "rmse"))
        _check_targets(predictions, fitted_on, rows)
        baseline = fit_linear(fitted_on, task=predictions.task, schema=rows.schema)
        theirs, ours = aligned(score(chosen, predict(baseline, rows), rows), score(chosen, predictions, rows))
        change = paired_change(chosen, theirs, ours, rows, relative=relative, level=level, seed=seed)
        evidence = (
            Values(
                metric=chosen.title,
                reference=change.reference,
                candidate=change.candidate,
                names=(baseline.name, candidate.name),
            ),
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
            options={
                "over": over,
                "metric": chosen.name,
                "relative": change.unit == "relative",
                "train": fitted_on.fingerprint,
            },
            evidence=evidence,
            # A memorised row raises the gain; here it stands for a loss, until the sign is turned.
            validity=(*change.validity, separate),
            reach=change.reach,
        )
    return replace(-change.settled(worse), name=f"gain over {baseline.name}")


def _check_targets(predictions: Predictions, train: Dataset, test: Dataset) -> None:
    """Refuse training targets that the model could not predict, and test labels that the baseline cannot know."""
    if not predictions.found:
        try:
            truth_of(predictions, train)
        except InvalidInput as error:
            raise InvalidInput(f"the training rows {train.name}: {error}") from error
    if predictions.task == "classification":
        known = _labels(train)
        if lacking := [label for label in _labels(test) if label not in known]:
            raise InvalidInput(
                f"the training rows {train.name} have no row of {lacking[:10]}, labels of {test.name} that a baseline "
                "fitted on them cannot know: training rows of every class would be right"
            )


def _labels(data: Dataset) -> list[str]:
    """Labels of a data set as text, whole numbers alike whatever their type."""
    return [label if isinstance(label, str) else f"{float(label):.17g}" for label in np.unique(data.targets)]


def _check_splits(train: Dataset, test: Dataset) -> tuple[tuple[Evidence, ...], SelfCheck]:
    """Refuse splits that cannot be compared, and say how many test rows also stand in the training rows.

    Where the features can tell rows apart, a test set most of which stands in train is no test set; where they cannot
    (a few yes-or-no questions), equal rows are no sign of anything.
    """
    theirs = np.ascontiguousarray(recoded(train.x, train.schema, {}))
    ours = np.ascontiguousarray(recoded(test.x, test.schema, code_tables(test.schema, train.schema)))
    if theirs.shape == ours.shape and np.array_equal(theirs, ours, equal_nan=True):
        raise InvalidInput(
            "train and test are the same rows: a baseline judged on its own training rows proves nothing"
        )
    seen, own = {row.tobytes() for row in theirs}, [row.tobytes() for row in ours]
    shared = sum(row in seen for row in own)
    telling = len(set(own)) > _TELLING * len(own)
    apart = not (telling and shared > 0.5 * len(own))
    check = SelfCheck(
        name="separate rows",
        passed=apart,
        reason=f"{shared} of {len(own)} test rows also stand in train"
        + ("" if apart else ": what the model has memorised counts as a gain"),
        bias="lowers",
    )
    facts = (Fact(name="test rows whose inputs also stand in train", value=shared),) if shared else ()
    return facts, check


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
    return (*facts, *_finding(metric, theirs, change), figure)


def _finding(metric: Metric, theirs: Scored, change: Change) -> tuple[Finding, ...]:
    """What a reader would want to know: that the simple model is as good, or better. The change is the model's loss."""
    if change.interval.upper < 0:
        return ()
    name, n = theirs.predictions.model, len(theirs.truth)
    verdict = "is better" if change.interval.lower > 0 else f"may be as good: {n} rows do not prove a gain over it"
    values = f"{metric.title} {change.reference:.4g} against {change.candidate:.4g} of the model"
    return (Finding(text=f"{name} {verdict} ({values})"),)


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
        needs=frozenset({"train", "targets", "classification", "regression"}),
        why="A complex model that a linear one matches costs latency, memory and explanation for nothing.",
        remedy="If no gain is proved, ship the simple model, find more data or better features, or test on more rows.",
    ),
)
