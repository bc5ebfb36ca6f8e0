"""Autocorrelation of residuals, with bounds that hold whatever the variance does."""

from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Integral
from typing import Any, Literal

import numpy as np
from scipy.special import stdtr

from robust.check import Check, Subject
from robust.data.dataset import Dataset
from robust.data.live import as_data
from robust.data.ordering import TimeOrder, time_order
from robust.errors import InvalidInput
from robust.evidence import Evidence, Fact, Finding, Slice, Slices
from robust.intervals.arguments import check_level
from robust.intervals.cluster import FEWEST
from robust.intervals.interval import Interval, RootSizing
from robust.measurement import Measurement
from robust.measures.assembling import assemble
from robust.models.conversion import as_model
from robust.predicting.metering import metered
from robust.predicting.predictions import predict
from robust.residuals.autocorrelation_figures import autocorrelation_figure, sequence_figure
from robust.residuals.lag_products import Autocorrelations, group_autocorrelations, series_autocorrelations
from robust.residuals.portmanteau import automatic_p, box_pierce_p, standardised_squares
from robust.residuals.residual_rows import FEW, residual_rows
from robust.types import FloatArray, IntArray

#: Rows of a series at least: below, the normal approximation misses too often (simulated).
FEWEST_ROWS = 50
_MOST_LAGS = 10
# In shorter groups a lasting error of the model looks like a constant one (simulated).
_FEWEST_IN_GROUP = 5


def residual_autocorrelation(
    model: Any,
    data: Any,
    *,
    lag: int | Sequence[int] | Literal["auto"] = "auto",
    level: float = 0.95,
    seed: int = 0,
) -> Measurement:
    """Largest autocorrelation, by size, of a model's residuals over the lags asked for.

    max_k |r_k|, r_k = Σ_t (e_t − ē)(e_{t−k} − ē) / Σ_t (e_t − ē)²; inside groups, pooled and corrected for the
    group's mean, where there are groups

    Args:
        model: Anything `as_model` takes.
        data: Anything `as_data` takes; has targets and an order, and groups where there are several series.
        lag: One lag, several, or `auto`: 1 … min(10, n/5), n the rows of the series (of the median group). For
            h-step forecasts give lags from h on: an error of h steps is correlated with the h − 1 before it by nature.
        level: Confidence of each bound, in (0.5, 1).
        seed: Kept for the sake of one signature; nothing here is random.

    Returns:
        A value in [0, 1], 0 is best. The upper bound is the largest |r_k| + z·s_k (the largest true one exceeds it with
        probability at most 1 − level), the lower one the largest |r_k| − z's_k with z' shared by all lags and both
        signs (Bonferroni). s_k is the larger of the error without autocorrelation, which holds whatever the
        variance does, and the long-run error at the estimate; r_k is corrected for the mean. Signs, and bounds at
        each lag, are in the evidence, as are two joint p-values. The null hypothesis is "the errors of this model, as it is deployed, do not
        predict each other"; errors of its fitted parameters violate it too.

    Raises:
        InvalidInput: If there is no order, times tie, there are fewer than 50 rows or 10 groups, a lag is out of
            range, or the residuals do not vary.
        ModelFault: If the model breaks its contract.

    Source: Escanciano and Lobato (2009), Journal of Econometrics 151:140; Nickell (1981), Econometrica 49:1417.

    >>> import numpy as np
    >>> from robust.data.live import as_data
from robust.data.ordering import TimeOrder, time_order
    >>> t = np.arange(1000)
    >>> data = as_data(t[:, None] / 1000, (-1.0) ** t, order=t)
    >>> round(residual_autocorrelation(as_model(lambda x: 0 * x[:, 0], task="regression"), data, lag=1).value, 3)
    0.999
    """
    level = check_level(level)
    tested, rows = as_model(model), as_data(data)
    order = time_order(rows)
    lags = _lags(lag, np.diff(order.starts), grouped=rows.groups is not None)
    with metered() as meter:
        residuals = residual_rows(predict(tested, rows), rows)
        sequence, sizes = residuals.values[order.rows], np.diff(order.starts)
        grouped = rows.groups is not None
        found = (
            group_autocorrelations(sequence, sizes, lags) if grouped else series_autocorrelations(sequence, lags)
        )
        interval = autocorrelation_interval(found, differing=residuals.differing, n=len(rows), level=level)
        table = _by_lag(found, level=level)
        evidence: tuple[Evidence, ...] = (
            *_finding(found, interval, table[0], _joint_test(found, len(rows))),
            *(_group_facts(sequence, sizes) if grouped else _automatic_test(sequence)),
            Slices(by="lag", measure="autocorrelation of residuals", level=level, slices=table),
            *residuals.facts,
            *_spacing(rows, order),
            autocorrelation_figure(found, table, level=level),
            sequence_figure(sequence, rows, order, unit=residuals.unit),
        )
        return assemble(
            interval,
            name="residual_autocorrelation",
            unit="correlation",
            higher_is_better=False,
            models=(tested,),
            data=rows,
            meter=meter,
            seed=seed,
            options={"lag": tuple(int(k) for k in lags)},
            evidence=evidence,
        )


def autocorrelation_interval(found: Autocorrelations, *, differing: int, n: int, level: float) -> Interval:
    """Bounds of the largest autocorrelation by size.

    Args:
        found: Autocorrelations at the lags.
        differing: Rows whose residual is not the commonest one; below 10 nothing is proved.
        n: Rows.
        level: Confidence of each bound.

    Returns:
        The interval, in [0, 1].
    """
    sizes = np.abs(found.centres)
    value = min(1.0, float(np.abs(found.values).max()))
    # The true largest lag alone must stay below the upper bound: no correction. Any lag could break the lower one.
    upper = max(value, float((sizes + found.reach(level)).max()))
    lower = min(value, float((sizes - found.reach(1.0 - (1.0 - level) / (2 * len(sizes)))).max()))
    notes: tuple[str, ...] = ()
    if differing < FEW:
        lower, upper = 0.0, 1.0
        notes = (f"{differing} of {n} residuals differ from the commonest: too few to prove anything",)
    return Interval(
        value=value,
        lower=max(0.0, lower),
        upper=min(1.0, upper),
        level=level,
        n=n,
        method="cluster-robust" if np.isfinite(found.null_dof) else "heteroskedasticity-robust",
        sizing=RootSizing(value=value, lower=lower, upper=upper, n=n),
        notes=notes,
    )


def _lags(lag: int | Sequence[int] | str, sizes: IntArray, *, grouped: bool) -> IntArray:
    """Read and check the lags, given the rows of each series."""
    usual = int(np.median(sizes))
    if isinstance(lag, str):
        if lag != "auto":
            raise InvalidInput(f"lag got {lag!r}; 'auto', a whole number or several would be right")
        # A lag needs two pairs a group: one is used up by the group's mean.
        lags = np.arange(1, max(1, min(_MOST_LAGS, usual // 5)) + 1)
    else:
        asked = [lag] if isinstance(lag, Integral) else list(lag)
        if not asked or any(isinstance(k, bool) or not isinstance(k, Integral) or k < 1 for k in asked):
            raise InvalidInput(f"lag got {lag!r}; whole numbers of at least 1 would be right")
        lags = np.unique(np.array(asked, dtype=np.int64))
    longest = int(lags[-1])
    if not grouped and usual < max(FEWEST_ROWS, 2 * longest):
        raise InvalidInput(
            f"autocorrelation up to lag {longest} got {usual} rows; at least {max(FEWEST_ROWS, 2 * longest)} rows would be right"
        )
    least = max(_FEWEST_IN_GROUP, longest + 2)
    if grouped and (np.sum(sizes >= least) < FEWEST or usual < least):
        raise InvalidInput(
            f"autocorrelation up to lag {longest} inside groups got {int(np.sum(sizes >= least))} of {len(sizes)} groups with at "
            f"least {least} rows; half of the groups and at least {FEWEST} would be right (for few long series, measure each "
            "by itself, without groups)"
        )
    return lags


def _by_lag(found: Autocorrelations, *, level: float) -> tuple[Slice, ...]:
    """Signed autocorrelations with simultaneous bounds, largest first."""
    reach = found.reach(1.0 - (1.0 - level) / len(found.lags))
    parts = [
        Slice(
            name=f"lag {k}",
            n=int(pairs),
            value=float(value),
            lower=float(max(-1.0, min(value, centre - half))),
            upper=float(min(1.0, max(value, centre + half))),
        )
        for k, pairs, value, centre, half in zip(
            found.lags, found.pairs, found.values, found.centres, reach, strict=True
        )
    ]
    return tuple(sorted(parts, key=lambda part: -abs(part.value)))


def _joint_test(found: Autocorrelations, n: int) -> float:
    """Joint p-value over the lags asked for: robust Box–Pierce for one series, Bonferroni's for groups."""
    if np.isinf(found.null_dof):
        return box_pierce_p(standardised_squares(found, n))
    ratios = np.divide(
        np.abs(found.values), found.null_errors, out=np.zeros(len(found.lags)), where=found.null_errors > 0
    )
    return min(1.0, 2.0 * len(ratios) * float(stdtr(found.null_dof, -ratios.max())))


def _finding(found: Autocorrelations, interval: Interval, worst: Slice, p: float) -> tuple[Evidence, ...]:
    """In words: how strong autocorrelation is, and whether it is proved."""
    facts: tuple[Evidence, ...] = (
        Fact(name="largest autocorrelation", value=f"{worst.value:+.3f} at {worst.name}"),
        Fact(name=f"robust joint p, {len(found.lags)} lags", value=float(f"{p:.3g}")),
    )
    if interval.upper - interval.lower >= 1.0 or (interval.lower <= 0.0 and p > (1.0 - interval.level) / 2):
        return facts
    size = f"at least {interval.lower:.2f} in size" if interval.lower > 0 else "its size is not settled"
    text = (
        f"residuals are autocorrelated: {worst.value:+.2f} at {worst.name} ({size}; joint p = {p:.2g}), so past rows hold "
        "information that the model does not use"
    )
    return (Finding(text=text), *facts)


def _automatic_test(sequence: FloatArray) -> tuple[Evidence, ...]:
    """The joint p-value that needs no choice of lags."""
    n = len(sequence)
    most = int(min(10 * np.log10(n), n // 5))
    every = series_autocorrelations(sequence, np.arange(1, most + 1))
    p, chosen = automatic_p(standardised_squares(every, n), n)
    return (Fact(name=f"automatic portmanteau p ({chosen} of {most} lags chosen)", value=float(f"{p:.3g}")),)


def _group_facts(sequence: FloatArray, sizes: IntArray) -> tuple[Evidence, ...]:
    """Groups, and the residual variance between them: a constant error of a group is no autocorrelation inside it."""
    count, n = len(sizes), len(sequence)
    owner = np.repeat(np.arange(count), sizes)
    means = np.bincount(owner, sequence) / sizes
    within = float(np.sum((sequence - means[owner]) ** 2)) / (n - count)
    between = float(np.sum(sizes * (means - sequence.mean()) ** 2)) / (count - 1)
    usual = (n - float(np.sum(sizes**2)) / n) / (count - 1)
    part = max(0.0, (between - within) / usual)
    share = part / (part + within) if part + within > 0 else 0.0
    return (
        Fact(name="groups", value=count),
        Fact(name="share of residual variance between groups (one-way ANOVA)", value=float(f"{share:.3g}")),
    )


def _spacing(data: Dataset, order: TimeOrder) -> tuple[Evidence, ...]:
    """Say so where rows are not evenly spaced: a lag counts rows, not time."""
    if data.order is None or data.order.dtype.kind not in "fiu":
        return ()
    steps = np.diff(data.order[order.rows].astype(np.float64))
    inside = np.ones(len(steps), dtype=bool)
    inside[order.starts[1:-1] - 1] = False
    if not inside.any():
        return ()
    low, usual, high = (float(f(steps[inside])) for f in (np.min, np.median, np.max))
    if high - low <= 0.01 * usual:
        return ()
    text = f"steps of the order run from {low:.4g} to {high:.4g} (median {usual:.4g}): a lag counts rows, not time"
    return (Fact(name="uneven spacing", value=text),)


@dataclass(frozen=True, slots=True, kw_only=True)
class AutocorrelationOptions:
    """What a gate on `residual_autocorrelation` may set; no lag stands for `auto`."""

    lag: int | tuple[int, ...] = ()


def _run(subject: Subject, options: AutocorrelationOptions) -> Measurement:
    lag = options.lag if options.lag != () else "auto"
    return residual_autocorrelation(subject.model, subject.test, lag=lag, level=subject.level, seed=subject.seed)


CHECKS = (
    Check(
        code="RES001",
        name="residual_autocorrelation",
        title="autocorrelation of residuals",
        measure=residual_autocorrelation,
        run=_run,
        options=AutocorrelationOptions,
        needs=frozenset({"targets", "order"}),
        why="Errors that predict the next errors are information that the model leaves on the table, and make every "
        "interval that assumes independent rows too narrow.",
        remedy="Give the model the past at the lags that stand out (lagged targets, the season), or model the drift; then "
        "measure again on later rows.",
    ),
)
