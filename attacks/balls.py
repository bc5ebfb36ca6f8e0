"""Balls around rows: where points start, how they climb a loss, and how they come back inside."""

from typing import Protocol, Self

import numpy as np

from robust.attacks.l1_ball import L1Ball
from robust.attacks.l2_ball import L2Ball
from robust.attacks.linf_ball import LinfBall
from robust.attacks.projection import Space
from robust.attacks.related_ball import RelatedBall
from robust.attacks.rounding import drawn_in, rounded_down
from robust.types import AnyArray, BoolArray, FloatArray, IntArray


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

    def ascend(self, state: FloatArray, gradient: FloatArray, rate: float | FloatArray) -> FloatArray:
        """States after one steepest-ascent step of `rate` times the budget, back inside ball and bounds.

        The rate is one number, or one a row (m, 1).
        """
        ...

    def optimum(self, gradient: FloatArray) -> FloatArray:
        """The states at which a linear loss of this gradient is largest."""
        ...

    def nearest(self, state: FloatArray) -> FloatArray:
        """States inside ball and bounds that are nearest to given ones."""
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


def ball_around(space: Space, x: AnyArray, *, eps: FloatArray | None = None) -> Ball:
    """Centre a space on rows; where features are related, points and steps of the ball keep the relations.

    Args:
        space: Budget and schema.
        x: Rows (m, d).
        eps: Budgets of each row (m, 1), in place of the space's own; features that must stay do.

    Returns:
        The ball.
    """
    ball = _boxed(space, x, eps)
    return ball if space.planes is None else RelatedBall(inner=ball, planes=space.planes)


def _boxed(space: Space, x: AnyArray, eps: FloatArray | None) -> LinfBall | L2Ball | L1Ball:
    """The ball inside the bounds alone."""
    budget = _budget(space, eps)
    if space.norm != "linf":
        origin, missing = x.astype(np.float64), np.isnan(x)
        low = np.where(missing, 0.0, np.minimum(space.lower - origin, 0.0))
        high = np.where(missing, 0.0, np.maximum(space.upper - origin, 0.0))
        kind = L2Ball if space.norm == "l2" else L1Ball
        return kind(space=space, x=x, eps=budget, low=low, high=high)
    whole = space.steps | space.members
    budget = np.where(whole, np.floor(budget), budget) if whole.any() else budget
    origin = x.astype(space.work, copy=False)
    if space.slack is None:
        reach = rounded_down(budget, space.work)
        low, high = drawn_in(origin - reach, origin, budget), drawn_in(origin + reach, origin, budget)
    else:
        short = np.maximum(budget - space.slack, 0.0)
        reach = (np.where(whole, budget, short) if whole.any() else short).astype(space.work)
        low, high = origin - reach, origin + reach
    np.maximum(low, space.lower.astype(space.work), out=low)
    np.minimum(high, space.upper.astype(space.work), out=high)
    return LinfBall(space=space, x=x, eps=budget, low=low, high=high)


def _budget(space: Space, eps: FloatArray | None) -> FloatArray:
    """Budgets (1, d) or (m, d); in boxes whose features may all move, those of each row stay one number (m, 1)."""
    if eps is None:
        return space.eps[None, :]
    if space.norm == "linf" and space.smooth and (space.eps > 0).all():
        return eps
    return np.where(space.eps > 0, eps, 0.0)


def numbers_a_row(space: Space) -> int:
    """Uniform numbers a row that `Ball.drawn` takes."""
    width = space.schema.width
    if space.norm == "linf":
        return width
    return width + 1 if space.norm == "l1" else 2 * ((width + 1) // 2) + 1
