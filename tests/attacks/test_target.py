import numpy as np
import pytest

from robust.attacks.target import aim
from robust.data.live import as_data
from robust.errors import InvalidInput
from robust.models.conversion import as_model
from robust.predicting.metering import metered


def test_a_single_score_becomes_two_columns():
    x, y = np.array([[0.2], [-0.4]]), [1, 0]
    logit = aim(as_model(lambda x: x, output="logits"), as_data(x, y))
    assert logit.scores(x).tolist() == [[0, 0.2], [0, -0.4]]
    share = aim(as_model(lambda x: x + 0.5, output="probabilities"), as_data(x, y))
    assert share.scores(x) == pytest.approx(np.array([[0.3, 0.7], [0.9, 0.1]]))
    assert not share.wrong(share.scores(x), slice(None)).any()


def test_labels_become_votes_and_strange_ones_are_wrong():
    x = np.array([[3.0], [5.0], [5.0]])
    target = aim(as_model(lambda x: x[:, 0].astype(int), task="classification"), as_data(x, [3, 5, 3]))
    scores = target.scores(np.array([[3.0], [5.0], [4.0]]))
    assert scores.tolist() == [[1, 0, 0], [0, 1, 0], [0, 0, 1]]
    assert target.wrong(scores, slice(None)).tolist() == [False, False, True]


def test_rows_without_a_cross_entropy_gradient_are_asked_for_the_margin(linear):
    # The model's gradient is lost for cotangents of more than two classes: only the margin's gets through.
    model = linear(np.diag([1.0, 1.0, 1.0]))
    inner = model.gradients

    def picky(x, cotangent):
        outputs, gradient = inner(x, cotangent)
        whole = np.all(np.isin(cotangent(outputs), (-1, 0, 1)), axis=1)
        return outputs, gradient * whole[:, None]

    picky_model = type(model)(
        name="picky", framework="callable", forward=model.forward, output="logits", gradients=picky
    )
    target = aim(picky_model, as_data(np.array([[3.0, 1.0, 0.0]]), [0]))
    with metered() as meter:
        assert target.gradient(target.x, slice(None))[1].tolist() == [[-1, 1, 0]]
    assert meter.backward_rows == 2


def test_gradients_that_are_no_numbers_point_nowhere(linear):
    model = linear([[0.0], [1.0]])
    broken = type(model)(
        name="broken",
        framework="callable",
        forward=model.forward,
        output="logits",
        gradients=lambda x, cotangent: (model.forward(x), np.full(x.shape, np.nan)),
    )
    target = aim(broken, as_data(np.array([[1.0]]), [1]))
    assert target.gradient(target.x, slice(None))[1].tolist() == [[0.0]]


def test_rows_outside_their_bounds_are_refused(linear):
    data = as_data(np.array([[0.5]]), [1], schema={"bounds": (0, 1)})
    outside = data.with_x(np.array([[1.5]]))
    with pytest.raises(InvalidInput, match=r"breaks its schema.*above its bound"):
        aim(linear([[0.0], [1.0]]), outside)


def test_regression_is_refused():
    with pytest.raises(InvalidInput, match=r"needs a classifier, f is a regression model.*flip_rate"):
        aim(as_model(lambda x: x[:, 0], task="regression", name="f"), as_data(np.ones((2, 1)), [0.5, 1.0]))
