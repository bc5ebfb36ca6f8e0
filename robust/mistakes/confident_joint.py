"""Confident learning: which class each row would have if the model, not its label, were believed."""

from dataclasses import dataclass

import numpy as np

from robust.types import FloatArray, IntArray


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ConfidentJoint:
    """What the confident rows say about labels.

    Args:
        thresholds: Mean probability of each class over the rows labelled so (k,); of a class without rows the mean of
            the other thresholds.
        guess: Class of each row (n,): of those whose probability reaches their threshold the most probable; −1 where
            none does.
        counts: Rows by label and guess (k, k), those without a guess left out.
        joint: The same calibrated to the number of rows of each label, as shares that sum to 1 (k, k).
    """

    thresholds: FloatArray
    guess: IntArray
    counts: IntArray
    joint: FloatArray

    @property
    def noise(self) -> float:
        """Estimated share of rows with a wrong label: what lies off the diagonal of the joint."""
        return float(max(1.0 - np.trace(self.joint), 0.0))


def confident_joint(labels: IntArray, probabilities: FloatArray) -> ConfidentJoint:
    """Count confident rows by label and by the class that the model would give them.

    t_j = mean of p_j over the rows labelled j; guess_i = argmax_{j: p_ij ≥ t_j} p_ij; C_jl = rows labelled j with
    guess l; Q_jl = (C_jl / Σ_l C_jl)·n_j / n. A class that no row is labelled with has no such mean and takes the mean
    of the other t, which is ours: rows that are confidently of it are suspect, too.

    Args:
        labels: Given labels (n,), 0 … k−1, some of which are wrong.
        probabilities: Out-of-sample probabilities (n, k): of a model that was not trained on these rows.

    Returns:
        Thresholds, guesses and counts.

    Source: Northcutt, Jiang and Chuang (2021), Journal of Artificial Intelligence Research 70:1373, equations 1 to 3.

    >>> p = np.array([[0.9, 0.1], [0.8, 0.2], [0.3, 0.7], [0.1, 0.9], [0.85, 0.15]])
    >>> found = confident_joint(np.array([0, 0, 1, 1, 1]), p)
    >>> found.guess.tolist(), found.counts.tolist()
    ([0, -1, 1, 1, 0], [[1, 0], [1, 2]])
    """
    n, k = probabilities.shape
    rows = np.bincount(labels, minlength=k)
    thresholds = np.zeros(k)
    for label in np.flatnonzero(rows):
        thresholds[label] = probabilities[labels == label, label].mean()
    thresholds[rows == 0] = thresholds[rows > 0].mean()
    # A mean of equal numbers may be rounded above them.
    reached = probabilities >= thresholds * (1.0 - 1e-12)
    best = np.where(reached, probabilities, -np.inf).argmax(axis=1)
    guess = np.where(reached.any(axis=1), best, -1)
    known = guess >= 0
    counts = np.bincount(labels[known] * k + guess[known], minlength=k * k).reshape(k, k)
    sums = counts.sum(axis=1, keepdims=True)
    # A label none of whose rows is confident tells nothing of its noise: all of its rows stay on the diagonal.
    shares = np.divide(counts, sums, out=np.eye(k), where=sums > 0)
    return ConfidentJoint(thresholds=thresholds, guess=guess, counts=counts, joint=shares * rows[:, None] / n)


def normalized_margin(labels: IntArray, probabilities: FloatArray) -> FloatArray:
    """p(given label) − max p(other class) (n,), in [−1, 1]; the lower, the more suspect the label.

    >>> normalized_margin(np.array([0, 1]), np.array([[0.75, 0.25], [0.75, 0.25]])).tolist()
    [0.5, -0.5]
    """
    at = np.arange(len(labels))
    others = probabilities.copy()
    others[at, labels] = -np.inf
    return np.asarray(probabilities[at, labels] - others.max(axis=1))
