import warnings

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer, load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, QuantileTransformer, StandardScaler
from sklearn.svm import SVC, LinearSVC

from robust.certified.accuracy_proved import certified_accuracy
from robust.certified.unsupported import Unsupported
from robust.data.live import as_data


@pytest.fixture(scope="module")
def cancer():
    x, y = load_breast_cancer(return_X_y=True)
    return StandardScaler().fit_transform(x), y


@pytest.mark.parametrize("norm", ["linf", "l2", "l1"])
@pytest.mark.parametrize("kind", [LogisticRegression, LinearSVC])
def test_linear_models_in_closed_form(cancer, kind, norm):
    x, y = cancer
    model = kind(random_state=0).fit(x, y)
    order = {"linf": 1, "l2": 2, "l1": np.inf}[norm]
    distance = (2 * y - 1) * model.decision_function(x) / np.linalg.norm(model.coef_[0], ord=order)
    for eps in (0.05, 0.3):
        found = certified_accuracy(model, as_data(x, y), eps=eps, norm=norm)
        np.testing.assert_array_equal(found.row_values, distance > eps)


def test_linear_models_of_several_classes_behind_a_scaler():
    x, y = load_iris(return_X_y=True)
    model = make_pipeline(MinMaxScaler(), LogisticRegression(C=10)).fit(x, y)
    weights = model[-1].coef_ * model[0].scale_
    scores = model.decision_function(x)
    rows = np.arange(len(x))
    gaps = np.stack(
        [
            np.where(
                y == j,
                np.inf,
                (scores[rows, y] - scores[:, j]) / np.maximum(np.abs(weights[y] - weights[j]).sum(axis=1), 1e-9),
            )
            for j in range(3)
        ]
    ).min(axis=0)
    found = certified_accuracy(model, as_data(x, y), eps=0.2)
    np.testing.assert_array_equal(found.row_values, gaps > 0.2)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("scaled", [False, True])
def test_perceptrons_hold_what_is_proved(cancer, dtype, scaled):
    x, y = cancer
    x = x.astype(dtype)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        net = MLPClassifier((16, 8), max_iter=60, random_state=0)
        model = (make_pipeline(StandardScaler(), net) if scaled else net).fit(x, y)
    rng = np.random.default_rng(0)
    for norm, eps in (("linf", 0.1), ("l2", 0.5), ("l1", 1.0)):
        found = certified_accuracy(model, as_data(x, y), eps=eps, norm=norm)
        proved = found.row_values > 0
        assert 0.3 < proved.mean() < 1.0
        for _ in range(30):
            u = rng.normal(size=x.shape)
            if norm == "linf":
                u = np.sign(u)
            else:
                u /= np.linalg.norm(u, ord=2 if norm == "l2" else 1, axis=1, keepdims=True)
            assert (model.predict((x + 0.999 * eps * u).astype(dtype)) == y)[proved].all()
        assert found.value >= certified_accuracy(model, as_data(x, y), eps=eps, norm=norm, method="interval").value


@pytest.mark.parametrize(
    ("model", "told"),
    [
        (MLPClassifier(activation="tanh", max_iter=5), r"MLPClassifier\(activation='tanh'\)"),
        (make_pipeline(QuantileTransformer(n_quantiles=10), MLPClassifier(max_iter=5)), "the step QuantileTransformer"),
        (SVC(), "SVC has no bounds"),
    ],
)
def test_what_has_no_bounds_is_named(cancer, model, told):
    x, y = cancer
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.fit(x, y)
    with pytest.raises(Unsupported, match=told):
        certified_accuracy(model, as_data(x, y), eps=0.1)
