"""A ball around each row that shrinks to the nearest adversarial point: the engine of the minimal-norm attacks.

A row's point climbs the loss inside a ball of its own radius. First the ball *explores*: it starts larger than the
boundary seems to be away, shrinks by a factor while the point is adversarial and grows while it is not (Rony et al.
2019). Then it *closes in*: the radius moves to where the linearised margin is 0 (Pintor et al. 2021), and never beyond
the smallest adversarial point so far. At the end the radius is bisected (see `minimal_ends`).
"""

from dataclasses import dataclass, replace

import numpy as np

from robust.attacks.balls import ball_around
from robust.attacks.losses import Loss, log_margins
from robust.attacks.minimal_ends import Ends, no_ends
from robust.attacks.minimal_moves import Moves, moves_in
from robust.attacks.minimal_sizes import dual_norms, move_sizes, sizes_of, smallest_move
from robust.attacks.projection import Space
from robust.attacks.refill import Live, refilled
from robust.attacks.target import Target
from robust.types import AnyArray, BoolArray, FloatArray, IntArray

# Step sizes, as shares of the radius, from the first to the last step of a phase (half a cosine).
_EXPLORE, _CLOSE = (1.0, 0.5), (0.7, 0.1)
# The linearised boundary is overshot by a little, so that a point lands behind it.
_BEHIND = 1.01
# What the points climb while they explore.
_CLIMBED: Loss = "even_cross_entropy"
# How far one step of closing in may take the radius down.
_DROP = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """What a walk does when.

    Args:
        explore: Steps of exploring.
        close: Steps of closing in.
        gamma: Share by which the radius changes in a step of exploring, and at most grows in one of closing in.
        start: First radius, as a multiple of the distance at which the linearised model changes its mind.
    """

    explore: int
    close: int
    gamma: float
    start: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Walkers(Live):
    """Rows on their way, each with the room, move and radius of its point, and what it has found so far.

    `size` is that of the smallest adversarial point (inf before the first), `held` its move, `pull` the gradient and
    `level` the margin there; `failed` counts the steps since a point was adversarial last.
    """

    low: FloatArray
    high: FloatArray
    move: FloatArray
    radius: FloatArray
    slope: FloatArray
    size: FloatArray
    held: FloatArray
    pull: FloatArray
    level: FloatArray
    made: IntArray
    failed: IntArray


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Walk:
    """The search for the smallest adversarial points of many rows; which of them share a batch changes nothing.

    Args:
        target: The classifier and the rows (n, d).
        moves: Norm, units and schema.
        course: What is done when.
        ends: Where what is found is kept.
    """

    target: Target
    moves: Moves
    course: Course
    ends: Ends

    def run(self, rows: IntArray) -> None:
        """Walk from some rows of the target (m,), all right."""
        refilled(rows, batch=self.target.batch, enter=self._entered, step=self._step)
        self.ends.settle()

    def _entered(self, rows: IntArray) -> _Walkers:
        """Rows at the best point of their first ball."""
        x, m, dtype = self.target.x[rows], len(rows), self.moves.dtype
        scores, gradient = self.target.gradient(x, rows, loss="log_margin")
        gap = -log_margins(scores, self.target.y[rows], scale=self.target.scale)
        gradient = gradient.astype(dtype)
        room = self.moves.room(x)
        move, radius = self._first(x, gradient, gap, room)
        return _Walkers(
            rows=rows,
            ball=ball_around(self.moves.space, x),
            low=room[0],
            high=room[1],
            move=move,
            radius=radius,
            slope=gradient,
            size=np.full(m, np.inf),
            held=move.copy(),
            pull=gradient.copy(),
            level=np.zeros(m),
            made=np.zeros(m, dtype=int),
            failed=np.zeros(m, dtype=int),
        )

    def _first(
        self, x: AnyArray, gradient: FloatArray, gap: FloatArray, room: tuple[FloatArray, FloatArray]
    ) -> tuple[FloatArray, FloatArray]:
        """First moves and radii: a multiple of the distance at which the linearised model changes its mind.

        The largest rise within a radius is concave in it, so a chord from 0 shows by how much bounds lengthen it.
        """
        steepest = dual_norms(self.moves.space, gradient)
        radius = np.divide(gap, steepest, out=np.zeros(len(x)), where=steepest > 0)
        radius = np.maximum(radius, smallest_move(self.moves.space, x))
        zero = np.zeros(gradient.shape, dtype=self.moves.dtype)
        move = self.moves.onto(x, self.moves.stepped(x, zero, gradient, radius, radius, room), radius, room)
        rise = np.einsum("ij,ij->i", gradient, move, dtype=np.float64)
        longer = np.divide(gap * radius, rise, out=radius.copy(), where=rise > 0)
        radius = self.course.start * np.clip(longer, radius, 4.0 * radius)
        move = self.moves.stepped(x, zero, gradient, radius, radius, room)
        return self.moves.onto(x, move, radius, room), radius

    def _step(self, live: _Walkers) -> _Walkers | None:
        """One gradient step of all; the rows that go on."""
        course, x = self.course, live.ball.x
        points = self.moves.rows(x, live.move, live.radius, live.slope)
        scores, gradient = self._gradient(points, live.rows, live.made < course.explore)
        gradient = gradient.astype(self.moves.dtype)
        margins = log_margins(scores, self.target.y[live.rows], scale=self.target.scale)
        live = self._judged(live, points, self.target.wrong(scores, live.rows), margins, gradient)
        room, length = (live.low, live.high), _rates(live.made, course) * live.radius
        stepped = self.moves.stepped(x, live.move, gradient, length, live.radius, room)
        radius = self._radius(live, margins, gradient, stepped)
        live = replace(
            live,
            move=self.moves.onto(x, stepped, radius, room),
            radius=radius,
            slope=gradient,
            made=live.made + 1,
        )
        # A row without a gradient has nowhere to go.
        ended = (live.made >= course.explore + course.close) | ~gradient.any(axis=1)
        if not ended.any():
            return live
        gone = live.part(ended)
        self.ends.wait(gone.rows, gone.held, gone.pull, gone.level, gone.move, gone.radius)
        return None if ended.all() else live.part(~ended)

    def _radius(self, live: _Walkers, margins: FloatArray, gradient: FloatArray, stepped: FloatArray) -> FloatArray:
        """The next radius of each row (m,)."""
        out, unknown, gamma = live.failed == 0, np.isinf(live.size), self.course.gamma
        grown = live.radius * (1.0 + gamma) ** np.where(unknown, np.maximum(live.failed, 1), 1)
        explored = np.where(out, live.radius * (1.0 - gamma), grown)
        exploring = live.made < self.course.explore
        if exploring.all():
            return explored
        # Along the next move the linearised margin rises by `slope` a unit of norm, and by `wish` in all to 0.
        sizes = move_sizes(self.moves.space, stepped)
        slope = np.einsum("ij,ij->i", gradient, stepped, dtype=np.float64)
        slope = np.divide(slope, sizes, out=np.zeros(len(sizes)), where=sizes > 0)
        wish = np.einsum("ij,ij->i", gradient, live.move, dtype=np.float64) - margins
        fallback = np.where(out, 0.0, np.inf)
        linear = np.divide(wish * _BEHIND, slope, out=fallback, where=(slope > 0) & (wish > 0))
        linear = np.minimum(np.clip(linear, live.radius * _DROP, grown), live.size)
        return np.where(exploring, explored, np.where(unknown, grown, linear))

    def _gradient(self, points: AnyArray, rows: IntArray, exploring: BoolArray) -> tuple[FloatArray, FloatArray]:
        """Scores and gradients: of the course's loss for rows that explore, of the margin for those that close in."""
        if exploring.all():
            return self.target.gradient(points, rows, loss=_CLIMBED)
        if not exploring.any():
            return self.target.gradient(points, rows, loss="log_margin")
        first = self.target.gradient(points[exploring], rows[exploring], loss=_CLIMBED)
        second = self.target.gradient(points[~exploring], rows[~exploring], loss="log_margin")
        scores = np.empty((len(rows), first[0].shape[1]))
        gradient = np.empty((len(rows), first[1].shape[1]))
        for mask, (some, slope) in ((exploring, first), (~exploring, second)):
            scores[mask], gradient[mask] = some, slope
        return scores, gradient

    def _judged(
        self, live: _Walkers, points: AnyArray, out: BoolArray, margins: FloatArray, gradient: FloatArray
    ) -> _Walkers:
        """Keep the points that are adversarial and smaller than what was found."""
        sizes = sizes_of(self.moves.space, live.ball.x, points)
        better = out & (sizes < live.size)
        self.ends.keep(live.rows[better], points[better], sizes[better])
        live.held[better], live.pull[better] = live.move[better], gradient[better]
        live.level[better] = margins[better]
        size = np.where(better, sizes, live.size)
        return replace(live, size=size, failed=np.where(out, 0, live.failed + 1))


def _rates(made: IntArray, course: Course) -> FloatArray:
    """Step sizes, as shares of the radius, of rows that have made so many steps (m,)."""
    exploring = made < course.explore
    at = np.where(exploring, made, made - course.explore)
    share = at / np.maximum(np.where(exploring, course.explore, course.close) - 1, 1)
    first, last = (np.where(exploring, _EXPLORE[k], _CLOSE[k]) for k in (0, 1))
    return np.asarray(last + (first - last) * (1.0 + np.cos(np.pi * share)) / 2.0)


def walked(target: Target, space: Space, *, steps: int, explored: float, gamma: float, start: float) -> AnyArray:
    """The nearest adversarial rows of a walk from every row; nothing is random.

    Args:
        target: The classifier and the rows, all right (n, d).
        space: Norm and schema.
        steps: Steps in all.
        explored: Share of the steps that explore; the rest close in.
        gamma: As in `Course`.
        start: As in `Course`.

    Returns:
        Rows (n, d) that are wrong; where none was found, the original.
    """
    moves, explore = moves_in(space), round(explored * steps)
    course = Course(explore=explore, close=steps - explore, gamma=gamma, start=start)
    ends = no_ends(target, moves)
    Walk(target=target, moves=moves, course=course, ends=ends).run(np.arange(len(target)))
    return ends.found
