"""Decision trees and ensembles: which leaves a row can reach, and what they say at worst.

A tree's leaves are boxes. A row that may move within [l, u] reaches a leaf if the box of the leaf meets it; the worst
margin of an ensemble is at least the sum over its trees of the worst margin among the leaves reached (exact for one
tree; Kantchelian et al. 2016 and Chen et al. 2019 solve the ensemble exactly at a far higher price).
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from robust.certified.margin_bounds import Proof
from robust.certified.perturbations import UNIT, Perturbations
from robust.types import BoolArray, FloatArray, IntArray

_NUMBERS = 2**22


@dataclass(eq=False)
class Leaves:
    """The leaves of one tree.

    Args:
        feature: Features that each leaf's path compares (leaves, w); −1 fills up.
        above: What they must be greater than (leaves, w), −inf where nothing.
        most: What they may be at most (leaves, w), inf where nothing.
        value: What each leaf adds to the scores (leaves, k).
    """

    feature: IntArray
    above: FloatArray
    most: FloatArray
    value: FloatArray

    def reached(self, lower: FloatArray, upper: FloatArray) -> BoolArray:
        """Leaves whose boxes meet those of the rows (b, leaves); a missing value may go both ways.

        Args:
            lower: Smallest values (b, d + 1), in the last column whatever fits everything.
            upper: Largest values (b, d + 1).
        """
        low, high = lower[:, self.feature], upper[:, self.feature]
        return np.asarray((~(low > self.most) & ~(high <= self.above)).all(axis=2))

    def distance(self, centre: FloatArray, eps: FloatArray, *, power: int, rounding: float) -> FloatArray:
        """Norm, raised to its power, of the smallest change that reaches each leaf, in units of eps (b, leaves).

        Args:
            centre: Rows (b, d + 1), the last column fitting everything.
            eps: Semi-axes (d + 1,); features with 0 stay, and cost nothing here.
            power: 1 or 2.
            rounding: Relative error of a value when the tree compares it.
        """
        at = centre[:, self.feature]
        gap = np.fmax(np.fmax(at - self.most, self.above - at), 0.0) - rounding * np.abs(at)
        axes = eps[self.feature]
        share = np.where((axes > 0) & (gap > 0), gap / np.where(axes > 0, axes, 1.0), 0.0)
        return np.asarray(np.sum(share**power, axis=2))

    @cached_property
    def decision(self) -> IntArray:
        """The class of each leaf, if this tree were alone (leaves,)."""
        return np.asarray(self.value.argmax(axis=1))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TreeEnsemble:
    """Trees whose values are added up; the largest score is the decision.

    Args:
        trees: The trees.
        start: Scores before any tree (k,).
        single: Rows are rounded to float32 before they are compared.
        vote: The scores of one tree decide by themselves, ties included.
    """

    trees: tuple[Leaves, ...]
    start: FloatArray
    single: bool
    vote: bool

    def scores(self, x: FloatArray) -> FloatArray:
        """Scores of rows as they are (n, k), as a check of what was read."""
        total = np.tile(self.start, (len(x), 1))
        lower, upper = self._ends(x, x)
        for tree in self.trees:
            for rows in self._blocks(len(x), tree):
                total[rows] += tree.reached(lower[rows], upper[rows]) @ tree.value
        return total

    def prove(self, changes: Perturbations, y: IntArray) -> Proof:
        """Bound the margins of rows from below.

        Args:
            changes: Where each row may go (n).
            y: True classes (n,).

        Returns:
            The proof; margins in units of the scores.
        """
        n, k = len(changes), len(self.start)
        lower, upper = self._ends(changes.lower, changes.upper)
        margin = self.start[y][:, None] - self.start[None, :].repeat(n, axis=0)
        size = np.abs(self.start).max() * np.ones(n)
        held = np.ones(n, dtype=bool)
        for tree in self.trees:
            for rows in self._blocks(n, tree):
                reached = tree.reached(lower[rows], upper[rows])
                if changes.norm != "linf":
                    reached &= self._near(tree, changes.part(rows))
                held[rows] &= ~(reached & (tree.decision != y[rows][:, None])).any(axis=1)
                size[rows] += np.where(reached, np.abs(tree.value).max(axis=1), 0.0).max(axis=1)
                for true in np.unique(y[rows]):
                    of = np.flatnonzero(y[rows] == true)
                    apart = tree.value[:, [true]] - tree.value
                    worst = np.where(reached[of][:, :, None], apart, np.inf).min(axis=1)
                    margin[rows.start + of] += worst
        margin[np.arange(n), y] = np.inf
        least = margin.min(axis=1) if k > 1 else np.full(n, np.inf)
        if self.vote and len(self.trees) == 1:
            least = np.where(held, np.maximum(least, UNIT), np.minimum(least, 0.0))
        else:  # sums and averages in any order, and the softmax or division behind them
            least = least - (4.0 * len(self.trees) + 64.0) * UNIT * (size + 1.0)
        return Proof(margin=least, interval=least > 0)

    def _near(self, tree: Leaves, changes: Perturbations) -> BoolArray:
        """Leaves that the ball reaches (b, leaves)."""
        centre = np.concatenate([changes.centre, np.full((len(changes), 1), np.nan)], axis=1)
        eps, power = np.append(changes.eps, 0.0), 1 if changes.norm == "l1" else 2
        rounding = 2.0**-22 if self.single else 2.0**-50
        with np.errstate(invalid="ignore"):
            distance = tree.distance(centre, eps, power=power, rounding=rounding)
        return np.asarray(~(distance > 1.0 + 1e-9))

    def _ends(self, lower: FloatArray, upper: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Ends as the trees see them, with a column that fits every box: rounding keeps the order."""
        if self.single:
            with np.errstate(over="ignore"):
                lower, upper = lower.astype(np.float32), upper.astype(np.float32)
        fill = np.full((len(lower), 1), np.nan)
        return (
            np.concatenate([lower.astype(np.float64), fill], axis=1),
            np.concatenate([upper.astype(np.float64), fill], axis=1),
        )

    def _blocks(self, n: int, tree: Leaves) -> list[slice]:
        """Blocks of rows that fit into memory."""
        step = int(np.clip(_NUMBERS // (tree.feature.size + tree.value.size), 1, 4096))
        return [slice(start, min(start + step, n)) for start in range(0, n, step)]


def leaves_of(
    left: IntArray,
    right: IntArray,
    feature: IntArray,
    threshold: FloatArray,
    value: FloatArray,
    *,
    whole: BoolArray,
) -> Leaves:
    """The leaves of a tree of nodes; a row goes left where its feature is at most the threshold.

    Args:
        left: Left child of each node; −1 at leaves.
        right: Right child.
        feature: Feature that each inner node compares.
        threshold: What with.
        value: Scores of each node (nodes, k).
        whole: Features that take whole values alone (d,): their thresholds are rounded down, which changes no decision.

    Returns:
        The leaves that some row can reach.
    """
    boxes: list[dict[int, tuple[float, float]]] = []
    values = []
    waiting: list[tuple[int, dict[int, tuple[float, float]]]] = [(0, {})]
    while waiting:
        node, box = waiting.pop()
        if left[node] < 0:
            boxes.append(box)
            values.append(value[node])
            continue
        j = int(feature[node])
        at = float(np.floor(threshold[node]) if whole[j] else threshold[node])
        above, most = box.get(j, (-np.inf, np.inf))
        for child, ends in ((left[node], (above, min(most, at))), (right[node], (max(above, at), most))):
            if ends[0] < ends[1]:
                waiting.append((int(child), {**box, j: ends}))
    width = max((len(box) for box in boxes), default=0) or 1
    features = np.full((len(boxes), width), -1)
    above_most = np.full((2, len(boxes), width), -np.inf)
    above_most[1] = np.inf
    for i, box in enumerate(boxes):
        features[i, : len(box)] = list(box)
        above_most[:, i, : len(box)] = np.array(list(box.values())).reshape(-1, 2).T
    return Leaves(features, above_most[0], above_most[1], np.array(values, dtype=np.float64))
