"""Counts of pairs of labels."""

import numpy as np
import pytest
from sklearn.metrics import confusion_matrix

from robust.metrics import label_pairs as module
from robust.metrics.label_pairs import confusion_counts, label_pairs


@pytest.mark.parametrize("direct", [2000, 0])
@pytest.mark.parametrize("several", [False, True])
def test_pairs_tell_every_row(direct, several, monkeypatch):
    monkeypatch.setattr(module, "_DIRECT", direct)
    y, labels = np.random.default_rng(0).integers(0, 2 if several else 5, (2, 70, 9) if several else (2, 70))
    pairs = label_pairs(y, labels)
    np.testing.assert_array_equal(pairs.truth[pairs.owner], y)
    np.testing.assert_array_equal(pairs.labels[pairs.owner], labels)
    assert pairs.counts.sum() == 70
    assert pairs.counts.min() >= 1
    np.testing.assert_array_equal(np.bincount(pairs.owner), pairs.counts)
    both = np.column_stack([pairs.truth, pairs.labels])
    assert len(np.unique(both, axis=0)) == len(both)


def test_a_confusion_matrix_keeps_declared_classes_that_do_not_occur():
    y, labels = np.array([0, 0, 2]), np.array([0, 2, 2])
    np.testing.assert_array_equal(confusion_counts(y, labels, 4), confusion_matrix(y, labels, labels=range(4)))
    assert confusion_counts(np.zeros(3, int), np.zeros(3, int), 2).tolist() == [[3, 0], [0, 0]]  # not 1 × 1
