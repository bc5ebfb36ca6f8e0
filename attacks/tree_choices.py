"""What a row may become as far as trees can tell: a few values for each feature, each with a price."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from robust.attacks.categories import codes_of
from robust.attacks.projection import Space
from robust.attacks.rounding import beyond
from robust.attacks.tree_structure import TreeEnsemble
from robust.types import AnyArray, BoolArray, FloatArray, IntArray


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Choices:
    """Independent things that may change (features, one-hot groups), each with options that trees tell apart.

    Of all values in a cell between two thresholds, the nearest to the row stands for the cell, so that no other is
    cheaper. Options are numbered through all things; the first of a thing is to stay.

    Args:
        x: The row (d,).
        columns: Features of each thing.
        values: Values of its features under each of its options (options, features).
        start: First option of each thing, and the number of all options (things + 1,).
        price: Share of the budget that an option takes (all options,); 0 in linf, where each in reach is free.
    """

    x: AnyArray
    columns: tuple[IntArray, ...]
    values: tuple[AnyArray, ...]
    start: IntArray
    price: FloatArray

    def rows(self, states: IntArray) -> AnyArray:
        """Rows (s, d) from the option of each thing (s, things), counted through all things."""
        rows = np.repeat(self.x[None, :], len(states), axis=0)
        for thing, columns in enumerate(self.columns):
            rows[:, columns] = self.values[thing][states[:, thing] - self.start[thing]]
        return rows

    def affordable(self, states: IntArray) -> BoolArray:
        """Which states are within the budget (s,)."""
        return np.asarray(self.price[states].sum(axis=1) <= 1.0)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Thresholds:
    """The values next to each threshold of an ensemble, for rows of one number type.

    Args:
        space: Budget and schema.
        below: For each feature of the schema, the largest values that go left, increasing.
        above: The smallest values that go right.
    """

    space: Space
    below: tuple[AnyArray, ...]
    above: tuple[AnyArray, ...]

    def choices(self, x: AnyArray, categories: FloatArray) -> Choices:
        """What one row may become.

        Args:
            x: The row (d,).
            categories: Budget of each categorical feature that may change (d,).
        """
        space = self.space
        columns: list[IntArray] = []
        values: list[AnyArray] = []
        prices: list[FloatArray] = []
        for j in np.flatnonzero(((space.eps > 0) | (categories > 0)) & ~space.members & ~np.isnan(x)):
            if categories[j] > 0:
                found, eps = codes_of(space.schema, int(j)).astype(x.dtype), categories[j]
                found = found[(found != x[j]) & (space.norm != "linf" or eps >= 1)]
                price = self._price(np.ones(len(found)), eps)
            else:
                found = self._values(int(j), x[j])
                price = self._price(found.astype(np.float64) - x[j].astype(np.float64), space.eps[j])
            columns.append(np.array([j]))
            values.append(np.concatenate([x[j : j + 1], found])[:, None])
            prices.append(np.concatenate([[0.0], price]))
        for group in space.groups:
            members, price = self._members(x, group)
            columns.append(group)
            values.append(np.concatenate([x[None, group], np.eye(len(group), dtype=x.dtype)[members]]))
            prices.append(np.concatenate([[0.0], price]))
        keep = [k for k, price in enumerate(prices) if len(price) > 1]
        return Choices(
            x=x,
            columns=tuple(columns[k] for k in keep),
            values=tuple(values[k] for k in keep),
            start=np.cumsum([0, *(len(prices[k]) for k in keep)]),
            price=np.concatenate([prices[k] for k in keep]) if keep else np.zeros(0),
        )

    def _values(self, j: int, x: AnyArray) -> AnyArray:
        """The nearest value of each cell that one value can reach."""
        below, above = self.below[j], self.above[j]
        found = np.unique(np.concatenate([below[below < x], above[above > x]]))
        found = found[(found >= self.space.lower[j]) & (found <= self.space.upper[j])]
        near = ~beyond(found, np.full(found.shape, x, dtype=found.dtype), self.space.eps[j : j + 1])
        return np.asarray(found[near])

    def _members(self, x: AnyArray, group: IntArray) -> tuple[IntArray, FloatArray]:
        """Other members of a one-hot group that may be the hot one, and what they cost."""
        eps, hot = self.space.eps[group], int(x[group].argmax())
        able = eps >= 1 if self.space.norm == "linf" else eps > 0
        others = np.flatnonzero(able & (np.arange(len(group)) != hot)) if able[hot] else np.zeros(0, dtype=int)
        price = np.array([self._price(np.ones(2), eps[np.array([hot, other])]).sum() for other in others])
        within = price <= 1.0
        return others[within], price[within]

    def _price(self, gap: FloatArray, eps: FloatArray) -> FloatArray:
        """Share of the budget that moves take."""
        if self.space.norm == "linf":
            return np.zeros(len(gap))
        return np.asarray(np.abs(gap / eps) ** (2.0 if self.space.norm == "l2" else 1.0))


def thresholds_of(trees: TreeEnsemble, space: Space, columns: IntArray) -> Thresholds:
    """The values next to each threshold.

    Args:
        trees: The ensemble.
        space: Budget, schema, and number type of the rows.
        columns: Which feature of the schema each feature of the trees is.
    """
    below: list[AnyArray] = []
    above: list[AnyArray] = []
    place = np.full(space.schema.width, -1)
    place[columns] = np.arange(len(columns))
    for j in range(space.schema.width):
        cuts = np.unique(trees.threshold[trees.feature == place[j]]) if place[j] >= 0 else np.zeros(0)
        low, high = _beside(cuts[np.isfinite(cuts)], space.dtype, single=trees.single, whole=bool(space.steps[j]))
        below.append(low)
        above.append(high)
    return Thresholds(space=space, below=tuple(below), above=tuple(above))


def _beside(cuts: FloatArray, dtype: np.dtype[Any], *, single: bool, whole: bool) -> tuple[AnyArray, AnyArray]:
    """The largest values at most each cut, and the smallest above it, of those that rows and trees can hold."""
    if whole or dtype.kind != "f":
        low = np.floor(cuts)
        most = np.iinfo(dtype).max if dtype.kind in "iu" else 2**53
        least = np.iinfo(dtype).min if dtype.kind in "iu" else -(2**53)
        low = np.unique(low[(low >= least) & (low < most)])
        return low.astype(dtype), (low + 1).astype(dtype)
    kind = np.dtype(np.float32) if single and dtype.itemsize > 4 else dtype
    with np.errstate(over="ignore"):
        near = cuts.astype(kind)
    near = np.where(near > cuts, np.nextafter(near, kind.type(-np.inf)), near)
    near = np.unique(near[np.isfinite(near)])
    return near.astype(dtype), np.nextafter(near, kind.type(np.inf)).astype(dtype)
