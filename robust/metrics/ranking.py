"""The area under the ROC curve: a U-statistic, no function of means, so it has kernels of its own."""

from collections.abc import Iterator

import numpy as np

from robust.metrics.metric import Metric, Rate
from robust.types import AnyArray, BoolArray, FloatArray, IntArray


def against_rest(y: IntArray, scores: FloatArray) -> Iterator[tuple[BoolArray, FloatArray]]:
    """The binary problems of a ranking: each class against the rest, of two classes the second alone, or each label.

    Args:
        y: True class indices (n,), or 0 and 1 (n, k) of several labels.
        scores: (n, k), one column a class or label.

    Yields:
        Which rows are positive (n,), and their scores (n,).
    """
    if y.ndim == 2:
        for c in range(y.shape[1]):
            yield y[:, c] == 1, np.ascontiguousarray(scores[:, c])
        return
    for c in (1,) if scores.shape[1] == 2 else range(scores.shape[1]):
        yield y == c, np.ascontiguousarray(scores[:, c])


class WeightedAuc:
    """Macro-averaged one-vs-rest AUC of weighted rows, for resampling.

    AUC_c = Σ_{i∈c, j∉c} w_i w_j (1[s_i > s_j] + ½·1[s_i = s_j]) / (W_c · W_{¬c}), averaged over the classes; with two
    classes the scores of class 1 alone (Hanley and McNeil 1982).

    Args:
        y: True class indices (n,), or 0 and 1 (n, k) of several labels.
        scores: (n, k), one column a class or label.
    """

    def __init__(self, y: IntArray, scores: FloatArray) -> None:
        self._classes = [self._prepared(positive, score) for positive, score in against_rest(y, scores)]

    @staticmethod
    def _prepared(positive: AnyArray, score: FloatArray) -> tuple[IntArray, AnyArray, IntArray]:
        """Order of the rows by score, which are positive in that order, and where runs of ties start."""
        order = np.argsort(score, kind="stable")
        ranked = score[order]
        starts = np.flatnonzero(np.r_[True, ranked[1:] != ranked[:-1]])
        return order, positive[order], starts

    def __call__(self, weights: FloatArray) -> FloatArray:
        """AUC under each row of weights.

        Args:
            weights: (B, n), at least 0.

        Returns:
            (B,), in [0, 1]; NaN where a class or its complement has no weight.
        """
        total = np.zeros(len(weights))
        for order, positive, starts in self._classes:
            ranked = weights[:, order]
            positives = np.add.reduceat(ranked * positive, starts, axis=1)
            negatives = np.add.reduceat(ranked * ~positive, starts, axis=1)
            below = np.cumsum(negatives, axis=1) - negatives / 2
            area = (positives * below).sum(axis=1)
            pairs = positives.sum(axis=1) * negatives.sum(axis=1)
            total += np.divide(area, pairs, out=np.full(len(weights), np.nan), where=pairs > 0)
        return total / len(self._classes)


def auc_rows(_y: IntArray, scores: FloatArray) -> FloatArray:
    """The scores themselves (n, k): two models agree on a row where they are equal."""
    return scores


def _auc_effect(y: AnyArray, scores: AnyArray, _seen: AnyArray) -> Rate:
    """Rows of one class alone: a share s of all rows is s/a_c of those of class c.

    Of several labels it takes part in 1/a_c of the pairs of each label that it has, 1/(1 − a_c) of each other.
    """
    if y.ndim == 2:
        shares = y.mean(axis=0)
        if ((shares == 0) | (shares == 1)).any():
            return lambda _share: None
        return lambda _share: float((1.0 / np.minimum(shares, 1.0 - shares)).mean())
    actual = np.bincount(y, minlength=scores.shape[1]) / len(y)
    if (actual == 0).any():
        return lambda _share: None
    worst = float((auc_class_effects(y, scores) / actual).max())
    return lambda _share: worst


def auc_class_effects(y: AnyArray, scores: AnyArray) -> FloatArray:
    """Largest change of the AUC if all rows of a class were ranked otherwise.

    With two classes 1 for either. With C, class c is one side of its own column, and a share a_c/(1 − a_d) of the
    rows on the other side of each column d: (1 + Σ_{d≠c} a_c/(1 − a_d))/C, a the shares of rows. Of several labels,
    1/C for the rows without and with each.

    Args:
        y: True class indices (n,), each of the classes present, or 0 and 1 (n, C) of several labels.
        scores: (n, C), one column a class or label.

    Returns:
        Change of the AUC (C,), in [0, 1]; of several labels (C, 2).

    >>> auc_class_effects(np.array([0, 1, 2]), np.zeros((3, 3))).round(4).tolist()
    [0.6667, 0.6667, 0.6667]
    """
    if y.ndim == 2:
        return np.full((y.shape[1], 2), 1.0 / y.shape[1])
    actual = np.bincount(y, minlength=scores.shape[1]) / len(y)
    if len(actual) == 2:
        return np.ones(2)
    rest = 1.0 / (1.0 - actual)
    return np.asarray((1.0 + actual * (rest.sum() - rest)) / len(actual))


AUC = Metric(
    name="auc",
    title="AUC",
    task="classification",
    needs="probabilities",
    higher_is_better=True,
    unit="share",
    relative=False,
    rows=auc_rows,
    function=None,
    effect=_auc_effect,
    class_effects=auc_class_effects,
    high=1.0,
)
