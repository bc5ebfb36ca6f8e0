"""The last of the way: the radius of the smallest adversarial point, bisected and verified."""

from dataclasses import dataclass, field

import numpy as np

from robust.attacks.losses import log_margins
from robust.attacks.minimal_moves import Moves
from robust.attacks.minimal_sizes import sizes_of
from robust.attacks.target import Target
from robust.types import AnyArray, BoolArray, FloatArray, IntArray

# Forward passes a row, and the share of the radius that the first of them takes away.
_PROBES, _FIRST = 5, 0.01


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Ends:
    """The smallest adversarial points that are known, and rows that wait for their radius to be bisected.

    Args:
        target: The classifier and the rows (n, d).
        moves: Norm, units and schema.
        found: Smallest adversarial point of each row, the row itself before the first (n, d).
        size: Its norm, inf before the first (n,).
    """

    target: Target
    moves: Moves
    found: AnyArray
    size: FloatArray
    _waiting: list[tuple[AnyArray, ...]] = field(default_factory=list)

    def keep(self, rows: IntArray, points: AnyArray, sizes: FloatArray) -> None:
        """Points of some rows that the model is wrong about, smaller than what was known."""
        self.found[rows], self.size[rows] = points, sizes

    def judged(self, rows: IntArray, points: AnyArray) -> tuple[BoolArray, FloatArray]:
        """Judge points of some rows and keep the smallest; which are adversarial (m,), and their sizes (m,)."""
        out = self._judged(rows, points)[0]
        return out, sizes_of(self.moves.space, self.target.x[rows], points)

    def wait(
        self,
        rows: IntArray,
        held: FloatArray,
        pull: FloatArray,
        level: FloatArray,
        last: FloatArray,
        radius: FloatArray,
    ) -> None:
        """Rows whose walk is over, to be bisected with the next full batch.

        Args:
            rows: Rows of the target (m,).
            held: The moves of their smallest adversarial points (m, d).
            pull: The gradients of the margin, or of another loss, there (m, d).
            level: Their margins there (m,).
            last: The moves that came last, which nobody has judged (m, d).
            radius: Their radii (m,).
        """
        if len(rows) == 0:
            return
        self._waiting.append((rows, held, pull, level, last, radius))
        if sum(len(end[0]) for end in self._waiting) >= self.target.batch:
            self.settle()

    def settle(self) -> None:
        """Judge the last moves, then bisect the size of all that wait."""
        if not self._waiting:
            return
        rows, held, pull, level, last, radius = (np.concatenate(parts) for parts in zip(*self._waiting, strict=True))
        self._waiting.clear()
        _, better, margins = self._judged(rows, self.moves.rows(self.target.x[rows], last, radius, pull))
        held, level = np.where(better[:, None], last, held), np.where(better, margins, level)
        known = np.isfinite(self.size[rows])
        if known.any():
            self._bisect(rows[known], held[known], pull[known], level[known])

    def _bisect(self, rows: IntArray, held: FloatArray, pull: FloatArray, level: FloatArray) -> None:
        """Shrink the smallest adversarial moves.

        First the best moves of the linearised model are tried that are a little smaller, then the smallest at which it
        changes its mind. A row that they break goes on among such moves, the others on their ray. The next probe
        takes a share away; while a row stays adversarial the following one takes twice as much, and once it no longer
        does, the gap is halved.
        """
        x, top = self.target.x[rows], self.size[rows]
        need = np.einsum("ij,ij->i", pull, held, dtype=np.float64) - level
        aim = (1.0 - _FIRST) * top
        best = self.moves.optimum(x, pull, aim)
        straight = self._judged(rows, self.moves.rows(x, best, aim, pull))[0]
        high, low = np.where(straight, aim, top), np.zeros(len(rows))
        held = np.where(straight[:, None], best, held)
        tried = np.flatnonzero(straight & (need > 0))
        if len(tried):
            best, aim = self.moves.shortest(x[tried], pull[tried], need[tried], aim[tried])
            sooner = aim < high[tried]
            tried, best, aim = tried[sooner], best[sooner], aim[sooner]
        if len(tried):
            out = self._judged(rows[tried], self.moves.rows(x[tried], best, aim, pull[tried]))[0]
            high[tried[out]], low[tried[~out]], held[tried[out]] = aim[out], aim[~out], best[out]
        path = self.moves.path(x, held, pull, high, straight)
        stride = _FIRST * high
        for _ in range(_PROBES):
            middle = np.where(low > 0, (low + high) / 2.0, np.maximum(high - stride, high / 2.0))
            out = self._judged(rows, self.moves.rows(x, path(middle), middle, pull))[0]
            stride = np.where(out, 2.0 * stride, stride)
            low, high = np.where(out, low, middle), np.where(out, middle, high)

    def _judged(self, rows: IntArray, points: AnyArray) -> tuple[BoolArray, BoolArray, FloatArray]:
        """Which points are adversarial, which of these are smaller than what was known and are kept, and margins."""
        scores = self.target.scores(points)
        out = self.target.wrong(scores, rows)
        sizes = sizes_of(self.moves.space, self.target.x[rows], points)
        better = out & (sizes < self.size[rows])
        self.keep(rows[better], points[better], sizes[better])
        return out, better, log_margins(scores, self.target.y[rows], scale=self.target.scale)


def no_ends(target: Target, moves: Moves) -> Ends:
    """Nothing found yet."""
    return Ends(target=target, moves=moves, found=target.x.copy(), size=np.full(len(target), np.inf))
