"""Ascent along slopes that are smoothed over the ball and evened class by class, where a model's own mislead."""

from dataclasses import dataclass

import numpy as np

from robust.attacks.balls import Ball, ball_around, numbers_a_row
from robust.attacks.base import Attack
from robust.attacks.finds import no_finds
from robust.attacks.live import of_length_one
from robust.attacks.losses import Loss
from robust.attacks.projection import Space
from robust.attacks.target import Target
from robust.data.budget import Eps
from robust.randomness import row_uniform
from robust.types import AnyArray, FloatArray, IntArray, Norm

_HALVES: tuple[Loss, Loss] = ("own_score", "best_other")
# Total length of the steps in budgets, as of PGD.
_LENGTH = 2.5
# Half of a slope is what earlier steps told: what is random in them cancels.
_MOMENTUM = 0.5
# Slopes of two classes of honest networks seldom differ by more.
_APART = 3.0
_STREAM = 8 << 32  # of the row generator: draw r of step k uses stream _STREAM + k·draws + r


@dataclass(frozen=True, slots=True, kw_only=True)
class SmoothedGradients(Attack):
    """Steepest ascent along mean slopes of random points of the ball, of both classes alike.

    g = ū + v̄, ū of −f_y and v̄ of max_{j≠y} f_j, each a mean of gradients at x + r·(u − x), u uniform in the ball, r
    evenly spaced in (0, 1], with momentum; each divided by its length where one is more than three times the other

    The mean over the ball has no ripples and stairs that are narrower than it. Where the score of one class has
    saturated, as behind tanh, its slope is smaller than the other's by orders of magnitude, and lost in their sum,
    though it points where it should: divided by its length it counts. Of probabilities, whose logarithms' slopes
    differ by nature, the sum itself is taken.

    Args:
        eps: Budget in the user's units: a number, numbers by feature name, or None for a template.
        norm: `linf`, `l2` or `l1`.
        steps: Steps.
        draws: Points of the ball in each.

    Source:
        Wu, Zhu, Tai and E (2018), variance-reduced attacks, for the mean over noise.
    """

    eps: Eps | None = None
    norm: Norm = "linf"
    steps: int = 20
    draws: int = 8

    @property
    def gradients(self) -> bool:
        """It needs them."""
        return True

    def search(self, target: Target, space: Space, *, seed: int) -> AnyArray:
        """Climb from the rows; after each step the point that its slope likes best is tried, too."""
        finds, rows = no_finds(target), np.arange(len(target))
        ball = ball_around(space, target.x)
        state, pull = ball.centre(), np.zeros((2, *target.x.shape))
        for step in range(self.steps):
            pull = _MOMENTUM * pull + self._slopes(target, space, rows, ball, state, step, seed=seed)
            slope = _evened(pull, space) if target.scale == "logits" else pull.sum(axis=0)
            state = ball.ascend(state, slope, _LENGTH / self.steps)
            for tried in (state, ball.optimum(slope)):
                points = ball.points(tried, slope)
                finds.record(rows, points, target.scores(points))
            left = ~finds.broken[rows]
            if not left.any():
                break
            rows, ball, state, pull = rows[left], ball.part(left), state[left], pull[:, left]
        return finds.found

    def _slopes(
        self, target: Target, space: Space, rows: IntArray, ball: Ball, state: FloatArray, step: int, *, seed: int
    ) -> FloatArray:
        """Mean slopes of both scores over some points of the ball (2, m, d)."""
        keys, needed = target.data.row_keys()[rows], numbers_a_row(space)
        total = np.zeros((2, *state.shape))
        for draw in range(self.draws):
            u = row_uniform(keys, needed, seed=seed, stream=_STREAM + step * self.draws + draw)
            # Between two points of the ball: in it, and inside the bounds.
            points = ball.points(state + (draw + 1) / self.draws * (ball.drawn(u) - state))
            for half, loss in zip(total, _HALVES, strict=True):
                half += target.gradient(points, rows, loss=loss)[1] / self.draws
        return total


def _evened(slopes: FloatArray, space: Space) -> FloatArray:
    """The sum of both slopes; in rows where they are of two scales, each divided by its length, in budgets."""
    units = np.array([of_length_one(half, space) for half in slopes])
    sizes = np.abs(slopes * space.eps).sum(axis=2)
    apart = sizes.max(axis=0) > _APART * sizes.min(axis=0)
    return np.asarray(np.where(apart[:, None], units.sum(axis=0), slopes.sum(axis=0)))
