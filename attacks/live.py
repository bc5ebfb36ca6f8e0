"""A batch of rows that climb a loss: a broken row leaves at once, and the next one takes its place."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np

from robust.attacks.balls import Ball, ball_around
from robust.attacks.finds import Finds
from robust.attacks.projection import Space
from robust.attacks.refill import Live, refilled
from robust.attacks.target import Target
from robust.types import AnyArray, BoolArray, FloatArray, IntArray


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Climbers(Live):
    """Rows that climb: where each is, which way the loss rose last and so far, and the steps it has made."""

    state: FloatArray
    slope: FloatArray
    pull: FloatArray
    made: IntArray


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Climb:
    """Steepest ascent of the loss for many rows, each for a number of steps, until it is broken.

    Which rows share a batch changes nothing: every row has its own start, its own steps and its own best
    point.

    Args:
        target: The classifier and the rows (n, d).
        space: Where they may go.
        steps: Gradient steps a row.
        rate: Step size as a share of the budget.
        found: Best point of each row so far (n, d).
        best: Its margin loss (n,); −inf before the first.
        broken: Which rows are broken (n,); their points in `found` are the broken ones.
        momentum: Share of the earlier gradients in the direction of a step, in [0, ∞); 0 is the gradient
            alone.
    """

    target: Target
    space: Space
    steps: int
    rate: float
    found: AnyArray
    best: FloatArray
    broken: BoolArray
    momentum: float = 0.0
    _finds: Finds = field(init=False)

    def __post_init__(self) -> None:
        """One book of what is found, kept in the arrays that were given."""
        runs = np.zeros(len(self.target), dtype=int)
        finds = Finds(target=self.target, found=self.found, best=self.best, broken=self.broken, runs=runs)
        object.__setattr__(self, "_finds", finds)

    def run(
        self, rows: IntArray, start: Callable[[Ball, IntArray], FloatArray], *, eps: FloatArray | None = None
    ) -> None:
        """Climb from given starts; `found`, `best` and `broken` are brought up to date.

        Args:
            rows: Rows of the target to attack (m,).
            start: From a ball and its rows to their first states.
            eps: Budgets of all rows of the target (n, 1), or None for the space's own.
        """
        refilled(rows, batch=self.target.batch, enter=lambda some: self._entered(some, start, eps), step=self._step)
        self._finds.judge()

    def _entered(
        self, rows: IntArray, start: Callable[[Ball, IntArray], FloatArray], eps: FloatArray | None
    ) -> _Climbers:
        """Rows at their starts."""
        ball = ball_around(self.space, self.target.x[rows], eps=None if eps is None else eps[rows])
        d = self.target.x.shape[1]
        return _Climbers(
            rows=rows,
            ball=ball,
            state=start(ball, rows),
            # The slope decides between members of a one-hot group alone; what is not needed is not carried along.
            slope=np.zeros((len(rows), d if self.space.groups else 0)),
            pull=np.zeros((len(rows), d if self.momentum else 0)),
            made=np.zeros(len(rows), dtype=int),
        )

    def _step(self, live: _Climbers) -> _Climbers | None:
        """One gradient step of all; the rows that go on."""
        grouped = bool(self.space.groups)
        points = live.ball.points(live.state, live.slope if grouped else None)
        scores, gradient = self.target.gradient(points, live.rows, loss="even_cross_entropy")
        out = self._finds.record(live.rows, points, scores)
        pull = live.pull
        if self.momentum:
            pull = self.momentum * pull + of_length_one(gradient, self.space)
        live = replace(
            live,
            state=live.ball.ascend(live.state, pull if self.momentum else gradient, self.rate),
            slope=gradient if grouped else live.slope,
            pull=pull,
            made=live.made + 1,
        )
        ended = ~out & (live.made >= self.steps)
        if ended.any():
            # No gradient pass looks at a row's last point, nor at the one of the ball that its last gradient likes
            # best, which on a linear model is the optimum.
            end, slope = live.part(ended), gradient[ended]
            for state in (end.state, end.ball.optimum(slope)):
                self._finds.wait(end.rows, end.ball.points(state, slope))
        going: BoolArray = ~(out | ended)
        if going.all():
            return live
        return live.part(going) if going.any() else None


def of_length_one(gradient: FloatArray, space: Space) -> FloatArray:
    """Gradients whose slopes, a budget each, sum to 1 in absolute value; zero rows stay zero."""
    slopes = np.abs(gradient) * space.eps
    largest = slopes.max(axis=1, keepdims=True)  # first by the largest, so that no sum overflows
    total = largest * np.sum(slopes / np.where(largest > 0, largest, 1.0), axis=1, keepdims=True)
    return np.asarray(gradient / np.where(total > 0, total, 1.0))
