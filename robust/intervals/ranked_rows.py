"""One binary ranking, sorted once: the area under its ROC curve, its average precision, and each row's part in both."""

from dataclasses import dataclass

import numpy as np

from robust.types import BoolArray, FloatArray, IntArray


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RankedRows:
    """Rows in ascending order of a score, with the runs of equal scores.

    Args:
        order: Position of each row in the data (n,).
        positive: Which rows are positive, in that order (n,).
        first: Where each row's run of equal scores begins (n,).
        end: Where it ends, exclusive (n,).
        below: Positive rows before each place (n + 1,).
    """

    order: IntArray
    positive: BoolArray
    first: IntArray
    end: IntArray
    below: IntArray

    @property
    def positives(self) -> int:
        """Positive rows in all."""
        return int(self.below[-1])

    def placements(self) -> FloatArray:
        """DeLong's components, in rank order (n,).

        Of a positive row the share of negative rows below it, of a negative row the share of positive rows above it,
        half of those with the same score counted.
        """
        n, size = len(self.order), self.positives
        before = (self.below[self.first] + self.below[self.end]) * 0.5
        after = (self.first + self.end) * 0.5
        after -= before
        after /= max(n - size, 1)
        before /= -max(size, 1)
        before += 1.0
        return np.where(self.positive, after, before)

    def precision(self) -> FloatArray:
        """Precision where the threshold is each row's score, in rank order (n,)."""
        return np.asarray((self.positives - self.below[self.first]) / (len(self.order) - self.first))

    def average_precision(self) -> tuple[float, FloatArray, float]:
        """Average precision, its derivative by the weight of each row times n in rank order, and its bias.

        AP = (1/P) Σ_{i positive} TP_i/N_i with TP_i and N_i the positive rows and all rows scored at least s_i. A row j
        adds to TP_i and N_i of all s_i ≤ s_j: its derivative is (1/P)(Σ_{i: s_i ≤ s_j} (1[j positive]/N_i − TP_i/N_i²)
        + 1[j positive](TP_j/N_j − AP)); the mean over all rows is 0. Half the sum of the second derivatives is the
        bias: with p_i = TP_i/N_i, (1/P) Σ_i (1 − p_i)/N_i − (1/P²) Σ_i p_i (1 − p_i), since each row counts towards its
        own precision.

        Returns:
            The value in [0, 1], the influences (n,), and by how much the value is too high to second order.
        """
        n, size = len(self.order), self.positives
        precision = self.precision()
        value = float(precision[self.positive].mean())
        reach = np.divide(1.0, n - self.first, out=np.zeros(n), where=self.positive)
        # One column of sums after the other: at a million rows each counts.
        influence = self._sums_before_end(reach * precision)
        np.negative(influence, out=influence)
        own = self._sums_before_end(reach)
        own += precision
        own -= value
        own *= self.positive
        influence += own
        influence *= n / size
        missing = np.subtract(1.0, precision, out=own)
        missing *= self.positive
        bias = (float(missing @ reach) - float(missing @ precision) / size) / size
        return value, influence, bias

    def _sums_before_end(self, values: FloatArray) -> FloatArray:
        """Sum of the values (n,) of all rows that come before the end of each row's run (n,)."""
        sums = np.zeros(len(values) + 1)
        np.cumsum(values, out=sums[1:])
        return np.asarray(sums[self.end])


def ranked_rows(positive: BoolArray, scores: FloatArray) -> RankedRows:
    """Sort the rows of one binary problem.

    Args:
        positive: Which rows are positive (n,).
        scores: Their scores (n,), finite.

    Returns:
        The rows by ascending score, in O(n log n).

    >>> ranked = ranked_rows(np.array([False, False, True, True]), np.array([0.1, 0.4, 0.35, 0.8]))
    >>> ranked.placements().tolist(), round(ranked.average_precision()[0], 4)
    ([1.0, 0.5, 0.5, 1.0], 0.8333)
    """
    order = np.argsort(scores)
    ranked = scores[order]
    n = len(order)
    below: IntArray = np.zeros(n + 1, dtype=np.int32) if n < 2**31 else np.zeros(n + 1, dtype=np.int64)
    marks = positive[order]
    np.cumsum(marks, out=below[1:])
    starts = np.flatnonzero(np.concatenate(([True], ranked[1:] != ranked[:-1]))).astype(below.dtype)
    if len(starts) == n:
        first = np.arange(n, dtype=below.dtype)
        end = first + 1
    else:
        lengths = np.diff(np.append(starts, n))
        first = np.repeat(starts, lengths)
        end = np.repeat(starts + lengths, lengths).astype(below.dtype)
    return RankedRows(order=order, positive=marks, first=first, end=end, below=below)
