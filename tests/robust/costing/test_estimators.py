"""Counts of scikit-learn estimators by hand."""

import numpy as np
import pytest
from sklearn import discriminant_analysis, ensemble, linear_model, neighbors, svm, tree
from sklearn.compose import TransformedTargetRegressor
from sklearn.decomposition import PCA, TruncatedSVD
from sklearn.impute import SimpleImputer
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, PolynomialFeatures, StandardScaler

from robust.costing.estimators import count_estimator

GENERATOR = np.random.default_rng(0)
X = GENERATOR.normal(size=(90, 6))
Y = np.arange(90) % 3
TWO = np.arange(90) % 2


def macc(tally):
    return sum(layer.macc or 0 for layer in tally.layers)


LINEAR = {
    "least squares": (linear_model.LinearRegression(), TWO, 6, 7),
    "ridge without intercept": (linear_model.Ridge(fit_intercept=False), TWO, 6, 7),
    "several targets": (linear_model.LinearRegression(), np.stack([TWO, Y], 1), 12, 14),
    "logistic, two classes": (linear_model.LogisticRegression(), TWO, 6, 7),
    "logistic, three classes": (linear_model.LogisticRegression(), Y, 18, 21),
    "support vectors in closed form": (svm.LinearSVC(), Y, 18, 21),
    "discriminant": (discriminant_analysis.LinearDiscriminantAnalysis(), Y, 18, 21),
}


@pytest.mark.parametrize(("estimator", "y", "products", "parameters"), LINEAR.values(), ids=LINEAR)
def test_linear_models(estimator, y, products, parameters):
    tally = count_estimator(estimator.fit(X, y))
    stored = 8 * parameters
    assert (macc(tally), tally.parameters, tally.rom, tally.uncounted) == (products, parameters, stored, ())


@pytest.mark.filterwarnings("ignore:.*Maximum iterations")
@pytest.mark.parametrize("kind", [MLPClassifier, MLPRegressor])
def test_perceptrons_by_hand(kind):
    tally = count_estimator(kind(hidden_layer_sizes=(16, 4), max_iter=2).fit(X, TWO))
    assert [layer.macc for layer in tally.layers] == [96, 64, 4]
    assert (tally.parameters, tally.rom) == (112 + 68 + 5, 8 * 185)
    # At the fullest layer 6 numbers come in and 16 go out, or 16 and 4: 22 of 8 bytes.
    assert (tally.ram.bytes, tally.ram.at) == (8 * 22, tally.layers[0].name)


@pytest.mark.filterwarnings("ignore:.*Maximum iterations")
def test_single_precision_is_kept():
    small = count_estimator(
        MLPRegressor(hidden_layer_sizes=(16,), max_iter=2).fit(X.astype(np.float32), TWO.astype(np.float32))
    )
    large = count_estimator(MLPRegressor(hidden_layer_sizes=(16,), max_iter=2).fit(X, TWO))
    assert (2 * small.rom, 2 * small.ram.bytes, macc(small)) == (large.rom, large.ram.bytes, macc(large))


@pytest.mark.filterwarnings("ignore:.*Maximum iterations")
def test_a_pipeline_by_hand():
    model = make_pipeline(
        SimpleImputer(), StandardScaler(), PCA(3), "passthrough", MLPClassifier(hidden_layer_sizes=(5,), max_iter=2)
    )
    tally = count_estimator(model.fit(X, Y))
    assert [(layer.name, layer.macc) for layer in tally.layers] == [
        ("simpleimputer", 0),
        ("standardscaler", 0),
        ("pca", 18),
        ("mlpclassifier.0", 15),
        ("mlpclassifier.1", 15),
    ]
    assert tally.parameters == 18 + 20 + 18
    # 56 weights; 6 fill-ins, 6 means and scales of the scaler, 6 means of the projection.
    assert tally.rom == 8 * (56 + 6 + 12 + 6)
    assert [layer.output for layer in tally.layers] == [48, 48, 24, 40, 24]
    assert sum(layer.rom for layer in tally.layers) == tally.rom


def test_more_features_from_few():
    tally = count_estimator(make_pipeline(PolynomialFeatures(2), linear_model.Ridge()).fit(X, TWO))
    assert macc(tally) == 28  # 1 + 6 + 21 features
    assert tally.ram.bytes == 8 * (6 + 28)
    assert macc(count_estimator(make_pipeline(TruncatedSVD(2), linear_model.Ridge()).fit(X, TWO))) == 12 + 2


def test_a_scaled_target_is_stored_too():
    model = TransformedTargetRegressor(linear_model.LinearRegression(), transformer=StandardScaler()).fit(X, TWO)
    tally = count_estimator(model)
    assert (macc(tally), tally.rom) == (6, 8 * (7 + 2))


TREES = {
    "tree": tree.DecisionTreeClassifier(max_depth=3, random_state=0),
    "regression tree": tree.DecisionTreeRegressor(max_depth=3, random_state=0),
    "forest": ensemble.RandomForestClassifier(3, max_depth=3, random_state=0),
    "extra trees": ensemble.ExtraTreesRegressor(3, max_depth=3, random_state=0),
    "boosted": ensemble.GradientBoostingClassifier(n_estimators=2, random_state=0),
    "boosted on histograms": ensemble.HistGradientBoostingClassifier(max_iter=2, random_state=0),
    "bagged": ensemble.BaggingClassifier(n_estimators=2, random_state=0),
}


@pytest.mark.parametrize("estimator", TREES.values(), ids=TREES)
def test_trees_are_stored_and_do_not_multiply(estimator):
    tally = count_estimator(estimator.fit(X, Y))
    (missed,) = tally.uncounted
    assert (missed.reason, missed.affects) == ("trees compare and do not multiply", ("macc",))
    assert [layer.macc for layer in tally.layers] == [None]
    assert tally.rom > tally.parameters > 0
    assert tally.ram.bytes == 8 * (6 + (3 if hasattr(estimator, "classes_") else 1))


def test_a_tree_by_hand():
    # One split: a threshold, and the shares of two classes in each of two leaves; 3 nodes of 64 bytes, 6 values of 8.
    stump = tree.DecisionTreeClassifier(max_depth=1).fit(X[:, :1], X[:, 0] > 0)
    tally = count_estimator(stump)
    nodes = stump.tree_.__getstate__()["nodes"]
    assert (tally.parameters, tally.rom) == (1 + 2 * 2, nodes.nbytes + 3 * 2 * 8)


def test_a_forest_is_the_sum_of_its_trees():
    forest = ensemble.RandomForestClassifier(4, max_depth=2, random_state=0).fit(X, Y)
    parts = [count_estimator(member) for member in forest.estimators_]
    whole = count_estimator(forest)
    assert whole.rom == sum(part.rom for part in parts)
    assert whole.parameters == sum(part.parameters for part in parts)


class LinearRegression(linear_model.LinearRegression):
    """Of scikit-learn's name, and not scikit-learn's."""

    def predict(self, x):
        return np.square(super().predict(x))


OTHERS = {
    "neighbours": neighbors.KNeighborsClassifier(),
    "kernel": svm.SVC(kernel="linear"),
    "ensemble of others": ensemble.BaggingClassifier(linear_model.LogisticRegression(), n_estimators=2),
    "votes": ensemble.VotingClassifier([("a", linear_model.LogisticRegression())]),
    "another's class": LinearRegression(),
    "a function": make_pipeline(FunctionTransformer(), linear_model.LinearRegression()),
}


@pytest.mark.parametrize("estimator", OTHERS.values(), ids=OTHERS)
def test_other_estimators_are_uncounted(estimator):
    tally = count_estimator(estimator.fit(X, TWO))
    assert {item for missed in tally.uncounted for item in missed.affects} == {"macc", "parameters", "rom", "ram"}
    assert tally.ram is None


def test_the_least_that_an_unknown_estimator_stores():
    model = neighbors.KNeighborsClassifier(algorithm="brute").fit(X, Y)
    assert count_estimator(model).rom >= X.nbytes
