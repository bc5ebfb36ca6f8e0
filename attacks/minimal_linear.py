"""The smallest change of the linearised model: exact for linear ones, whichever class is nearest."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from robust.attacks.common_slopes import LOOKED_AT, CommonSlopes, common_slopes
from robust.attacks.minimal_classes import class_slopes
from robust.attacks.minimal_ends import Ends, no_ends
from robust.attacks.minimal_moves import Moves, moves_in
from robust.attacks.minimal_norm import MinimalNorm
from robust.attacks.minimal_sizes import dual_norms
from robust.attacks.projection import Space
from robust.attacks.target import Target
from robust.data.budget import Eps
from robust.types import AnyArray, FloatArray, IntArray, Norm

# How many classes, nearest first, are tried at least.
_TRIED = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class LinearStep(MinimalNorm):
    """One step to the boundary of the linearised model, to each of the classes that seem nearest.

    δ_l = argmin ‖δ‖ with ⟨∇(f_l − f_y), δ⟩ ≥ f_y − f_l inside the bounds; the smallest that breaks the row, bisected

    Of a linear model all classes are looked at, of another one the ten with the largest scores.

    Walks that follow the margin end at the class that is ahead where they are; this rung looks at the others.

    Args:
        eps: None, or a budget that it must fit into.
        norm: `linf`, `l2` or `l1`.
    """

    eps: Eps | None = None
    norm: Norm = "l2"

    def minimal(self, target: Target, space: Space, *, seed: int) -> AnyArray:  # noqa: ARG002
        """Step from every row, batch by batch; nothing is random."""
        moves, common = moves_in(space), common_slopes(target)
        ends = no_ends(target, moves)
        for start in range(0, len(target), target.batch):
            _try_classes(target, moves, ends, common, np.arange(start, min(start + target.batch, len(target))))
        ends.settle()
        return ends.found


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Lines:
    """Where the linearised model has its boundaries, for m rows and c classes each.

    Args:
        gaps: How far each class is behind the true one (m, c).
        away: The same in the norm, without bounds (m, c).
        slopes: From places of rows and of classes (s,) to gradients of their gaps (s, d).
    """

    gaps: FloatArray
    away: FloatArray
    slopes: Callable[[IntArray, IntArray], FloatArray]


def _lines_of(target: Target, moves: Moves, common: CommonSlopes | None, rows: IntArray) -> _Lines:
    """All classes of a linear model; of another one those with the largest scores, with slopes of each row's own."""
    x, y, every = target.x[rows], target.y[rows], np.arange(len(rows))
    scores = target.scores(x)
    if common is not None and (gaps := common.gaps(scores, x, y, scale=target.scale)) is not None:
        steepest: FloatArray = np.empty(gaps.shape)
        for label in np.unique(y):
            steepest[y == label] = dual_norms(moves.space, common.weights - common.weights[label])
        return _Lines(
            gaps=gaps,
            away=np.divide(-gaps, steepest, out=np.full(gaps.shape, np.inf), where=steepest > 0),
            slopes=lambda some, chosen: common.weights[chosen] - common.weights[y[some]],
        )
    scores[every, y] = -np.inf
    rivals = np.argsort(-scores, axis=1, kind="stable")[:, : min(LOOKED_AT, scores.shape[1] - 1)]
    _, gaps, slopes = class_slopes(target, x, rows, rivals)
    m, c, d = slopes.shape
    steepest = dual_norms(moves.space, slopes.reshape(m * c, d)).reshape(m, c)
    away = np.divide(-gaps, steepest, out=np.full((m, c), np.inf), where=steepest > 0)
    return _Lines(gaps=gaps, away=away, slopes=lambda some, chosen: np.asarray(slopes[some, chosen]))


def _try_classes(target: Target, moves: Moves, ends: Ends, common: CommonSlopes | None, rows: IntArray) -> None:
    """Judge the steps to the nearest classes of some rows, and hand the smallest that break them on."""
    lines = _lines_of(target, moves, common, rows)
    x, gaps, away = target.x[rows], lines.gaps, lines.away
    (m, c), every = away.shape, np.arange(len(rows))
    order = np.argsort(away, axis=1, kind="stable")
    # Sizes of the smallest step that broke the row, and of the smallest to a class by the linearised model.
    least, nearest = np.full(m, np.inf), np.full(m, np.inf)
    held, pull = np.zeros(x.shape, dtype=moves.dtype), np.zeros(x.shape, dtype=moves.dtype)
    jumpy = moves.space.jumpy
    for turn in range(c):
        chosen = order[:, turn]
        # Bounds only lengthen the way: a class that is farther without them than another with them is no use.
        most = least if turn < _TRIED or jumpy else np.minimum(least, nearest)
        some = np.flatnonzero(away[every, chosen] < most)
        if len(some) == 0:
            break
        slope = lines.slopes(some, chosen[some]).astype(moves.dtype)
        move, radius = moves.shortest(x[some], slope, -gaps[some, chosen[some]], away[some, chosen[some]])
        rise = np.einsum("ij,ij->i", slope, move, dtype=np.float64)
        reached = rise >= -gaps[some, chosen[some]]
        nearest[some[reached]] = np.minimum(nearest[some[reached]], radius[reached])
        points = moves.rows(x[some], move, radius, slope)
        out, size = ends.judged(rows[some], points)
        better = out & (size < least[some])
        least[some[better]] = size[better]
        held[some[better]], pull[some[better]] = move[better], slope[better]
        if jumpy:
            points = moves.whole(x[some], slope, -gaps[some, chosen[some]])
            out, size = ends.judged(rows[some], points)
            better = out & (size < least[some])
            least[some[better]] = size[better]
            move = np.nan_to_num(points.astype(np.float64) - x[some].astype(np.float64)).astype(moves.dtype)
            held[some[better]], pull[some[better]] = move[better], slope[better]
    known = np.isfinite(least)
    level = np.zeros(int(known.sum()))
    ends.wait(rows[known], held[known], pull[known], level, held[known], least[known])
