"""Residuals of each kind of model, by hand."""

import numpy as np
import pytest

from robust.data.live import as_data
from robust.errors import InvalidInput
from robust.models.conversion import as_model
from robust.predicting.predictions import predict
from robust.residuals.residual_rows import pearson_residuals, residual_rows


def residuals(model, x, y):
    data = as_data(x, y)
    return residual_rows(predict(model, data), data)


def first_columns(k):
    return lambda x: x[:, :k]


def test_regression_is_target_minus_prediction():
    model = as_model(lambda x: x[:, 0], task="regression")
    found = residuals(model, [[1.0], [2.0]], [3.0, 1.0])
    assert found.values.tolist() == [2.0, -1.0]


def test_two_classes_have_the_pearson_residual_of_the_second():
    model = as_model(first_columns(2), output="probabilities")
    found = residuals(model, [[0.2, 0.8], [0.9, 0.1], [0.5, 0.5]], [1, 1, 0])
    np.testing.assert_allclose(found.values, [0.5, 3.0, -1.0])
    assert "class 1" in found.kind


def test_more_classes_have_the_pearson_residual_of_being_right():
    model = as_model(first_columns(3), output="probabilities")
    found = residuals(model, [[0.8, 0.1, 0.1], [0.1, 0.8, 0.1]], [0, 2])
    np.testing.assert_allclose(found.values, [0.5, -2.0])


def test_true_probabilities_give_mean_zero_and_variance_one():
    rng = np.random.default_rng(0)
    p = rng.uniform(0.05, 0.95, 50_000)
    e = pearson_residuals(rng.random(50_000) < p, p)
    assert e.mean() == pytest.approx(0, abs=0.02)
    assert e.var() == pytest.approx(1, abs=0.03)


def test_swapping_the_two_classes_changes_the_sign_alone():
    p, y = np.array([0.3, 0.7, 0.9]), np.array([True, False, True])
    np.testing.assert_allclose(pearson_residuals(y, p), -pearson_residuals(~y, 1 - p))


def test_confident_mistakes_are_cut_and_counted():
    model = as_model(first_columns(2), output="probabilities")
    found = residuals(model, [[1.0, 0.0], [0.0, 1.0], [0.5, 0.5]], [1, 1, 1])
    assert found.values.tolist() == [10.0, 0.0, 1.0]
    assert any("cut" in fact.name and fact.value == 1 for fact in found.facts)


def test_labels_alone():
    two = as_model(lambda x: x[:, 0].astype(int), task="classification", classes=[0, 1])
    assert residuals(two, [[0.0], [1.0], [1.0]], [1, 0, 1]).values.tolist() == [1.0, -1.0, 0.0]
    three = as_model(lambda x: x[:, 0].astype(int), task="classification", classes=[0, 1, 2])
    assert residuals(three, [[0.0], [1.0], [2.0]], [0, 2, 2]).values.tolist() == [0.0, 1.0, 0.0]


def test_differing_counts_rows_away_from_the_commonest():
    three = as_model(lambda x: x[:, 0].astype(int), task="classification", classes=[0, 1, 2])
    assert residuals(three, [[0.0], [1.0], [2.0]], [0, 2, 2]).differing == 1


@pytest.mark.parametrize(
    ("model", "y", "match"),
    [
        (as_model(lambda x: x[:, 0], task="regression"), [1.0, 2.0], "residuals that do not vary"),
        (as_model(lambda x: x, task="regression"), [[1.0, 0.0], [2.0, 1.0]], "one target at a time"),
        (as_model(lambda x: x[:, 0], task="regression"), ["a", "b"], "need numbers as targets"),
    ],
)
def test_errors(model, y, match):
    with pytest.raises(InvalidInput, match=match):
        residuals(model, [[1.0, 0.0], [2.0, 1.0]], y)
