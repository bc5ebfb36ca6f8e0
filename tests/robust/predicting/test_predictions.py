"""What outputs mean, told by what was declared, by their values and by the targets; and labels of every kind."""

import numpy as np
import pytest
from scipy.special import softmax

from robust.data.live import as_data
from robust.errors import InvalidInput
from robust.models.conversion import as_model
from robust.predicting.predictions import class_indices, interpret, predict

PROBS = np.array([[0.7, 0.2, 0.1], [0.1, 0.8, 0.1], [0.3, 0.3, 0.4]])
LOGITS = np.array([[2.0, -1.0, 0.0], [0.5, 3.0, 1.0], [-4.0, -2.0, -1.0]])
HALF = np.array([[0.2], [0.9], [0.5]])
LABELS = np.array([[0.0], [1.0], [1.0]])
VALUES = np.array([[0.3], [1.7], [-2.0]])
INT, FLOAT, TEXT = np.array([0, 1, 1]), np.array([0.31, 1.6, -2.2]), np.array(["a", "b", "b"])


def settle(outputs, y=None, **declared):
    return interpret(as_model(lambda x: outputs, name="m", **declared), np.asarray(outputs, dtype=float), y)


@pytest.mark.parametrize(
    ("outputs", "y", "declared", "task", "kind"),
    [
        (PROBS, None, {}, "classification", "probabilities"),
        (LOGITS, None, {}, "classification", "logits"),
        (LOGITS, INT, {}, "classification", "logits"),
        (PROBS, TEXT, {"classes": ["a", "b", "c"]}, "classification", "probabilities"),
        (LABELS, INT, {}, "classification", "labels"),
        (LABELS, INT.astype(bool), {}, "classification", "labels"),
        (LABELS, None, {"task": "classification"}, "classification", "labels"),
        (HALF, INT, {"output": "probabilities"}, "classification", "probabilities"),
        (VALUES, INT, {"output": "logits"}, "classification", "logits"),
        (VALUES, FLOAT, {}, "regression", "values"),
        (VALUES, INT, {"task": "regression"}, "regression", "values"),
        (LABELS, INT, {"task": "regression"}, "regression", "values"),
        (VALUES, None, {"output": "values"}, "regression", "values"),
        (LOGITS, np.array([0.5, 1.5, 2.5]), {}, "regression", "values"),
    ],
)
def test_the_inference_table(outputs, y, declared, task, kind):
    found = settle(outputs, y, **declared)
    assert (found.task, found.kind) == (task, kind)


@pytest.mark.parametrize(
    ("outputs", "y", "declared", "message"),
    [
        (HALF, None, {}, r"one number a row can be a label, a probability or a value; say task="),
        (HALF, INT, {}, r"one number a row can be"),
        (VALUES, np.array([0.3, 1.7, -2.0]), {}, r"one number a row can be"),  # a model that echoes the targets
        (LOGITS, np.eye(3, dtype=int), {}, r"3 numbers a row can be scores of classes or a value"),
        (HALF, INT, {"task": "classification"}, r'one number a row: say output="probabilities" or output="logits"'),
        (LOGITS, INT, {"output": "probabilities"}, r"declared to give probabilities.*sum of 1 by up to 8.*logits"),
        (VALUES, INT, {"output": "probabilities"}, r"declared to give probabilities.*range 0 … 1 by up to 2"),
        (PROBS, INT, {"classes": [0, 1]}, r"m has 3 outputs, but classes names 2"),
        (PROBS * 0.9, INT, {}, r"3 numbers from 0 to 1 that miss a sum of 1 by up to 0.1: say output="),
        (PROBS[:, :2], INT, {}, r"2 numbers from 0 to 1 that miss a sum of 1"),
        (LABELS + 4, INT, {"classes": [0, 1]}, r"predicts labels \[4, 5\] that are not among its classes \[0, 1\]"),
        (LABELS + 4, TEXT, {"classes": ["a", "b"]}, r"not positions 0 … 1 of its classes \['a', 'b'\]"),
    ],
)
def test_what_cannot_be_told_is_asked(outputs, y, declared, message):
    with pytest.raises(InvalidInput, match=message):
        settle(outputs, y, **declared)


def test_logits_become_a_softmax_without_overflow():
    found = settle(np.array([[1000.0, 999.0], [-1000.0, 0.0]]), output="logits").probabilities
    np.testing.assert_allclose(found, softmax([[1.0, 0.0], [-1000.0, 0.0]], axis=1))


@pytest.mark.parametrize(
    ("declared", "expected"), [("probabilities", HALF[:, 0]), ("logits", 1 / (1 + np.exp(-HALF[:, 0])))]
)
def test_one_column_is_class_1_of_two(declared, expected):
    found = settle(HALF, output=declared)
    assert found.classes == (0, 1)
    np.testing.assert_allclose(found.probabilities[:, 1], expected)
    np.testing.assert_allclose(found.probabilities.sum(axis=1), 1)


def test_a_quantized_softmax_is_brought_to_a_sum_of_1():
    coarse = np.round(softmax(LOGITS, axis=1) * 16) / 16
    assert coarse.sum(axis=1).max() == 17 / 16
    found = settle(coarse, output="probabilities")
    np.testing.assert_allclose(found.probabilities.sum(axis=1), 1)
    np.testing.assert_allclose(found.probabilities, coarse / coarse.sum(axis=1, keepdims=True))
    np.testing.assert_array_equal(found.labels, coarse.argmax(axis=1))


def test_ties_go_to_the_lower_class():
    assert settle(np.array([[0.5, 0.5], [0.5, 0.5]])).labels.tolist() == [0, 0]


def test_what_a_task_does_not_have_is_refused():
    with pytest.raises(InvalidInput, match="m gives labels only; this measure needs probabilities"):
        _ = settle(LABELS, INT).probabilities
    with pytest.raises(InvalidInput, match="m is a classification model; a predicted number needs regression"):
        _ = settle(PROBS).values
    with pytest.raises(InvalidInput, match="m is a regression model; a predicted label needs classification"):
        _ = settle(VALUES, FLOAT).labels


# --- labels ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("y", "classes"),
    [
        (np.array([0, 1, 1]), None),
        (np.array([0.0, 1.0, 1.0]), None),
        (np.array([False, True, True]), None),
        (np.array([[0], [1], [1]]), None),
        (np.array([5, 7, 7]), [5, 7, 9]),
        (np.array(["5", "7", "7"]), [5, 7, 9]),
        (np.array([5, 7, 7]), ["5", "7", "9"]),
        (np.array([5.0, 7.0, 7.0]), ["5", "7", "9"]),
        (np.array(["cat", "dog", "dog"]), ["cat", "dog", "emu"]),
    ],
)
def test_targets_find_their_class(y, classes):
    assert class_indices(y, settle(PROBS, classes=classes)).tolist() == [0, 1, 1]


@pytest.mark.parametrize(
    ("y", "classes", "message"),
    [
        (
            np.array([0, 1, 3]),
            None,
            r"labels that m does not know: \[3\]; its classes are \[0, 1, 2\]. Declare classes",
        ),
        (np.array([0, 1, -1]), None, r"does not know: \[-1\]"),
        (np.array([0, 1, 0.5]), None, r"does not know: \[0.5\]"),
        (np.array(["cat", "dog", "gnu"]), ["cat", "dog", "emu"], r"does not know: \['gnu'\]; its classes are \['cat'"),
        (np.array([0, 1, 2]), ["cat", "dog", "emu"], r"does not know: \[0, 1, 2\]"),
        (np.zeros((3, 2)), None, r"class labels must be one number or text a row, got targets of shape \(3, 2\)"),
    ],
)
def test_unknown_labels_are_named(y, classes, message):
    with pytest.raises(InvalidInput, match=message):
        class_indices(y, settle(PROBS, classes=classes))


def test_labels_that_were_met_become_the_classes():
    found = settle(np.array([[3.0], [7.0], [3.0]]), np.array([7, 5, 3]))
    assert found.classes == (3, 5, 7)
    assert found.labels.tolist() == [0, 2, 0]
    assert found.found
    assert not settle(LABELS, INT, classes=[0, 1]).found
    assert class_indices(np.array([7, 5, 3]), found).tolist() == [2, 1, 0]


def test_label_outputs_of_named_classes_are_positions():
    found = settle(LABELS, TEXT, classes=["a", "b"])
    assert found.labels.tolist() == class_indices(TEXT, found).tolist() == [0, 1, 1]


def test_predict_keeps_the_order_of_rows():
    x = np.arange(10.0)[:, None]
    found = predict(as_model(lambda x: x[:, 0], task="regression", batch_size=3), as_data(x))
    np.testing.assert_array_equal(found.values[:, 0], x[:, 0])
