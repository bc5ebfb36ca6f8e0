"""Autocorrelation of residuals, with bounds that hold whatever the variance does."""

from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Integral
from typing import Any, Literal

import numpy as np

from robust.check import Check, Subject
from robust.data.live import as_data
from robust.data.ordering import time_order
from robust.errors import InvalidInput
from robust.evidence import Evidence, Slices
from robust.intervals.arguments import check_level
from robust.intervals.cluster import FEWEST
from robust.intervals.interval import Interval, RootSizing
from robust.measurement import Measurement
from robust.measures.assembling import assemble
from robust.models.conversion import as_model
from robust.predicting.metering import metered
from robust.predicting.predictions import predict
from robust.residuals.autocorrelation_evidence import (
    automatic_test,
    by_lag,
    finding,
    group_facts,
    joint_p,
    spacing,
)
from robust.residuals.autocorrelation_figures import autocorrelation_figure, sequence_figure
from robust.residuals.lag_products import Autocorrelations, group_autocorrelations, series_autocorrelations
from robust.residuals.residual_rows import FEW, residual_rows
from robust.types import IntArray

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

    max_k |r_k|, r_k = Σ_t (e_t − ē)(e_{t−k} − ē) / Σ_t (e_t − ē)²; inside groups, pooled and corrected for
    the group's mean, where there are groups

    Args:
        model: Anything `as_model` takes.
        data: Anything `as_data` takes; has targets and an order, and groups where there are several series.
        lag: One lag, several, or `auto`: 1 … min(10, n/5), n the rows of the series (of the median group).
            For h-step forecasts give lags from h on: an error of h steps is correlated with the h − 1 before
            it by nature.
        level: Confidence of each bound, in (0.5, 1).
        seed: Recorded; nothing here is random.

    Returns:
        A value in [0, 1], 0 is best. The upper bound is the largest |r_k| + z·s_k (the largest true one
        exceeds it with probability at most 1 − level), the lower one the largest |r_k| − z's_k with z' shared
        by all lags and both signs (Bonferroni). s_k is the larger of the error without autocorrelation,
        whatever the variance does, and the long-run error at the estimate; r_k is corrected for the mean.
        Signs and bounds of each lag are in the evidence, as are joint p-values. The null hypothesis is "the
        errors of this model, as it is deployed, do not predict each other"; errors of its fitted parameters
        violate it too.

    Raises:
        InvalidInput: If there is no order, times tie, there are fewer than 50 rows or 10 groups, a lag is out
            of range, or the residuals do not vary.
        ModelFault: If the model breaks its contract.

    Source: Escanciano and Lobato (2009), Journal of Econometrics 151:140; for groups Okui (2010), Econometric
    Theory 26:1263.

    >>> import numpy as np
    >>> from robust.data.live import as_data
    >>> t = np.arange(1000)
    >>> data = as_data(t[:, None] / 1000, (-1.0) ** t, order=t)
    >>> zero = as_model(lambda x: 0 * x[:, 0], task="regression")
    >>> round(residual_autocorrelation(zero, data, lag=1).value, 3)
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
        found = group_autocorrelations(sequence, sizes, lags) if grouped else series_autocorrelations(sequence, lags)
        interval = autocorrelation_interval(found, differing=residuals.differing, n=len(rows), level=level)
        table = by_lag(found, level=level)
        evidence: tuple[Evidence, ...] = (
            *finding(interval, table[0], joint_p(found, sequence), lags=len(lags)),
            *(group_facts(sequence, sizes) if grouped else automatic_test(sequence)),
            Slices(by="lag", measure="autocorrelation of residuals", level=level, slices=table),
            *residuals.facts,
            *spacing(rows, order),
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
            reach=(0.0, 1.0),
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
    # The true largest lag alone must stay below the upper bound: no correction. Any lag could break the lower
    # one.
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


def _lags(lag: object, sizes: IntArray, *, grouped: bool) -> IntArray:
    """Read and check the lags, given the rows of each series."""
    usual = int(np.median(sizes))
    if isinstance(lag, str):
        if lag != "auto":
            raise InvalidInput(f"lag got {lag!r}; 'auto', a whole number or several would be right")
        # A lag needs two pairs a group: one is used up by the group's mean.
        lags = np.arange(1, max(1, min(_MOST_LAGS, usual // 5)) + 1)
    else:
        asked = list(lag) if isinstance(lag, Sequence) else [lag]
        if not asked or any(isinstance(k, bool) or not isinstance(k, Integral) or k < 1 for k in asked):
            raise InvalidInput(f"lag got {lag!r}; whole numbers of at least 1 would be right")
        lags = np.unique(np.array(asked, dtype=np.int64))
    longest = int(lags[-1])
    if not grouped and usual < max(FEWEST_ROWS, 2 * longest):
        raise InvalidInput(
            f"autocorrelation up to lag {longest} got {usual} rows; at least "
            f"{max(FEWEST_ROWS, 2 * longest)} rows would be right"
        )
    least = max(_FEWEST_IN_GROUP, longest + 2)
    if grouped and (np.sum(sizes >= least) < FEWEST or usual < least):
        raise InvalidInput(
            f"autocorrelation up to lag {longest} inside groups got {int(np.sum(sizes >= least))} of "
            f"{len(sizes)} groups with at least {least} rows; half of the groups and at least {FEWEST} "
            "would be right (for few long series, measure each by itself, without groups)"
        )
    return lags


@dataclass(frozen=True, slots=True, kw_only=True)
class AutocorrelationOptions:
    """What a gate on `residual_autocorrelation` may set; no lag stands for `auto`."""

    lag: int | tuple[int, ...] = ()


def _run(subject: Subject, options: AutocorrelationOptions) -> Measurement:
    lag: int | tuple[int, ...] | Literal["auto"] = options.lag if options.lag != () else "auto"
    return residual_autocorrelation(subject.model, subject.test, lag=lag, level=subject.level, seed=subject.seed)


CHECKS = (
    Check(
        code="RES001",
        name="residual_autocorrelation",
        title="autocorrelation of residuals",
        measure=residual_autocorrelation,
        run=_run,
        options=AutocorrelationOptions,
        needs=frozenset({"targets", "order", "classification", "regression"}),
        why="Errors that predict the next errors are information that the model leaves on the table; they "
        "also make every interval that takes rows for independent too narrow.",
        remedy="Give the model the past at the lags that stand out (lagged targets, the season), or model "
        "the drift; then measure again on later rows.",
    ),
)
