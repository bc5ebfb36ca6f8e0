"""Rows in time order, one group after the other."""

from dataclasses import dataclass

import numpy as np

from robust.data.dataset import Dataset
from robust.data.naming import shorten
from robust.errors import InvalidInput
from robust.types import IntArray


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TimeOrder:
    """A permutation that sorts rows by group, then by time.

    Args:
        rows: Positions of the rows (n,), in that order.
        starts: Where each of g groups begins, and n at the end (g + 1,): group j is `rows[starts[j]:starts[j
            + 1]]`.
    """

    rows: IntArray
    starts: IntArray


def time_order(data: Dataset) -> TimeOrder:
    """Sort rows by group, then by time.

    Args:
        data: Data with `order`; without `groups` all rows are one series.

    Returns:
        The permutation and the boundaries of the groups, which are sorted by their labels; the rows named do
        not depend on the order in which they are stored.

    Raises:
        InvalidInput: If the data has no order, or two rows of one group have the same time.

    >>> from robust.data.live import as_data
    >>> data = as_data(np.zeros((4, 1)), order=[3, 1, 2, 1], groups=["b", "b", "a", "a"])
    >>> found = time_order(data)
    >>> found.rows, found.starts
    (array([3, 2, 1, 0]), array([0, 2, 4]))
    """
    if data.order is None:
        raise InvalidInput(f"{data.name} has no order: pass order= (a time column, or the time of each row)")
    if data.groups is None:
        members = np.zeros(len(data), dtype=np.intp)
    else:
        members = np.unique(data.groups, return_inverse=True)[1].reshape(-1)
    rows = np.lexsort((data.order, members))
    times, series = data.order[rows], members[rows]
    tied = np.flatnonzero((times[1:] == times[:-1]) & (series[1:] == series[:-1]))
    if len(tied):
        advice = "add groups=" if data.groups is None else "groups= must tell them apart"
        pairs = [f"{data.ids[rows[j]]} and {data.ids[rows[j + 1]]}" for j in tied[:5]]
        raise InvalidInput(
            f"order has ties: two rows at the same time in one group ({len(tied)} times; "
            f"ids {shorten(pairs)}); {advice}"
        )
    starts = np.concatenate(([0], np.flatnonzero(np.diff(series)) + 1, [len(rows)]))
    return TimeOrder(rows=rows, starts=starts)
