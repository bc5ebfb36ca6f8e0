"""The degradation of a measure that gives one value a row, such as robust accuracy."""

from collections.abc import Callable
from typing import Any

import numpy as np

from robust.data.dataset import Dataset
from robust.errors import InvalidInput
from robust.evidence import Evidence, SelfCheck, Values
from robust.measurement import OPPOSITE, Measurement
from robust.measures.assembling import assemble
from robust.measures.mean_change import mean_change_interval
from robust.models.base import Model
from robust.predicting.metering import Meter
from robust.quantization.degradation_evidence import flips, row_drops
from robust.types import FloatArray
from robust.verdict import reach_of

MetricCallable = Callable[[Any, Any], Measurement]


def row_value_change(
    before: Measurement, after: Measurement, models: tuple[Model, Model], data: Dataset, *, level: float, seed: int
) -> tuple[Measurement, bool]:
    """Change of a measure whose value is the mean of its row values, paired by row; positive is worse.

    Args:
        before: The measure of the reference, with row values.
        after: Of the candidate.
        models: Reference and candidate.
        data: The rows.
        level: Confidence of each bound.
        seed: Seed of the bootstrap, where one is used.

    Returns:
        The change, and whether both models have the same value on every row.

    Raises:
        InvalidInput: If the measure gives no row values, not one a row, values whose mean is another number, or has no
            direction.
    """
    a, b = _row_values(before, len(data)), _row_values(after, len(data))
    if before.higher_is_better is None:
        raise InvalidInput(f"{before.name} has no direction (higher_is_better), so that nothing can be worse")
    worse = a - b if before.higher_is_better else b - a
    share = _is_share(a, b)
    interval = mean_change_interval(
        worse, data, level=level, seed=seed, share=share, typical=float(np.abs(a).mean() + np.abs(b).mean()) / 2
    )
    evidence: tuple[Evidence, ...] = (Values(metric=before.name, reference=before.value, candidate=after.value),)
    if share:
        right = (a == 1, b == 1) if before.higher_is_better else (a == 0, b == 0)
        evidence += (flips(*right, data),)
    evidence += row_drops(a, b, data, name=before.name, worse=worse, share=share, level=level, seed=seed)
    low, high = reach_of(before)
    measured = assemble(
        interval,
        name=f"degradation of {before.name}",
        unit=before.unit,
        higher_is_better=False,
        models=models[::-1],
        data=data,
        meter=Meter(),
        seed=seed,
        options={"metric": before.name} | _settings(before, after),
        evidence=evidence,
        validity=_both(before, after),
        reach=(low - high, high - low),
    )
    return measured, bool(np.array_equal(a, b))


def called(metric: MetricCallable, model: Model, data: Dataset) -> Measurement:
    """What a metric callable gives for one model.

    Raises:
        InvalidInput: If it is a plain function of targets and predictions, or gives no measurement.
    """
    home = str(getattr(getattr(metric, "func", metric), "__module__", ""))
    if home.startswith("sklearn.metrics"):
        name = getattr(getattr(metric, "func", metric), "__name__", "function")
        raise InvalidInput(
            f"{name} is a function of targets and predictions, not of a model and data: "
            f'metric=Statistic({name}, of="labels", higher_is_better=…) would be right'
        )
    found: object = metric(model, data)
    if not isinstance(found, Measurement):
        raise InvalidInput(
            f"a metric callable must give a Measurement, got {type(found).__name__}; a plain function "
            "(y, prediction) -> float goes into Statistic(…)"
        )
    return found


def _settings(before: Measurement, after: Measurement) -> dict[str, object]:
    """Options of the measure that it tells itself, such as an attack with its budget: the same for both models."""
    others = dict(after.provenance.options)
    return {
        name: _Told(value)
        for name, value in before.provenance.options
        if name != "metric" and others.get(name) == value
    }


class _Told(str):
    """Text that is its own repr: it already was one."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)


def _row_values(m: Measurement, n: int) -> FloatArray:
    """Row values of a measurement, if they are what its value rests on."""
    rows = m.row_values
    if rows is None:
        raise InvalidInput(
            f"{m.name} carries no row values, so the two models' rows cannot be paired; a metric callable must give a "
            "Measurement with row_values, as robust_accuracy does, be a measure of this package with its options "
            "(functools.partial(f1, label=…)), or a Statistic of targets and predictions"
        )
    if rows.shape != (n,):
        raise InvalidInput(f"{m.name} must give one value for each of {n} rows, got row values of shape {rows.shape}")
    values = rows.astype(np.float64)
    if not np.isclose(values.mean(), m.value, rtol=1e-6, atol=1e-9):
        raise InvalidInput(
            f"the row values of {m.name} must average to its value {m.value:.6g}, got {values.mean():.6g}"
        )
    return values


def _both(before: Measurement, after: Measurement) -> tuple[SelfCheck, ...]:
    """Self-checks of both measurements: a faked high reference raises the loss, a faked high candidate lowers it."""
    towards_loss = before.higher_is_better is True
    checks = [("reference", check, towards_loss) for check in before.validity]
    checks += [("candidate", check, not towards_loss) for check in after.validity]
    return tuple(
        SelfCheck(
            name=f"{who}: {check.name}",
            passed=check.passed,
            reason=check.reason,
            bias=check.bias if keeps else OPPOSITE[check.bias],  # type: ignore[arg-type]
        )
        for who, check, keeps in checks
    )


def _is_share(*columns: FloatArray) -> bool:
    """Whether all values are 0 or 1, so that exact bounds of proportions serve."""
    return all(bool(np.isin(column, (0, 1)).all()) for column in columns)
