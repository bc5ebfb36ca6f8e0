"""Bounds of means of individual curves, with errors that follow groups or the order of rows."""

import math

import numpy as np
from scipy.special import stdtrit

from robust.data.dataset import Dataset
from robust.intervals.cluster import FEWEST
from robust.intervals.interval import Interval, RootSizing
from robust.intervals.vacuous import never_vacuous
from robust.measures.row_sampling import sampling_of
from robust.types import FloatArray


def mean_errors(table: FloatArray, data: Dataset) -> tuple[FloatArray, float]:
    """Standard errors of column means.

    As `Sampling.error` has them for independent, grouped or ordered rows; infinite below 10 groups.

    Args:
        table: One row a row of `data` (n, m).
        data: The rows.

    Returns:
        Errors (m,), and the degrees of freedom of Student's t.

    >>> from robust.data.live import as_data
    >>> mean_errors(np.array([[1.0], [3.0]]), as_data(np.zeros((2, 1))))
    (array([1.]), 1.0)
    """
    sampling = sampling_of(data)
    if sampling.kind == "groups" and not sampling.provable:
        return np.full(table.shape[1], np.inf), max(sampling.units - 1.0, 1.0)
    found = [sampling.error(column) for column in (table - table.mean(axis=0)).T]
    return np.array([error for error, _ in found]), found[0][1]


def method_of(data: Dataset) -> str:
    """Name of the method of `mean_errors` on these rows."""
    if data.groups is not None:
        return "cluster-robust"
    return "paired-t" if data.order is None else "hac-robust"


def mean_bounds(
    table: FloatArray, data: Dataset, *, level: float, effect: float, limits: tuple[float, float]
) -> list[Interval]:
    """Bounds of each column mean by itself.

    Args:
        table: One row a row of `data` (n, m).
        data: The rows.
        level: Confidence of each bound.
        effect: Largest change of a mean that is allowed for where rows do not vary.
        limits: Smallest and largest value that a mean can have.

    Returns:
        An interval a column.
    """
    errors, dof = mean_errors(table, data)
    n, quantile = len(table), float(stdtrit(dof, level))
    found = []
    for column, error in zip(table.T, errors, strict=True):
        value, half = float(column.mean()), quantile * float(error) if error > 0 else 0.0
        lower, upper = max(value - half, min(limits[0], value)), min(value + half, max(limits[1], value))
        interval = Interval(
            value=value,
            lower=lower,
            upper=upper,
            level=level,
            n=n,
            method=method_of(data),
            sizing=RootSizing(value=value, lower=lower, upper=upper, n=n),
            notes=() if math.isfinite(half) else (f"fewer than {FEWEST} groups prove nothing",),
        )
        found.append(never_vacuous(interval, differing=differing_rows(column), units=n, effect=effect, level=level))
    return found


def differing_rows(values: FloatArray) -> int:
    """Rows whose value is not the commonest, rounding in the last bits aside."""
    scale = float(np.abs(values).max())
    _, counts = np.unique(np.round(values / scale, 9) if scale > 0 else values, return_counts=True)
    return int(len(values) - counts.max())
