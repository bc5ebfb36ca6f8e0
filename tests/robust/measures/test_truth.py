"""One-hot targets and several labels through the public measures: scikit-learn's values."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from robust.data.live import as_data
from robust.errors import InvalidInput
from robust.measures.classification import accuracy, auc, f1, log_loss
from robust.measures.regression import rmse
from robust.measures.truth import score
from robust.metrics.catalogue import find_metric
from robust.models.conversion import as_model
from robust.predicting.predictions import predict


def several(n=120, k=4, seed=0, sharp=2.0):
    """Rows that hold the probability of each of k labels; every label is true of some rows and not of others."""
    rng = np.random.default_rng(seed)
    y = (rng.random((n, k)) < 0.4).astype(int)
    y[0], y[1] = 1, 0
    p = 1 / (1 + np.exp(-(rng.normal(size=(n, k)) + sharp * (2 * y - 1))))
    return p, y


def identity(**options):
    return as_model(lambda x: x, name="m", **options)


ORACLES = {
    accuracy: lambda y, p: sk.accuracy_score(y, p >= 0.5),
    f1: lambda y, p: sk.f1_score(y, p >= 0.5, average="macro", zero_division=0),
    log_loss: lambda y, p: np.mean([sk.log_loss(y[:, j], p[:, j], labels=[0, 1]) for j in range(y.shape[1])]),
    auc: lambda y, p: sk.roc_auc_score(y, p, average="macro"),
}


@pytest.mark.parametrize("measure", ORACLES)
@pytest.mark.parametrize("k", [2, 4])
def test_several_labels_are_scikit_learns(measure, k):
    p, y = several(k=k)
    found = measure(identity(), (p, y))
    assert found.value == pytest.approx(ORACLES[measure](y, p), rel=1e-9)
    assert found.lower < found.value < found.upper
    assert found.n == 120


@st.composite
def labelled(draw):
    n, k = draw(st.integers(4, 25)), draw(st.integers(2, 4))
    cells = st.lists(st.integers(0, 8), min_size=n * k, max_size=n * k)
    p = np.array(draw(cells)).reshape(n, k) / 8
    y = np.array(draw(st.lists(st.booleans(), min_size=n * k, max_size=n * k))).reshape(n, k).astype(int)
    y[0], y[1] = 1, 0
    return p, y


@settings(max_examples=40, deadline=None)
@given(labelled())
def test_drawn_cases_are_scikit_learns(case):
    p, y = case
    for measure, oracle in ORACLES.items():
        model = identity(task="multilabel", output="probabilities")
        assert measure(model, (p, y)).value == pytest.approx(oracle(y, p), rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("measure", ORACLES)
def test_logits_of_labels_tell_the_same(measure):
    p, y = several()
    logits = as_model(lambda x: np.log(x / (1 - x)), task="multilabel", output="logits")
    assert measure(logits, (p, y)).value == pytest.approx(measure(identity(), (p, y)).value, rel=1e-9)


def test_one_wrong_label_makes_a_row_wrong():
    p, y = np.array([[0.9, 0.1], [0.9, 0.9], [0.1, 0.2], [0.3, 0.6]]), np.array([[1, 0], [1, 0], [0, 0], [0, 1]])
    found = accuracy(identity(), (p, y))
    assert found.value == 0.75
    assert found.row_values.tolist() == [1, 0, 1, 1]


def test_a_model_that_swaps_two_labels_fails():
    p, y = several(n=400, sharp=4.0)
    swapped = as_model(lambda x: x[:, [1, 0, 2, 3]], name="swapped")
    assert (accuracy(identity(), (p, y)) > 0.8).status == "PASS"
    assert (accuracy(swapped, (p, y)) > 0.8).status == "FAIL"
    assert (f1(swapped, (p, y)) > 0.8).status == "FAIL"
    assert (auc(swapped, (p, y)) > 0.9).status == "FAIL"


@pytest.mark.parametrize("measure", [accuracy, f1, log_loss, auc])
@pytest.mark.parametrize("kind", ["probabilities", "logits"])
def test_one_hot_targets_are_labels(measure, kind):
    rng = np.random.default_rng(0)
    y = np.r_[np.arange(3), rng.integers(0, 3, 60)]
    logits = rng.normal(size=(63, 3)) + 2 * np.eye(3)[y]
    x = logits if kind == "logits" else np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    plain, coded = (measure(identity(output=kind), (x, targets)) for targets in (y, np.eye(3)[y]))
    assert (plain.value, plain.lower, plain.upper) == (coded.value, coded.lower, coded.upper)


def test_a_row_that_is_not_one_hot_is_named():
    p = np.full((3, 3), 1 / 3)
    with pytest.raises(InvalidInput, match=r"the row at position 1 has 2 \(1 such rows of 3\)"):
        accuracy(identity(output="probabilities"), (p, np.array([[1, 0, 0], [1, 1, 0], [0, 0, 1]])))


def test_a_regressor_of_one_column_has_no_accuracy():
    # As argmax over a single column it would be 1 whatever the model does.
    x = np.random.default_rng(0).normal(size=(50, 1))
    for targets in (x[:, 0] * 2 + 1, np.arange(50.0)):
        with pytest.raises(InvalidInput, match="accuracy is a classification metric; m is a regression model"):
            accuracy(identity(), (x, targets))
    with pytest.raises(InvalidInput, match="one number a row can be a label, a probability or a value"):
        accuracy(identity(), (x, np.arange(50)))


def test_outputs_with_axes_of_length_1_are_columns():
    p, y = several()
    padded = as_model(lambda x: x[:, None, None, :])
    assert accuracy(padded, (p, y)).value == accuracy(identity(), (p, y)).value


def test_metrics_of_other_tasks_are_refused():
    p, y = several()
    with pytest.raises(InvalidInput, match="rmse is a regression metric; m is a multilabel model"):
        rmse(identity(), (p, y))
    with pytest.raises(InvalidInput, match=r"targets of a multi-label model got shape \(120,\)"):
        accuracy(identity(task="multilabel"), (p, y[:, 0]))


@pytest.mark.parametrize("fill", [0, 1])
def test_auc_names_labels_without_both_kinds_of_rows(fill):
    p, y = several()
    y[:, 2] = fill
    with pytest.raises(InvalidInput, match=r"auc needs rows with and rows without each label; .* alike in \[2\]"):
        auc(identity(), (p, y))


def test_what_a_kernel_is_given():
    p, y = several(n=30)
    data = as_data(p, y)
    predictions = predict(identity(), data)
    scored = score(find_metric("accuracy"), predictions, data)
    assert scored.multilabel
    np.testing.assert_array_equal(scored.truth, y)
    np.testing.assert_array_equal(scored.prediction, p >= 0.5)
    np.testing.assert_array_equal(scored.right(), ((p >= 0.5) == y).all(axis=1))
    np.testing.assert_array_equal(score(find_metric("auc"), predictions, data).prediction, p)
