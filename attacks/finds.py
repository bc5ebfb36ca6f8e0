"""What an attack has found so far, row by row: the point that broke it, else the one with the largest margin loss."""

from dataclasses import dataclass, field

import numpy as np

from robust.attacks.target import Target
from robust.types import AnyArray, BoolArray, FloatArray, IntArray


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Finds:
    """The best point of each row so far.

    Several runs may be after one row at the same time. Of the points that break it, the one of the earliest
    run is kept, and of the others the one with the largest loss: which runs shared a batch changes nothing.

    Args:
        target: The classifier and the rows (n, d).
        found: Best point of each row so far (n, d).
        best: Its margin loss (n,); −inf before the first.
        broken: Which rows are broken (n,); their points in `found` are the broken ones.
        runs: The run that found it (n,).
    """

    target: Target
    found: AnyArray
    best: FloatArray
    broken: BoolArray
    runs: IntArray
    _waiting: list[tuple[IntArray, AnyArray, IntArray]] = field(default_factory=list)

    def record(self, rows: IntArray, points: AnyArray, scores: FloatArray, runs: IntArray | None = None) -> BoolArray:
        """Keep the points that are the best so far.

        Args:
            rows: Rows of the target (m,).
            points: Where they are (m, d).
            scores: What the model says of these (m, k).
            runs: Which run of its row each belongs to (m,); the first, where they are left out.

        Returns:
            Which points are broken (m,).
        """
        turn = np.zeros(len(rows), dtype=int) if runs is None else runs
        out, margins = self.target.wrong(scores, rows), self.target.margins(scores, rows)
        self._keep(rows, points, margins, turn, np.flatnonzero(out), broken=True)
        self._keep(rows, points, margins, turn, np.flatnonzero(~out & ~self.broken[rows]), broken=False)
        return out

    def wait(self, rows: IntArray, points: AnyArray, runs: IntArray | None = None) -> None:
        """Points that the next full batch is to judge."""
        self._waiting.append((rows, points, np.zeros(len(rows), dtype=int) if runs is None else runs))
        if sum(len(waiting) for waiting, _, _ in self._waiting) >= self.target.batch:
            self.judge()

    def judge(self) -> None:
        """Judge the points that wait."""
        if self._waiting:
            scores = self.target.scores(np.concatenate([points for _, points, _ in self._waiting]))
            start = 0
            for rows, points, runs in self._waiting:
                self.record(rows, points, scores[start : start + len(rows)], runs)
                start += len(rows)
            self._waiting.clear()

    def _keep(
        self, rows: IntArray, points: AnyArray, margins: FloatArray, turn: IntArray, at: IntArray, *, broken: bool
    ) -> None:
        """Write those of some points that are better than what is known, one a row."""
        if len(at) == 0:
            return
        loss = margins[at]
        # The best of the points of one row comes first: by run where they break it, else by loss, then by run.
        order = np.lexsort((turn[at],) if broken else (turn[at], -loss))
        at = at[order]
        at = at[np.sort(np.unique(rows[at], return_index=True)[1])]
        mine = rows[at]
        if broken:
            better = ~self.broken[mine] | (turn[at] < self.runs[mine])
        else:
            level = margins[at] == self.best[mine]
            better = (margins[at] > self.best[mine]) | (level & (turn[at] < self.runs[mine]))
        at, mine = at[better], mine[better]
        self.found[mine], self.best[mine], self.runs[mine] = points[at], margins[at], turn[at]
        if broken:
            self.broken[mine] = True


def no_finds(target: Target) -> Finds:
    """Nothing found yet: every row at its own place."""
    n = len(target)
    return Finds(
        target=target,
        found=target.x.copy(),
        best=np.full(n, -np.inf),
        broken=np.zeros(n, dtype=bool),
        runs=np.zeros(n, dtype=int),
    )
