"""Public regression measures that two models are not compared by: the median and the largest absolute error."""

import math
from dataclasses import replace
from typing import Any

import numpy as np

from robust.data.dataset import Dataset
from robust.data.live import as_data
from robust.evidence import Evidence, Fact, Slice, Slices
from robust.intervals.arguments import check_level
from robust.intervals.clipping import clip
from robust.intervals.exact import exact
from robust.intervals.interval import Interval, RootSizing, Sizing
from robust.intervals.order_statistics import MedianSizing, median_interval
from robust.measurement import Measurement
from robust.measures.assembling import assemble
from robust.measures.dependence import is_dependent
from robust.measures.each_output import output_name
from robust.measures.regression_details import MOST_OUTPUTS, common_evidence
from robust.measures.row_means import share_interval
from robust.measures.truth import Scored, score
from robust.metrics.regression import MAE
from robust.models.conversion import as_model
from robust.predicting.metering import metered
from robust.predicting.predictions import predict
from robust.types import FloatArray


def median_absolute_error(model: Any, data: Any, *, level: float = 0.95, seed: int = 0) -> Measurement:
    """Median absolute error: half of the rows err by less.

    median_i |y_i − ŷ_i|, averaged over outputs

    Args:
        model: Anything `as_model` takes.
        data: Anything `as_data` takes; targets are numbers (n,) or (n, k).
        level: Confidence of each bound, in (0.5, 1).
        seed: Seed of the bootstrap; used only where rows have an order or groups.

    Returns:
        A value ≥ 0 in the target's unit, lower is better. Bounds are order statistics, whatever the distribution
        (Thompson 1936), those of several outputs averaged at a Bonferroni level; where rows have an order or groups,
        the quantiles at the bounds of the share of rows below the median (Woodruff 1952).

    Raises:
        InvalidInput: If targets and outputs do not fit.
        ModelFault: If the model breaks its contract.

    >>> net = as_model(lambda x: x[:, 0], task="regression")
    >>> median_absolute_error(net, (np.zeros((3, 1)), [1.0, -2.0, 9.0])).value
    2.0
    """
    judged, rows = as_model(model), as_data(data)
    with metered() as meter:
        scored = score(MAE, predict(judged, rows), rows)
        level = check_level(level)
        return assemble(
            median_of_outputs(scored, rows, level=level, seed=seed),
            name="median_absolute_error",
            unit="target",
            higher_is_better=False,
            models=(judged,),
            data=rows,
            meter=meter,
            seed=seed,
            evidence=(
                *common_evidence("median_absolute_error", scored, rows),
                *_output_medians(scored, rows, level=level, seed=seed),
            ),
        )


def max_error(model: Any, data: Any, *, level: float = 0.95) -> Measurement:
    """Largest absolute error of any row and output.

    max_ij |y_ij − ŷ_ij|

    Args:
        model: Anything `as_model` takes.
        data: Anything `as_data` takes; targets are numbers (n,) or (n, k).
        level: Confidence of the statement about other rows, in (0.5, 1).

    Returns:
        A value ≥ 0 in the target's unit, lower is better; exact, since it is a statement about these rows. About others
        the evidence says at most what share of them errs by more, at this level: 1 − (1 − level)^(1/n) (Wilks 1941).

    Raises:
        InvalidInput: If targets and outputs do not fit.
        ModelFault: If the model breaks its contract.

    >>> max_error(as_model(lambda x: x[:, 0], task="regression"), (np.zeros((3, 1)), [1.0, -2.0, 9.0])).value
    9.0
    """
    judged, rows = as_model(model), as_data(data)
    with metered() as meter:
        scored = score(MAE, predict(judged, rows), rows)
        level = check_level(level)
        return assemble(
            largest_error(scored),
            name="max_error",
            unit="target",
            higher_is_better=False,
            models=(judged,),
            data=rows,
            meter=meter,
            evidence=(_beyond(len(rows), rows, level=level), *common_evidence("max_error", scored, rows)),
        )


def largest_error(scored: Scored) -> Interval:
    """The largest absolute error, exact."""
    return exact(float(np.abs(scored.truth - scored.prediction).max()), len(scored.truth))


def median_of_outputs(scored: Scored, data: Dataset, *, level: float, seed: int) -> Interval:
    """Interval of the mean over outputs of the median absolute error, at least 0."""
    return clip(_mean_of_medians(scored, data, level=level, seed=seed), 0.0, math.inf)


def _mean_of_medians(scored: Scored, data: Dataset, *, level: float, seed: int) -> Interval:
    """The interval before it is cut off at 0."""
    errors = np.abs(scored.truth - scored.prediction)
    k = errors.shape[1]
    parts = [_median(errors[:, j], data, level=1 - (1 - level) / k, seed=seed) for j in range(k)]
    if k == 1:
        return parts[0]
    value, lower, upper = (
        float(np.mean([getattr(part, end) for part in parts])) for end in ("value", "lower", "upper")
    )
    medians = [part.sizing for part in parts if isinstance(part.sizing, MedianSizing)]
    sizing: Sizing = RootSizing(value=value, lower=lower, upper=upper, n=len(errors))
    if len(medians) == k:
        # All outputs have the same ranks, so that the mean of their bounds is a bound of the mean of their quantiles.
        quantiles = np.mean([median.quantiles for median in medians], axis=0)
        sizing = replace(medians[0], value=value, quantiles=tuple(quantiles.tolist()))
    return replace(parts[0], value=value, lower=lower, upper=upper, level=level, sizing=sizing)


def _median(errors: FloatArray, data: Dataset, *, level: float, seed: int) -> Interval:
    """Interval of one median, at least 0."""
    if not is_dependent(data):
        return median_interval(errors, level=level)
    value = float(np.median(errors))
    share = share_interval(errors <= value, data, level=level, seed=seed)
    # Where the share below the median may be as low as ½ − d, the median may lie as far up as the quantile at ½ + d.
    low, high = max(0.5 - (share.upper - share.value), 0.0), min(0.5 + (share.value - share.lower), 1.0)
    lower = float(np.quantile(errors, low, method="lower")) if low > 0 else 0.0
    upper = float(np.quantile(errors, high, method="higher")) if high < 1 else math.inf
    lower, upper = min(lower, value), max(upper, value)
    return Interval(
        value=value,
        lower=lower,
        upper=upper,
        level=level,
        n=len(errors),
        method=share.method,
        sizing=RootSizing(value=value, lower=lower, upper=upper, n=len(errors)),
        notes=share.notes,
    )


def _output_medians(scored: Scored, data: Dataset, *, level: float, seed: int) -> tuple[Evidence, ...]:
    """The median of each of several outputs, worst first, with bounds that hold for all at once."""
    errors = np.abs(scored.truth - scored.prediction)
    k = errors.shape[1]
    if k == 1:
        return ()
    found = [_median(errors[:, j], data, level=1 - (1 - level) / k, seed=seed) for j in range(k)]
    parts = [
        Slice(name=output_name(j, k), n=part.n, value=part.value, lower=max(part.lower, 0.0), upper=part.upper)
        for j, part in enumerate(found)
    ]
    parts.sort(key=lambda part: -part.value)
    return (Slices(by="output", measure="median absolute error", level=level, slices=tuple(parts[:MOST_OUTPUTS])),)


def _beyond(n: int, data: Dataset, *, level: float) -> Fact:
    """How many other rows may err by more."""
    share = -math.expm1(math.log1p(-level) / n)
    caveat = ", if rows were independent, which these are not" if is_dependent(data) else ""
    return Fact(
        name=f"share of other rows that may err by more, {100 * level:g}% bound", value=f"{share:.4g} of them{caveat}"
    )
