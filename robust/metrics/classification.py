"""Kernels of classification metrics: class indices and probabilities in, one value (or row of statistics) a row out."""

import math

import numpy as np

from robust.metrics.metric import Metric, Rate
from robust.types import AnyArray, FloatArray, IntArray

#: Probabilities are clipped here, as scikit-learn does: one row costs at most −ln ε.
CLIP = float(np.finfo(np.float64).eps)


def accuracy_rows(y: IntArray, labels: IntArray) -> FloatArray:
    """Whether each row is right: 1[ŷ_i = y_i].

    Args:
        y: True class indices (n,).
        labels: Predicted class indices (n,).

    Returns:
        0 or 1 (n, 1).

    >>> accuracy_rows(np.array([0, 1, 1]), np.array([0, 1, 0])).ravel().tolist()
    [1.0, 1.0, 0.0]
    """
    return np.asarray(y == labels, dtype=np.float64)[:, None]


def f1_rows(y: IntArray, labels: IntArray) -> FloatArray:
    """Per row and class: true positive, predicted, actual; F1 needs only their means.

    Args:
        y: True class indices (n,).
        labels: Predicted class indices (n,).

    Returns:
        (n, 3k): k indicators of a true positive, k of a predicted class, k of an actual class, over the classes
        that occur in either array.

    >>> f1_rows(np.array([0, 1]), np.array([0, 0])).tolist()
    [[1.0, 0.0, 1.0, 0.0, 1.0, 0.0], [0.0, 0.0, 1.0, 0.0, 0.0, 1.0]]
    """
    present = np.arange(max(int(y.max()), int(labels.max())) + 1)
    actual = (y[:, None] == present).astype(np.float64)
    predicted = (labels[:, None] == present).astype(np.float64)
    return np.hstack([actual * predicted, predicted, actual])


def macro_f1(means: FloatArray) -> FloatArray:
    """Macro-averaged F1 = (1/K) Σ_c 2 tp_c / (pred_c + actual_c), over the K classes that occur.

    Args:
        means: Means of `f1_rows` (B, 3k).

    Returns:
        F1 in [0, 1] (B,); a class that occurs in neither array of a resample is left out of its average.

    >>> macro_f1(np.array([[0.5, 0.0, 1.0, 0.0, 0.5, 0.5]])).round(4).tolist()
    [0.3333]
    """
    k = means.shape[1] // 3
    hits, either = means[:, :k], means[:, k : 2 * k] + means[:, 2 * k :]
    occurs = either > 0
    ratio = np.divide(2 * hits, either, out=np.zeros_like(hits), where=occurs)
    return np.asarray(ratio.sum(axis=1) / np.maximum(occurs.sum(axis=1), 1))


def f1_effect(y: AnyArray, labels: AnyArray, _seen: AnyArray) -> Rate:
    """Largest change of macro-F1 a share of rows that change their prediction, among the classes that occur.

    With a, p, t the shares of actual, predicted and hit rows of a class and e = a + p, losing or gaining h hits and w
    wrong predictions moves F1 = 2t/e by at most 2((e − t)h + tw)/(e·r), where r is the least that can be left of e:
    e − s, but never less than e − t or a + t. Hits and wrong predictions each move at most s in all, and the worst
    class of each kind counts. The change is never more than 1 in all, which caps the rate where the two meet.

    Args:
        y: True class indices (n,).
        labels: Predicted class indices (n,).
    """
    means = f1_rows(y, labels).mean(axis=0)
    k = len(means) // 3
    hit, actual, both = means[:k], means[2 * k :], means[k : 2 * k] + means[2 * k :]
    occurs = both > 0
    hit, actual, both = hit[occurs], actual[occurs], both[occurs]
    # A class that no label names has no floor: it can vanish from the average.
    floor = np.where(actual > 0, np.minimum(both - hit, actual + hit), 0.0)

    def slope(share: float) -> float:
        left = both * np.maximum(both - share, floor)
        if not left.all():
            return math.inf
        return float((2 * (both - hit) / left).max() + (2 * hit / left).max()) / len(both)

    def rate(share: float) -> float:
        if share * slope(share) <= 1:
            return slope(share)
        low, high = 0.0, share
        for _ in range(60):
            middle = 0.5 * (low + high)
            low, high = (middle, high) if middle * slope(middle) <= 1 else (low, middle)
        return 1.0 / low

    return rate


def f1_class_effects(y: AnyArray, labels: AnyArray) -> FloatArray:
    """Largest change of macro-F1 a share of one class's rows that change their prediction, one a class.

    With n rows of class c, t of them hit, and e = n + predicted: F1_c = 2t/e falls by at most 2n/e a share of the
    class that is lost (it is concave in the hits, and 0 when all are gone), and rises by at most 2n(e − t)/e² a share
    that is won. Each row can also become a wrong prediction of another class d, 2n t_d/e_d² a share, or stop to be one
    of the w that there are, 2n t_d/(e_d(e_d − w)).

    Args:
        y: True class indices (n,).
        labels: Predicted class indices (n,).

    Returns:
        Change of macro-F1 (k,), 0 for a class without rows.

    A class all of whose rows are right can lose its own F1 of 1, and flood the other, also of 1, by half its size:

    >>> f1_class_effects(np.array([0, 0, 1, 1]), np.array([0, 0, 1, 1])).tolist()
    [0.75, 0.75]
    """
    k = int(max(y.max(), labels.max())) + 1
    table = np.bincount(y * k + labels, minlength=k * k).reshape(k, k).astype(np.float64)
    hit, rows = np.diag(table), table.sum(axis=1)
    both = rows + table.sum(axis=0)
    size = np.where(both > 0, both, 1.0)
    others = ~np.eye(k, dtype=bool)
    flooded = (others * (2 * hit / size**2)).max(axis=1)
    left = np.where(others & (hit > 0), size - table, size)
    freed = (others * (2 * hit / (size * left))).max(axis=1)
    fall = 2 * rows * (hit > 0) / size + rows * flooded
    rise = 2 * rows * (both - hit) / size**2 + rows * freed
    return np.asarray(np.where(rows > 0, np.maximum(fall, rise), 0.0) / (both > 0).sum())


def log_loss_rows(y: IntArray, probabilities: FloatArray) -> FloatArray:
    """Negative log-likelihood of each row: −ln p_i(y_i), with p clipped to [ε, 1] and renormalised.

    Args:
        y: True class indices (n,).
        probabilities: (n, k), rows summing to 1.

    Returns:
        Nats (n, 1), in [0, −ln ε].

    >>> log_loss_rows(np.array([1]), np.array([[0.5, 0.5]])).round(4).tolist()
    [[0.6931]]
    """
    clipped = np.clip(probabilities, CLIP, 1.0)
    own = np.take_along_axis(clipped, y[:, None], axis=1) / clipped.sum(axis=1, keepdims=True)
    return np.asarray(-np.log(np.minimum(own, 1.0))) + 0.0


def _accuracy_effect(_y: AnyArray, _labels: AnyArray, _seen: AnyArray) -> Rate:
    return lambda _share: 1.0


def _log_loss_effect(_y: AnyArray, _probabilities: AnyArray, _seen: AnyArray) -> Rate:
    return lambda _share: -math.log(CLIP)


def _first(means: FloatArray) -> FloatArray:
    return means[:, 0]


ACCURACY = Metric(
    name="accuracy",
    title="accuracy",
    task="classification",
    needs="labels",
    higher_is_better=True,
    unit="share",
    relative=False,
    rows=accuracy_rows,
    function=_first,
    effect=_accuracy_effect,
    high=1.0,
    proportion=True,
)
F1 = Metric(
    name="f1",
    title="macro-F1",
    task="classification",
    needs="labels",
    higher_is_better=True,
    unit="share",
    relative=False,
    rows=f1_rows,
    function=macro_f1,
    effect=f1_effect,
    class_effects=f1_class_effects,
    high=1.0,
)
LOG_LOSS = Metric(
    name="log_loss",
    title="log-loss",
    task="classification",
    needs="probabilities",
    higher_is_better=False,
    unit="nats",
    relative=True,
    rows=log_loss_rows,
    function=_first,
    effect=_log_loss_effect,
)
