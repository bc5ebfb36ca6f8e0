"""Figures as functions of how often each distinct row counts: what every bootstrap here evaluates."""

import math
from collections.abc import Callable
from typing import Protocol, runtime_checkable

import numpy as np

from robust.errors import InvalidInput
from robust.intervals.draws import CELLS
from robust.types import AnyArray, FloatArray, IntArray


class Statistic(Protocol):
    """A figure of weighted rows."""

    def __call__(self, weights: FloatArray) -> FloatArray:
        """Evaluate the figure under B weightings of u rows.

        Args:
            weights: Shape (B, u): how often each row counts, at least 0.

        Returns:
            Shape (B,); NaN where the figure is not defined.
        """
        ...


@runtime_checkable
class FastJackknife(Protocol):
    """A statistic that can leave each row out faster than by u evaluations."""

    def leave_one_out(self, counts: FloatArray) -> FloatArray:
        """Values with one copy of each row left out, shape (u,)."""
        ...


class SmoothOfMeans:
    """A smooth function of means of values a row, such as RMSE: the square root of a mean of squares.

    Args:
        values: Shape (u, k) or (u,): k values for each of u distinct rows, finite.
        function: Maps means of shape (B, k) to figures of shape (B,).

    Raises:
        InvalidInput: ``values`` has another shape, no row, or a value that is not finite.

    Example:
        The root mean square of 3 and 4, 4 counted thrice, is the square root of (9 + 48)/4.

        >>> rms = SmoothOfMeans(np.array([9.0, 16.0]), lambda means: np.sqrt(means[:, 0]))
        >>> round(float(rms(np.array([[1.0, 3.0]]))[0]) ** 2, 6)
        14.25
    """

    __slots__ = ("_function", "_values")

    def __init__(self, values: AnyArray, function: Callable[[FloatArray], FloatArray]) -> None:
        table = np.asarray(values, dtype=np.float64)
        if table.ndim == 1:
            table = table[:, np.newaxis]
        if table.ndim != 2 or table.size == 0:
            raise InvalidInput(f"values got shape {np.shape(values)}; (rows, values a row), neither 0, would be right")
        if not np.isfinite(table).all():
            raise InvalidInput("values got a NaN or an infinity; finite values would be right")
        self._values = np.ascontiguousarray(table)
        self._function = function

    def __call__(self, weights: FloatArray) -> FloatArray:
        """Evaluate the function at the weighted means."""
        sums = weights @ self._values
        return self._function(sums / weights.sum(axis=1)[:, np.newaxis])

    def leave_one_out(self, counts: FloatArray) -> FloatArray:
        """Evaluate the function at the leave-one-out means (S - v_j)/(n - 1), exactly and in O(u)."""
        return self._function((counts @ self._values - self._values) / (counts.sum() - 1.0))


def distinct(values: AnyArray) -> tuple[AnyArray, IntArray]:
    """Distinct rows of a table and how often each occurs.

    Args:
        values: Shape (n,) or (n, k).

    Returns:
        The u distinct rows in ascending order, shape (u,) or (u, k), and their multiplicities, shape (u,).

    Raises:
        InvalidInput: No row, or another number of dimensions.

    Example:
        >>> rows, counts = distinct(np.array([1, 0, 1, 1]))
        >>> rows.tolist(), counts.tolist()
        ([0, 1], [1, 3])
    """
    table = np.asarray(values)
    if table.ndim not in (1, 2) or table.size == 0:
        raise InvalidInput(f"values got shape {table.shape}; (rows,) or (rows, values a row) would be right")
    if table.ndim == 1:
        rows, counts = np.unique(table, return_counts=True)
        return rows, counts
    # A lexical sort by columns: numpy's own unique over an axis compares rows as raw bytes, several times
    # slower.
    ordered = table[np.lexsort(table.T[::-1])]
    starts = np.flatnonzero(np.concatenate(([True], (ordered[1:] != ordered[:-1]).any(axis=1))))
    return ordered[starts], np.diff(np.append(starts, len(ordered)))


def estimate(statistic: Statistic, weights: FloatArray) -> float:
    """Value of the statistic on the rows themselves.

    Args:
        statistic: The statistic.
        weights: Shape (u,): the multiplicities.

    Returns:
        The value, finite.

    Raises:
        InvalidInput: It is NaN or infinite.
    """
    value = float(evaluate(statistic, weights[np.newaxis, :])[0])
    if not math.isfinite(value):
        raise InvalidInput(f"statistic got {value!r} on the rows themselves; a finite figure would be right")
    return value


def evaluate(statistic: Statistic, weights: FloatArray) -> FloatArray:
    """Evaluate a statistic and hold it to its contract.

    Args:
        statistic: The statistic.
        weights: Shape (B, u).

    Returns:
        Its values, shape (B,); NaN where it is not defined.

    Raises:
        InvalidInput: It returned another shape.
    """
    values = np.asarray(statistic(weights), dtype=np.float64)
    if values.shape != (len(weights),):
        raise InvalidInput(
            f"statistic returned shape {values.shape}; one a weighting, {(len(weights),)}, would be right"
        )
    return values


def leave_one_out(statistic: Statistic, counts: FloatArray) -> FloatArray:
    """Values of a statistic with one copy of each distinct row left out, never more than one block in memory.

    Args:
        statistic: The statistic; its own ``leave_one_out`` is used where it has one.
        counts: Shape (u,): multiplicities, at least 1 each.

    Returns:
        Shape (u,); NaN where the statistic is not defined without that row, as with a single row in all.
    """
    if counts.sum() <= 1.0:
        return np.full(counts.size, np.nan)
    if isinstance(statistic, FastJackknife):
        return np.asarray(statistic.leave_one_out(counts), dtype=np.float64)
    u = counts.size
    values = np.empty(u)
    size = max(1, CELLS // u)
    for start in range(0, u, size):
        rows = np.arange(start, min(start + size, u))
        weights = np.repeat(counts[np.newaxis, :], rows.size, axis=0)
        weights[np.arange(rows.size), rows] -= 1.0
        values[rows] = evaluate(statistic, weights)
    return values


def influence(statistic: Statistic, counts: FloatArray) -> FloatArray:
    """Jackknife influence of each distinct row: (n - 1)(mean of the leave-one-out values - the row's own).

    Args:
        statistic: The statistic.
        counts: Shape (u,): multiplicities, at least 1 each.

    Returns:
        Shape (u,), with count-weighted mean 0; a row without which the statistic is not defined gets 0. For a
        mean it is the row's deviation from the mean.

    Source:
        Efron (1982), The Jackknife, the Bootstrap and Other Resampling Plans, section 6.3.
    """
    without = leave_one_out(statistic, counts)
    usable = np.isfinite(without)
    if not usable.any():
        return np.zeros(counts.size)
    weights = np.where(usable, counts, 0.0)
    centre = float(weights @ np.where(usable, without, 0.0)) / float(weights.sum())
    return np.where(usable, (counts.sum() - 1.0) * (centre - np.where(usable, without, centre)), 0.0)
