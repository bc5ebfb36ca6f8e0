"""Every value against scikit-learn's on drawn cases: labels, one-hot, probabilities, logits, missing classes, ties."""

import warnings

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from robust.data.live import as_data
from robust.measures.all_classification import classification_metrics
from robust.measures.all_regression import regression_metrics
from robust.measures.class_table import classification_report_text
from robust.models.conversion import as_model

CASES = 200


@st.composite
def classified(draw):
    """Truth, outputs and what they are: coarse scores tie, some classes occur nowhere or are never predicted."""
    n, k = draw(st.integers(2, 30)), draw(st.integers(2, 5))
    present = draw(st.integers(1, k))
    y = np.array(draw(st.lists(st.integers(0, present - 1), min_size=n, max_size=n)))
    steps = draw(st.sampled_from([2, 5, 10_000]))  # few steps: many ties
    weights = np.array(draw(st.lists(st.integers(0, steps), min_size=n * k, max_size=n * k))).reshape(n, k)
    if draw(st.booleans()):
        return y, k, weights / steps * 8.0 - 4.0, "logits", draw(st.booleans())
    p = (weights + 1.0) / (weights + 1.0).sum(axis=1, keepdims=True)
    return y, k, p, "probabilities", draw(st.booleans())


def expected(y, k, p):
    """Scikit-learn's numbers, over all k classes where it can be told of them."""
    labels, ones = p.argmax(axis=1), np.eye(k)[y]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        macro = sk.precision_recall_fscore_support(y, labels, average="macro", zero_division=0)
        found = {
            "accuracy": sk.accuracy_score(y, labels),
            "precision": macro[0],
            "recall": macro[1],
            "f1": macro[2],
            "f1_weighted": sk.f1_score(y, labels, average="weighted", zero_division=0),
            "log_loss": sk.log_loss(y, p, labels=np.arange(k)),
            "brier": sk.brier_score_loss(y, p[:, 1] if k == 2 else p, labels=np.arange(k)),
        }
        if len(np.unique(y)) == k:
            score = p[:, 1] if k == 2 else p
            found["auc"] = sk.roc_auc_score(y, score, multi_class="ovr")
            found["average_precision"] = sk.average_precision_score(y if k == 2 else ones, score)
    return found


@settings(max_examples=CASES, deadline=None, derandomize=True)
@given(classified())
def test_classification(case):
    y, k, outputs, kind, one_hot = case
    model = as_model(lambda x: x, output=kind, task="classification", classes=list(range(k)))
    found = classification_metrics(model, as_data(outputs, np.eye(k)[y] if one_hot else y))
    p = outputs  # not normalised again: that would break ties in the last bit
    if kind == "logits":
        p = np.exp(outputs - outputs.max(axis=1, keepdims=True))
        p /= p.sum(axis=1, keepdims=True)
    wanted = expected(y, k, p)
    assert {m.name for m in found} == {*wanted, "calibration_error"}
    for name, value in wanted.items():
        assert found[name].value == pytest.approx(value, rel=1e-9, abs=1e-12), name
        assert found[name].lower <= value + 1e-9, name
        assert found[name].upper >= value - 1e-9, name
    absent = len(np.unique(y)) < k
    assert [name for name, _ in found.missing] == (["auc", "average_precision"] if absent else [])


@settings(max_examples=100, deadline=None, derandomize=True)
@given(classified(), st.integers(0, 4))
def test_the_report_is_scikit_learns_text(case, digits):
    y, k, outputs, kind, _ = case
    names = np.array(["a", "class b", "a much longer name than all", "d", "e"])[:k]
    # It sorts names; ours come in the model's order, which is made the same here.
    order = np.argsort(names)
    model = as_model(lambda x: x[:, order], output=kind, task="classification", classes=names[order].tolist())
    text = classification_report_text(model, as_data(outputs, names[y]), digits=digits)
    ranked = order[outputs[:, order].argmax(axis=1)]
    assume((ranked == y).any())  # without one, it prints the support as a float
    wanted = sk.classification_report(names[y], names[ranked], digits=digits, zero_division=0)
    assert text == wanted


@st.composite
def regressed(draw):
    """Targets and predictions of one or more outputs, never constant, never 0."""
    n, k = draw(st.integers(3, 25)), draw(st.integers(1, 3))
    numbers = st.integers(1, 50) | st.integers(-50, -1)
    y = np.array(draw(st.lists(numbers, min_size=n * k, max_size=n * k)), dtype=float).reshape(n, k)
    y[0] = y.max(axis=0) + 1.0 + (y.max(axis=0) == -1)
    errors = np.array(draw(st.lists(st.integers(-9, 9), min_size=n * k, max_size=n * k)), dtype=float)
    return y, y + errors.reshape(n, k) / 4.0


@settings(max_examples=CASES, deadline=None, derandomize=True)
@given(regressed())
def test_regression(case):
    y, values = case
    found = regression_metrics(as_model(lambda x: x, task="regression"), as_data(values, y))
    sizes = np.abs(y) + np.abs(values)
    wanted = {
        "mse": sk.mean_squared_error(y, values),
        "rmse": sk.root_mean_squared_error(y, values),
        "mae": sk.mean_absolute_error(y, values),
        "r2": sk.r2_score(y, values),
        "explained_variance": sk.explained_variance_score(y, values),
        "mape": sk.mean_absolute_percentage_error(y, values),
        "smape": (2 * np.abs(y - values) / sizes).mean(),
        "median_absolute_error": sk.median_absolute_error(y, values),
        "max_error": np.abs(y - values).max(),
    }
    assert {m.name for m in found} == set(wanted)
    for name, value in wanted.items():
        assert found[name].value == pytest.approx(value, rel=1e-9, abs=1e-12), name
