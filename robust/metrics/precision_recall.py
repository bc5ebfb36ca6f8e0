"""The average precision: the area under the precision-recall curve, with kernels of its own."""

import math

import numpy as np

from robust.metrics.metric import Metric, Rate
from robust.metrics.ranking import against_rest, auc_rows
from robust.types import AnyArray, BoolArray, FloatArray, IntArray


class WeightedAveragePrecision:
    """Macro-averaged one-vs-rest average precision of weighted rows, for resampling.

    AP_c = Σ_{i∈c} w_i · P(s_i) / W_c, P(s) = Σ_{j∈c, s_j ≥ s} w_j / Σ_{s_j ≥ s} w_j, averaged over the classes; with
    two classes the scores of class 1 alone.

    Args:
        y: True class indices (n,), or 0 and 1 (n, k) of several labels.
        scores: (n, k), one column a class or label.
    """

    def __init__(self, y: IntArray, scores: FloatArray) -> None:
        self._classes = [self._prepared(positive, score) for positive, score in against_rest(y, scores)]

    @staticmethod
    def _prepared(positive: BoolArray, score: FloatArray) -> tuple[IntArray, BoolArray, IntArray]:
        """Order of the rows by falling score, which are positive in that order, and where runs of ties start."""
        order = np.argsort(-score, kind="stable")
        ranked = score[order]
        return order, positive[order], np.flatnonzero(np.r_[True, ranked[1:] != ranked[:-1]])

    def __call__(self, weights: FloatArray) -> FloatArray:
        """Average precision under each row of weights.

        Args:
            weights: (B, n), at least 0.

        Returns:
            (B,), in [0, 1]; NaN where a class has no weight.
        """
        total = np.zeros(len(weights))
        for order, positive, starts in self._classes:
            ranked = weights[:, order]
            hits = np.add.reduceat(ranked * positive, starts, axis=1)
            found, seen = np.cumsum(hits, axis=1), np.cumsum(np.add.reduceat(ranked, starts, axis=1), axis=1)
            area = (hits * np.divide(found, seen, out=np.zeros_like(found), where=seen > 0)).sum(axis=1)
            own = found[:, -1]
            total += np.divide(area, own, out=np.full(len(weights), np.nan), where=own > 0)
        return total / len(self._classes)


def average_precision_effect(y: AnyArray, scores: AnyArray, _seen: AnyArray) -> Rate:
    """Largest change of the average precision a share of rows that move to any place in the ranking.

    With π the share of a class, m = sn rows put in front of πn positive rows cost Σ_i m/(i + m)/(πn) at most, which is
    no more than (s/π)·ln(1 + π/s), in the mean over the classes; positive rows that are put last cost 2s/π, of one
    label a row those of one class alone.
    """
    shares = np.array([float(positive.mean()) for positive, _ in against_rest(y, scores)])
    if (shares == 0).any():
        return lambda _share: None
    lost = 2.0 / shares
    worst = float(lost.mean() if y.ndim == 2 else lost.max() / len(shares))

    def rate(share: float) -> float:
        if share <= 0:
            return math.inf
        return float(min((np.log1p(shares / share) / shares).mean() + worst, 1.0 / share))

    return rate


def average_precision_class_effects(y: AnyArray, scores: AnyArray) -> FloatArray:
    """Largest change of the average precision a share of one class's rows that are ranked last for it, one a class.

    Each row that is lost costs its own precision, and takes at most as much again from the rows below it. What rows do
    to other classes, in front of whose rows they may come, is the rate of `average_precision_effect`.

    Args:
        y: True class indices (n,), or 0 and 1 (n, C) of several labels.
        scores: (n, C), one column a class or label.

    Returns:
        2/C each (C,); with two classes 2 for the second, the one that is ranked, and 0 for the first; of several
        labels (C, 2), 0 for the rows without each.

    >>> average_precision_class_effects(np.array([0, 1, 2, 3]), np.zeros((4, 4))).tolist()
    [0.5, 0.5, 0.5, 0.5]
    """
    k = scores.shape[1]
    if y.ndim == 2:
        return np.column_stack([np.zeros(k), np.full(k, 2.0 / k)])
    return np.array([0.0, 2.0]) if k == 2 else np.full(k, 2.0 / k)


AVERAGE_PRECISION = Metric(
    name="average_precision",
    title="average precision",
    task="classification",
    needs="probabilities",
    higher_is_better=True,
    unit="share",
    relative=False,
    rows=auc_rows,
    function=None,
    effect=average_precision_effect,
    class_effects=average_precision_class_effects,
    high=1.0,
)
