"""Intervals for rows that depend on each other: blocks in time, clusters by group."""

from dataclasses import replace

import numpy as np

from robust.data.dataset import Dataset
from robust.data.ordering import time_order
from robust.intervals.block import block_bootstrap
from robust.intervals.cluster import cluster_bootstrap, cluster_units
from robust.intervals.interval import Interval
from robust.intervals.long_run import block_units, mean_block_length
from robust.intervals.resampling import Statistic, influence
from robust.intervals.vacuous import FEW
from robust.measures.floors import floored
from robust.metrics.metric import Rate
from robust.types import AnyArray, BoolArray, FloatArray, IntArray


def is_dependent(data: Dataset) -> bool:
    """Whether rows have an order or groups, so that they are not independent."""
    return data.order is not None or data.groups is not None


def bindings(data: Dataset, keep: IntArray | BoolArray) -> Dataset:
    """What binds some of the rows to each other, for the interval of a figure that is already worked out for each.

    Args:
        data: The rows.
        keep: Positions (m,), or a mask (n,).

    Returns:
        Rows with ids, order and groups alone; the data itself where rows are independent and nothing binds them. Inputs
        are never copied.
    """
    if not is_dependent(data):
        return data
    ids = data.ids[keep]
    return replace(
        data,
        x=np.empty((len(ids), 0)),
        y=None,
        ids=ids,
        unused=(),
        slices=(),
        order=None if data.order is None else data.order[keep],
        groups=None if data.groups is None else data.groups[keep],
    )


def dependent_interval(
    statistic: Statistic,
    data: Dataset,
    *,
    level: float,
    seed: int,
    odd: BoolArray,
    effect: float | Rate | None,
    anchor: float | None = None,
    resolution: float = 0.0,
) -> Interval:
    """Interval of a figure of dependent rows.

    With groups, whole groups are resampled, whatever the order inside them; with an order alone, stationary
    blocks. Where few groups or blocks hold a row that differs, the interval is widened to what they can prove.

    Args:
        statistic: The figure, as a function of row weights (B, n) in the order of `data`.
        data: Rows with `order` or `groups`.
        level: Confidence of each bound.
        seed: Seed of the bootstrap.
        odd: Rows that differ, (n,).
        effect: Largest change of the figure a share of rows that differ, as a number or as a function of the
            share; None where there is no bound.
        anchor: The figure if no row differed; None for the value measured.
        resolution: Differences of the figure up to this are rounding.

    Returns:
        The interval.
    """
    rate: Rate = effect if callable(effect) else lambda _share: effect
    if data.groups is not None:
        interval = cluster_bootstrap(statistic, data.groups, level=level, seed=seed)
        return floored_by_groups(
            interval, data.groups, level=level, odd=odd, rate=rate, anchor=anchor, resolution=resolution
        )
    rows = time_order(data).rows
    back = np.argsort(rows)
    in_time = _InTime(statistic, back)
    # Asked of the statistic itself, which may know a faster jackknife than its reordered form.
    slopes = influence(statistic, np.ones(len(rows)))[rows]
    still = float(np.abs(slopes).max()) <= resolution * len(rows)
    if still:
        slopes = np.zeros(len(rows))
    length = mean_block_length(slopes)
    interval = block_bootstrap(in_time, len(rows), level=level, seed=seed, influence=slopes, length=length)
    differing, units = block_units(odd[rows], length)
    if _common(interval, differing, units, odd, resolution):
        return interval
    return floored(
        interval,
        differing=differing,
        units=units,
        rate=rate,
        level=level,
        anchor=anchor,
        unit="blocks",
        resolution=resolution,
        free_blocks=still,
    )


def floored_by_groups(
    interval: Interval,
    groups: AnyArray,
    *,
    level: float,
    odd: BoolArray,
    rate: Rate,
    anchor: float | None = None,
    resolution: float = 0.0,
) -> Interval:
    """An interval of rows in groups, widened to what the groups that differ can prove where these are few.

    Args:
        interval: What was found for the groups.
        groups: Group of each row (n,).
        level: Confidence of each bound.
        odd: Rows that differ, (n,).
        rate: Largest change of the figure a share of rows that differ.
        anchor: The figure if no row differed; None for the value measured.
        resolution: Differences of the figure up to this are rounding.

    Returns:
        The interval.
    """
    differing, units = cluster_units(odd, groups)
    if _common(interval, differing, units, odd, resolution):
        return interval
    largest = int(np.unique(groups, return_counts=True)[1].max())
    return floored(
        interval,
        differing=differing,
        units=units,
        rate=rate,
        level=level,
        anchor=anchor,
        unit="groups",
        # One group moves the figure by its share of the rows: the largest counts for all.
        stretch=largest * units / len(groups),
        resolution=resolution,
    )


def _common(interval: Interval, differing: int, units: int, odd: BoolArray, resolution: float) -> bool:
    """Whether differing is no rare thing: at least half of the groups or blocks differ, and 10 rows.

    Then it shows its own spread, whose few degrees of freedom the interval already counts; only differences that are
    rare, or that lie in few places, can hide their size.
    """
    return 2 * differing >= units and int(odd.sum()) >= FEW and interval.upper - interval.lower > resolution


class _InTime:
    """A statistic whose weights come in time order."""

    __slots__ = ("_back", "_statistic")

    def __init__(self, statistic: Statistic, back: IntArray) -> None:
        self._statistic = statistic
        self._back = back

    def __call__(self, weights: FloatArray) -> FloatArray:
        return self._statistic(weights[:, self._back])
