"""A figure of label pairs as a figure of rows, for resampling rows that depend on each other."""

import numpy as np

from robust.intervals.resampling import SmoothOfMeans
from robust.metrics.label_pairs import LabelPairs
from robust.types import FloatArray


class PairStatistic:
    """A function of the counts of pairs under weights of rows: a table of row statistics is never built.

    Args:
        inner: The figure of weighted pairs.
        pairs: Which pair each row has.
    """

    __slots__ = ("_inner", "_pairs")

    def __init__(self, inner: SmoothOfMeans, pairs: LabelPairs) -> None:
        self._inner = inner
        self._pairs = pairs

    def __call__(self, weights: FloatArray) -> FloatArray:
        """The figure under each row of weights (B, n)."""
        return self._inner(self._by_pair(weights))

    def leave_one_out(self, counts: FloatArray) -> FloatArray:
        """The figure without each row in turn (n,): rows of a pair share it."""
        return self._inner.leave_one_out(self._by_pair(counts[np.newaxis])[0])[self._pairs.owner]

    def _by_pair(self, weights: FloatArray) -> FloatArray:
        """Weights of pairs (B, u)."""
        number = len(self._pairs.counts)
        return np.array([np.bincount(self._pairs.owner, weights=row, minlength=number) for row in weights])
