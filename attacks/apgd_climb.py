"""Ascent with a step size that each row settles for itself, by whether its loss still rises."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from robust.attacks.apgd_losses import loss_values
from robust.attacks.balls import Ball, ball_around
from robust.attacks.finds import Finds
from robust.attacks.l1_ball import L1Ball
from robust.attacks.losses import Loss
from robust.attacks.projection import Space
from robust.attacks.refill import Live, refilled
from robust.attacks.target import Target
from robust.types import BoolArray, FloatArray, IntArray

# Croce and Hein (2020), section 3: where the first checkpoint is and how the distances between them shrink, as shares
# of the steps; the share of steps that must raise the loss; the share of a new step against the last move.
_FIRST, _SHRINK, _CLOSEST, _RISING, _NEW = 0.22, 0.03, 0.06, 0.75, 0.75
# Croce and Hein (2021), section 4.2: distance between checkpoints; share of the features in the first steps; what step
# size and number of features are divided by; the least step size; how much sparser a move must be to count as sparser.
_L1_EVERY, _L1_SHARE, _L1_SHRINK, _L1_LEAST, _L1_SPARSER = 0.04, 0.2, 1.5, 0.1, 0.95


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Climbers(Live):
    """Rows that climb, each with what its step size depends on; `best` is of this climb alone."""

    runs: IntArray
    aims: IntArray
    state: FloatArray
    before: FloatArray
    slope: FloatArray
    best_state: FloatArray
    best_slope: FloatArray
    best: FloatArray
    last: FloatArray
    rises: IntArray
    marked: FloatArray
    cut: BoolArray
    rate: FloatArray
    share: FloatArray
    support: FloatArray
    made: IntArray


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class AdaptiveClimb:
    """Several runs a row in one batch, each until it has made its steps or an earlier run of its row has won.

    Args:
        target: The classifier and the rows (n, d).
        space: Where they may go.
        finds: What has been found so far.
        steps: Gradient steps a run.
        loss: What is climbed.
        aims: For each run the class that each row is to become (runs, n); other losses look at its length alone.
    """

    target: Target
    space: Space
    finds: Finds
    steps: int
    loss: Loss
    aims: IntArray

    def run(
        self,
        rows: IntArray,
        start: Callable[[Ball, IntArray, IntArray], FloatArray],
        *,
        eps: FloatArray | None = None,
    ) -> None:
        """Climb from given starts; `finds` is brought up to date.

        A later run of a row enters when the batch has room, unless the row is broken by then.

        Args:
            rows: Rows of the target to attack (m,).
            start: From a ball, its rows and their runs to first states.
            eps: Budgets of all rows of the target (n, 1), or None for the space's own.
        """
        m = len(rows)

        def entered(jobs: IntArray) -> _Climbers:
            return self._entered(rows[jobs % m], jobs // m, start, eps)

        def wanted(jobs: IntArray) -> BoolArray:
            return ~self._beaten(rows[jobs % m], jobs // m)

        jobs = np.arange(m * len(self.aims))
        refilled(jobs, batch=self.target.batch, enter=entered, step=self._step, wanted=wanted)
        self.finds.judge()

    def _beaten(self, rows: IntArray, runs: IntArray) -> BoolArray:
        """Which runs are after a row that an earlier run has broken."""
        return np.asarray(self.finds.broken[rows] & (self.finds.runs[rows] < runs))

    def _entered(
        self,
        rows: IntArray,
        runs: IntArray,
        start: Callable[[Ball, IntArray, IntArray], FloatArray],
        eps: FloatArray | None,
    ) -> _Climbers:
        """Runs at their starts."""
        ball = ball_around(self.space, self.target.x[rows], eps=None if eps is None else eps[rows])
        state, m = start(ball, rows, runs), len(rows)
        free = np.sum(self.space.eps > 0)
        return _Climbers(
            rows=rows,
            ball=ball,
            runs=runs,
            aims=self.aims[runs, rows],
            state=state,
            before=state,
            slope=np.zeros((m, state.shape[1])),
            best_state=state.copy(),
            best_slope=np.zeros((m, state.shape[1])),
            best=np.full(m, -np.inf),
            last=np.full(m, np.inf),  # the first value is no rise
            rises=np.zeros(m, dtype=int),
            marked=np.full(m, -np.inf),
            cut=np.ones(m, dtype=bool),  # nothing to compare with before the second checkpoint
            rate=np.full((m, 1), 1.0 if self.space.norm == "l1" else 2.0),
            share=np.full((m, 1), _L1_SHARE),
            support=np.full(m, float(free)),
            made=np.zeros(m, dtype=int),
        )

    def _step(self, live: _Climbers) -> _Climbers | None:
        """One gradient step of all; the runs that go on."""
        grouped = bool(self.space.groups)
        points = live.ball.points(live.state, live.slope if grouped else None)
        scores, gradient = self.target.gradient(points, live.rows, loss=self.loss, aims=live.aims)
        out = self.finds.record(live.rows, points, scores, live.runs)
        y = self.target.y[live.rows]
        value = loss_values(self.loss, scores, y, scale=self.target.scale, aims=live.aims)
        better = value > live.best
        live.best_state[better], live.best_slope[better] = live.state[better], gradient[better]
        live = replace(
            live,
            slope=gradient,
            best=np.maximum(live.best, value),
            last=value,
            rises=live.rises + (value > live.last),
            made=live.made + 1,
        )
        flat = (live.made == 1) & ~gradient.any(axis=1)
        live = self._moved(self._checked(live))
        # A start without a gradient, which nothing moves away from, is where every later step would be too.
        stuck = flat & (live.state == live.before).all(axis=1) if flat.any() else flat
        ended = ~out & ((live.made >= self.steps) | stuck)
        if ended.any():
            end = live.part(ended)
            for state in (end.state, end.ball.optimum(gradient[ended])):
                self.finds.wait(end.rows, end.ball.points(state, gradient[ended]), end.runs)
        going: BoolArray = ~(out | ended | self._beaten(live.rows, live.runs))
        if going.all():
            return live
        return live.part(going) if going.any() else None

    def _moved(self, live: _Climbers) -> _Climbers:
        """The next states: in l1 a sparse step, else one that keeps a quarter of the last move."""
        ball = live.ball
        if isinstance(ball, L1Ball):
            state = ball.spread(live.state, live.slope, live.rate, live.share)
        else:
            state = ball.ascend(live.state, live.slope, live.rate)
            later = live.made > 1
            if later.any():
                drift = live.state + _NEW * (state - live.state) + (1.0 - _NEW) * (live.state - live.before)
                state = np.where(later[:, None], ball.nearest(drift), state)
        return replace(live, state=state, before=live.state)

    def _checked(self, live: _Climbers) -> _Climbers:
        """At a checkpoint, smaller steps from the best point for rows whose loss has stopped rising."""
        lengths = _lengths(self.steps, self.space.norm == "l1")
        due = lengths[live.made] > 0
        if not due.any():
            return live
        rate, share, support = live.rate, live.share, live.support
        if self.space.norm == "l1":
            count = np.sum(live.best_state != 0, axis=1).astype(np.float64)
            back = due & (count < _L1_SPARSER * support)
            free = max(float(np.sum(self.space.eps > 0)), 1.0)
            least = np.maximum(rate / _L1_SHRINK, _L1_LEAST)
            rate = np.where(due[:, None], np.where(back[:, None], 1.0, least), rate)
            share = np.where(due[:, None], count[:, None] / free / _L1_SHRINK, share)
            support = np.where(due, count, support)
        else:
            slow = live.rises < _RISING * lengths[live.made]
            stuck = ~live.cut & (live.best <= live.marked)
            back = due & (slow | stuck)
            rate = np.where(back[:, None], rate / 2, rate)
        return replace(
            live,
            state=np.where(back[:, None], live.best_state, live.state),
            before=np.where(back[:, None], live.best_state, live.before),
            slope=np.where(back[:, None], live.best_slope, live.slope),
            rises=np.where(due, 0, live.rises),
            marked=np.where(due, live.best, live.marked),
            cut=np.where(due, back, live.cut),
            rate=rate,
            share=share,
            support=support,
        )


def _lengths(steps: int, sparse: bool) -> IntArray:
    """For each number of steps made, 0 … steps, how many the stretch that ends there has; 0 where none ends."""
    lengths = np.zeros(steps + 1, dtype=int)
    if sparse:
        every = max(math.ceil(_L1_EVERY * steps), 1)
        lengths[every::every] = every
        return lengths
    place, gap, mark = _FIRST, _FIRST, 0
    while place <= 1.0:
        at = min(math.ceil(round(place * steps, 9)), steps)
        if at > mark:
            lengths[at], mark = at - mark, at
        gap = max(gap - _SHRINK, _CLOSEST)
        place += gap
    return lengths
