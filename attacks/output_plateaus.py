"""Rows without a gradient: climbs that start from the direction that the edge of their plateau shows.

An output that is clipped, rectified or saturated is flat around many rows: nothing there says which way it moves. What
is known is a point somewhere else at which it has moved, and on the way to it the place where it begins to.
"""

from dataclasses import dataclass

import numpy as np

from robust.attacks.balls import Ball
from robust.attacks.base import Attack
from robust.attacks.hyper_parameters import read_hyper_parameters
from robust.attacks.live import Climb
from robust.attacks.noise import RandomNoise
from robust.attacks.output_target import OutputTarget
from robust.attacks.projection import Space, space_of
from robust.attacks.target import Target
from robust.attacks.unlimited import freed, full_ranges
from robust.data.budget import Eps
from robust.errors import InvalidInput
from robust.types import AnyArray, BoolArray, FloatArray, IntArray, Norm

# Shares of the whole range from which points off the plateau are drawn, draws of each, and halvings of the way back.
_SCALES, _DRAWS, _HALVINGS = (1 / 16, 1 / 4, 1.0), 10, 20
# Of an output: a change by so much is one.
_MOVED = 1e-6
_MADRY = 2.5  # total length of the steps, in budgets


@dataclass(frozen=True, slots=True, kw_only=True)
class FromEdges(Attack):
    """A climb for each row without a gradient, from the point of the ball that the edge of its plateau points to.

    A point with another output is drawn from wider and wider boxes, the way back to the row bisected to the first place
    where the output has moved, and the gradient there taken for a direction.

    Args:
        eps: Budget in the user's units: a number, numbers by feature name, or None for a template.
        norm: `linf`, `l2` or `l1`.
        steps: Gradient steps.

    Raises:
        InvalidInput: If a hyper-parameter is out of range.

    >>> FromEdges(eps=0.5)
    FromEdges(eps=0.5, norm='linf', steps=20)
    """

    eps: Eps | None = None
    norm: Norm = "linf"
    steps: int = 20

    def __post_init__(self) -> None:
        """Check the hyper-parameters."""
        read_hyper_parameters(self, "steps")

    @property
    def gradients(self) -> bool:
        """It needs them."""
        return True

    def search(self, target: Target, space: Space, *, seed: int) -> AnyArray:
        """Climb from the edges; rows that have a gradient, or for which no edge is known, stay."""
        if not isinstance(target, OutputTarget):
            raise InvalidInput(f"{target.caller.model.name} is no regression: FromEdges pushes outputs")
        found = target.x.copy()
        rows, _, slope = edge_slopes(target, seed=seed)
        lit = slope.any(axis=1)
        rows, slope = rows[lit], slope[lit]
        if len(rows) == 0:
            return found
        part = target.part(rows)

        def start(ball: Ball, some: IntArray) -> FloatArray:
            return ball.optimum(slope[some])

        climb = Climb(
            target=part,
            space=space,
            steps=self.steps,
            rate=_MADRY / self.steps,
            found=part.x.copy(),
            best=np.full(len(part), -np.inf),
            broken=np.zeros(len(part), dtype=bool),
        )
        climb.run(np.arange(len(part)), start)
        found[rows] = climb.found
        return found


def flat_at(target: OutputTarget, x: AnyArray) -> BoolArray:
    """Which rows have a gradient of exactly zero at points of theirs (n,).

    Args:
        target: Output and rows.
        x: A point for each row (n, d).
    """
    return np.asarray(~slopes_at(target, x)[1].any(axis=1))


def edge_slopes(target: OutputTarget, *, seed: int) -> tuple[IntArray, AnyArray, FloatArray]:
    """Gradients at the edges of plateaus.

    Args:
        target: Output, way and rows (n, d).
        seed: Seed of the draws that look for points off the plateau.

    Returns:
        Rows without a gradient for which such a point is known (m,), where their outputs begin to move (m, d), and the
        gradients there (m, d): zero where the output moves by jumps.
    """
    rows = np.flatnonzero(flat_at(target, target.x)) if target.x.dtype.kind == "f" else np.zeros(0, dtype=np.int64)
    if len(rows):
        far, known = _off_plateau(target.part(rows), seed=seed)
        rows, far = rows[known], far[known]
    if len(rows) == 0:
        return rows, target.x[rows], np.zeros((0, target.x.shape[1]))
    part = target.part(rows)
    edge = _edges(part, far)
    return rows, edge, slopes_at(part, edge)[1]


def slopes_at(target: OutputTarget, x: AnyArray) -> tuple[FloatArray, FloatArray]:
    """Changes (n,) and gradients (n, d) at a point for each row (n, d), batch by batch.

    Args:
        target: Output, way and rows.
        x: The points.
    """
    changes, slopes = np.empty(len(x)), np.empty(x.shape)
    for start in range(0, len(x), target.batch):
        rows = slice(start, min(start + target.batch, len(x)))
        scores, slopes[rows] = target.gradient(x[rows], rows)
        changes[rows] = target.margins(scores, rows) + target.by
    return changes, slopes


def _least(target: OutputTarget) -> FloatArray:
    """Changes that count as such (n,)."""
    return _MOVED * np.maximum(np.abs(target.base), 1e-30)


def _off_plateau(target: OutputTarget, *, seed: int) -> tuple[AnyArray, BoolArray]:
    """A point with another output for each row (n, d), and for which one is known (n,)."""
    fixed = target.data.schema.immutable | target.data.schema.mask("categorical")
    ranges, far, known = np.where(fixed, 0.0, full_ranges(target)), target.x.copy(), np.zeros(len(target), dtype=bool)
    loose = freed(target, fixed)
    for scale in _SCALES:
        left = np.flatnonzero(~known)
        if len(left) == 0 or not isinstance(loose, OutputTarget):
            break
        part = loose.part(left)
        space = space_of(part.data.schema, far.dtype, eps=scale * ranges, norm="linf")
        points = RandomNoise(draws=_DRAWS).search(part, space, seed=seed)
        off = part.changes(points) > _least(part)
        far[left[off]], known[left[off]] = points[off], True
    return far, known


def _edges(target: OutputTarget, far: AnyArray) -> AnyArray:
    """The first points, on the way from rows to far ones, at which the output has moved, as far as bisection tells."""
    x, least = target.x.astype(np.float64), _least(target)
    way = np.nan_to_num(far.astype(np.float64) - x)
    low, high = np.zeros((len(x), 1)), np.ones((len(x), 1))
    for _ in range(_HALVINGS):
        middle = (low + high) / 2.0
        off = (target.changes((x + middle * way).astype(far.dtype)) > least)[:, None]
        low, high = np.where(off, low, middle), np.where(off, middle, high)
    return np.asarray((x + high * way).astype(far.dtype))
