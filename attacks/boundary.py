"""The boundary attack: a random walk along the decision boundary, towards the row."""

from dataclasses import dataclass

import numpy as np

from robust.attacks.decision_walk import Walk, normal, shortened, started
from robust.attacks.hyper_parameters import read_hyper_parameters
from robust.attacks.label_attack import LabelAttack
from robust.attacks.near_points import sizes
from robust.attacks.projection import Space
from robust.attacks.target import Target
from robust.data.budget import Eps
from robust.randomness import row_uniform
from robust.types import FloatArray, Norm

_STREAM = 68 << 32
_SIDEWAYS, _FORWARD = 0.1, 0.1  # first steps, as shares of the distance
# Steps grow while more proposals succeed than these shares, and shrink while fewer do.
_HALF, _QUARTER, _PACE = 0.5, 0.25, 0.15
_LEAST, _MOST = 1e-6, 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Boundary(LabelAttack):
    """A random walk along the decision boundary that asks for labels alone; black-box.

    From a row of another class: a random step sideways, no farther from the row than before; if that stays adversarial,
    a step towards the row. Both step sizes follow the share of proposals that succeed, row by row: half of the sideways
    ones, a quarter of the forward ones.

    Weaker than `HopSkipJump` for the same number of answers, and blind to other things: it estimates nothing. Starts
    come from the rows under attack, as there.

    Args:
        eps: Budget in the user's units: a number, numbers by feature name, or None for a template.
        norm: `linf`, `l2` or `l1`.
        steps: Steps of each row, of two answers each.

    Raises:
        InvalidInput: If a hyper-parameter is out of range.

    Source:
        Brendel, Rauber and Bethge (2018), algorithm 1 and section 2.4.

    >>> Boundary(eps=0.5, norm="l2")
    Boundary(eps=0.5, norm='l2', steps=1000)
    """

    eps: Eps | None = None
    norm: Norm = "linf"
    steps: int = 1000

    def __post_init__(self) -> None:
        """Check the hyper-parameters."""
        read_hyper_parameters(self, "steps")

    def walk(self, target: Target, space: Space, *, seed: int, enough: float) -> Walk:
        """Steps of all rows that are not near enough yet."""
        walk = started(target, space, seed=seed, stream=_STREAM)
        keys, d = target.data.row_keys(), target.x.shape[1]
        sideways, forward = np.full(len(target), _SIDEWAYS), np.full(len(target), _FORWARD)
        for step in range(self.steps):
            rows = np.flatnonzero(np.isfinite(walk.best) & (walk.best > enough) & (forward > _LEAST))
            if len(rows) == 0:
                break
            moves = walk.moves(rows)
            length = sizes(moves, space)
            u = row_uniform(keys[rows], 2 * d, seed=seed, stream=_STREAM + (1 << 8) + step)
            around = _sidestepped(moves, length, u, sideways[rows], space)
            out = walk.asked(rows, around)
            sideways[rows] = _paced(sideways[rows], out - _HALF)
            rows, around, length = rows[out], around[out], length[out]
            if len(rows):
                near = shortened(around, 1.0 - forward[rows], length, space)
                forward[rows] = _paced(forward[rows], walk.asked(rows, near) - _QUARTER)
        return walk


def _sidestepped(moves: FloatArray, length: FloatArray, u: FloatArray, share: FloatArray, space: Space) -> FloatArray:
    """Moves after a random step, no longer than before.

    In linf a share of the features is drawn afresh within the length; else a normal step is brought back to the length.
    """
    d, free = moves.shape[1], space.eps > 0
    if space.norm == "linf":
        u = u.astype(np.float64)
        turn = np.where(free, u[:, d:], np.inf)
        chosen = free & (turn <= np.maximum(share[:, None], turn.min(axis=1, keepdims=True)))
        return np.where(chosen, (2.0 * u[:, :d] - 1.0) * length[:, None], moves)
    drawn = np.where(free, normal(u), 0.0)
    size = np.sqrt(np.sum(drawn**2, axis=1))
    moved = moves + (share * length / np.where(size > 0, size, 1.0))[:, None] * drawn
    after = sizes(moved, space)
    back = np.where(after > 0, length / np.where(after > 0, after, 1.0), 1.0)
    return moved * np.minimum(back, 1.0)[:, None]


def _paced(size: FloatArray, over: FloatArray) -> FloatArray:
    """Step sizes after one more success or failure."""
    return np.asarray(np.minimum(size * np.exp(_PACE * over), _MOST))
