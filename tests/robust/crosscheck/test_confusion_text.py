"""The confusion matrix against scikit-learn's, and its text."""

import numpy as np
import pytest
from sklearn.metrics import confusion_matrix

from robust.crosscheck.confusion_text import count_confusion


@pytest.mark.parametrize("k", [2, 7, 20])
def test_counts_are_scikit_learns(k):
    rng = np.random.default_rng(k)
    actual, found = rng.integers(0, k, 300), rng.integers(0, k, 300)
    counts = count_confusion(actual, found, k)
    assert np.array_equal(counts.counts, confusion_matrix(actual, found, labels=range(k)))


def test_all_classes_have_a_row_also_where_only_one_occurs():
    found = count_confusion(np.zeros(5, dtype=int), np.zeros(5, dtype=int), 3)
    assert found.counts.tolist() == [[5, 0, 0], [0, 0, 0], [0, 0, 0]]


def test_the_text():
    # The worked example of the documentation: 97.66 % of 128 samples.
    diagonal = [11, 19, 16, 11, 15, 7, 10, 9, 17, 10]
    actual = np.repeat(np.arange(10), diagonal)
    found = actual.copy()
    actual, found = np.append(actual, [0, 8, 9]), np.append(found, [4, 3, 0])
    lines = count_confusion(actual, found, 10).text().splitlines()
    assert lines[0] == "10 classes (128 samples)"
    assert set(lines[1]) == {"-"}
    assert lines[2].split() == ["C0", "11", ".", ".", ".", "1", ".", ".", ".", ".", "."]
    assert lines[10].split() == ["C8", ".", ".", ".", "1", ".", ".", ".", ".", "17", "."]
    assert lines[11].split() == ["C9", "1", *["."] * 8, "10"]
    assert len({len(line) for line in lines[2:]}) == 1


def test_an_empty_class_shows_its_zero_on_the_diagonal_alone():
    assert count_confusion(np.array([1]), np.array([1]), 2).text().splitlines()[2].split() == ["C0", "0", "."]


def test_more_than_twenty_classes_are_not_printed():
    many = count_confusion(np.arange(21), np.arange(21), 21)
    assert many.counts is None
    assert many.text() == "21 classes (21 samples)"
    huge = count_confusion(np.array([10**6 - 1]), np.array([0]), 10**6)
    assert huge.counts is None


def test_large_counts_keep_their_columns_apart():
    actual = np.zeros(123_456, dtype=int)
    lines = count_confusion(actual, actual, 2).text().splitlines()
    assert lines[2].split() == ["C0", "123456", "."]
