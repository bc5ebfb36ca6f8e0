"""How much a candidate model loses against a reference on the same rows."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, overload

from robust.check import Check, Subject
from robust.data.live import as_data
from robust.errors import InvalidInput
from robust.measurement import Measurement
from robust.models.conversion import as_model
from robust.quantization.compared import comparison
from robust.quantization.plain_statistic import Statistic
from robust.quantization.row_value_change import MetricCallable
from robust.quantization.several_candidates import Degradations


@overload
def degradation(
    reference: Any,
    candidate: Mapping[str, Any],
    data: Any,
    *,
    metric: str | MetricCallable | Statistic = "accuracy",
    quantized: bool | None = None,
    relative: bool | None = None,
    level: float = 0.95,
    seed: int = 0,
) -> Degradations: ...


@overload
def degradation(
    reference: Any,
    candidate: Any,
    data: Any,
    *,
    metric: str | MetricCallable | Statistic = "accuracy",
    quantized: bool | None = None,
    relative: bool | None = None,
    level: float = 0.95,
    seed: int = 0,
) -> Measurement: ...


def degradation(
    reference: Any,
    candidate: Any,
    data: Any,
    *,
    metric: str | MetricCallable | Statistic = "accuracy",
    quantized: bool | None = None,
    relative: bool | None = None,
    level: float = 0.95,
    seed: int = 0,
) -> Measurement | Degradations:
    """How much worse a candidate is than a reference, row by row on the same data.

    absolute: m(reference) − m(candidate) where higher is better, m(candidate) − m(reference) where lower is better;
    relative: the same, divided by |m(reference)|

    Args:
        reference: The model compared with, e.g. the float build; anything `as_model` takes. One object given twice is
            taken as meant: it measures what the host itself changes.
        candidate: The model under test, e.g. the int8 build; or several, `{"int8": …, "int4": …}`.
        data: Anything `as_data` takes, with targets.
        metric: A metric's name; the public measure of that name, with options if need be, e.g.
            `functools.partial(f1, label="cat")`; a `Statistic`, which is a function of targets and predictions; or
            another callable `(model, data) -> Measurement` that carries `row_values`, e.g.
            `functools.partial(robust_accuracy, attack=PGD(eps=0.03))`.
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
        row ids, McNemar's exact p, the worst class and slice, and the noise floor of the host, which is also the
        `resolution`: what other threads, graph optimization or batches change in the degradation itself. A verdict that
        this could turn is `INVALID`. Of several candidates a mapping of such measurements, `Degradations`.

    Raises:
        InvalidInput: If the models do not fit each other or the data, the metric is unknown, or of several candidates
            there is none.
        ModelFault: If a model breaks its contract.

    >>> import numpy as np
    >>> x, y = np.arange(400.0)[:, None], np.zeros(400, dtype=int)
    >>> good, bad = (lambda x: np.zeros(len(x), int)), (lambda x: (x[:, 0] < 40).astype(int))
    >>> degradation(good, bad, (x, y)).value
    0.1
    """
    old, rows = as_model(reference), as_data(data)
    by = comparison(metric, rows, relative=relative, quantized=quantized, seed=seed)
    if not isinstance(candidate, Mapping):
        new = as_model(candidate)
        return by.between(by.ask(old), by.ask(new), same=reference is candidate)(level)
    if not candidate or not all(isinstance(name, str) for name in candidate):
        raise InvalidInput(f"candidates got {list(candidate)!r}; at least one, by name, would be right")
    models = {name: as_model(one) for name, one in candidate.items()}
    asked = by.ask(old)
    pairs = {
        name: by.between(asked, by.ask(model), same=reference is candidate[name]) for name, model in models.items()
    }

    def measure(at: float) -> Mapping[str, Measurement]:
        return MappingProxyType({name: measured(at) for name, measured in pairs.items()})

    return Degradations(
        reference=old,
        candidates=MappingProxyType(models),
        data=rows,
        level=level,
        measured=measure(level),
        measure=measure,
    )


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
