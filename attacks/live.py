"""A batch of rows that climb a loss: a broken row leaves at once, and the next one takes its place."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np

from robust.attacks.balls import Ball, ball_around
from robust.attacks.projection import Space
from robust.attacks.target import Target
from robust.types import AnyArray, BoolArray, FloatArray, IntArray

# Frameworks compute in blocks of this many rows: filling smaller gaps would gain nothing.
_GAP = 32
# A step this many budgets long, projected back, ends where a linear loss is largest on ball and bounds.
_FAR = 1e3


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Live:
    """Rows that are being attacked: where each is, which way the loss rose last, and the steps it has made."""

    rows: IntArray
    ball: Ball
    state: FloatArray
    slope: FloatArray
    made: IntArray

    def part(self, keep: BoolArray) -> "_Live":
        return _Live(
            rows=self.rows[keep],
            ball=self.ball.part(keep),
            state=self.state[keep],
            slope=self.slope[keep],
            made=self.made[keep],
        )

    def joined(self, other: "_Live") -> "_Live":
        return _Live(
            rows=np.concatenate([self.rows, other.rows]),
            ball=self.ball.joined(other.ball),
            state=np.concatenate([self.state, other.state]),
            slope=np.concatenate([self.slope, other.slope]),
            made=np.concatenate([self.made, other.made]),
        )


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
    """

    target: Target
    space: Space
    steps: int
    rate: float
    found: AnyArray
    best: FloatArray
    broken: BoolArray
    _ended: list[tuple[IntArray, AnyArray]] = field(default_factory=list)

    def run(
        self, rows: IntArray, start: Callable[[Ball, IntArray], FloatArray], *, eps: FloatArray | None = None
    ) -> None:
        """Climb from given starts; `found`, `best` and `broken` are brought up to date.

        Args:
            rows: Rows of the target to attack (m,).
            start: From a ball and its rows to their first states.
            eps: Budgets of all rows of the target (n, 1), or None for the space's own.
        """
        live: _Live | None = None
        while len(rows) or live is not None:
            room = self.target.batch - (0 if live is None else len(live.rows))
            if len(rows) and (live is None or room >= _GAP):
                entered = self._entered(rows[:room], start, eps)
                rows = rows[room:]
                live = entered if live is None else live.joined(entered)
            if live is not None:
                live = self._step(live)
        self._judge_ends()

    def _entered(self, rows: IntArray, start: Callable[[Ball, IntArray], FloatArray], eps: FloatArray | None) -> _Live:
        """Rows at their starts."""
        ball = ball_around(self.space, self.target.x[rows], eps=None if eps is None else eps[rows])
        # The slope decides between members of a one-hot group alone; without such groups nothing is carried along.
        slope = np.zeros((len(rows), self.target.x.shape[1] if self.space.groups else 0))
        return _Live(rows=rows, ball=ball, state=start(ball, rows), slope=slope, made=np.zeros(len(rows), dtype=int))

    def _step(self, live: _Live) -> _Live | None:
        """One gradient step of all; the rows that go on."""
        grouped = bool(self.space.groups)
        points = live.ball.points(live.state, live.slope if grouped else None)
        scores, gradient = self.target.gradient(points, live.rows, loss="even_cross_entropy")
        out = self._record(live.rows, points, scores)
        live = replace(
            live,
            state=live.ball.ascend(live.state, gradient, self.rate),
            slope=gradient if grouped else live.slope,
            made=live.made + 1,
        )
        ended = ~out & (live.made >= self.steps)
        if ended.any():
            end, slope = live.part(ended), gradient[ended]
            corner = end.ball.ascend(end.ball.centre(), slope, _FAR)
            self._ended.extend((end.rows, end.ball.points(state, slope)) for state in (end.state, corner))
            if sum(len(rows) for rows, _ in self._ended) >= self.target.batch:
                self._judge_ends()
        going = ~(out | ended)
        if going.all():
            return live
        return live.part(going) if going.any() else None

    def _record(self, rows: IntArray, points: AnyArray, scores: FloatArray) -> BoolArray:
        """Keep the points that are the best so far; which rows are broken by them (m,)."""
        out, margins = self.target.wrong(scores, rows), self.target.margins(scores, rows)
        better = ~self.broken[rows] & (out | (margins > self.best[rows]))
        self.found[rows[better]] = points[better]
        self.best[rows[better]] = margins[better]
        self.broken[rows[out]] = True
        return out

    def _judge_ends(self) -> None:
        """Judge what no gradient pass has looked at.

        That is the last point of each row that made all its steps, and the point of the ball that its last gradient
        likes best, which on a linear model is the optimum.
        """
        if self._ended:
            scores = self.target.scores(np.concatenate([points for _, points in self._ended]))
            start = 0
            for rows, points in self._ended:
                self._record(rows, points, scores[start : start + len(rows)])
                start += len(rows)
            self._ended.clear()
