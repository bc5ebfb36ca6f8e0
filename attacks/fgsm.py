"""The fast gradient sign method: one step, one gradient."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from robust.attacks.asked_budgets import STRIDE, AskedBudgets
from robust.attacks.balls import Ball, ball_around
from robust.attacks.base import Attack, Swept, unit_space
from robust.attacks.hyper_parameters import read_hyper_parameters
from robust.attacks.projection import Space
from robust.attacks.target import Target
from robust.data.budget import Eps
from robust.types import AnyArray, FloatArray, Norm


@dataclass(frozen=True, slots=True, kw_only=True)
class FGSM(Attack):
    """One steepest-ascent step of the whole budget.

    linf: x' = x + eps·sign(∇L); l2: x' = x + eps·∇L/‖∇L‖; l1: the steepest features as far as they may, in
    turn, until eps is spent

    L is the cross-entropy, or the margin loss where the cross-entropy's gradient is exactly zero; the step is
    projected onto bounds and schema.

    Args:
        eps: Budget in the user's units: a number, numbers by feature name, or None for a template.
        norm: `linf`, `l2` or `l1`.

    Raises:
        InvalidInput: If a hyper-parameter is out of range.

    Source:
        Goodfellow, Shlens and Szegedy (2015), section 4.

    >>> FGSM().at(0.1)
    FGSM(eps=0.1, norm='linf')
    """

    eps: Eps | None = None
    norm: Norm = "linf"

    def __post_init__(self) -> None:
        """Check the hyper-parameters."""
        read_hyper_parameters(self)

    @property
    def gradients(self) -> bool:
        """It needs them."""
        return True

    @property
    def stride(self) -> int:
        """How many budgets farther a sweep may ask about next."""
        return STRIDE

    def search(self, target: Target, space: Space, *, seed: int) -> AnyArray:  # noqa: ARG002
        """One gradient pass; nothing is random, and nobody asks whether the step broke the row."""
        found = target.x.copy()
        for start in range(0, len(target), target.batch):
            rows = slice(start, min(start + target.batch, len(target)))
            gradient = target.gradient(target.x[rows], rows)[1]
            ball = ball_around(space, target.x[rows])
            found[rows] = ball.points(_stepped(ball, gradient, space), gradient)
        return found

    def sweep(self, target: Target, grid: Sequence[float], *, seed: int) -> Swept:  # noqa: ARG002
        """One gradient pass serves all budgets, with forward passes at those that tell where each row breaks."""
        return straight_sweep(target, unit_space(self, target, grid), grid, stride=self.stride)


@dataclass(frozen=True, slots=True, kw_only=True)
class PatientFGSM(FGSM):
    """The same step; a sweep asks about every budget in turn, until the row is wrong."""

    @property
    def stride(self) -> int:
        """One after the other."""
        return 1


def straight_sweep(
    target: Target, space: Space, grid: Sequence[float], *, stride: int, reach: FloatArray | None = None
) -> Swept:
    """Which rows stay right along a step of the whole budget.

    Args:
        target: The classifier and the rows (n, d).
        space: Where they may go.
        grid: Increasing budgets (k,), as multiples of the space's own.
        stride: The next budget that is asked lies at most so many farther.
        reach: By what the budgets of each row are multiplied (n,); None for 1.
    """
    budgets, even = np.asarray(grid, dtype=np.float64), bool(np.isin(space.eps, (0.0, 1.0)).all())
    each = np.ones(len(target)) if reach is None else reach
    survived = np.zeros((len(grid) + 1, len(target)), dtype=bool)
    flat = np.zeros(len(target), dtype=bool)
    for start in range(0, len(target), target.batch):
        rows = np.arange(start, min(start + target.batch, len(target)))
        scores, gradient = target.gradient(target.x[rows], rows)
        flat[rows], right = ~gradient.any(axis=1), ~target.wrong(scores, rows)
        survived[0, rows] = right
        if space.smooth and space.norm == "linf":
            gradient = np.sign(gradient).astype(space.work)  # all that is asked of it below
        rows, gradient = rows[right], gradient[right]
        asked = AskedBudgets.of(budgets, target.distances(scores[right], rows), stride=stride)
        live, places = asked.next(np.arange(len(rows)))
        while len(live):
            eps = (asked.budgets[places] * each[rows[live]])[:, None]
            ball = ball_around(space, target.x[rows[live]], eps=eps if even else eps * space.eps)
            scores = target.scores(ball.points(_stepped(ball, gradient[live], space), gradient[live]))
            asked.tell(live, places, target.distances(scores, rows[live]), target.wrong(scores, rows[live]))
            live, places = asked.next(live)
        survived[1:, rows] = asked.survived().T
    return Swept(survived=survived, flat=flat)


def _stepped(ball: Ball, gradient: FloatArray, space: Space) -> FloatArray:
    """One step of the whole budget; in l1 the steepest single feature often has no room for it, so others follow."""
    return ball.optimum(gradient) if space.norm == "l1" else ball.ascend(ball.centre(), gradient, 1.0)
