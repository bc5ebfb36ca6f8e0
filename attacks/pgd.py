"""Projected gradient descent: many small steps from a random start."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Self, TypeAlias

import numpy as np

from robust.attacks.balls import Ball, numbers_a_row
from robust.attacks.base import Attack, Swept, unit_space
from robust.attacks.budget import Eps, read_count, read_eps, read_norm, read_share
from robust.attacks.fgsm import FGSM
from robust.attacks.live import Climb
from robust.attacks.projection import Space
from robust.attacks.target import Target
from robust.errors import InvalidInput
from robust.randomness import row_uniform
from robust.types import AnyArray, BoolArray, FloatArray, IntArray, Norm

Start: TypeAlias = Callable[[Ball, IntArray], FloatArray]

_MADRY = 2.5  # total length of the steps, in budgets
_STREAM = 2 << 32  # of the row generator: restart r uses stream _STREAM + r


@dataclass(frozen=True, slots=True, kw_only=True)
class PGD(Attack):
    """Steepest-ascent steps from a random start, each projected back; the best iterate is kept.

    linf: x ← Π(x + α·sign(∇L)); l2: x ← Π(x + α·∇L/‖∇L‖); Π projects onto ball, bounds and schema

    L is the cross-entropy of logits brought to one scale row by row, so that multiplying all logits by a number
    changes nothing, or the margin loss where that gradient is exactly zero. After the
    last step, the point of the ball that the last gradient likes best is tried too: constant steps end near
    the optimum of a linear loss, that point is the optimum. A row that is broken leaves at once, and the next
    one takes its place in the batch.

    Args:
        eps: Budget in the user's units: a number, numbers by feature name, or None for a template.
        norm: `linf` or `l2`.
        steps: Gradient steps of each restart.
        rel_step: Step size α as a share of eps; None is Madry's 2.5/steps.
        restarts: Random starts; a later one is for the rows that the earlier ones left.
        random_start: Whether to start from a uniform draw of the ball rather than from the row.

    Raises:
        InvalidInput: If a hyper-parameter is out of range.

    Source:
        Madry, Makelov, Schmidt, Tsipras and Vladu (2018), section 2.1; step size: the authors' challenge
        code.

    >>> PGD(eps=8 / 255).norm, PGD().at(0.1).eps
    ('linf', 0.1)
    """

    eps: Eps | None = None
    norm: Norm = "linf"
    steps: int = 40
    rel_step: float | None = None
    restarts: int = 1
    random_start: bool = True

    def __post_init__(self) -> None:
        """Check the hyper-parameters."""
        object.__setattr__(self, "eps", read_eps(self.eps))
        object.__setattr__(self, "norm", read_norm(self.norm))
        object.__setattr__(self, "steps", read_count(self.steps, "steps"))
        object.__setattr__(self, "restarts", read_count(self.restarts, "restarts"))
        if not isinstance(self.random_start, bool):
            raise InvalidInput(f"random_start got {self.random_start!r}; True or False would be right")
        if self.rel_step is not None:
            object.__setattr__(self, "rel_step", read_share(self.rel_step, "rel_step"))

    @property
    def gradients(self) -> bool:
        """It needs them."""
        return True

    def at(self, eps: Eps) -> Self:
        """The same attack with a budget."""
        return replace(self, eps=eps)

    def search(self, target: Target, space: Space, *, seed: int) -> AnyArray:
        """Climb from each start; rows that are left go on to the next restart."""
        climb = self._climb(target, space)
        for restart in range(self.restarts):
            rows = np.flatnonzero(~climb.broken)
            climb.run(rows, self._start(target, space, seed, restart))
        return climb.found

    def sweep(self, target: Target, grid: Sequence[float], *, seed: int) -> Swept:
        """Bisection of the grid, row by row.

        FGSM over the whole grid brackets the smallest budget that breaks a row; PGD then halves the bracket,
        starting from the last point it found for that row. A row that holds at a budget counts as right at
        all smaller ones.
        """
        bracket = FGSM(norm=self.norm).sweep(target, grid, seed=seed)
        right, budgets = bracket.survived[0], np.asarray(grid, dtype=np.float64)
        space = unit_space(self, target, grid)
        holds = np.full(len(target), -1)  # index of the largest budget that PGD could not break the row with
        breaks = bracket.survived[1:].sum(axis=0)  # index of the smallest that did
        warm = target.x.copy()
        moved = np.zeros(len(target), dtype=bool)
        while len(rows := np.flatnonzero(right & (breaks - holds > 1))):
            middle = (holds + breaks) // 2
            climb = self._climb(target, space)
            for restart in range(self.restarts):
                left = rows[~climb.broken[rows]]
                fresh = self._start(target, space, seed, restart)
                climb.run(left, _warmed(fresh, warm, moved & (restart == 0)), eps=budgets[middle][:, None])
            out = climb.broken
            warm[rows], moved[rows] = climb.found[rows], True
            breaks[rows] = np.where(out[rows], middle[rows], breaks[rows])
            holds[rows] = np.where(out[rows], holds[rows], middle[rows])
        holds_at = right & (np.arange(len(grid))[:, None] < breaks)
        return Swept(survived=np.vstack([right, holds_at]), flat=bracket.flat)

    def _climb(self, target: Target, space: Space) -> Climb:
        return Climb(
            target=target,
            space=space,
            steps=self.steps,
            rate=_MADRY / self.steps if self.rel_step is None else self.rel_step,
            found=target.x.copy(),
            best=np.full(len(target), -np.inf),
            broken=np.zeros(len(target), dtype=bool),
        )

    def _start(self, target: Target, space: Space, seed: int, restart: int) -> Start:
        """Where a restart begins: a draw that belongs to row and restart alone, or the rows themselves."""
        keys, needed = target.data.row_keys(), numbers_a_row(space)

        def start(ball: Ball, rows: IntArray) -> FloatArray:
            if not self.random_start:
                return ball.centre()
            return ball.drawn(row_uniform(keys[rows], needed, seed=seed, stream=_STREAM + restart))

        return start


def _warmed(fresh: Start, warm: AnyArray, known: BoolArray) -> Start:
    """Starts from known points where there are some."""

    def start(ball: Ball, rows: IntArray) -> FloatArray:
        return np.where(known[rows][:, None], ball.state_of(warm[rows]), fresh(ball, rows))

    return start
