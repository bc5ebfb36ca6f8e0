"""Distinct pairs of truth and prediction: all that a metric of labels can see of many rows."""

from dataclasses import dataclass

import numpy as np

from robust.types import AnyArray, IntArray

#: Squares of this many classes are counted directly; beyond, pairs are sorted.
_DIRECT = 2000


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LabelPairs:
    """The distinct pairs of n rows.

    Args:
        truth: True labels (u,), or (u, k) of several labels.
        labels: Predicted ones, of the same shape.
        counts: How often each pair occurs (u,), at least 1.
        owner: Which pair each row has (n,).
    """

    truth: IntArray
    labels: IntArray
    counts: IntArray
    owner: IntArray


def label_pairs(y: IntArray, labels: IntArray) -> LabelPairs:
    """Count the distinct pairs of truth and prediction.

    Args:
        y: True class indices (n,), or 0 and 1 (n, k).
        labels: Predicted ones, of the same shape.

    Returns:
        The pairs, ascending by truth and then by prediction.

    >>> pairs = label_pairs(np.array([0, 1, 1]), np.array([0, 1, 1]))
    >>> pairs.truth.tolist(), pairs.labels.tolist(), pairs.counts.tolist()
    ([0, 1], [0, 1], [1, 2])
    """
    if y.ndim == 2:
        table = np.hstack([y, labels]).astype(np.uint8)
        packed = np.ascontiguousarray(np.packbits(table, axis=1))
        keys = packed.view(np.dtype((np.void, packed.shape[1]))).ravel()
        _, first, owner, counts = np.unique(keys, return_index=True, return_inverse=True, return_counts=True)
        return LabelPairs(truth=y[first], labels=labels[first], counts=counts, owner=owner.ravel())
    k = int(max(y.max(), labels.max())) + 1
    codes = y.astype(np.int64) * k + labels
    if k > _DIRECT:
        found, owner, counts = np.unique(codes, return_inverse=True, return_counts=True)
        return LabelPairs(truth=found // k, labels=found % k, counts=counts, owner=owner.ravel())
    every = np.bincount(codes, minlength=k * k)
    found = np.flatnonzero(every)
    place = np.zeros(k * k, dtype=np.int64)
    place[found] = np.arange(len(found))
    return LabelPairs(truth=found // k, labels=found % k, counts=every[found], owner=place[codes])


def confusion_counts(y: AnyArray, labels: AnyArray, k: int) -> IntArray:
    """Confusion matrix over all k declared classes.

    Args:
        y: True class indices (n,), in 0 … k−1.
        labels: Predicted ones (n,).
        k: Number of classes.

    Returns:
        Counts (k, k), rows actual and columns predicted; a class that does not occur keeps its zeros.

    >>> confusion_counts(np.array([0, 0]), np.array([0, 1]), 2).tolist()
    [[1, 1], [0, 0]]
    """
    return np.bincount(y.astype(np.int64) * k + labels, minlength=k * k).reshape(k, k)
