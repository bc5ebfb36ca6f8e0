"""Precision, recall and F1 of classes, averaged in three ways: functions of the means of `f1_rows`."""

import math
from collections.abc import Callable
from typing import Literal, TypeAlias

import numpy as np

from robust.metrics.classification import F1, class_shares, f1_class_effects, f1_rows
from robust.metrics.label_pairs import confusion_counts
from robust.metrics.metric import Metric, Rate, at_most_one
from robust.types import AnyArray, BoolArray, FloatArray

Average: TypeAlias = Literal["macro", "weighted", "micro"]
Ratio: TypeAlias = Literal["precision", "recall", "f1"]

#: Weights of wrong predictions and of missed rows in the denominator tp + a·fp + b·fn of each ratio.
_MIX: dict[Ratio, tuple[float, float]] = {"precision": (1.0, 0.0), "recall": (0.0, 1.0), "f1": (0.5, 0.5)}


def tallies(means: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Shares of hit, predicted and actual rows of each class.

    Args:
        means: Means of `f1_rows` (B, 3k) or (B, 3k + 1).

    Returns:
        Three arrays (B, k).
    """
    k = means.shape[1] // 3
    return means[:, :k], means[:, k : 2 * k], means[:, 2 * k : 3 * k]


def class_ratios(means: FloatArray, ratio: Ratio) -> FloatArray:
    """A ratio of each class: precision tp/predicted, recall tp/actual, F1 2 tp/(predicted + actual); 0 for 0/0.

    Args:
        means: Means of `f1_rows` (B, 3k).
        ratio: Which.

    Returns:
        (B, k), in [0, 1].

    >>> class_ratios(np.array([[0.5, 0.0, 1.0, 0.0, 0.5, 0.5]]), "precision").tolist()
    [[0.5, 0.0]]
    """
    hits, predicted, actual = tallies(means)
    wrong, missed = _MIX[ratio]
    base = (1.0 - wrong - missed) * hits + wrong * predicted + missed * actual
    return np.asarray(np.divide(hits, base, out=np.zeros_like(hits), where=base > 0))


def averaged(ratio: Ratio, average: Average) -> Callable[[FloatArray], FloatArray]:
    """A ratio averaged over classes, as a function of the means of `f1_rows`.

    macro: (1/K) Σ_c r_c over the K classes that occur among labels or predictions (all labels, where a row can have
    several); weighted: Σ_c actual_c r_c / Σ_c actual_c; micro: the ratio of the summed counts.

    Args:
        ratio: Which ratio.
        average: How it is averaged.

    Returns:
        From means (B, 3k) to values in [0, 1] (B,).

    >>> averaged("recall", "weighted")(np.array([[0.5, 0.0, 0.75, 0.25, 0.75, 0.25]])).tolist()
    [0.5]
    """

    def value(means: FloatArray) -> FloatArray:
        hits, predicted, actual = tallies(means)
        if average == "micro":
            pooled = np.column_stack([part.sum(axis=1) for part in (hits, predicted, actual)])
            return np.asarray(class_ratios(pooled, ratio)[:, 0])
        ratios = class_ratios(means, ratio)
        if average == "weighted":
            total = actual.sum(axis=1)
            sums = (ratios * actual).sum(axis=1)
            return np.asarray(np.divide(sums, total, out=np.zeros(len(means)), where=total > 0))
        occurs = (predicted + actual) > 0
        counted = occurs.shape[1] if means.shape[1] % 3 else np.maximum(occurs.sum(axis=1), 1)
        return np.asarray(ratios.sum(axis=1) / counted)

    return value


def ratio_effect(ratio: Ratio, average: Average) -> Callable[[AnyArray, AnyArray, AnyArray], Rate]:
    """Largest change of an averaged ratio a share of rows that change their predictions.

    With a, p, t the shares of actual, predicted and hit rows of a class and e = a + p, losing or gaining h hits and w
    wrong predictions moves its precision by at most ((p − t)h + tw)/(p·r), its F1 by 2((e − t)h + tw)/(e·r), with r the
    least that can be left of p or e when a share s of rows changes, and its recall by h/a, whose denominator is fixed.
    A class that is never predicted can jump from a precision of 0 to 1 by one row: that rate is bounded by 1/s alone.

    Args:
        ratio: Which ratio.
        average: How it is averaged.

    Returns:
        The effect of a `Metric`.
    """

    def effect(y: AnyArray, labels: AnyArray, _seen: AnyArray) -> Rate:
        one_label = y.ndim == 1
        if one_label and (average == "micro" or (average == "weighted" and ratio == "recall")):
            return lambda _share: 1.0  # both are the accuracy
        hits, predicted, actual = class_shares(y, labels)
        if average == "micro":
            # Of k labels a row can change all.
            k = len(hits)
            hits, predicted, actual = (np.atleast_1d(part.sum() / k) for part in (hits, predicted, actual))
        occurs = (predicted + actual) > 0
        hits, predicted, actual = hits[occurs], predicted[occurs], actual[occurs]
        weight = actual / actual.sum() if average == "weighted" else np.full(len(hits), 1.0 / len(hits))

        def slope(share: float) -> float:
            with np.errstate(divide="ignore", invalid="ignore"):
                gain, harm = _slopes(ratio, hits, predicted, actual, share)
                gain, harm = (np.where(weight > 0, part * weight, 0.0) for part in (gain, harm))
            if average == "macro" and one_label and not _stays(actual, predicted, share).all():
                return math.inf
            return float(gain.max() + harm.max() if one_label else gain.sum() + harm.sum())

        return at_most_one(slope)

    return effect


def _slopes(
    ratio: Ratio, hits: FloatArray, predicted: FloatArray, actual: FloatArray, share: float
) -> tuple[FloatArray, FloatArray]:
    """Change of each class's ratio a share of hits lost or gained, and a share of wrong predictions."""
    if ratio == "recall":
        return np.where(actual > 0, 1.0 / actual, 0.0), np.zeros(len(hits))
    if ratio == "precision":
        left = predicted * (predicted - share)
        bounded = left > 0
        left = np.where(bounded, left, 1.0)
        return (
            np.where(bounded, (predicted - hits) / left, math.inf),
            np.where(bounded, hits / left, math.inf),
        )
    both = predicted + actual
    floor = np.where(actual > 0, np.minimum(both - hits, actual + hits), 0.0)
    left = both * np.maximum(both - share, floor)
    return 2 * (both - hits) / left, 2 * hits / left


def _stays(actual: FloatArray, predicted: FloatArray, share: float) -> BoolArray:
    """Whether a class stays among those that occur: one that no label names can vanish from the average."""
    return np.asarray((actual > 0) | (predicted > share))


def precision_class_effects(y: AnyArray, labels: AnyArray) -> FloatArray:
    """Largest change of macro-precision a share of one class's rows that change their prediction, one a class.

    With n rows of class c, t of them hit, and p predictions of it: t/p falls by at most n/p a share of the class that
    is lost (it is concave in the hits, and 0 when all are gone), and rises by at most n(p − t)/p² a share that is won,
    1 by one row where there was none. Each row can also become a wrong prediction of another class d, n t_d/p_d² a
    share, or stop to be one of the w that there are, n t_d/(p_d(p_d − w)). Of several labels, rows with a label do the
    former to its precision alone, and rows without it the latter.

    Args:
        y: True class indices (n,), or 0 and 1 (n, k) of several labels.
        labels: Predicted ones, of the same shape.

    Returns:
        Change of macro-precision (k,), 0 for a class without rows; of several labels (k, 2), by rows without and with
        each.

    A class all of whose rows are right can lose its own precision of 1, and flood the other, also of 1, by its size:

    >>> precision_class_effects(np.array([0, 0, 1, 1]), np.array([0, 0, 1, 1])).tolist()
    [1.0, 1.0]
    """
    if y.ndim == 2:
        hits, found, actual = class_shares(y, labels)
        base = np.maximum(found, 1.0 / len(y))
        free = (1.0 - actual) * (hits > 0) / base
        own = np.maximum(actual * (hits > 0) / base, actual * np.where(found > 0, (found - hits) / base**2, len(y)))
        return np.asarray(np.column_stack([free, own]) / y.shape[1])
    k = int(max(y.max(), labels.max())) + 1
    table = confusion_counts(y, labels, k).astype(np.float64)
    hit, rows, predicted = np.diag(table), table.sum(axis=1), table.sum(axis=0)
    size = np.maximum(predicted, 1.0)
    others = ~np.eye(k, dtype=bool)
    flooded = (others * (hit / size**2)).max(axis=1)
    left = np.where(others & (hit > 0), size - table, size)
    freed = (others * (hit / (size * left))).max(axis=1)
    fall = rows * (hit > 0) / size + rows * flooded
    rise = rows * np.where(predicted > 0, (predicted - hit) / size**2, 1.0) + rows * freed
    return np.asarray(np.where(rows > 0, np.maximum(fall, rise), 0.0) / (rows + predicted > 0).sum())


def recall_class_effects(y: AnyArray, labels: AnyArray) -> FloatArray:
    """Change of macro-recall if all rows of a class were lost or won: 1/K for each of the K classes that occur.

    Args:
        y: True class indices (n,), or 0 and 1 (n, k) of several labels.
        labels: Predicted ones, of the same shape.

    Returns:
        Change of macro-recall (k,), 0 for a class without rows; of several labels (k, 2), by rows without and with
        each.

    >>> recall_class_effects(np.array([0, 0, 0, 1]), np.array([0, 0, 1, 1])).tolist()
    [0.5, 0.5]
    """
    if y.ndim == 2:
        return np.asarray(np.column_stack([np.zeros(y.shape[1]), np.ones(y.shape[1])]) / y.shape[1])
    k = int(max(y.max(), labels.max())) + 1
    rows = np.bincount(y, minlength=k)
    return (rows > 0) / float((rows + np.bincount(labels, minlength=k) > 0).sum())


_CLASS_EFFECTS: dict[Ratio, Callable[[AnyArray, AnyArray], FloatArray]] = {
    "precision": precision_class_effects,
    "recall": recall_class_effects,
    "f1": f1_class_effects,
}


def ratio_metric(ratio: Ratio, average: Average) -> Metric:
    """A ratio under an average, as a metric.

    Args:
        ratio: `precision`, `recall` or `f1`.
        average: `macro`, `weighted` or `micro`.

    Returns:
        The metric; its name has the average only where that is not `macro`.

    >>> ratio_metric("recall", "macro").name, ratio_metric("recall", "weighted").name
    ('recall', 'recall_weighted')
    """
    if (ratio, average) == ("f1", "macro"):
        return F1
    word = "F1" if ratio == "f1" else ratio
    return Metric(
        name=ratio if average == "macro" else f"{ratio}_{average}",
        title=f"{average}-{word}",
        task="classification",
        needs="labels",
        higher_is_better=True,
        unit="share",
        relative=False,
        rows=f1_rows,
        function=averaged(ratio, average),
        effect=ratio_effect(ratio, average),
        # Other averages weigh a class by its rows, so that what few rows hide is as small as they are.
        class_effects=_CLASS_EFFECTS[ratio] if average == "macro" else None,
        high=1.0,
    )


PRECISION = ratio_metric("precision", "macro")
RECALL = ratio_metric("recall", "macro")
