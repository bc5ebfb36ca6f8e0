"""Balls around rows: where points start, how they climb a loss, and how they come back inside."""

from dataclasses import dataclass, replace
from typing import Protocol, Self

import numpy as np

from robust.attacks.projection import JUST_BELOW, Space
from robust.attacks.rounding import drawn_in, rounded_down
from robust.types import AnyArray, BoolArray, FloatArray, IntArray

_NEWTON_STEPS = 60


class Ball(Protocol):
    """Where some rows may go; a state is a point of the ball that need not obey the schema yet."""

    @property
    def x(self) -> AnyArray:
        """Original rows (m, d)."""
        ...

    def centre(self) -> FloatArray:
        """The state of rows that have not moved (m, d)."""
        ...

    def drawn(self, u: FloatArray) -> FloatArray:
        """Random states, from `numbers_a_row` uniform numbers a row."""
        ...

    def ascend(self, state: FloatArray, gradient: FloatArray, rate: float) -> FloatArray:
        """States after one steepest-ascent step of `rate` times the budget, back inside ball and bounds."""
        ...

    def state_of(self, rows: AnyArray) -> FloatArray:
        """States nearest to given rows (m, d)."""
        ...

    def points(self, state: FloatArray, slope: FloatArray | None = None) -> AnyArray:
        """Rows that obey the schema, from states; slope decides between equal members of a one-hot group."""
        ...

    def part(self, keep: IntArray | BoolArray) -> Self:
        """The ball around some of its rows."""
        ...

    def joined(self, other: Self) -> Self:
        """The ball around these rows and some more of the same space."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LinfBall:
    """The box |δ_j| ≤ eps_j inside the bounds; a state is a point, in the working number type.

    Args:
        space: Budget and schema.
        x: Original rows (m, d).
        eps: Budgets (1, d) or (m, d), float64.
        low: Lower corner (m, d), in the working type; no lower than the budget and the bounds allow, exactly.
        high: Upper corner (m, d).
    """

    space: Space
    x: AnyArray
    eps: FloatArray
    low: FloatArray
    high: FloatArray

    def centre(self) -> FloatArray:
        """The rows themselves."""
        return self.x.astype(self.space.work)

    def drawn(self, u: FloatArray) -> FloatArray:
        """Uniform in the box; whole features uniform over the whole values in it."""
        width = self.high - self.low
        state = self.low + u * width
        if self.space.steps.any():
            steps = self.space.steps
            state[:, steps] = self.low[:, steps] + np.floor(u[:, steps] * (width[:, steps] + 1))
        return np.asarray(np.clip(state, self.low, self.high))

    def ascend(self, state: FloatArray, gradient: FloatArray, rate: float) -> FloatArray:
        """State + rate·eps·sign(gradient), clipped to the box."""
        step = np.sign(gradient).astype(self.space.work)
        step *= (rate * self.eps).astype(self.space.work)
        step += state
        return np.asarray(np.clip(step, self.low, self.high, out=step))

    def state_of(self, rows: AnyArray) -> FloatArray:
        """Given rows, clipped to the box."""
        return np.asarray(np.clip(rows.astype(self.space.work), self.low, self.high))

    def points(self, state: FloatArray, slope: FloatArray | None = None) -> AnyArray:
        """The state itself where every point is a row."""
        if self.space.smooth:
            return state
        delta = state.astype(np.float64) - self.x.astype(np.float64)
        return self.space.settle(self.x, delta, self.eps, slope)

    def part(self, keep: IntArray | BoolArray) -> "LinfBall":
        """The boxes of some rows."""
        return replace(self, x=self.x[keep], eps=_part(self.eps, keep), low=self.low[keep], high=self.high[keep])

    def joined(self, other: "LinfBall") -> "LinfBall":
        """The boxes of these rows and some more."""
        return replace(
            self,
            x=np.concatenate([self.x, other.x]),
            eps=_joined(self.eps, other.eps, len(self.x), len(other.x)),
            low=np.concatenate([self.low, other.low]),
            high=np.concatenate([self.high, other.high]),
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class L2Ball:
    """The ellipsoid Σ (δ_j/eps_j)² ≤ 1 inside the bounds; a state is a move δ, float64.

    Args:
        space: Budget and schema.
        x: Original rows (m, d).
        eps: Semi-axes (1, d) or (m, d), float64; 0 where a feature must stay.
        low: Lower bounds of δ (m, d).
        high: Upper bounds of δ (m, d).
    """

    space: Space
    x: AnyArray
    eps: FloatArray
    low: FloatArray
    high: FloatArray

    def centre(self) -> FloatArray:
        """No move."""
        return np.zeros(self.x.shape)

    def drawn(self, u: FloatArray) -> FloatArray:
        """Uniform in the ball: a normal direction (Box and Muller 1958), radius U^(1/d); then clipped to the bounds."""
        d = self.x.shape[1]
        half = (d + 1) // 2
        radius = np.sqrt(-2.0 * np.log1p(-u[:, :half].astype(np.float64)))
        angle = 2.0 * np.pi * u[:, half : 2 * half].astype(np.float64)
        normal = np.hstack([radius * np.cos(angle), radius * np.sin(angle)])[:, :d] * (self.eps > 0)
        free = np.maximum(np.sum(self.eps > 0, axis=1), 1)
        size = u[:, 2 * half].astype(np.float64) ** (1.0 / free)
        return self._inside(self.eps * _unit(normal) * size[:, None])

    def ascend(self, state: FloatArray, gradient: FloatArray, rate: float) -> FloatArray:
        """State + rate·eps·g/‖g‖ with g the gradient in units of eps, projected onto ball and bounds."""
        return self._inside(state + rate * self.eps * _unit(self.eps * gradient))

    def state_of(self, rows: AnyArray) -> FloatArray:
        """The move to given rows, projected onto ball and bounds."""
        return self._inside(rows.astype(np.float64) - self.x.astype(np.float64))

    def points(self, state: FloatArray, slope: FloatArray | None = None) -> AnyArray:
        """Rows after the move."""
        return self.space.settle(self.x, state, self.eps, slope)

    def part(self, keep: IntArray | BoolArray) -> "L2Ball":
        """The balls around some rows."""
        return replace(self, x=self.x[keep], eps=_part(self.eps, keep), low=self.low[keep], high=self.high[keep])

    def joined(self, other: "L2Ball") -> "L2Ball":
        """The balls around these rows and some more."""
        return replace(
            self,
            x=np.concatenate([self.x, other.x]),
            eps=_joined(self.eps, other.eps, len(self.x), len(other.x)),
            low=np.concatenate([self.low, other.low]),
            high=np.concatenate([self.high, other.high]),
        )

    def _inside(self, delta: FloatArray) -> FloatArray:
        """The nearest move inside ball and bounds, in units of eps: clip(s·δ) with the s ≤ 1 that fits.

        The nearest point minimises ‖p − δ‖² on ‖p‖ ≤ 1 and box; its Lagrangian separates into clip(δ/(1 +
        λ)). Newton steps on ‖clip(s·δ)‖ = 1 from s = 1/‖δ‖ rise to the root, since ever more features lie on
        their bounds.
        """
        used = np.broadcast_to(self.eps > 0, delta.shape)
        wish = np.divide(delta, self.eps, out=np.zeros(delta.shape), where=used)
        room = np.where(wish > 0, self.high, -self.low)
        room = np.divide(room, self.eps, out=np.zeros(delta.shape), where=used)
        size = np.abs(wish)
        far = np.flatnonzero(np.sum(np.minimum(size, room) ** 2, axis=1) > JUST_BELOW**2)
        size, most = size[far], room[far]
        s = 1.0 / np.sqrt(np.maximum(np.sum(size**2, axis=1), np.finfo(np.float64).tiny))
        for _ in range(_NEWTON_STEPS):
            bound = s[:, None] * size > most
            fixed = np.sum(np.where(bound, most, 0.0) ** 2, axis=1)
            loose = np.sum(np.where(bound, 0.0, size) ** 2, axis=1)
            rise = np.sqrt(np.maximum(1.0 - fixed, 0.0) / np.where(loose > 0, loose, np.inf))
            if not bool(np.any(rise > s * (1 + 1e-15))):
                break
            s = np.maximum(rise, s)
        factor = np.ones(len(delta))
        factor[far] = s * JUST_BELOW
        move = np.minimum(np.abs(wish) * factor[:, None], room)
        return np.asarray(np.copysign(move, wish) * self.eps)


def ball_around(space: Space, x: AnyArray, *, eps: FloatArray | None = None) -> Ball:
    """Centre a space on rows.

    Args:
        space: Budget and schema.
        x: Rows (m, d).
        eps: Budgets of each row (m, 1), in place of the space's own; features that must stay do.

    Returns:
        The ball.
    """
    budget = space.eps[None, :] if eps is None else np.where(space.eps > 0, eps, 0.0)
    if space.norm == "l2":
        origin, missing = x.astype(np.float64), np.isnan(x)
        low = np.where(missing, 0.0, np.minimum(space.lower - origin, 0.0))
        high = np.where(missing, 0.0, np.maximum(space.upper - origin, 0.0))
        return L2Ball(space=space, x=x, eps=budget, low=low, high=high)
    budget = np.where(space.steps | space.members, np.floor(budget), budget)
    origin = x.astype(space.work, copy=False)
    if space.slack is None:
        reach = rounded_down(budget, space.work)
        low, high = drawn_in(origin - reach, origin, budget), drawn_in(origin + reach, origin, budget)
    else:
        short = np.where(space.steps | space.members, budget, np.maximum(budget - space.slack, 0.0))
        reach = short.astype(space.work)
        low, high = origin - reach, origin + reach
    np.maximum(low, space.lower.astype(space.work), out=low)
    np.minimum(high, space.upper.astype(space.work), out=high)
    return LinfBall(space=space, x=x, eps=budget, low=low, high=high)


def numbers_a_row(space: Space) -> int:
    """Uniform numbers a row that `Ball.drawn` takes."""
    width = space.schema.width
    return width if space.norm == "linf" else 2 * ((width + 1) // 2) + 1


def _part(eps: FloatArray, keep: IntArray | BoolArray) -> FloatArray:
    """Budgets of some rows; shared ones (1, d) stay shared."""
    return eps if len(eps) == 1 else eps[keep]


def _joined(first: FloatArray, second: FloatArray, m: int, k: int) -> FloatArray:
    """Budgets of m rows and k more; equal shared ones stay shared."""
    if len(first) == len(second) == 1 and np.array_equal(first, second):
        return first
    width = first.shape[1]
    return np.concatenate([np.broadcast_to(first, (m, width)), np.broadcast_to(second, (k, width))])


def _unit(vectors: FloatArray) -> FloatArray:
    """Rows scaled to length 1; zero rows stay zero."""
    largest = np.abs(vectors).max(axis=1, keepdims=True)
    vectors = vectors / np.where(largest > 0, largest, 1.0)  # first by the largest, so that no square underflows
    length = np.sqrt(np.sum(vectors**2, axis=1, keepdims=True))
    return np.asarray(vectors / np.where(length > 0, length, 1.0))
