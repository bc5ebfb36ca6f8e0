"""Uniform random noise: the floor that every attack must beat, and all there is for a model without gradients."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from robust.attacks.balls import Ball, ball_around, numbers_a_row
from robust.attacks.base import Attack, Swept, unit_space
from robust.attacks.hyper_parameters import read_hyper_parameters
from robust.attacks.projection import Space
from robust.attacks.target import Target
from robust.data.budget import Eps
from robust.randomness import row_uniform
from robust.types import AnyArray, FloatArray, Norm

_STREAM = 1 << 32  # of the row generator: draw r of the noise uses stream _STREAM + r
# Fewer rows than this do not fill a call; many more would only crowd the cache.
_FILLED = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class RandomNoise(Attack):
    """The worst of several uniform draws from the ball inside the schema; a black-box attack.

    x' = x + δ, δ uniform; a row is broken if any draw breaks it

    In `linf` the draw is uniform in ball ∩ bounds, whole features over whole values; in `l2` and `l1` it is
    uniform in the ball, then clipped to the bounds.

    Args:
        eps: Budget in the user's units: a number, numbers by feature name, or None for a template.
        norm: `linf`, `l2` or `l1`.
        draws: Draws a row.

    Raises:
        InvalidInput: If a hyper-parameter is out of range.

    >>> RandomNoise(eps=0.1, draws=10)
    RandomNoise(eps=0.1, norm='linf', draws=10)
    """

    eps: Eps | None = None
    norm: Norm = "linf"
    draws: int = 100

    def __post_init__(self) -> None:
        """Check the hyper-parameters."""
        read_hyper_parameters(self, "draws")

    @property
    def gradients(self) -> bool:
        """It needs none."""
        return False

    def search(self, target: Target, space: Space, *, seed: int) -> AnyArray:
        """Draw, block by block; broken rows leave the block."""
        found, keys = target.x.copy(), target.data.row_keys()
        for start in range(0, len(target), target.batch):
            rows = np.arange(start, min(start + target.batch, len(target)))
            ball, best = ball_around(space, target.x[rows]), np.full(len(rows), -np.inf)
            for draw in range(self.draws):
                u = row_uniform(keys[rows], numbers_a_row(space), seed=seed, stream=_STREAM + draw)
                points = _points(ball, u, space)
                scores = target.scores(points)
                margins = target.margins(scores, rows)
                better = margins > best
                found[rows[better]] = points[better]
                best = np.maximum(best, margins)
                broken = target.wrong(scores, rows)
                if broken.any():
                    found[rows[broken]] = points[broken]
                    ball, rows, best = ball.part(~broken), rows[~broken], best[~broken]
                if len(rows) == 0:
                    break
        return found

    def sweep(self, target: Target, grid: Sequence[float], *, seed: int) -> Swept:
        """The same draws scaled to every budget, largest first.

        A draw tries a row at the largest budget that no draw has broken yet, and while it breaks the row, at
        the next smaller one. A row that the draws leave alone at a budget counts as right at all smaller
        ones.
        """
        space, keys = unit_space(self, target, grid), target.data.row_keys()
        budgets = np.asarray(grid, dtype=np.float64)
        right = ~target.wrong(target.scores(target.x), slice(None))
        # Index of the largest budget that has not broken the row, and the draw that comes next.
        level, turn = np.where(right, len(grid) - 1, -1), np.zeros(len(target), dtype=int)
        for start in range(0, len(target), target.batch):
            live = start + np.flatnonzero(level[start : start + target.batch] >= 0)
            ball = ball_around(space, target.x[live], eps=budgets[level[live]][:, None])
            while len(live):
                # Several draws of each row where few are left.
                depth = min(max(1, _FILLED // len(live)), int((self.draws - turn[live]).max()))
                ahead = turn[live, None] + np.arange(depth)
                asked = ahead < self.draws
                each, draws = np.nonzero(asked)[0], ahead[asked]
                u = row_uniform(keys[live[each]], numbers_a_row(space), seed=seed, stream=_STREAM + draws)
                points = _points(ball if depth == 1 else ball.part(each), u, space)
                broken = np.zeros(asked.shape, dtype=bool)
                broken[asked] = target.wrong(target.scores(points), live[each])
                # The first draw that breaks a row comes again at the next smaller budget; those after it, too.
                out = broken.any(axis=1)
                level[live] -= out
                turn[live] += np.where(out, broken.argmax(axis=1), depth)
                going = (level[live] >= 0) & (turn[live] < self.draws)
                same = going & ~out
                if same.all():
                    continue
                again = live[going & out]
                live, ball = live[same], ball.part(same)
                if len(again):
                    smaller = ball_around(space, target.x[again], eps=budgets[level[again]][:, None])
                    live, ball = np.concatenate([live, again]), ball.joined(smaller)
        holds = right & (np.arange(len(grid))[:, None] <= level)
        return Swept(survived=np.vstack([right, holds]), flat=np.zeros(len(target), dtype=bool))


def _points(ball: Ball, u: FloatArray, space: Space) -> AnyArray:
    """Rows of one draw; the draw itself decides between equal members of a one-hot group."""
    return ball.points(ball.drawn(u), u[:, : space.schema.width])
