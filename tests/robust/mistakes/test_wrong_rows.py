import numpy as np
import pytest

from robust import InvalidInput, as_data, as_model
from robust.mistakes.wrong_rows import judge_rows

SCORES = as_model(lambda x: x, output="probabilities", task="classification")


def test_mistakes_come_by_falling_confidence_and_keep_their_order_among_equals():
    p = np.array([[0.6, 0.4], [0.9, 0.1], [0.1, 0.9], [0.6, 0.4]])
    judged = judge_rows(SCORES, (p, [1, 1, 1, 1]))
    assert judged.wrong.tolist() == [True, True, False, True]
    assert judged.mistakes().tolist() == [1, 0, 3]
    assert judged.sureness(np.array([1, 0])).tolist() == [0.9, 0.6]
    assert (judged.true_label(0), judged.predicted_label(0)) == ("1", "0")


def test_labels_alone_have_no_confidence():
    judged = judge_rows(lambda x: x[:, 0].astype(int), (np.array([[1.0], [0.0]]), [0, 0]))
    assert not judged.has_scores
    assert judged.mistakes().tolist() == [0]


def test_several_labels_a_row_are_wrong_where_one_is():
    model = as_model(lambda x: x, task="multilabel", output="probabilities", classes=("rain", "wind"))
    judged = judge_rows(model, (np.array([[0.9, 0.2], [0.9, 0.8], [0.1, 0.3]]), np.array([[1, 0], [1, 0], [0, 1]])))
    assert judged.wrong.tolist() == [False, True, True]
    # Row 1 is wrong about wind at 0.8, row 2 at 1 − 0.3.
    assert judged.mistakes().tolist() == [1, 2]
    np.testing.assert_allclose(judged.sureness(np.array([1, 2])), [0.8, 0.7])
    assert [judged.predicted_label(i) for i in (1, 2)] == ["rain + wind", "none"]
    with pytest.raises(InvalidInput, match="a neighbour needs one class a row"):
        judge_rows(model, (np.zeros((2, 2)), np.zeros((2, 2), int)), one_label="a neighbour")


def test_a_regression_model_has_no_wrong_rows():
    with pytest.raises(InvalidInput, match="neither right nor wrong"):
        judge_rows(as_model(lambda x: x[:, 0], task="regression"), as_data(np.ones((3, 1)), [0.5, 1.5, 2.5]))
