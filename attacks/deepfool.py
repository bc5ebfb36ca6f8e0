"""DeepFool: steps to the nearest boundary of the linearised model."""

from dataclasses import dataclass, replace

import numpy as np

from robust.attacks.balls import ball_around
from robust.attacks.hyper_parameters import read_hyper_parameters
from robust.attacks.minimal_classes import class_slopes
from robust.attacks.minimal_ends import Ends, no_ends
from robust.attacks.minimal_moves import Moves, moves_in
from robust.attacks.minimal_norm import MinimalNorm
from robust.attacks.minimal_sizes import dual_norms, move_sizes, sizes_of, smallest_move
from robust.attacks.projection import Space
from robust.attacks.refill import Live, refilled
from robust.attacks.target import Target
from robust.data.budget import Eps, read_count, read_share
from robust.types import AnyArray, BoolArray, FloatArray, IntArray, Norm

# A step is at least this share of the move so far: a row on the boundary itself would never cross it.
_LEAST = 1e-4


@dataclass(frozen=True, slots=True, kw_only=True)
class DeepFool(MinimalNorm):
    """The boundary that is nearest if the model were linear, reached step by step.

    l* = argmin_l |f_l − f_y|/‖∇(f_l − f_y)‖_q; δ ← δ + |f_l* − f_y|/‖∇(f_l* − f_y)‖_q · u, u the steepest direction of
    length 1; the row tried is x + (1 + overshoot)·δ, inside bounds and schema

    A row leaves as soon as it is wrong; the radius of its point is then bisected, so that the overshoot costs
    nothing. Probabilities are taken by their logarithms.

    Args:
        eps: None, for the smallest change; or a budget, in the user's units, that it must fit into: a number, or
            numbers by feature name.
        norm: `linf`, `l2` or `l1`.
        steps: Steps at most.
        candidates: Classes that are tried, those with the largest scores at the row; None for all of them.
        overshoot: Share by which the move is lengthened.

    Raises:
        InvalidInput: If a hyper-parameter is out of range.

    Source:
        Moosavi-Dezfooli, Fawzi and Frossard (2016), algorithm 2 and section 3.3.

    >>> DeepFool(norm="linf").at(0.1).eps
    0.1
    """

    eps: Eps | None = None
    norm: Norm = "l2"
    steps: int = 50
    candidates: int | None = 10
    overshoot: float = 0.02

    def __post_init__(self) -> None:
        """Check the hyper-parameters."""
        read_hyper_parameters(self, "steps")
        object.__setattr__(self, "overshoot", read_share(self.overshoot, "overshoot"))
        if self.candidates is not None:
            object.__setattr__(self, "candidates", read_count(self.candidates, "candidates"))

    def minimal(self, target: Target, space: Space, *, seed: int) -> AnyArray:  # noqa: ARG002
        """Step from every row; nothing is random."""
        moves = moves_in(space)
        ends = no_ends(target, moves)
        _Steps(attack=self, target=target, moves=moves, ends=ends).run()
        return ends.found


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Steppers(Live):
    """Rows on their way: rivals (m, c), moves without overshoot (m, d), steps made, and the slope last followed."""

    rivals: IntArray
    move: FloatArray
    made: IntArray
    slope: FloatArray


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Steps:
    """The steps of many rows in one batch."""

    attack: DeepFool
    target: Target
    moves: Moves
    ends: Ends

    def run(self) -> None:
        """Step from every row of the target."""
        refilled(np.arange(len(self.target)), batch=self.target.batch, enter=self._entered, step=self._step)
        self.ends.settle()

    def _entered(self, rows: IntArray) -> _Steppers:
        """Rows at their own places, with the classes that they are driven to."""
        x = self.target.x[rows]
        scores = self.target.scores(x)
        scores[np.arange(len(rows)), self.target.y[rows]] = -np.inf
        others = scores.shape[1] - 1
        wanted = others if self.attack.candidates is None else min(self.attack.candidates, others)
        return _Steppers(
            rows=rows,
            ball=ball_around(self.moves.space, x),
            rivals=np.argsort(-scores, axis=1, kind="stable")[:, :wanted],
            move=np.zeros(x.shape),
            made=np.zeros(len(rows), dtype=int),
            slope=np.zeros(x.shape),
        )

    def _step(self, live: _Steppers) -> _Steppers | None:
        """One step of all; the rows that go on."""
        space, x = self.moves.space, live.ball.x
        low, high = self.moves.room(x)
        long = np.clip((1.0 + self.attack.overshoot) * live.move, low, high)
        radius = move_sizes(space, long)
        points = self.moves.rows(x, long.astype(self.moves.dtype), radius, live.slope)
        if live.made.any():
            # No gradient is asked for where the row is wrong already.
            out = self.target.wrong(self.target.scores(points), live.rows)
            live, long, radius, points, x = self._without(live, out, long, radius, points)
            if len(live.rows) == 0:
                return None
        _, gaps, slopes = class_slopes(self.target, points, live.rows, live.rivals)
        # Where bounds leave no room, a slope is worth nothing.
        low, high = (side.astype(np.float64) for side in self.moves.room(x))
        shut = ((slopes > 0) & (live.move >= high)[:, None]) | ((slopes < 0) & (live.move <= low)[:, None])
        slopes = np.where(shut, 0.0, slopes)
        m, c, d = slopes.shape
        steepest = dual_norms(space, slopes.reshape(m * c, d)).reshape(m, c)
        away = np.divide(np.abs(gaps), steepest, out=np.full((m, c), np.inf), where=steepest > 0)
        best = away.argmin(axis=1)
        slope, step = slopes[np.arange(m), best], away[np.arange(m), best]
        going = np.isfinite(step) & (live.made < self.attack.steps)
        step = step + np.maximum(_LEAST * move_sizes(space, live.move), smallest_move(space, x))
        move = live.move + _direction(space, slope) * np.where(going, step, 0.0)[:, None]
        live = replace(live, move=np.clip(move, low, high), slope=slope, made=live.made + 1)
        return live.part(going) if going.any() else None

    def _without(
        self, live: _Steppers, out: BoolArray, long: FloatArray, radius: FloatArray, points: AnyArray
    ) -> tuple[_Steppers, FloatArray, FloatArray, AnyArray, AnyArray]:
        """The rows that go on; those that are wrong are kept, and wait for their bisection."""
        if out.any():
            gone = live.rows[out]
            self.ends.keep(gone, points[out], sizes_of(self.moves.space, live.ball.x[out], points[out]))
            moved, pull = long[out].astype(self.moves.dtype), live.slope[out].astype(self.moves.dtype)
            self.ends.wait(gone, moved, pull, np.zeros(len(gone)), moved, radius[out])
            live, long, radius, points = live.part(~out), long[~out], radius[~out], points[~out]
        return live, long, radius, points, live.ball.x


def _direction(space: Space, slope: FloatArray) -> FloatArray:
    """The steepest moves of size 1 (m, d); zero rows stay zero."""
    if space.norm == "linf":
        return np.asarray(np.sign(slope) * space.eps)
    steepest = dual_norms(space, slope)[:, None]
    if space.norm == "l2":
        return np.divide(slope * space.eps**2, steepest, out=np.zeros(slope.shape), where=steepest > 0)
    first = np.abs(slope * space.eps).argmax(axis=1)
    one = np.zeros(slope.shape)
    rows = np.arange(len(slope))
    one[rows, first] = np.sign(slope[rows, first]) * space.eps[first]
    return one
