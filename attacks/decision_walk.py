"""What attacks on labels share: an oracle on legal rows, where to start, and the budget at the end.

Such an attack walks along the decision boundary towards the row, and keeps the nearest adversarial point. It works on
wishes: any points, in units of the budget, of which the oracle judges the nearest row that obeys the schema.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from robust.attacks.base import Swept
from robust.attacks.near_points import lengths, near_points, sizes
from robust.attacks.projection import Space
from robust.attacks.target import Target
from robust.randomness import row_uniform, row_words
from robust.types import AnyArray, BoolArray, FloatArray, IntArray

# Rows of other classes that may lend a start, how many of them, nearest first, are tried, and random points after them.
_POOL, _NEAREST, _DRAWS = 500, 5, 20
_BISECTIONS = 20
_CELLS = 1 << 22  # numbers that are held at a time
_WIDE = 1e6  # budgets: as far as anything may go
_WITHIN = 1.0 - 1e-6


@dataclass(slots=True, kw_only=True, eq=False)
class Walk:
    """Rows on their way: the nearest adversarial row of each so far.

    Args:
        target: The classifier and the rows (n, d).
        space: Units, norm, bounds and schema.
        found: The nearest adversarial row (n, d); the row itself where none is known.
        best: How far it is (n,), in budgets; inf where none is known.
    """

    target: Target
    space: Space
    found: AnyArray
    best: FloatArray

    @property
    def x(self) -> AnyArray:
        """The original rows (n, d)."""
        return self.target.x

    def asked(self, rows: IntArray, moves: FloatArray) -> BoolArray:
        """Which moves break their rows; the nearest are kept.

        Args:
            rows: Rows of the target, repeated as need be (m,).
            moves: Moves in units of the budget (m, d).
        """
        out = np.zeros(len(rows), dtype=bool)
        step = max(_CELLS // max(moves.shape[1], 1), 1)
        for start in range(0, len(rows), step):
            block = slice(start, start + step)
            out[block] = self._asked(rows[block], moves[block])
        return out

    def _asked(self, rows: IntArray, moves: FloatArray) -> BoolArray:
        x, eps = self.x[rows], self.space.eps
        wide = np.broadcast_to(_WIDE * eps, moves.shape)
        points = near_points(self.space, x, x.astype(np.float64) + moves * eps, eps=wide)
        out = self.target.wrong(self.target.scores(points), rows)
        if out.any():
            far, hit = lengths(points[out], x[out], self.space), rows[out]
            order = np.argsort(far, kind="stable")[::-1]  # of several hits of a row the nearest is written last
            nearer = order[far[order] < self.best[hit[order]]]
            self.found[hit[nearer]], self.best[hit[nearer]] = points[out][nearer], far[nearer]
        return out

    def moves(self, rows: IntArray) -> FloatArray:
        """The moves to the nearest adversarial rows (m, d), in units of the budget."""
        gap = np.nan_to_num(self.found[rows].astype(np.float64) - self.x[rows].astype(np.float64))
        return np.divide(gap, self.space.eps, out=np.zeros(gap.shape), where=self.space.eps > 0)

    def shrunk(self, rows: IntArray, moves: FloatArray, *, times: int = _BISECTIONS) -> FloatArray:
        """Moves on the way from the rows to adversarial ones, still adversarial, as short as bisection finds.

        In linf the components are cut off at a level, otherwise all are scaled.
        """
        length = sizes(moves, self.space)
        low, high = np.zeros(len(rows)), np.ones(len(rows))
        for _ in range(times):
            middle = (low + high) / 2.0
            out = self.asked(rows, shortened(moves, middle, length, self.space))
            low, high = np.where(out, low, middle), np.where(out, middle, high)
        return shortened(moves, high, length, self.space)


def shortened(moves: FloatArray, part: FloatArray, length: FloatArray, space: Space) -> FloatArray:
    """Moves of a part of their length: components cut off at that level in linf, else scaled."""
    if space.norm == "linf":
        level = (part * length)[:, None]
        return np.clip(moves, -level, level)
    return moves * part[:, None]


def started(target: Target, space: Space, *, seed: int, stream: int) -> Walk:
    """Look for an adversarial point of each row, however far, and go back from it to the boundary.

    First the nearest rows of other classes lend their mutable features, then points are drawn from the bounds, or from
    the range of the data where there are none. A row without any keeps an infinite distance.

    Args:
        target: The classifier and the rows (n, d).
        space: Units, norm, bounds and schema.
        seed: Seed of the draws.
        stream: Stream of the row generator.
    """
    n = len(target)
    walk = Walk(target=target, space=space, found=target.x.copy(), best=np.full(n, np.inf))
    if not (space.eps > 0).any():
        return walk
    x = np.nan_to_num(target.x.astype(np.float64))
    pool = _pool(target, seed=seed, stream=stream)
    for rank in range(_NEAREST):
        left = np.flatnonzero(np.isinf(walk.best))
        if len(left) == 0:
            break
        donors = _nearest(x, target, pool, left, space, rank)
        left, donors = left[donors >= 0], donors[donors >= 0]
        if len(left):
            walk.asked(left, _units(x[donors] - x[left], space))
    low = np.where(np.isfinite(space.lower), space.lower, x.min(axis=0))
    high = np.where(np.isfinite(space.upper), space.upper, x.max(axis=0))
    keys = target.data.row_keys()
    for draw in range(_DRAWS):
        left = np.flatnonzero(np.isinf(walk.best))
        if len(left) == 0:
            break
        u = row_uniform(keys[left], x.shape[1], seed=seed, stream=stream + 1 + draw)
        walk.asked(left, _units(low + u * (high - low) - x[left], space))
    begun = np.flatnonzero(np.isfinite(walk.best))
    if len(begun):
        walk.shrunk(begun, walk.moves(begun))
    return walk


def settled(walk: Walk) -> AnyArray:
    """The attack's rows for a budget: the nearest adversarial ones where they are inside, else as near as may be."""
    space, target = walk.space, walk.target
    near = walk.best <= _WITHIN
    rows = walk.found.copy()
    far = np.flatnonzero(~near & np.isfinite(walk.best))
    if len(far):
        rows[far] = near_points(space, target.x[far], rows[far].astype(np.float64))
    return rows


def swept(walk: Walk, grid: Sequence[float]) -> Swept:
    """A curve from one walk in the user's units: a row is broken at every budget that its nearest point fits in."""
    target = walk.target
    right = ~target.wrong(target.scores(target.x), slice(None))
    held = [right & ~(walk.best <= eps * _WITHIN) for eps in grid]
    return Swept(survived=np.vstack([right, *held]), flat=np.zeros(len(target), dtype=bool))


def normal(u: FloatArray) -> FloatArray:
    """Normal numbers (m, k) from uniform ones (m, 2k) (Box and Muller 1958)."""
    half = u.shape[1] // 2
    radius = np.sqrt(-2.0 * np.log1p(-u[:, :half].astype(np.float64)))
    return np.asarray(radius * np.cos(2.0 * np.pi * u[:, half:].astype(np.float64)))


def _units(gap: FloatArray, space: Space) -> FloatArray:
    """Gaps in units of the budget; 0 where a feature must stay."""
    return np.divide(gap, space.eps, out=np.zeros(gap.shape), where=space.eps > 0)


def _pool(target: Target, *, seed: int, stream: int) -> IntArray:
    """Rows that may lend a start, picked by their ids."""
    words = row_words(target.data.row_keys(), 1, seed=seed, stream=stream)[:, 0]
    return np.argsort(words, kind="stable")[:_POOL]


def _nearest(x: FloatArray, target: Target, pool: IntArray, rows: IntArray, space: Space, rank: int) -> IntArray:
    """For each row, the row of another class in the pool that is nearest but `rank` others (m,); −1 for none."""
    donors = np.full(len(rows), -1)
    for i, row in enumerate(rows):
        others = pool[target.y[pool] != target.y[row]]
        if len(others) > rank:
            far = sizes(_units(x[others] - x[row], space), space)
            donors[i] = others[np.argsort(far, kind="stable")[rank]]
    return donors
