"""A ball whose points keep the relations between features."""

from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from robust.attacks.l1_ball import L1Ball
from robust.attacks.l2_ball import L2Ball
from robust.attacks.linf_ball import LinfBall
from robust.attacks.minimal_sizes import move_sizes
from robust.attacks.projection import JUST_BELOW, Space
from robust.attacks.relation_planes import Planes
from robust.attacks.relation_rounding import inequalities_kept
from robust.attacks.relation_steps import best_in_box
from robust.attacks.row_products import row_products
from robust.types import AnyArray, BoolArray, FloatArray, IntArray

# Steps of projected ascent that look for the optimum of a linear loss in l2 and l1, and their lengths in budgets.
_CLIMB = (4.0, 2.0, 2.0, 1.0, 1.0, 1.0, 0.5, 0.5, 0.25, 0.25, 0.1, 0.1)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RelatedBall:
    """Ball ∩ bounds ∩ relations, a convex set around rows that are in it; states are those of the ball.

    Whole and one-hot features are continuous here; `Space.settle` makes them whole, and continuous ones close the gap.

    Args:
        inner: The ball inside the bounds.
        planes: The relations.
    """

    inner: LinfBall | L2Ball | L1Ball
    planes: Planes

    @property
    def x(self) -> AnyArray:
        """Original rows (m, d)."""
        return self.inner.x

    @property
    def space(self) -> Space:
        """Budget and schema."""
        return self.inner.space

    def centre(self) -> FloatArray:
        """The state of rows that have not moved."""
        return self.inner.centre()

    def drawn(self, u: FloatArray) -> FloatArray:
        """Draws of the ball, brought to the relations."""
        return self.nearest(self.inner.drawn(u))

    def ascend(self, state: FloatArray, gradient: FloatArray, rate: float | FloatArray) -> FloatArray:
        """A steepest-ascent step along the relations, back inside.

        linf: the best step of at most `rate` budgets a feature; features of several relations, and l2 and l1: the
        gradient projected onto the relations, of that length.
        """
        moves, (low, high) = self._moves(state), self._box()
        room, free = self.planes.room(self.x), self._free()
        slope = gradient * self.planes.scale
        ahead = self.planes.along(slope, moves, room, free)
        scale = self._radius() * self.planes.scale
        if not isinstance(self.inner, LinfBall):
            size = move_sizes(self.space, ahead * self.planes.scale)[:, None]
            unit = np.divide(ahead, size, out=np.zeros(ahead.shape), where=size > 0)
            return self._state(self._kept(moves + unit * rate * scale))
        reach = rate * scale
        # A state is inside up to rounding: it need not move to be so.
        down = np.minimum(np.maximum(low - moves, -reach), 0.0)
        up = np.maximum(np.minimum(high - moves, reach), 0.0)
        spent = row_products(moves, self.planes.weights)
        spare = np.where(self.planes.equal, room, np.maximum(room - spent, 0.0))
        step, left = best_in_box(self.planes, gradient, down, up, spare, exact=False)
        for part in np.unique(self.planes.parts[left]):
            columns = np.flatnonzero(self.planes.parts == part)
            most = np.abs(ahead[:, columns]).max(axis=1, keepdims=True)
            share = np.divide(ahead[:, columns], most, out=np.zeros((len(most), len(columns))), where=most > 0)
            step[:, columns] = share * reach[:, columns]
        return self._state(self._kept(moves + step))

    def optimum(self, gradient: FloatArray) -> FloatArray:
        """Where a linear loss is largest: exact in linf, in l2 and l1 the end of a projected ascent."""
        room, (low, high) = self.planes.room(self.x), self._box()
        if isinstance(self.inner, LinfBall):
            return self._state(self._kept(best_in_box(self.planes, gradient, low, high, room, exact=True)[0]))
        moves: FloatArray = np.zeros(self.x.shape)
        for rate in _CLIMB:
            moves = self._moves(self.ascend(self._state(moves), gradient, rate))
        return self._state(moves)

    def nearest(self, state: FloatArray) -> FloatArray:
        """States near given ones."""
        return self._state(self._kept(self._moves(state)))

    def state_of(self, rows: AnyArray) -> FloatArray:
        """States nearest to given rows."""
        return self.nearest(self.inner.state_of(rows))

    def points(self, state: FloatArray, slope: FloatArray | None = None) -> AnyArray:
        """Rows of states; inequalities hold in them to the last bit."""
        return inequalities_kept(self.inner.points(state, slope), self.x, self.space.schema)

    def part(self, keep: IntArray | BoolArray) -> Self:
        """The balls around some rows."""
        return replace(self, inner=self.inner.part(keep))

    def joined(self, other: Self) -> Self:
        """The balls around these rows and some more."""
        return replace(self, inner=self.inner.joined(other.inner))  # type: ignore[arg-type] # balls of one space

    def _kept(self, moves: FloatArray) -> FloatArray:
        """Moves inside ball, bounds and relations; those that are stay as they are."""
        moves, room = self._inside(moves), self.planes.room(self.x)
        rows = np.flatnonzero(self.planes.broken(moves, room))
        if len(rows) == 0:
            return moves
        some, free = self.part(rows), self._free()[rows]
        low, high = some._box()
        near = self.planes.nearest(moves[rows], room[rows], free=free, low=low, high=high, inside=some._inside)
        if not isinstance(self.inner, LinfBall):
            size = move_sizes(self.space, near)[:, None] / np.maximum(some._radius(), np.finfo(float).tiny)
            near = near * np.minimum(JUST_BELOW / np.where(size > 0, size, 1.0), 1.0)
        moves = moves.copy()
        moves[rows] = near
        return moves

    def _inside(self, moves: FloatArray) -> FloatArray:
        """Moves inside ball and bounds alone."""
        if isinstance(self.inner, LinfBall):
            return np.clip(moves, *self._box())
        return self.inner.nearest(moves)

    def _box(self) -> tuple[FloatArray, FloatArray]:
        """Lower and upper edges of moves (m, d)."""
        low, high = self.inner.low.astype(np.float64), self.inner.high.astype(np.float64)
        if isinstance(self.inner, LinfBall):
            low, high = np.nan_to_num(low - self.x), np.nan_to_num(high - self.x)
        return np.clip(low, -self.inner.eps, 0.0), np.clip(high, 0.0, self.inner.eps)

    def _free(self) -> BoolArray:
        """Features that may move (m, d)."""
        return np.asarray((self.inner.eps > 0) & ~np.isnan(self.x))

    def _radius(self) -> FloatArray:
        """Budgets of rows as multiples of the space's own (m or 1, 1)."""
        scale = self.planes.scale
        shares = np.divide(self.inner.eps, scale, out=np.zeros(self.inner.eps.shape), where=scale > 0)
        return np.asarray(shares.max(axis=1, keepdims=True))

    def _moves(self, state: FloatArray) -> FloatArray:
        """Moves of states; what is missing does not move."""
        return np.nan_to_num(state.astype(np.float64) - self.x) if isinstance(self.inner, LinfBall) else state

    def _state(self, moves: FloatArray) -> FloatArray:
        """States of moves."""
        if not isinstance(self.inner, LinfBall):
            return moves
        state = (self.x.astype(np.float64) + moves).astype(self.space.work)
        return np.asarray(np.clip(state, self.inner.low, self.inner.high))
