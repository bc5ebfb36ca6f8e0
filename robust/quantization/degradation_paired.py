"""How much a candidate model loses against a reference on the same rows."""

from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from msgspec import structs

from robust.check import Check, Subject
from robust.data.dataset import Dataset
from robust.data.live import as_data
from robust.errors import InvalidInput
from robust.evidence import Evidence, Values
from robust.measurement import Measurement
from robust.measures import classification, error_quantiles, regression, score_quality
from robust.measures.assembling import assemble
from robust.measures.class_alignment import aligned
from robust.measures.paired import paired_change
from robust.measures.truth import score
from robust.metrics.catalogue import find_metric
from robust.models.base import Model
from robust.models.conversion import as_model
from robust.predicting.metering import metered
from robust.predicting.predictions import predict
from robust.quantization.degradation_evidence import classification_evidence, regression_evidence
from robust.quantization.row_value_change import MetricCallable, row_value_change
from robust.quantization.self_checks import comparison_checks

_HOMES = tuple(module.__name__ for module in (classification, regression, score_quality, error_quantiles))


def degradation(
    reference: Any,
    candidate: Any,
    data: Any,
    *,
    metric: str | MetricCallable = "accuracy",
    quantized: bool | None = None,
    relative: bool | None = None,
    level: float = 0.95,
    seed: int = 0,
) -> Measurement:
    """How much worse a candidate is than a reference, row by row on the same data.

    absolute: m(reference) − m(candidate) where higher is better, m(candidate) − m(reference) where lower is better;
    relative: the same, divided by |m(reference)|

    Args:
        reference: The model compared with, e.g. the float build; anything `as_model` takes. One object given twice is
            taken as meant: it measures what the host itself changes.
        candidate: The model under test, e.g. the int8 build.
        data: Anything `as_data` takes, with targets.
        metric: A metric's name, the public measure of that name, or another callable `(model, data) -> Measurement`
            that carries `row_values`, e.g. `functools.partial(robust_accuracy, attack=PGD(eps=0.03))`.
        quantized: True demands that the candidate is quantized: where no weight is stored in 8 bits or fewer, or that
            cannot be read, the measurement is `INVALID`. None compares any two models.
        relative: Whether to divide by the reference; None follows the metric: relative for RMSE, MAE and log-loss,
            absolute for the rest.
        level: Confidence of each bound, in (0.5, 1).
        seed: Seed of the bootstrap, where one is used.

    Returns:
        The degradation, positive is worse. Accuracy: Tango's score bound (1998) with a half-count correction; AUC:
        DeLong (1988); others: paired BCa bootstrap (Efron 1987); blocks or clusters where rows have an order or
        groups; never narrower than what the rows that differ can prove. Evidence: both values, flips both ways with
        row ids, McNemar's exact p, the worst class.

    Raises:
        InvalidInput: If the models do not fit each other or the data, or the metric is unknown.
        ModelFault: If a model breaks its contract.

    >>> import numpy as np
    >>> x, y = np.arange(400.0)[:, None], np.zeros(400, dtype=int)
    >>> good, bad = (lambda x: np.zeros(len(x), int)), (lambda x: (x[:, 0] < 40).astype(int))
    >>> degradation(good, bad, (x, y)).value
    0.1
    """
    old, new, rows = as_model(reference), as_model(candidate), as_data(data)
    metric = _by_its_name(metric)
    with metered() as meter:
        if callable(metric):
            if relative:
                raise InvalidInput(
                    "the degradation of a callable metric is absolute; relative=True is for metrics by name"
                )
            result, agree = row_value_change(metric, old, new, rows, level=level, seed=seed)
        else:
            result, agree = _by_name(metric, old, new, rows, relative=relative, level=level, seed=seed)
        checks = comparison_checks(old, new, same=reference is candidate, agree=agree, quantized=quantized)
        return replace(
            result,
            validity=(*checks, *result.validity),
            provenance=structs.replace(result.provenance, cost=meter.cost()),
        )


def _by_its_name(metric: str | MetricCallable) -> str | MetricCallable:
    """A public measure of the catalogue, bare or with level and seed alone, as its name: both say the same."""
    function: Any = metric
    if isinstance(metric, partial) and not metric.args and set(metric.keywords) <= {"level", "seed"}:
        function = metric.func
    home = getattr(function, "__module__", "")
    return str(function.__name__) if home in _HOMES else metric


def _by_name(
    name: str, old: Model, new: Model, data: Dataset, *, relative: bool | None, level: float, seed: int
) -> tuple[Measurement, bool]:
    """Degradation of a metric of the catalogue, and whether both models answer alike on every row."""
    metric = find_metric(name)
    with metered() as meter:
        reference, candidate = aligned(score(metric, predict(old, data), data), score(metric, predict(new, data), data))
        change = paired_change(metric, reference, candidate, data, relative=relative, level=level, seed=seed)
        evidence: tuple[Evidence, ...] = (
            Values(metric=metric.title, reference=change.reference, candidate=change.candidate),
        )
        if metric.task == "classification":
            evidence += classification_evidence(reference, candidate, data, level=level, seed=seed)
        else:
            evidence += regression_evidence(reference, candidate, data)
        measured = assemble(
            change.interval,
            name="degradation" if name == "accuracy" else f"degradation of {metric.title}",
            unit=change.unit,
            higher_is_better=False,
            models=(new, old),
            data=data,
            meter=meter,
            seed=seed,
            options={"metric": name, "relative": change.unit == "relative"},
            evidence=evidence,
            validity=change.validity,
            reach=change.reach,
        )
    agree = np.array_equal(reference.predictions.outputs, candidate.predictions.outputs)
    return change.settled(measured), bool(agree)


@dataclass(frozen=True, slots=True, kw_only=True)
class DegradationOptions:
    """What a gate on `degradation` may set."""

    metric: str = ""
    relative: bool | None = None
    quantized: bool | None = None


def _run(subject: Subject, options: DegradationOptions) -> Measurement:
    default = "rmse" if subject.task == "regression" else "accuracy"
    return degradation(
        subject.reference,
        subject.model,
        subject.test,
        metric=options.metric or default,
        relative=options.relative,
        quantized=options.quantized,
        level=subject.level,
        seed=subject.seed,
    )


CHECKS = (
    Check(
        code="QNT001",
        name="degradation",
        title="loss against the reference",
        measure=degradation,
        run=_run,
        options=DegradationOptions,
        needs=frozenset({"reference", "targets", "classification", "multilabel", "regression"}),
        why="Converting, quantizing or retraining a model changes its answers; what counts is what that costs on the "
        "same rows, and whether the test set is large enough to tell.",
        remedy="Look at the worst class and at the flipped rows. For a quantized model: more calibration data, "
        "per-channel weights, the most sensitive layers at higher precision, or quantization-aware training.",
    ),
)
