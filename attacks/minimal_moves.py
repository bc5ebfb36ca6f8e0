"""Moves of rows on balls of their own radii: quick steps, for points whose true norms are measured afterwards.

An exact projection onto ball and bounds costs more than a gradient of a small network. Here a move in l2 is scaled to
its radius and then clipped to the bounds, which leaves it a little short where bounds bind; later steps make up for it.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from robust.attacks.balls import Ball, ball_around
from robust.attacks.minimal_sizes import dual_norms, move_sizes, smallest_move
from robust.attacks.projection import Space
from robust.attacks.shortest_move import shortest_in_box
from robust.attacks.whole_moves import whole_rows
from robust.types import AnyArray, BoolArray, FloatArray

# A linear rise is met to twice this share, in at most so many steps.
_NEAR, _ROOTS = 5e-4, 20
# Where the smallest move is known exactly, it overshoots by this share of the rise, more than rounding takes away.
_BEYOND = 5e-5
# Slopes that would have to be multiplied by more than this lead nowhere.
_LARGEST = 1e250


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Moves:
    """What can be done with moves δ (m, d) in a space; they are in its number type, and 0 where values are missing.

    Args:
        space: Norm, units and schema.
        dtype: Number type of moves.
        units: Unit of each feature's move (d,), 0 where it must stay.
    """

    space: Space
    dtype: np.dtype[np.floating]
    units: FloatArray

    def room(self, x: AnyArray) -> tuple[FloatArray, FloatArray]:
        """How far rows may move down and up (m, d); nowhere where they must stay or are missing."""
        origin = x.astype(np.float64)
        fixed = np.isnan(origin) | (self.space.eps == 0)
        low = np.where(fixed, 0.0, np.minimum(self.space.lower - origin, 0.0))
        high = np.where(fixed, 0.0, np.maximum(self.space.upper - origin, 0.0))
        return low.astype(self.dtype), high.astype(self.dtype)

    def optimum(self, x: AnyArray, gradient: FloatArray, radius: FloatArray) -> FloatArray:
        """Where a linear loss is largest on balls of some radii (m,) inside the bounds, exactly."""
        ball = ball_around(self.space, x, eps=radius[:, None] * self.space.eps)
        state = ball.optimum(gradient)
        moves = np.nan_to_num(state.astype(np.float64) - x) if self.space.norm == "linf" else state
        return np.asarray(moves, dtype=self.dtype)

    def shortest(
        self, x: AnyArray, slope: FloatArray, gap: FloatArray, radius: FloatArray
    ) -> tuple[FloatArray, FloatArray]:
        """The smallest moves inside the bounds by which linear losses rise by some gaps.

        Inside bounds alone they are known exactly. Elsewhere the largest rise within a radius is concave in it, and its
        root is found by the rule of false position, halved where an end stays (Dowell and Jarratt 1971).

        Args:
            x: Original rows (m, d).
            slope: Gradients of the losses (m, d).
            gap: Rises that are wanted (m,), above 0.
            radius: A first guess (m,).

        Returns:
            Moves (m, d), which overshoot the gap by up to 0.1 %, and radii (m,); where bounds forbid the rise, they end
            far away.
        """
        if self.space.boxed:
            wanted = self.beyond(x, slope, gap)
            low, high = self.room(x)
            units = np.where(self.space.eps > 0, self.space.eps, 1.0)
            low, high = low / units, high / units
            move = units * shortest_in_box(slope * self.space.eps, wanted, low, high, norm=self.space.norm)
            move = move.astype(self.dtype)
            sizes, least = move_sizes(self.space, move), smallest_move(self.space, x)
            # A move that rounding swallows is none: a row on the boundary takes the smallest that there is.
            tiny = sizes < least
            if tiny.any():
                move[tiny] = self.optimum(x[tiny], slope[tiny], least[tiny])
            return move, np.maximum(sizes, least)
        wanted = gap * (1.0 + _NEAR)
        # Lower and upper end of the bracket, and how far the rise at each is beyond the one that is wanted.
        place = np.stack([np.zeros(len(x)), np.full(len(x), np.inf)])
        value = np.stack([-wanted, np.full(len(x), np.inf)])
        last, least = np.full(len(x), -1), smallest_move(self.space, x)
        radius = np.maximum(radius, least)
        for _ in range(_ROOTS):
            move = self.optimum(x, slope, radius)
            rise = np.einsum("ij,ij->i", slope, move, dtype=np.float64)
            excess = rise - wanted
            if bool(np.all(np.abs(excess) <= 0.8 * _NEAR * gap)):
                break
            above = (excess >= 0).astype(int)
            each = np.arange(len(x))
            value[1 - above, each] *= np.where(last == above, 0.5, 1.0)
            place[above, each], value[above, each], last = radius, excess, above
            # Without an upper end the chord from 0 comes nearer from below.
            gain = np.divide(wanted, np.maximum(rise, wanted / 4.0), out=np.ones(len(x)), where=wanted > 0)
            chord = radius * np.maximum(gain, 1.0) * (1.0 + _NEAR)
            closed = np.isfinite(place[1])
            width = np.where(closed, place[1], 0.0) - place[0]
            apart = np.where(closed, value[1] - value[0], 1.0)
            share = np.divide(-value[0], apart, out=np.ones(len(x)), where=apart != 0)
            following = np.where(closed, place[0] + width * np.clip(share, 0.01, 0.99), chord)
            radius = np.where(np.abs(excess) <= 0.8 * _NEAR * gap, radius, np.maximum(following, least))
        return move, radius

    def beyond(self, x: AnyArray, slope: FloatArray, gap: FloatArray) -> FloatArray:
        """Rises (m,) that are a little more than some gaps, so that rounding of rows and scores leaves enough."""
        wanted = gap * (1.0 + _BEYOND)
        if x.dtype.kind == "f":
            loose = (self.space.eps > 0) & ~self.space.steps & ~self.space.members
            wanted = wanted + np.abs(slope[:, loose] * np.spacing(np.nan_to_num(x[:, loose]))).sum(axis=1)
        return wanted

    def whole(self, x: AnyArray, slope: FloatArray, gap: FloatArray) -> AnyArray:
        """Rows near the smallest moves of whole numbers, one-hot groups and the rest that linear losses ask for."""
        return whole_rows(self.space, x, slope, self.beyond(x, slope, gap))

    def stepped(
        self,
        x: AnyArray,
        move: FloatArray,
        gradient: FloatArray,
        length: FloatArray,
        radius: FloatArray,
        room: tuple[FloatArray, FloatArray],
    ) -> FloatArray:
        """After a steepest-ascent step of some lengths (m,), inside the bounds; in linf and l1 also the radius."""
        if self.space.norm == "l1":
            ball = ball_around(self.space, x, eps=radius[:, None] * self.space.eps)
            rate = np.divide(length, radius, out=np.zeros(len(x)), where=radius > 0)
            return np.asarray(ball.ascend(move.astype(np.float64), gradient, rate[:, None]), dtype=self.dtype)
        if self.space.planes is not None:
            rate = np.divide(length, radius, out=np.zeros(len(x)), where=radius > 0)[:, None]
            return self._related(x, move, radius, lambda ball, state: ball.ascend(state, gradient, rate))
        if self.space.norm == "linf":
            step = np.sign(gradient, dtype=self.dtype) * (self.units * length[:, None].astype(self.dtype))
            return self.onto(x, move + step, radius, room, stretch=False)
        steepest = dual_norms(self.space, gradient)
        scale = np.divide(length, steepest, out=np.zeros(len(x)), where=steepest * _LARGEST > length)
        step = gradient * (self.units**2)
        step *= scale[:, None].astype(self.dtype)
        step += move
        return np.clip(step, *room, out=step)

    def onto(
        self,
        x: AnyArray,
        move: FloatArray,
        radius: FloatArray,
        room: tuple[FloatArray, FloatArray],
        *,
        stretch: bool = True,
    ) -> FloatArray:
        """Moves brought to some radii (m,), inside the bounds; shorter ones are stretched first, if wished."""
        if self.space.planes is not None:
            factor = self._factor(move, radius) if stretch or self.space.norm != "linf" else 1.0
            return self._related(x, move * factor, radius, lambda ball, state: ball.nearest(state))
        if self.space.norm == "linf":
            if stretch:
                move = move * self._factor(move, radius)
            reach = radius[:, None].astype(self.dtype) * self.units
            return np.clip(move, np.maximum(room[0], -reach), np.minimum(room[1], reach))
        if self.space.norm == "l1":
            ball = ball_around(self.space, x, eps=radius[:, None] * self.space.eps)
            longer = move * self._factor(move, radius)
            return np.asarray(ball.nearest(longer.astype(np.float64)), dtype=self.dtype)
        sizes = move_sizes(self.space, move)
        ratio = np.divide(radius, sizes, out=np.ones(len(x)), where=sizes > 0)
        moved = move * ratio[:, None].astype(self.dtype)
        return np.clip(moved, *room, out=moved)

    def path(
        self, x: AnyArray, held: FloatArray, gradient: FloatArray, top: FloatArray, straight: BoolArray
    ) -> Callable[[FloatArray], FloatArray]:
        """A way from known moves back to the rows: from radii (m,) to moves of about that size.

        Args:
            x: Original rows (m, d).
            held: Known moves (m, d).
            gradient: The linear loss whose best moves some of them are (m, d).
            top: Their sizes (m,).
            straight: Which of them are best moves of that loss, and stay so on the way (m,).
        """
        if self.space.planes is not None:
            # The ray to a point that keeps the relations keeps them, too.
            def ray(radius: FloatArray) -> FloatArray:
                share = np.divide(radius, top, out=np.ones(len(top)), where=top > 0)
                moves = held * share[:, None].astype(self.dtype)
                if straight.any():
                    moves[straight] = self.optimum(x[straight], gradient[straight], radius[straight])
                return moves

            return ray
        room = self.room(x)
        if self.space.norm != "l2":

            def nearest(radius: FloatArray) -> FloatArray:
                moves = self.onto(x, held, radius, room, stretch=False)
                if self.space.norm == "l1" and straight.any():
                    moves[straight] = self.optimum(x[straight], gradient[straight], radius[straight])
                return moves

            return nearest
        # The best moves of a linear loss in l2 are s·g clipped to the bounds; where they do not bind, s is largest.
        along = gradient * self.units**2
        factors = np.divide(np.abs(held), np.abs(along), out=np.zeros(held.shape, self.dtype), where=along != 0)
        free = np.where(straight[:, None], along * factors.max(axis=1, initial=0.0, keepdims=True), held)

        def scaled(radius: FloatArray) -> FloatArray:
            share = np.divide(radius, top, out=np.ones(len(top)), where=top > 0)
            return np.asarray(np.clip(free * share[:, None].astype(self.dtype), *room))

        return scaled

    def rows(self, x: AnyArray, move: FloatArray, radius: FloatArray, slope: FloatArray) -> AnyArray:
        """Rows after moves, in the data's number type, inside bounds and schema."""
        space = self.space
        if space.boxed:
            rows = (x + move).astype(space.dtype)
            return np.asarray(np.clip(rows, space.lower.astype(space.dtype), space.upper.astype(space.dtype)))
        eps = radius[:, None] * space.eps
        inside = move.astype(np.float64)
        if space.norm == "linf":
            inside = np.clip(inside, -eps, eps)
        return space.settle(x, inside, eps, slope if space.groups else None)

    def _related(
        self, x: AnyArray, move: FloatArray, radius: FloatArray, change: Callable[[Ball, FloatArray], FloatArray]
    ) -> FloatArray:
        """Moves after a change of the states of balls of some radii, inside which they are brought first."""
        ball = ball_around(self.space, x, eps=radius[:, None] * self.space.eps)
        state = change(ball, ball.state_of(x.astype(np.float64) + move))
        moves = np.nan_to_num(state.astype(np.float64) - x) if self.space.norm == "linf" else state
        return np.asarray(moves, dtype=self.dtype)

    def _factor(self, move: FloatArray, radius: FloatArray) -> FloatArray:
        """By how much moves are too short (m, 1); at least 1."""
        sizes = move_sizes(self.space, move)
        factor = np.divide(radius, sizes, out=np.ones(len(move)), where=sizes > 0)
        return np.maximum(factor, 1.0)[:, None].astype(self.dtype)


def moves_in(space: Space) -> Moves:
    """Moves of a space, in single precision where the rows are."""
    dtype = np.dtype(np.float32) if space.dtype == np.float32 else np.dtype(np.float64)
    return Moves(space=space, dtype=dtype, units=space.eps.astype(dtype))
