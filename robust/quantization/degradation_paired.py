"""How much a candidate model loses against a reference on the same rows."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from robust.check import Check, Subject
from robust.data.dataset import Dataset
from robust.data.live import as_data
from robust.errors import InvalidInput
from robust.evidence import Evidence, Figure, Flips, Rows, SelfCheck, Slice, Slices, Values
from robust.intervals.bca import bca
from robust.intervals.mcnemar import mcnemar_p
from robust.intervals.resampling import SmoothOfMeans, distinct
from robust.intervals.tango import tango
from robust.intervals.vacuous import never_vacuous
from robust.measurement import Measurement
from robust.measures.assembling import assemble
from robust.measures.dependence import dependent_interval, is_dependent
from robust.measures.details import numbers, row_ids, words
from robust.measures.paired import aligned_candidate, paired_change
from robust.measures.truth import Scored, score
from robust.metrics.catalogue import find_metric
from robust.models.base import Model
from robust.models.conversion import as_model
from robust.predicting.metering import metered
from robust.predicting.predictions import predict
from robust.quantization.coverage import quantized_coverage
from robust.types import BoolArray, FloatArray

_SHOWN = 20
MetricCallable = Callable[[Any, Any], Measurement]


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
        reference: The model compared with, e.g. the float build; anything `as_model` takes.
        candidate: The model under test, e.g. the int8 build.
        data: Anything `as_data` takes, with targets.
        metric: A metric's name, or a callable `(model, data) -> Measurement` that carries `row_values`, e.g.
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
    checks = _vacuous(old, new, same=reference is candidate, quantized=quantized)
    with metered() as meter:
        if callable(metric):
            result = _by_callable(metric, old, new, rows, relative=relative, level=level, seed=seed)
        else:
            result = _by_name(metric, old, new, rows, relative=relative, level=level, seed=seed)
        measured = replace(result, validity=(*checks, *result.validity))
        cost = meter.cost()
    return replace(measured, provenance=_with_cost(measured, cost))


def _with_cost(m: Measurement, cost: Any) -> Any:
    from msgspec import structs

    return structs.replace(m.provenance, cost=cost)


def _by_name(
    name: str, old: Model, new: Model, data: Dataset, *, relative: bool | None, level: float, seed: int
) -> Measurement:
    """Degradation of a metric of the catalogue."""
    metric = find_metric(name)
    with metered() as meter:
        reference = score(metric, predict(old, data), data)
        candidate = aligned_candidate(reference, score(metric, predict(new, data), data))
        change = paired_change(metric, reference, candidate, data, relative=relative, level=level, seed=seed)
        evidence: tuple[Evidence, ...] = (
            Values(metric=metric.title, reference=change.reference, candidate=change.candidate),
        )
        if metric.task == "classification":
            evidence += _classification_evidence(reference, candidate, data, level=level)
        else:
            evidence += _regression_evidence(reference, candidate, data)
        return assemble(
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
        )


def _by_callable(
    metric: MetricCallable, old: Model, new: Model, data: Dataset, *, relative: bool | None, level: float, seed: int
) -> Measurement:
    """Degradation of a measure whose value is the mean of row values."""
    if relative:
        raise InvalidInput("the degradation of a callable metric is absolute; relative=True is for metrics by name")
    with metered() as meter:
        before, after = metric(old, data), metric(new, data)
        a, b = before.row_values, after.row_values
        if a is None or b is None:
            raise InvalidInput(
                f"{before.name} carries no row values, so the two models' rows cannot be paired; a metric callable must give a "
                "Measurement with row_values, as robust_accuracy does"
            )
        if a.shape != b.shape or before.higher_is_better is None:
            raise InvalidInput(f"{before.name} must give one value for each of {len(data)} rows, and have a direction")
        worse = (a - b if before.higher_is_better else b - a).astype(np.float64)
        interval = _mean_change(worse, data, level=level, seed=seed, share=_is_share(a, b))
        values = Values(metric=before.name, reference=before.value, candidate=after.value)
        evidence: tuple[Evidence, ...] = (values,)
        if _is_share(a, b):
            evidence += (_flips(a.astype(bool), b.astype(bool), data),)
        return assemble(
            interval,
            name=f"degradation of {before.name}",
            unit=before.unit,
            higher_is_better=False,
            models=(new, old),
            data=data,
            meter=meter,
            seed=seed,
            options={"metric": before.name},
            evidence=evidence,
            validity=_both(before, after),
        )


def _both(before: Measurement, after: Measurement) -> tuple[SelfCheck, ...]:
    """Self-checks of both measurements: a faked high value of the reference raises the loss, of the candidate lowers it."""
    flip = {"raises": "lowers", "lowers": "raises", "either": "either", "none": "none"}
    towards_loss = before.higher_is_better is True
    checks = [("reference", check, towards_loss) for check in before.validity]
    checks += [("candidate", check, not towards_loss) for check in after.validity]
    return tuple(
        SelfCheck(
            name=f"{who}: {check.name}",
            passed=check.passed,
            reason=check.reason,
            bias=check.bias if keeps else flip[check.bias],  # type: ignore[arg-type]
        )
        for who, check, keeps in checks
    )


def _is_share(*columns: FloatArray) -> bool:
    return all(bool(np.isin(column, (0, 1)).all()) for column in columns)


def _mean_change(worse: FloatArray, data: Dataset, *, level: float, seed: int, share: bool) -> Any:
    """Interval of a mean paired difference."""
    if is_dependent(data):
        statistic = SmoothOfMeans(worse, lambda means: means[:, 0])
        return dependent_interval(
            statistic, data, level=level, seed=seed, odd=worse != 0, effect=1.0 if share else None, anchor=0.0
        )
    if share:
        return tango(int(np.sum(worse > 0)), int(np.sum(worse < 0)), len(worse), level=level)
    values, counts = distinct(worse)
    interval = bca(SmoothOfMeans(values, lambda means: means[:, 0]), counts, level=level, seed=seed)
    return never_vacuous(
        interval, differing=int(np.sum(worse != 0)), units=len(worse), effect=None, level=level, anchor=0.0
    )


def _flips(before: BoolArray, after: BoolArray, data: Dataset) -> Flips:
    """Rows that changed between right and wrong."""
    lost, won = np.flatnonzero(before & ~after), np.flatnonzero(~before & after)
    return Flips(
        right_to_wrong=len(lost),
        wrong_to_right=len(won),
        n=len(before),
        p=mcnemar_p(len(lost), len(won)),
        rows=row_ids(data, lost[:_SHOWN]),
    )


def _classification_evidence(
    reference: Scored, candidate: Scored, data: Dataset, *, level: float
) -> tuple[Evidence, ...]:
    """Flips, drops by class and slice with simultaneous bounds, and their figure."""
    before, after = reference.right(), candidate.right()
    names = np.asarray([str(reference.predictions.classes[c]) for c in reference.truth])
    by_class = _accuracy_drops("class", names, before, after, level=level)
    others = tuple(
        _accuracy_drops(column.name, np.asarray([str(v) for v in column.values]), before, after, level=level)
        for column in data.slices
    )
    return (_flips(before, after, data), by_class, *others, _drop_figure(by_class))


def _accuracy_drops(by: str, labels: Any, before: BoolArray, after: BoolArray, *, level: float) -> Slices:
    """Accuracy drop on each part of the rows, worst first; Bonferroni over the parts."""
    parts = []
    found = np.unique(labels)
    for name in found:
        inside = labels == name
        b, c = int(np.sum(before & ~after & inside)), int(np.sum(~before & after & inside))
        interval = tango(b, c, int(inside.sum()), level=1 - (1 - level) / len(found))
        parts.append(
            Slice(
                name=f"{by}={name}",
                n=interval.n,
                value=interval.value,
                lower=interval.lower,
                upper=interval.upper,
                note=f"{b} right->wrong, {c} wrong->right",
            )
        )
    parts.sort(key=lambda part: (-part.value, part.name))
    return Slices(by=by, measure="accuracy drop", level=level, slices=tuple(parts[:_SHOWN]))


def _drop_figure(table: Slices) -> Figure:
    slices = table.slices
    return Figure(
        kind="interval",
        title=f"Accuracy drop by {table.by}",
        x_title="drop (positive is worse)",
        y_title=table.by,
        columns=(
            words("y", [part.name.partition("=")[2] for part in slices]),
            numbers("x", np.array([part.value for part in slices])),
            numbers("lower", np.array([part.lower for part in slices])),
            numbers("upper", np.array([part.upper for part in slices])),
        ),
        rules=(("x", 0.0, ""),),
        note=f"bounds hold for all of them at once at {table.level:g}",
    )


def _regression_evidence(reference: Scored, candidate: Scored, data: Dataset) -> tuple[Evidence, ...]:
    """Rows whose error grew most, and errors of both models against each other."""
    from robust.measures.details import sampled

    old = np.abs(reference.truth - reference.prediction).mean(axis=1)
    new = np.abs(candidate.truth - candidate.prediction).mean(axis=1)
    order = np.argsort(old - new, kind="stable")[:10]
    grown = Rows(
        what="rows whose absolute error grew most",
        ids=row_ids(data, order),
        values=tuple(float(f"{new[i] - old[i]:.4g}") for i in order),
        total=int(np.sum(new > old)),
    )
    keep = sampled(len(old))
    figure = Figure(
        kind="point",
        title="Absolute error, reference against candidate",
        x_title="reference",
        y_title="candidate",
        columns=(numbers("x", old[keep]), numbers("y", new[keep])),
    )
    return (grown, figure)


def _vacuous(old: Model, new: Model, *, same: bool, quantized: bool | None) -> tuple[SelfCheck, ...]:
    """Whether the comparison compares anything: a null result of a model with itself can only fake a low value."""
    checks = []
    weights = old.weights(), new.weights()
    if not same and None not in weights:
        equal = weights[0] == weights[1] and old.name != new.name
        checks.append(
            SelfCheck(
                name="two models",
                passed=not equal,
                reason=f"{old.name} and {new.name} hold bit-equal weights: this compares a model with itself"
                if equal
                else "the two models hold different weights",
                bias="lowers",
            )
        )
    if quantized:
        checks.append(_coverage_check(new))
    return tuple(checks)


def _coverage_check(model: Model) -> SelfCheck:
    coverage = quantized_coverage(model)
    if coverage is None:
        reason = f"{model.name}: what share of the weights is quantized cannot be read from a {model.framework} model"
    elif coverage == 0:
        reason = f"{model.name}: 0 % of the weights are quantized: this is the float model"
    else:
        reason = f"{100 * coverage:.4g} % of the weights are stored in 8 bits or fewer"
    return SelfCheck(name="quantized", passed=bool(coverage), reason=reason, bias="lowers")


@dataclass(frozen=True, slots=True, kw_only=True)
class DegradationOptions:
    """What a gate on `degradation` may set."""

    metric: str = ""
    relative: bool | None = None
    quantized: bool | None = None


def _run(subject: Subject, options: DegradationOptions) -> Measurement:
    default = "accuracy" if subject.task == "classification" else "rmse"
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
        needs=frozenset({"reference", "targets"}),
        why="Converting, quantizing or retraining a model changes its answers; what counts is what that costs on the same "
        "rows, and whether the test set is large enough to tell.",
        remedy="Look at the worst class and at the flipped rows. For a quantized model: more calibration data, per-channel "
        "weights, the most sensitive layers at higher precision, or quantization-aware training.",
    ),
)
