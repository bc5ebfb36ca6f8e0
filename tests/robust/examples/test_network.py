import numpy as np
import pytest
import skops.io
from sklearn.model_selection import KFold

from robust.examples.network import root_mean_square, tuned_network, write_model


@pytest.fixture(scope="module")
def rows():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(120, 2)) * (1.0, 50.0) + (0.0, 300.0)
    return x, 200 + 40 * np.abs(x[:, 0]) + 0.5 * x[:, 1] + rng.normal(scale=5, size=120)


@pytest.fixture(scope="module")
def folds():
    return KFold(3, shuffle=True, random_state=0)


@pytest.fixture(scope="module")
def fitted(rows, folds):
    return tuned_network(*rows, folds=folds)


def chosen_penalty(model):
    return model.regressor_.named_steps["mlpregressor"].alpha


def test_root_mean_square_by_hand():
    assert root_mean_square(np.array([3.0, -4.0, 0.0, 0.0])) == 2.5


def test_prediction_is_the_documented_formula(rows, fitted):
    x, y = rows
    perceptron = fitted.regressor_.named_steps["mlpregressor"]
    (w, v), (c, b) = perceptron.coefs_, perceptron.intercepts_
    hidden = np.maximum(0, c + (x - x.mean(axis=0)) / x.std(axis=0) @ w)
    np.testing.assert_allclose(fitted.predict(x), y.mean() + y.std() * (b + hidden @ v)[:, 0], rtol=1e-9)


def test_a_bend_is_learnt_that_no_line_follows(rows, fitted):
    x, y = rows
    design = np.column_stack([np.ones(len(x)), x])
    line = design @ np.linalg.lstsq(design, y, rcond=None)[0]
    assert root_mean_square(y - fitted.predict(x)) < 0.5 * root_mean_square(y - line)


def test_units_do_not_matter(rows, folds, fitted):
    x, y = rows
    other = tuned_network(x * (8.0, 0.125), y * 4.0, folds=folds)
    assert chosen_penalty(other) == chosen_penalty(fitted)
    np.testing.assert_allclose(other.predict(x * (8.0, 0.125)) / 4.0, fitted.predict(x), rtol=1e-3)


def test_noise_gets_a_heavier_penalty_than_a_signal(rows, folds, fitted):
    x, y = rows
    noise = np.random.default_rng(1).permutation(y)
    assert chosen_penalty(tuned_network(x, noise, folds=folds)) > chosen_penalty(fitted)


def test_written_model_needs_no_trust_and_predicts_the_same(rows, fitted, tmp_path):
    write_model(fitted, tmp_path / "model.skops")
    assert skops.io.get_untrusted_types(file=tmp_path / "model.skops") == []
    np.testing.assert_array_equal(skops.io.load(tmp_path / "model.skops").predict(rows[0]), fitted.predict(rows[0]))
