"""What outputs mean, told by what was declared, by their values and by the targets; and labels of every kind."""

import numpy as np
import pytest
from scipy.special import softmax

from robust.data.live import as_data
from robust.errors import InvalidInput
from robust.models.conversion import as_model
from robust.predicting.predictions import class_indices, interpret, label_matrix, predict

PROBS = np.array([[0.7, 0.2, 0.1], [0.1, 0.8, 0.1], [0.3, 0.3, 0.4]])
LOGITS = np.array([[2.0, -1.0, 0.0], [0.5, 3.0, 1.0], [-4.0, -2.0, -1.0]])
HALF = np.array([[0.2], [0.9], [0.5]])
LABELS = np.array([[0.0], [1.0], [1.0]])
VALUES = np.array([[0.3], [1.7], [-2.0]])
SIGMOIDS = np.array([[0.9, 0.8, 0.1], [0.2, 0.4, 0.3], [0.6, 0.1, 0.5]])
ONE_HOT, SEVERAL = np.eye(3, dtype=int), np.array([[1, 1, 0], [0, 0, 0], [1, 0, 1]])
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
        # One-hot targets.
        (PROBS, ONE_HOT, {}, "classification", "probabilities"),
        (PROBS, ONE_HOT.astype(bool), {}, "classification", "probabilities"),
        (PROBS, ONE_HOT.astype(float), {}, "classification", "probabilities"),
        (LOGITS, ONE_HOT, {"task": "classification"}, "classification", "logits"),
        (LOGITS, ONE_HOT, {"output": "logits"}, "classification", "logits"),
        (LABELS, ONE_HOT, {}, "classification", "labels"),
        (PROBS, ONE_HOT, {"task": "regression"}, "regression", "values"),
        (PROBS, np.array([[0.5, 0.2, 0.3], [0.1, 0.8, 0.1], [0.0, 0.0, 1.0]]), {}, "regression", "values"),
        # Several labels a row.
        (SIGMOIDS, SEVERAL, {}, "multilabel", "probabilities"),
        (SIGMOIDS, SEVERAL.astype(float), {}, "multilabel", "probabilities"),
        (SIGMOIDS, ONE_HOT, {"task": "multilabel"}, "multilabel", "probabilities"),
        (SIGMOIDS, None, {"task": "multilabel"}, "multilabel", "probabilities"),
        (PROBS, SEVERAL, {"task": "multilabel"}, "multilabel", "probabilities"),
        (LOGITS, SEVERAL, {"task": "multilabel"}, "multilabel", "logits"),
        (SIGMOIDS, SEVERAL, {"task": "multilabel", "output": "logits"}, "multilabel", "logits"),
        (np.round(SIGMOIDS), SEVERAL, {}, "multilabel", "labels"),
        (np.round(SIGMOIDS), SEVERAL, {"task": "multilabel", "output": "probabilities"}, "multilabel", "probabilities"),
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
        (
            LOGITS,
            ONE_HOT,
            {},
            r"3 numbers a row .*\"classification\" \(targets one-hot\), \"multilabel\" or \"regression\"",
        ),
        (SIGMOIDS, ONE_HOT, {}, r'3 numbers a row .*"multilabel"'),  # each row may happen to have one label
        (PROBS, SEVERAL, {}, r'3 numbers a row .*"multilabel"'),  # a softmax beside several labels
        (LOGITS, SEVERAL, {}, r'3 numbers a row .*"multilabel"'),
        (SIGMOIDS, INT, {}, r'miss a sum of 1 by up to 0.8: say output=.*or task="multilabel" if each is a label'),
        (SIGMOIDS, INT, {"output": "probabilities"}, r"sum of 1 by up to 0.8 .*\(worst at position 0, sum 1.8\)"),
        (LOGITS, SEVERAL, {"task": "multilabel", "output": "probabilities"}, r"range 0 … 1 by up to 4; declare output"),
        (
            SIGMOIDS,
            SEVERAL,
            {"task": "multilabel", "output": "values"},
            "a multilabel model has output 'probabilities'",
        ),
        (SIGMOIDS, SEVERAL, {"task": "multilabel", "classes": ["a", "b"]}, "m has 3 outputs, but classes names 2"),
        (HALF, INT, {"task": "multilabel"}, "one number a row: a single label is a class of two"),
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


def test_a_quantized_softmax_is_brought_to_a_sum_of_1_for_proper_scores_alone():
    coarse = np.round(softmax(LOGITS, axis=1) * 40) / 40
    assert (coarse.sum(axis=1) * 40).tolist() == pytest.approx([41, 40, 39])
    found = settle(coarse, output="probabilities")
    assert found.gap == pytest.approx(0.025)
    np.testing.assert_allclose(found.distribution.sum(axis=1), 1)
    np.testing.assert_allclose(found.distribution, coarse / coarse.sum(axis=1, keepdims=True))
    np.testing.assert_array_equal(found.probabilities, coarse)
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
        (np.zeros((3, 2)), None, r"one-hot with a column for each of the 3 classes \[0, 1, 2\] of m; got .*\(3, 2\)"),
        (np.zeros((3, 2, 2)), None, r"class labels must be one number or text a row, got targets of shape"),
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


# --- one-hot targets and several labels ------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [int, float, bool, np.uint8])
def test_one_hot_rows_are_their_class(dtype):
    targets = np.eye(3)[[2, 0, 1]].astype(dtype)
    assert class_indices(targets, settle(PROBS)).tolist() == [2, 0, 1]


def test_one_hot_rows_of_two_classes_suit_a_single_output():
    found = settle(HALF, np.array([[1, 0], [0, 1], [0, 1]]), output="probabilities")
    assert class_indices(np.array([[1, 0], [0, 1], [0, 1]]), found).tolist() == [0, 1, 1]


def test_label_outputs_beside_one_hot_targets():
    found = settle(np.array([[0.0], [2.0], [2.0]]), ONE_HOT)
    assert found.classes == (0, 1, 2)
    assert found.labels.tolist() == [0, 2, 2]
    with pytest.raises(InvalidInput, match=r"predicts labels \[4\] that are not among its classes \[0, 1, 2\]"):
        settle(np.array([[4.0], [0.0], [1.0]]), ONE_HOT)


@pytest.mark.parametrize(
    ("targets", "message"),
    [
        (SEVERAL, r'the row at position 0 has 2 \(3 such rows of 3\): say task="multilabel"'),
        (np.array([[1, 0, 0], [0, 0, 0], [0, 0, 1]]), r"the row at position 1 has 0 \(1 such rows of 3\)"),
        (np.array([[1, 0, 0], [0, 1, 0], [0, 0.5, 0.5]]), "position 2 has 0.5 in column 1: give labels"),
        (np.array([[1, 0, 0], [0, 2, 0], [0, 0, 1]]), "position 1 has 2 in column 1"),
        (np.array([[1, 0, 0], [0, 1, 0], [0, -1, 1]]), "position 2 has -1 in column 1"),
        (np.array([["a", "b", "c"]] * 3), "these are of type <U1"),
    ],
)
def test_rows_that_are_not_one_hot_are_named(targets, message):
    with pytest.raises(InvalidInput, match=message):
        class_indices(targets, settle(PROBS))


def test_several_labels():
    found = settle(SIGMOIDS, SEVERAL)
    assert found.labels.tolist() == [[1, 1, 0], [0, 0, 0], [1, 0, 1]]  # 0.5 counts
    np.testing.assert_array_equal(found.probabilities, SIGMOIDS)  # no sum is forced on them
    np.testing.assert_array_equal(label_matrix(SEVERAL.astype(float), found), SEVERAL)
    raw = settle(LOGITS, SEVERAL, task="multilabel")
    np.testing.assert_allclose(raw.probabilities, 1 / (1 + np.exp(-LOGITS)))
    assert raw.labels.tolist() == (LOGITS >= 0).astype(int).tolist()
    far = settle(np.array([[1000.0, -1000.0]]), task="multilabel", output="logits")
    assert far.probabilities.tolist() == [[1.0, 0.0]]


def test_a_logit_below_0_is_not_rounded_up():
    tiny = -1e-20
    found = settle(np.array([[tiny, 0.0]]), task="multilabel", output="logits")
    assert found.probabilities[0, 0] == 0.5
    assert found.labels.tolist() == [[0, 1]]


@pytest.mark.parametrize(
    ("targets", "message"),
    [
        (
            INT,
            r"targets of a multi-label model got shape \(3,\); \(n, 3\), a column of 0 and 1 for each of \[0, 1, 2\]",
        ),
        (SEVERAL[:, :2], r"got shape \(3, 2\).*task=\"classification\""),
        (SEVERAL * 2, "position 0 has 2 in column 0"),
        (SEVERAL - 0.25, "position 0 has 0.75 in column 0"),
    ],
)
def test_targets_that_are_no_label_matrix_are_refused(targets, message):
    with pytest.raises(InvalidInput, match=message):
        label_matrix(targets, settle(SIGMOIDS, SEVERAL))


def test_what_several_labels_do_not_have_is_refused():
    found = settle(SIGMOIDS, SEVERAL)
    with pytest.raises(InvalidInput, match="m is a multilabel model; a predicted number needs regression"):
        _ = found.values
    with pytest.raises(InvalidInput, match="m is a multilabel model; one class a row needs classification"):
        class_indices(SEVERAL, found)
    with pytest.raises(InvalidInput, match="gives labels only"):
        _ = settle(np.round(SIGMOIDS), SEVERAL).probabilities


def test_probabilities_in_range_are_not_copied():
    found = settle(softmax(LOGITS, axis=1))
    assert found.probabilities is found.outputs
    assert settle(SIGMOIDS, SEVERAL).probabilities.max() <= 1


@pytest.mark.parametrize(("output", "score"), [("probabilities", 0.5), ("logits", 0.0)])
def test_a_score_of_one_half_is_the_second_class_as_at_a_threshold(output, score):
    """The middle score of 8 bits is common on devices: the default decision and p ≥ 0.5 must not differ."""
    scores = score + np.array([-1e-9, 0.0, 1e-9])[:, None]
    found = interpret(as_model(lambda x: x, task="classification", output=output), scores, None)
    assert found.labels.tolist() == [0, 1, 1]
    np.testing.assert_array_equal(found.labels, found.probabilities[:, 1] >= 0.5)
    np.testing.assert_allclose(found.probabilities.sum(axis=1), 1.0, rtol=1e-15)
    # Two columns that share a score stay with the first, as in scikit-learn.
    assert interpret(as_model(lambda x: x, output="probabilities"), np.full((1, 2), 0.5), None).labels.tolist() == [0]


def test_default_f1_is_f1_at_one_half():
    from robust import accuracy, f1

    rng = np.random.default_rng(0)
    scores, y = rng.integers(0, 257, size=(300, 1)) / 256, rng.integers(0, 2, 300)
    scores[:40] = 0.5
    model = as_model(lambda x: x, task="classification", output="probabilities", classes=[0, 1])
    assert f1(model, (scores, y), label=1).value == f1(model, (scores, y), threshold=0.5).value
    assert accuracy(model, (scores, y)).value == np.mean((scores[:, 0] >= 0.5) == y)


@pytest.mark.parametrize("factor", [1.05, 1.09])
def test_numbers_close_to_probabilities_are_not_taken_for_logits(factor):
    p = np.random.default_rng(0).dirichlet([0.1, 0.1, 0.1], 200) * factor
    match = (
        f"numbers from .* miss a sum of 1 by up to 0.0{str(factor)[-1]} and the range 0 … 1 by up to 0.0.*: say output="
    )
    with pytest.raises(InvalidInput, match=match):
        interpret(as_model(lambda x: x), p, None)
    with pytest.raises(InvalidInput, match=r"3 numbers a row, .* miss the range 0 … 1 of probabilities by up to 0.0"):
        interpret(as_model(lambda x: x, task="multilabel"), p, None)
    assert interpret(as_model(lambda x: x, output="logits"), p, None).kind == "logits"
    assert interpret(as_model(lambda x: x), p * 5, None).kind == "logits"
    assert interpret(as_model(lambda x: x), p - 1, None).kind == "logits"
