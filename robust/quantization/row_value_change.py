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
from robust.predicting.metering import metered
from robust.quantization.degradation_evidence import flips
from robust.types import FloatArray
from robust.verdict import reach_of

MetricCallable = Callable[[Any, Any], Measurement]


def row_value_change(
    metric: MetricCallable, old: Model, new: Model, data: Dataset, *, level: float, seed: int
) -> tuple[Measurement, bool]:
    """Change of a measure whose value is the mean of its row values, paired by row; positive is worse.

    Args:
        metric: From a model and data to a measurement with row values.
        old: The reference.
        new: The candidate.
        data: The rows.
        level: Confidence of each bound.
        seed: Seed of the bootstrap, where one is used.

    Returns:
        The change, and whether both models have the same value on every row.

    Raises:
        InvalidInput: If the measure gives no row values, not one a row, values whose mean is another number, or has no
            direction.
    """
    with metered() as meter:
        before, after = metric(old, data), metric(new, data)
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
        low, high = reach_of(before)
        measured = assemble(
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
            reach=(low - high, high - low),
        )
    return measured, bool(np.array_equal(a, b))


def _row_values(m: object, n: int) -> FloatArray:
    """Row values of a measurement, if they are what its value rests on."""
    if not isinstance(m, Measurement):
        raise InvalidInput(f"a metric callable must give a Measurement, got {type(m).__name__}")
    rows = m.row_values
    if rows is None:
        raise InvalidInput(
            f"{m.name} carries no row values, so the two models' rows cannot be paired; a metric callable must give a "
            "Measurement with row_values, as robust_accuracy does"
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
