"""Bootstrap draws as counts of distinct rows, and the statistics that can be evaluated on such counts."""

from collections.abc import Callable, Iterator
from typing import Protocol, runtime_checkable

import numpy as np

from robust.errors import InvalidInput
from robust.intervals.arguments import check_whole
from robust.types import AnyArray, FloatArray, IntArray

# Cells of one block of draws; 8 MiB an array, so that indices, counts and weights together stay far below 64
# MiB.
_CELLS = 1 << 20
# One binomial costs about as much as this many bounded integers with their share of the counting.
_BINOMIAL_COST = 12


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
            raise InvalidInput(
                f"values got shape {np.shape(values)}; (rows, values a row), neither 0, would be right"
            )
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


def generator(seed: int) -> np.random.Generator:
    """Counter-based generator of a bootstrap.

    Args:
        seed: At least 0.

    Returns:
        A Philox generator keyed by the seed.

    Raises:
        InvalidInput: ``seed`` is not whole or is negative.
    """
    return np.random.Generator(np.random.Philox(key=check_whole("seed", seed, least=0)))


def draw_counts(
    counts: IntArray, resamples: int, rng: np.random.Generator, *, batch: int | None
) -> Iterator[FloatArray]:
    """Draw bootstrap samples of n rows as counts of the u distinct rows: multinomial(n, counts/n).

    Args:
        counts: Shape (u,): multiplicities, at least 1 each; n is their sum.
        resamples: Number of samples.
        rng: Source of randomness.
        batch: Samples drawn at once; None for as many as keep a block near 8 MiB. Does not change what is
            drawn.

    Yields:
        Blocks of shape (b, u) of float64 counts, ``resamples`` rows in all.
    """
    n, u = int(counts.sum()), counts.size
    few = u * _BINOMIAL_COST <= n
    size = batch or max(1, _CELLS // (u if few else n))
    owner = None if u == n else np.repeat(np.arange(u), counts)
    for start in range(0, resamples, size):
        rows = min(size, resamples - start)
        if few:
            yield rng.multinomial(n, counts / n, size=rows).astype(np.float64)
            continue
        drawn = rng.integers(0, n, size=(rows, n))
        if owner is not None:
            drawn = owner[drawn]
        drawn += np.arange(rows)[:, np.newaxis] * u
        yield np.bincount(drawn.ravel(), minlength=rows * u).reshape(rows, u).astype(np.float64)


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
        Shape (u,); NaN where the statistic is not defined without that row.
    """
    if isinstance(statistic, FastJackknife):
        return np.asarray(statistic.leave_one_out(counts), dtype=np.float64)
    u = counts.size
    values = np.empty(u)
    size = max(1, _CELLS // u)
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
        counts: Shape (u,): multiplicities, at least 1 each; at least two rows in all.

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
