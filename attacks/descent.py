"""A curve by one descent of the budgets a row, largest first, rather than by one run a budget."""

from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np

from robust.attacks.balls import Ball
from robust.attacks.base import Attack, Swept, unit_space
from robust.attacks.fgsm import PatientFGSM
from robust.attacks.projection import Space
from robust.attacks.target import Target
from robust.types import AnyArray, BoolArray, FloatArray, IntArray


class Found(Protocol):
    """What a search found."""

    @property
    def found(self) -> AnyArray:
        """The best point of each row (n, d)."""
        ...

    @property
    def broken(self) -> BoolArray:
        """Which rows are broken there (n,)."""
        ...


def descended(
    attack: Attack,
    target: Target,
    grid: Sequence[float],
    search: Callable[[Space, IntArray, FloatArray, "Warm"], Found],
) -> Swept:
    """Which rows stay right as the budget grows.

    FGSM over the whole grid gives the smallest budget at which it breaks a row. The attack then tries the row
    at the next smaller one, and, while it breaks the row, at the next smaller again, from the point that it found
    last: a row is attacked in vain once at most, and a point that breaks it at one budget is near one that does
    at the next. A row that holds at a budget counts as right at all smaller ones.

    Args:
        attack: Says which norm.
        target: The classifier and the rows (n, d).
        grid: Increasing budgets (k,).
        search: From a space, rows (m,), the budgets of all rows (n, 1) and the starts that are known, to what the
            attack found.

    Returns:
        Which rows survive each budget.
    """
    bracket = PatientFGSM(norm=attack.norm).sweep(target, grid, seed=0)
    right, budgets = bracket.survived[0], np.asarray(grid, dtype=np.float64)
    space = unit_space(attack, target, grid)
    breaks = bracket.survived[1:].sum(axis=0)  # index of the smallest budget that is known to break the row
    least = int(np.sum(budgets <= 0))  # a budget of 0 moves nothing
    open_, warm = right.copy(), Warm(target)
    while len(rows := np.flatnonzero(open_ & (breaks > least))):
        eps = budgets[np.maximum(breaks - 1, 0)][:, None]
        result = search(space, rows, eps, warm)
        out = result.broken[rows]
        warm.learn(rows, result.found[rows])
        breaks[rows] -= out
        open_[rows] = out
    holds = right & (np.arange(len(grid))[:, None] < breaks)
    return Swept(survived=np.vstack([right, holds]), flat=bracket.flat)


class Warm:
    """Points that are known to be good starts, for some rows."""

    __slots__ = ("_known", "_points")

    def __init__(self, target: Target) -> None:
        self._points, self._known = target.x.copy(), np.zeros(len(target), dtype=bool)

    def learn(self, rows: IntArray, points: AnyArray) -> None:
        """Points of some rows."""
        self._points[rows], self._known[rows] = points, True

    def start(self, fresh: Callable[[Ball, IntArray], FloatArray]) -> Callable[[Ball, IntArray], FloatArray]:
        """Starts from known points, brought into the ball, where there are some; else from fresh ones."""

        def start(ball: Ball, rows: IntArray) -> FloatArray:
            known = self._known[rows]
            if known.all():
                return ball.state_of(self._points[rows])
            first = fresh(ball, rows)
            return np.where(known[:, None], ball.state_of(self._points[rows]), first) if known.any() else first

        return start
