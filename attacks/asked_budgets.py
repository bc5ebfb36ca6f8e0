"""Which budgets along a step to ask a model about, so that few of them tell where each row breaks."""

from dataclasses import dataclass
from typing import Self

import numpy as np

from robust.types import BoolArray, FloatArray, IntArray

#: So many budgets farther at most is the next that is asked, where the margin falls slowly.
STRIDE = 4


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class AskedBudgets:
    """What is known of rows that are right before any change, and what to ask about next.

    The next budget that is asked lies before the one at which the row's margin would be 0, if it went on to fall as it
    did. Two budgets at which the row is right settle those between them where the margin falls from one to the other
    and keeps at least as much as it lost: to be wrong between them, it would have to lose that, too, and to come back.
    Everywhere else, as where a step that ought to raise the loss lowers it, the budgets between are asked, too, until
    the smallest at which the row is wrong is known.

    Args:
        budgets: 0, and increasing budgets (k + 1,).
        margins: How far rows are from a mistake at each budget, in logits (n, k + 1); NaN where that is not known.
        asked: Whether the model was asked (n, k + 1).
        wrong: Whether the row is wrong there (n, k + 1).
        settled: The largest place up to which a row is known to be right (n,).
        before: The place that was settled before that one (n,); the same at the start.
        stride: The next budget that is asked lies at most so many farther; 1 asks about each in turn.
    """

    budgets: FloatArray
    margins: FloatArray
    asked: BoolArray
    wrong: BoolArray
    settled: IntArray
    before: IntArray
    stride: int

    @classmethod
    def of(cls, grid: FloatArray, margins: FloatArray, *, stride: int = STRIDE) -> Self:
        """Nothing asked but the rows themselves.

        Args:
            grid: Increasing budgets (k,).
            margins: How far the rows are from a mistake before any change (n,); NaN where that is not known.
            stride: The next budget that is asked lies at most so many farther.
        """
        shape = len(margins), len(grid) + 1
        asked, known = np.zeros(shape, dtype=bool), np.full(shape, np.nan)
        asked[:, 0], known[:, 0] = True, margins
        start = np.zeros(len(margins), dtype=int)
        return cls(
            budgets=np.concatenate([[0.0], grid]),
            margins=known,
            asked=asked,
            wrong=np.zeros(shape, dtype=bool),
            settled=start,
            before=start.copy(),
            stride=stride,
        )

    def survived(self) -> BoolArray:
        """At which budgets rows are right, and at all smaller ones (n, k)."""
        return ~np.logical_or.accumulate(self.wrong, axis=1)[:, 1:]

    def next(self, rows: IntArray) -> tuple[IntArray, IntArray]:
        """The rows (m,) of some that are not settled, and the place of the budget to ask each about (m,)."""
        last = len(self.budgets) - 1
        places = np.arange(last + 1)
        while True:
            rows = rows[self.settled[rows] < last]
            start = self.settled[rows]
            ahead = self.asked[rows] & (places > start[:, None])
            some, far = np.asarray(ahead.any(axis=1)), ahead.argmax(axis=1)
            settles = some & self._settles(rows, start, far)
            if not settles.any():
                break
            self.before[rows[settles]] = start[settles]
            self.settled[rows[settles]] = far[settles]
        broken = some & (far == start + 1)  # its right end would have been settled
        rows, start, some, far = rows[~broken], start[~broken], some[~broken], far[~broken]
        return rows, np.where(some, (start + far) // 2, self._stride(rows))

    def tell(self, rows: IntArray, places: IntArray, margins: FloatArray, wrong: BoolArray) -> None:
        """Note answers: margins (m,) and mistakes (m,) of rows at one place each."""
        self.asked[rows, places], self.margins[rows, places], self.wrong[rows, places] = True, margins, wrong

    def _settles(self, rows: IntArray, start: IntArray, far: IntArray) -> BoolArray:
        """Whether being right at both places tells that rows are right between them."""
        first, second = self.margins[rows, start], self.margins[rows, far]
        steady = (first > second) & (second >= first - second)  # false where one is not known
        return np.asarray(~self.wrong[rows, far] & (steady | (far == start + 1)))

    def _stride(self, rows: IntArray) -> IntArray:
        """The place to ask about beyond what is settled: as far as a falling margin lasts, else the next one."""
        start, before, last = self.settled[rows], self.before[rows], len(self.budgets) - 1
        margin, width = self.margins[rows, start], self.budgets[start] - self.budgets[before]
        fallen = self.margins[rows, before] - margin
        lasts = np.divide(margin * width, fallen, out=np.zeros(len(rows)), where=fallen > 0)
        place = np.searchsorted(self.budgets, self.budgets[start] + lasts, side="right") - 1
        return np.asarray(np.minimum(np.clip(place, start + 1, start + self.stride), last))
