"""Kernels of classification metrics: classes and probabilities in, one value (or row of statistics) a row out."""

import math

import numpy as np

from robust.metrics.metric import Metric, Rate, at_most_one
from robust.types import AnyArray, FloatArray, IntArray

#: Probabilities are clipped here, as scikit-learn does: one row costs at most −ln ε.
CLIP = float(np.finfo(np.float64).eps)
#: Cells of a block of rows: kernels of many rows stay far below a copy of the predictions.
_CELLS = 1 << 20


def accuracy_rows(y: IntArray, labels: IntArray) -> FloatArray:
    """Whether each row is right: 1[ŷ_i = y_i]; of several labels a row, whether all are.

    Args:
        y: True class indices (n,), or 0 and 1 (n, k) of several labels.
        labels: Predicted ones, of the same shape.

    Returns:
        0 or 1 (n, 1).

    >>> accuracy_rows(np.array([0, 1, 1]), np.array([0, 1, 0])).ravel().tolist()
    [1.0, 1.0, 0.0]
    """
    right = y == labels
    if right.ndim == 2:
        right = right.all(axis=1)
    return np.asarray(right, dtype=np.float64)[:, None]


def f1_rows(y: IntArray, labels: IntArray) -> FloatArray:
    """Per row and class: true positive, predicted, actual; F1, precision and recall need only their means.

    Args:
        y: True class indices (n,), or 0 and 1 (n, k) of several labels.
        labels: Predicted ones, of the same shape.

    Returns:
        (n, 3k): k indicators of a true positive, k of a predicted class, k of an actual class, over the classes up to
        the last that occurs in either array; (n, 3k + 1) for several labels, whose last column of ones says that all k
        count, also those that occur nowhere.

    >>> f1_rows(np.array([0, 1]), np.array([0, 0])).tolist()
    [[1.0, 0.0, 1.0, 0.0, 1.0, 0.0], [0.0, 0.0, 1.0, 0.0, 0.0, 1.0]]
    """
    if y.ndim == 2:
        return np.hstack([y * labels, labels, y, np.ones((len(y), 1))]).astype(np.float64)
    present = np.arange(max(int(y.max()), int(labels.max())) + 1)
    actual = (y[:, None] == present).astype(np.float64)
    predicted = (labels[:, None] == present).astype(np.float64)
    return np.hstack([actual * predicted, predicted, actual])


def class_shares(y: IntArray, labels: IntArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Shares of hit, predicted and actual rows of each class: the means of `f1_rows`, without a table of rows.

    Args:
        y: True class indices (n,), or 0 and 1 (n, k) of several labels.
        labels: Predicted ones, of the same shape.

    Returns:
        Three arrays (k,).

    >>> [part.tolist() for part in class_shares(np.array([0, 1]), np.array([0, 0]))]
    [[0.5, 0.0], [1.0, 0.0], [0.5, 0.5]]
    """
    n = len(y)
    if y.ndim == 2:
        return (y * labels).mean(axis=0), labels.mean(axis=0), y.mean(axis=0)
    k = int(max(y.max(), labels.max())) + 1
    counts = (np.bincount(part, minlength=k) / n for part in (y[y == labels], labels, y))
    hit, predicted, actual = counts
    return hit, predicted, actual


def macro_f1(means: FloatArray) -> FloatArray:
    """Macro-averaged F1 = (1/K) Σ_c 2 tp_c / (pred_c + actual_c), over the K classes that occur.

    Args:
        means: Means of `f1_rows` (B, 3k).

    Returns:
        F1 in [0, 1] (B,); a class that occurs in neither array of a resample is left out of its average, and counts
        as 0 where all classes count.

    >>> macro_f1(np.array([[0.5, 0.0, 1.0, 0.0, 0.5, 0.5]])).round(4).tolist()
    [0.3333]
    """
    k = means.shape[1] // 3
    hits, either = means[:, :k], means[:, k : 2 * k] + means[:, 2 * k : 3 * k]
    occurs = either > 0
    ratio = np.divide(2 * hits, either, out=np.zeros_like(hits), where=occurs)
    counted = k if means.shape[1] % 3 else np.maximum(occurs.sum(axis=1), 1)
    return np.asarray(ratio.sum(axis=1) / counted)


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
    hit, predicted, actual = class_shares(y, labels)
    both = predicted + actual
    occurs = both > 0
    hit, actual, both = hit[occurs], actual[occurs], both[occurs]
    # A class that no label names has no floor: it can vanish from the average.
    floor = np.where(actual > 0, np.minimum(both - hit, actual + hit), 0.0)

    def slope(share: float) -> float:
        left = both * np.maximum(both - share, floor)
        if not left.all():
            return math.inf
        hits, wrong = 2 * (both - hit) / left, 2 * hit / left
        # Of one label a row, a row changes one class; of several, all of them.
        worst = hits.sum() + wrong.sum() if y.ndim == 2 else hits.max() + wrong.max()
        return float(worst) / len(both)

    return at_most_one(slope)


def f1_class_effects(y: AnyArray, labels: AnyArray) -> FloatArray:
    """Largest change of macro-F1 a share of one class's rows that change their prediction, one a class.

    With n rows of class c, t of them hit, and e = n + predicted: F1_c = 2t/e falls by at most 2n/e a share of the
    class that is lost (it is concave in the hits, and 0 when all are gone), and rises by at most 2n(e − t)/e² a share
    that is won. Each row can also become a wrong prediction of another class d, 2n t_d/e_d² a share, or stop to be one
    of the w that there are, 2n t_d/(e_d(e_d − w)). Of several labels, rows with a label do the former to its F1 alone,
    and rows without it the latter.

    Args:
        y: True class indices (n,), or 0 and 1 (n, k) of several labels.
        labels: Predicted ones, of the same shape.

    Returns:
        Change of macro-F1 (k,), 0 for a class without rows; of several labels (k, 2), by rows without and with each.

    A class all of whose rows are right can lose its own F1 of 1, and flood the other, also of 1, by half its size:

    >>> f1_class_effects(np.array([0, 0, 1, 1]), np.array([0, 0, 1, 1])).tolist()
    [0.75, 0.75]
    """
    if y.ndim == 2:
        hits, found, actual = class_shares(y, labels)
        both = np.where(found + actual > 0, found + actual, 1.0)
        kept = np.where(hits > 0, both - found + hits, 1.0)
        free = (1.0 - actual) * 2 * hits / (both * kept)
        own = np.maximum(2 * actual * (hits > 0) / both, 2 * actual * (both - hits) / both**2)
        return np.asarray(np.column_stack([free, own]) / y.shape[1])
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
        y: True class indices (n,); or 0 and 1 (n, k) of several labels, whose mean −ln is taken.
        probabilities: (n, k), rows summing to 1; of several labels each by itself.

    Returns:
        Nats (n, 1), in [0, −ln ε].

    >>> log_loss_rows(np.array([1]), np.array([[0.5, 0.5]])).round(4).tolist()
    [[0.6931]]
    """
    if y.ndim == 2:
        own = np.where(y == 1, probabilities, 1.0 - probabilities)
        return np.asarray(-np.log(np.clip(own, CLIP, 1.0)).mean(axis=1, keepdims=True)) + 0.0
    own = np.empty((len(y), 1))
    for rows in blocks(*probabilities.shape):
        clipped = np.clip(probabilities[rows], CLIP, 1.0)
        own[rows] = np.take_along_axis(clipped, y[rows, None], axis=1) / clipped.sum(axis=1, keepdims=True)
    return np.asarray(-np.log(np.minimum(own, 1.0))) + 0.0


def brier_rows(y: IntArray, probabilities: FloatArray) -> FloatArray:
    """Squared distance of each row's probabilities from the truth: Σ_k (p_ik − 1[y_i = k])², of two classes half of it.

    Args:
        y: True class indices (n,); or 0 and 1 (n, k) of several labels, over which (p_ik − y_ik)² is averaged.
        probabilities: (n, k), rows summing to 1; of several labels each by itself.

    Returns:
        (n, 1), in [0, 2]; with two classes (p_i1 − y_i)², and of several labels, in [0, 1].

    >>> third = np.full((1, 3), 1 / 3)
    >>> brier_rows(np.array([0]), third).round(4).tolist(), brier_rows(np.array([1]), np.array([[0.25, 0.75]])).tolist()
    ([[0.6667]], [[0.0625]])
    """
    n, k = probabilities.shape
    if y.ndim == 2:
        distance = probabilities - y
        return np.asarray(np.einsum("ij,ij->i", distance, distance)[:, None] / k)
    if k == 2:
        return np.asarray((probabilities[:, 1:] - y[:, None]) ** 2)
    squares = np.empty((n, 1))
    for rows in blocks(n, k):
        distance = probabilities[rows].copy()
        distance[np.arange(len(distance)), y[rows]] -= 1.0
        squares[rows, 0] = np.einsum("ij,ij->i", distance, distance)
    return squares


def blocks(n: int, width: int) -> list[slice]:
    """Slices of n rows of so many cells each, so that a block stays near 8 MiB."""
    size = max(1, _CELLS // max(width, 1))
    return [slice(start, min(start + size, n)) for start in range(0, n, size)]


def _accuracy_effect(_y: AnyArray, _labels: AnyArray, _seen: AnyArray) -> Rate:
    return lambda _share: 1.0


def _log_loss_effect(_y: AnyArray, _probabilities: AnyArray, _seen: AnyArray) -> Rate:
    return lambda _share: -math.log(CLIP)


def _brier_effect(y: AnyArray, probabilities: AnyArray, _seen: AnyArray) -> Rate:
    return lambda _share: 1.0 if y.ndim == 2 or probabilities.shape[1] == 2 else 2.0


def first_mean(means: FloatArray) -> FloatArray:
    """The only mean there is: what a metric that is itself a mean takes of its row statistics."""
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
    function=first_mean,
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
    function=first_mean,
    effect=_log_loss_effect,
)
BRIER = Metric(
    name="brier",
    title="Brier score",
    task="classification",
    needs="probabilities",
    higher_is_better=False,
    unit="squared probability",
    relative=False,
    rows=brier_rows,
    function=first_mean,
    effect=_brier_effect,
    high=2.0,
)
