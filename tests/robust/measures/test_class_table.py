"""The classification report."""

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import classification_report

from robust.data.live import as_data
from robust.errors import InvalidInput
from robust.measures.class_table import classification_report_text
from robust.models.conversion import as_model


def test_a_published_table():
    # Three classes of 450, 380 and 420 rows with the confusion counts of a published report; weighted precision is
    # (450·.983 + …)/1250, which its authors print wrong by a hundredth.
    counts = np.array([[441, 5, 4], [3, 365, 12], [5, 13, 402]])
    y, labels = (np.repeat(part.ravel(), counts.ravel()) for part in np.indices((3, 3)))
    model = as_model(lambda x: x[:, 0].astype(int), classes=[0, 1, 2])
    text = classification_report_text(model, (labels[:, None].astype(float), y))
    assert text == classification_report(y, labels)
    weighted = (450 * 441 / 449 + 380 * 365 / 383 + 420 * 402 / 418) / 1250
    assert f"{weighted:.2f}" in text.splitlines()[-1]


def test_several_labels():
    rng = np.random.default_rng(0)
    y, p = rng.integers(0, 2, (50, 3)), rng.random((50, 3))
    model = as_model(lambda x: x, task="multilabel", output="probabilities")
    text = classification_report_text(model, as_data(p, y))
    assert text == classification_report(y, p >= 0.5, zero_division=0)
    assert text.splitlines()[-1].split()[:2] == ["samples", "avg"]


@settings(max_examples=60, deadline=None)
@given(st.integers(2, 5), st.integers(1, 12), st.integers(0, 2**32 - 1), st.integers(0, 6))
def test_several_labels_of_any_kind(k, n, seed, digits):
    # Rows without a label, without a prediction, and without either among them.
    rng = np.random.default_rng(seed)
    y, p = (rng.random((n, k)) < 0.3).astype(int), (rng.random((n, k)) < 0.3).astype(float)
    model = as_model(lambda x: x, task="multilabel", output="probabilities")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # scikit-learn tells of labels without a row
        wanted = classification_report(y, p >= 0.5, zero_division=0, digits=digits)
    assert classification_report_text(model, as_data(p, y), digits=digits) == wanted


@pytest.mark.parametrize("digits", [-1, 13, 2.0, True, None])
def test_digits_are_checked(digits):
    with pytest.raises(InvalidInput, match="digits got"):
        classification_report_text(lambda x: np.zeros(len(x), int), (np.zeros((2, 1)), [0, 1]), digits=digits)
