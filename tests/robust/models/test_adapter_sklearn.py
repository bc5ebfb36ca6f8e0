import numpy as np
import pandas
import pytest
from sklearn import linear_model, svm
from sklearn.datasets import load_iris
from sklearn.ensemble import RandomForestClassifier, VotingClassifier
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import (
    MaxAbsScaler,
    MinMaxScaler,
    OneHotEncoder,
    PolynomialFeatures,
    StandardScaler,
)

from robust.errors import InvalidInput
from robust.models.conversion import as_model

X, Y = load_iris(return_X_y=True)
TWO = Y > 0


def test_a_classifier_gives_probabilities_and_its_classes():
    names = np.array(["setosa", "versicolor", "virginica"])[Y]
    estimator = GaussianNB().fit(X, names)
    model = as_model(estimator)
    np.testing.assert_array_equal(model.forward(X), estimator.predict_proba(X))
    assert (model.name, model.framework, model.task, model.output) == (
        "GaussianNB",
        "sklearn",
        "classification",
        "probabilities",
    )
    assert model.classes == ("setosa", "versicolor", "virginica")
    assert as_model(estimator, classes=[1, 2, 3]).classes == (1, 2, 3)


def test_a_margin_becomes_two_logits():
    estimator = svm.LinearSVC().fit(X, TWO)
    outputs = as_model(estimator).forward(X)
    assert as_model(estimator).output == "logits"
    np.testing.assert_array_equal(outputs[:, 0], 0)
    np.testing.assert_array_equal(outputs.argmax(axis=1).astype(bool), estimator.predict(X))


def test_a_vote_becomes_probabilities_of_zero_and_one():
    estimator = VotingClassifier([("nb", GaussianNB())], voting="hard").fit(X, Y)
    model = as_model(estimator)
    assert model.output == "probabilities"
    np.testing.assert_array_equal(model.forward(X).sum(axis=1), 1)
    np.testing.assert_array_equal(model.forward(X).argmax(axis=1), estimator.predict(X))


def test_output_chooses_the_method():
    estimator = linear_model.LogisticRegression(max_iter=1000).fit(X, Y)
    np.testing.assert_array_equal(as_model(estimator, output="logits").forward(X), estimator.decision_function(X))
    with pytest.raises(InvalidInput, match=r"are probabilities, not logits: .*as_model\(estimator, output='logits'\)"):
        as_model(as_model(estimator), output="logits")
    with pytest.raises(InvalidInput, match="GaussianNB gives no logits; it gives probabilities"):
        as_model(GaussianNB().fit(X, Y), output="logits")
    with pytest.raises(InvalidInput, match="Ridge is a regressor, and cannot be used for classification"):
        as_model(linear_model.Ridge().fit(X, Y), output="logits")
    with pytest.raises(InvalidInput, match="GaussianNB gives no values"):
        as_model(GaussianNB().fit(X, Y), output="values")


def test_a_regressor_gives_values():
    estimator = linear_model.Ridge().fit(X, Y)
    model = as_model(estimator)
    np.testing.assert_array_equal(model.forward(X), estimator.predict(X))
    assert (model.task, model.output, model.classes) == ("regression", "values", None)


def test_a_pipeline_on_a_table_names_its_columns():
    table = pandas.DataFrame(X, columns=["a", "b", "c", "d"])
    from sklearn.compose import ColumnTransformer

    encode = ColumnTransformer(
        [("n", StandardScaler(), ["a", "b"]), ("c", OneHotEncoder(handle_unknown="ignore"), ["c"])]
    )
    estimator = make_pipeline(encode, linear_model.LogisticRegression()).fit(table, Y)
    model = as_model(estimator)
    assert model.columns == ("a", "b", "c", "d")
    assert model.name == "Pipeline(LogisticRegression)"
    assert model.gradients is None
    np.testing.assert_array_equal(model.forward(table), estimator.predict_proba(table))


@pytest.mark.parametrize(
    ("thing", "options", "message"),
    [
        (linear_model.Ridge(), {}, "Ridge is not fitted: call fit"),
        (make_pipeline(StandardScaler(), linear_model.Ridge()), {}, r"Pipeline\(Ridge\) is not fitted"),
        (StandardScaler().fit(X), {}, "StandardScaler cannot predict"),
        (
            GaussianNB().fit(X, Y),
            {"task": "regression"},
            "is a classifier, and cannot be used for regression",
        ),
        (
            linear_model.Ridge().fit(X, Y),
            {"classes": [0, 1]},
            "is a regressor, and cannot be used for classification",
        ),
        (GaussianNB().fit(X, Y), {"classes": [0, 1]}, r"fitted on 3 classes \[0, 1, 2\], got 2: \[0, 1\]"),
        (
            GaussianNB().fit(X, Y),
            {"classes": [2, 1, 0]},
            r"on the classes \[0, 1, 2\], which is the order of its outputs",
        ),
        (GaussianNB().fit(X, Y), {"classes": ["1", "0", "2"]}, r"leave classes out"),
        (as_model(GaussianNB().fit(X, Y)), {"classes": [2, 1, 0]}, r"GaussianNB was fitted on the classes \[0, 1, 2\]"),
        (KNeighborsClassifier().fit(X, np.stack([Y, Y], 1)), {}, r"output 0 has the classes \[0, 1, 2\]"),
    ],
)
def test_what_cannot_be_judged_is_named(thing, options, message):
    with pytest.raises(InvalidInput, match=message):
        as_model(thing, **options)


def test_what_the_estimator_raises_passes_through():
    with pytest.raises(ValueError, match="X has 3 features, but Ridge is expecting 4"):
        as_model(linear_model.Ridge().fit(X, Y)).forward(X[:, :3])


LINEAR = [
    (linear_model.LogisticRegression(max_iter=1000), Y, None),
    (linear_model.LogisticRegression(max_iter=1000), TWO, None),
    (linear_model.LogisticRegression(max_iter=1000), Y, "logits"),
    (linear_model.LogisticRegression(max_iter=1000), TWO, "logits"),
    (linear_model.SGDClassifier(random_state=0), Y, None),
    (linear_model.SGDClassifier(random_state=0, loss="log_loss"), TWO, None),
    (linear_model.RidgeClassifier(), TWO, None),
    (svm.LinearSVC(), Y, None),
    (linear_model.LinearRegression(), Y, None),
    (linear_model.LinearRegression(), np.stack([Y, TWO], 1), None),
    (linear_model.Ridge(), Y, None),
    (linear_model.Lasso(alpha=0.01), Y, None),
    (linear_model.ElasticNet(alpha=0.01), Y, None),
    (linear_model.LinearRegression(fit_intercept=False), Y, None),
]
FEW = {"max_iter": 20, "random_state": 0}
PERCEPTRONS = [
    (MLPClassifier((6,), activation="tanh", **FEW), Y, None),
    (MLPClassifier((6, 5), activation="relu", **FEW), TWO, None),
    (MLPClassifier((6,), activation="logistic", **FEW), TWO, None),
    (MLPClassifier((), activation="identity", **FEW), Y, None),
    (MLPRegressor(hidden_layer_sizes=(6, 5), activation="relu", **FEW), Y, None),
    (MLPRegressor(hidden_layer_sizes=(6,), activation="tanh", **FEW), np.stack([Y, TWO], 1), None),
]
SCALERS = [
    [],
    [StandardScaler()],
    [StandardScaler(with_mean=False)],
    [StandardScaler(with_std=False)],
    [MinMaxScaler((-1, 2))],
    [MaxAbsScaler()],
    [MinMaxScaler(), StandardScaler(), "passthrough", MaxAbsScaler()],
]


@pytest.mark.parametrize(
    "scalers", SCALERS, ids=lambda steps: "-".join(type(step).__name__ for step in steps) or "bare"
)
@pytest.mark.parametrize(
    ("estimator", "target", "output"), [*LINEAR, *PERCEPTRONS], ids=lambda value: str(value)[:30].replace("\n", "")
)
@pytest.mark.filterwarnings("ignore:Stochastic Optimizer")
def test_closed_form_equals_the_estimator_and_central_differences(scalers, estimator, target, output):
    model = as_model(make_pipeline(*scalers, estimator).fit(X, target), output=output)
    rows = X[::10]
    outputs, gradient = model.gradients(rows, np.cos)
    forward = model.forward(rows)
    np.testing.assert_allclose(outputs, forward.reshape(len(rows), -1), atol=1e-12)
    h = 1e-6
    for j in range(4):
        step = np.zeros(4)
        step[j] = h
        higher, lower = (
            np.sin(model.forward(rows + sign * step).reshape(len(rows), -1)).sum(axis=1) for sign in (1, -1)
        )
        np.testing.assert_allclose(gradient[:, j], (higher - lower) / (2 * h), atol=1e-6)


@pytest.mark.filterwarnings("ignore:Stochastic Optimizer")
def test_a_perceptron_of_single_precision_has_gradients_and_one_with_another_output_none():
    single = MLPClassifier((6,), **FEW).fit(X.astype(np.float32), Y)
    assert single.coefs_[0].dtype == np.float32
    model = as_model(single)
    np.testing.assert_allclose(model.gradients(X, np.cos)[0], model.forward(X), atol=1e-6)
    single.coefs_[0][0, 0] = np.nan
    assert as_model(single).gradients is None
    several = np.stack([TWO, 1 - TWO, TWO], 1)
    assert as_model(MLPClassifier((6,), **FEW).fit(X, several)).gradients is None


def test_gradient_of_a_regression_is_its_coefficients():
    estimator = linear_model.Ridge().fit(X, Y)
    outputs, gradient = as_model(estimator).gradients(X[:3], np.ones_like)
    assert outputs.shape == (3, 1)
    np.testing.assert_allclose(gradient, np.tile(estimator.coef_, (3, 1)))


def test_a_model_fitted_on_a_table_has_gradients_on_arrays():
    table = pandas.DataFrame(X, columns=["a", "b", "c", "d"])
    model = as_model(make_pipeline(StandardScaler(), linear_model.Ridge()).fit(table, Y))
    np.testing.assert_allclose(model.gradients(X, np.ones_like)[0][:, 0], model.forward(table))


class Squared(linear_model.LinearRegression):
    """A deliberately misleading subclass: coefficients that do not say what it predicts."""

    def predict(self, X):
        return super().predict(X) ** 2


@pytest.mark.parametrize(
    "estimator",
    [
        Squared(),
        RandomForestClassifier(2),
        linear_model.PoissonRegressor(),
        linear_model.SGDClassifier(loss="log_loss"),
        linear_model.SGDClassifier(loss="modified_huber"),
        make_pipeline(PolynomialFeatures(), linear_model.Ridge()),
        make_pipeline(MinMaxScaler(clip=True), linear_model.Ridge()),
        Pipeline([("only", svm.SVC())]),
    ],
    ids=lambda estimator: type(estimator).__name__,
)
def test_other_models_have_no_closed_form(estimator):
    assert as_model(estimator.fit(X, Y)).gradients is None


@pytest.mark.parametrize("algorithm", ["kd_tree", "ball_tree", "brute"])
def test_predictions_do_not_change_the_identity_of_nearest_neighbours(algorithm):
    """Their trees count the calls."""
    model = as_model(KNeighborsClassifier(algorithm=algorithm).fit(X, Y))
    before = model.identity()
    model.forward(X)
    assert model.identity() == before is not None
    assert as_model(KNeighborsClassifier(algorithm=algorithm).fit(X + 1, Y)).identity() != before


def test_a_model_that_is_changed_after_it_was_wrapped_has_another_identity():
    estimator = linear_model.Ridge().fit(X, Y)
    model = as_model(estimator)
    before = model.identity()
    assert model.identity() == before
    estimator.coef_[0] = np.nextafter(estimator.coef_[0], 9)
    assert model.identity() != before
    assert (
        as_model(linear_model.LogisticRegression().fit(X, TWO), output="logits").identity()
        != as_model(linear_model.LogisticRegression().fit(X, TWO)).identity()
    )
