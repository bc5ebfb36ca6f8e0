"""Uniform random noise: the floor that every attack must beat, and all there is for a model without gradients."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from robust.attacks.balls import Ball, ball_around, numbers_a_row
from robust.attacks.base import Attack, Swept, unit_space
from robust.attacks.projection import Space
from robust.attacks.target import Target
from robust.data.budget import Eps, read_count, read_eps, read_norm
from robust.randomness import row_uniform
from robust.types import AnyArray, FloatArray, Norm

_STREAM = 1 << 32  # of the row generator: draw r of the noise uses stream _STREAM + r


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
        object.__setattr__(self, "eps", read_eps(self.eps))
        object.__setattr__(self, "norm", read_norm(self.norm))
        object.__setattr__(self, "draws", read_count(self.draws, "draws"))

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
        level = np.full(len(target), -1)  # index of the largest budget that has not broken the row
        right = ~target.wrong(target.scores(target.x), slice(None))
        level[right] = len(grid) - 1
        for start in range(0, len(target), target.batch):
            block = np.arange(start, min(start + target.batch, len(target)))
            for draw in range(self.draws):
                block = block[level[block] >= 0]
                if len(block) == 0:
                    break
                u = row_uniform(keys[block], numbers_a_row(space), seed=seed, stream=_STREAM + draw)
                rows = block
                while len(rows):
                    ball = ball_around(space, target.x[rows], eps=budgets[level[rows]][:, None])
                    points = _points(ball, u, space)
                    broken = target.wrong(target.scores(points), rows)
                    level[rows[broken]] -= 1
                    again = broken & (level[rows] >= 0)
                    rows, u = rows[again], u[again]
        holds = right & (np.arange(len(grid))[:, None] <= level)
        return Swept(survived=np.vstack([right, holds]), flat=np.zeros(len(target), dtype=bool))


def _points(ball: Ball, u: FloatArray, space: Space) -> AnyArray:
    """Rows of one draw; the draw itself decides between equal members of a one-hot group."""
    return ball.points(ball.drawn(u), u[:, : space.schema.width])
