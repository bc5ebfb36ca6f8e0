"""HopSkipJump: an attack on labels that estimates the boundary's direction from answers alone."""

import math
from dataclasses import dataclass

import numpy as np

from robust.attacks.decision_walk import Walk, normal, started
from robust.attacks.hyper_parameters import read_hyper_parameters
from robust.attacks.label_attack import LabelAttack
from robust.attacks.near_points import sizes
from robust.attacks.projection import Space
from robust.attacks.target import Target
from robust.data.budget import Eps
from robust.randomness import row_uniform
from robust.types import BoolArray, FloatArray, IntArray, Norm

_STREAM = 67 << 32
_FIRST_PROBE = 0.1  # of the distance, for the first estimate
_HALVINGS = 25
_WHOLE = 0.6  # steps: probes of whole features must reach the next value
_CELLS = 1 << 22  # numbers of probes that are held at a time


@dataclass(frozen=True, slots=True, kw_only=True)
class HopSkipJump(LabelAttack):
    """A walk along the decision boundary that asks for labels alone; black-box.

    From a row of another class, drawn back to the boundary: the boundary's direction is estimated from the answers to
    small random moves, g = Σ_b (φ_b − mean φ) u_b with φ_b = ±1; a step of size d/√t along g/‖g‖ (linf: sign g), halved
    until it stays adversarial; then bisection back to the boundary. The nearest adversarial point is kept.

    The estimate is normalised row by row, so a row's answer does not depend on the batch. Starts come from the rows
    under attack: a row's start depends on which rows of other classes are among them, not on their order. With a
    budget, a row is done as soon as it is inside; as a template one walk gives a whole curve.

    Args:
        eps: Budget in the user's units: a number, numbers by feature name, or None for a template.
        norm: `linf`, `l2` or `l1`.
        steps: Estimates and steps of each row.
        draws: Answers that the first estimate rests on; the t-th rests on draws·√t.

    Raises:
        InvalidInput: If a hyper-parameter is out of range.

    Source:
        Chen, Jordan and Wainwright (2020), algorithms 1 and 2, equations 9 and 16.

    >>> HopSkipJump(norm="l2").at(0.5)
    HopSkipJump(eps=0.5, norm='l2', steps=20, draws=50)
    """

    eps: Eps | None = None
    norm: Norm = "linf"
    steps: int = 20
    draws: int = 50

    def __post_init__(self) -> None:
        """Check the hyper-parameters."""
        read_hyper_parameters(self, "steps", "draws")

    def walk(self, target: Target, space: Space, *, seed: int, enough: float) -> Walk:
        """Steps of all rows that are not near enough yet."""
        walk = started(target, space, seed=seed, stream=_STREAM)
        for t in range(1, self.steps + 1):
            rows = np.flatnonzero(np.isfinite(walk.best) & (walk.best > enough))
            if len(rows) == 0:
                break
            moves = walk.moves(rows)
            direction = self._direction(walk, rows, moves, t, seed=seed)
            ahead, able = _jumped(walk, rows, moves, direction, t)
            if able.any():
                walk.shrunk(rows[able], ahead[able])
        return walk

    def _direction(self, walk: Walk, rows: IntArray, moves: FloatArray, t: int, *, seed: int) -> FloatArray:
        """Where the boundary's adversarial side lies (m, d), of length 1 row by row (linf: signs)."""
        space, d = walk.space, moves.shape[1]
        free = int((space.eps > 0).sum())
        count = math.ceil(self.draws * math.sqrt(t))
        keys = walk.target.data.row_keys()
        estimate = np.zeros(moves.shape)
        share = _FIRST_PROBE if t == 1 else 1.0 / free
        step = max(_CELLS // (count * d), 1)
        for start in range(0, len(rows), step):
            block = slice(start, start + step)
            u = row_uniform(keys[rows[block]], 2 * count * d, seed=seed, stream=_STREAM + (t << 8))
            probes = _probes(u.reshape(-1, 2 * d), space).reshape(-1, count, d)
            radius = share * sizes(moves[block], space)
            # Whole features and one-hot members do not feel a move of less than a step.
            least = np.divide(_WHOLE, space.eps, out=np.zeros(d), where=(space.eps > 0) & (space.steps | space.members))
            wide = radius[:, None, None] * probes
            if least.any():
                wide = np.where(least > 0, np.sign(probes) * np.maximum(np.abs(wide), least), wide)
            around = (moves[block][:, None, :] + wide).reshape(-1, d)
            answers = walk.asked(np.repeat(rows[block], count), around).reshape(-1, count)
            phi = np.where(answers, 1.0, -1.0)
            mean = phi.mean(axis=1, keepdims=True)
            # All answers alike: their mean is all there is to go by.
            weight = np.where(np.abs(mean) == 1.0, mean, phi - mean)
            estimate[block] = np.einsum("mb,mbd->md", weight, probes)
        if space.norm == "linf":
            return np.sign(estimate)
        length = np.sqrt(np.sum(estimate**2, axis=1, keepdims=True))
        return np.asarray(np.divide(estimate, length, out=np.zeros(moves.shape), where=length > 0))


def _probes(u: FloatArray, space: Space) -> FloatArray:
    """Random directions (b, d) over the features that may move: in the cube for linf, else on the sphere."""
    d = u.shape[1] // 2
    free = space.eps > 0
    if space.norm == "linf":
        return np.where(free, 2.0 * u[:, :d].astype(np.float64) - 1.0, 0.0)
    drawn = np.where(free, normal(u), 0.0)
    length = np.sqrt(np.sum(drawn**2, axis=1, keepdims=True))
    return np.asarray(np.divide(drawn, length, out=np.zeros(drawn.shape), where=length > 0))


def _jumped(
    walk: Walk, rows: IntArray, moves: FloatArray, direction: FloatArray, t: int
) -> tuple[FloatArray, BoolArray]:
    """Moves after a step that stays adversarial (m, d), halved as often as that takes, and which rows made one (m,)."""
    size = sizes(moves, walk.space) / math.sqrt(t)
    ahead, able = moves.copy(), np.zeros(len(rows), dtype=bool)
    for _ in range(_HALVINGS):
        left = np.flatnonzero(~able)
        if len(left) == 0:
            break
        tried = moves[left] + size[left, None] * direction[left]
        out = walk.asked(rows[left], tried)
        ahead[left[out]], able[left[out]] = tried[out], True
        size[left[~out]] /= 2.0
    return ahead, able
