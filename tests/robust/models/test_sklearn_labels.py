"""scikit-learn estimators of several labels a row: loaded as they are, judged as they predict."""

import numpy as np
import pandas
import pytest
from sklearn import metrics as sk
from sklearn.ensemble import ExtraTreesClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression, RidgeClassifier
from sklearn.model_selection import GridSearchCV
from sklearn.multiclass import OneVsRestClassifier
from sklearn.multioutput import ClassifierChain, MultiOutputClassifier
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC
from sklearn.tree import DecisionTreeClassifier

from robust.errors import InvalidInput
from robust.measures.all_classification import classification_metrics
from robust.measures.class_table import classification_report_text
from robust.measures.classification import accuracy, auc, brier, f1, log_loss
from robust.models.conversion import as_model
from robust.models.loading import load_model

RNG = np.random.default_rng(0)
X = RNG.normal(size=(160, 4))
Y = (X @ RNG.normal(size=(4, 3)) + 0.8 * RNG.normal(size=(160, 3)) > 0.3).astype(int)
MLP = MLPClassifier((4,), solver="lbfgs", alpha=0.1, max_iter=5000, random_state=0)

PROBABLE = [
    MLP,
    RandomForestClassifier(4, max_depth=3, random_state=0),
    ExtraTreesClassifier(4, max_depth=3, random_state=0),
    DecisionTreeClassifier(max_depth=2),
    KNeighborsClassifier(4),
    MultiOutputClassifier(LogisticRegression()),
    ClassifierChain(LogisticRegression()),
    OneVsRestClassifier(LogisticRegression()),
    make_pipeline(StandardScaler(), RandomForestClassifier(4, max_depth=3, random_state=0)),
    make_pipeline(StandardScaler(), MLP),
    GridSearchCV(RandomForestClassifier(4, random_state=0), {"max_depth": [1, 2]}, cv=2),
]
SURE = [
    RidgeClassifier(),
    OneVsRestClassifier(LinearSVC()),
    ClassifierChain(LinearSVC()),
]


def name(estimator):
    return str(estimator)[:40]


def of_labels(outputs):
    """Probability of each label, from either form that scikit-learn gives."""
    return np.column_stack([part[:, 1] for part in outputs]) if isinstance(outputs, list) else outputs


@pytest.mark.parametrize("estimator", PROBABLE, ids=name)
def test_probabilities_of_labels(estimator):
    estimator.fit(X[:80], Y[:80])
    model = as_model(estimator)
    assert (model.task, model.output, model.gradients) == ("multilabel", "probabilities", None)
    p = of_labels(estimator.predict_proba(X[80:]))
    np.testing.assert_allclose(model.forward(X[80:]), p, rtol=0, atol=1e-15)
    held_out = (X[80:], Y[80:])
    found = classification_metrics(model, held_out)
    assert found.missing == ()
    assert found["accuracy"].value == pytest.approx(estimator.score(*held_out))
    predicted = estimator.predict(X[80:])
    assert found["f1"].value == pytest.approx(sk.f1_score(Y[80:], predicted, average="macro", zero_division=0))
    assert found["auc"].value == pytest.approx(sk.roc_auc_score(Y[80:], p))
    wanted = sk.classification_report(Y[80:], predicted.astype(int), zero_division=0)
    assert classification_report_text(model, held_out) == wanted
    assert brier(model, held_out).value == pytest.approx(
        np.mean([sk.brier_score_loss(Y[80:, j], p[:, j]) for j in range(3)])
    )


@pytest.mark.parametrize("estimator", SURE, ids=name)
def test_decision_values_of_labels_are_logits(estimator):
    estimator.fit(X[:80], Y[:80])
    model = as_model(estimator)
    assert (model.task, model.output) == ("multilabel", "logits")
    np.testing.assert_array_equal(model.forward(X), estimator.decision_function(X))
    assert accuracy(model, (X[80:], Y[80:])).value == pytest.approx(estimator.score(X[80:], Y[80:]))
    assert auc(model, (X[80:], Y[80:])).value == pytest.approx(
        sk.roc_auc_score(Y[80:], estimator.decision_function(X[80:]))
    )


def test_either_output_where_both_are_offered():
    estimator = OneVsRestClassifier(LogisticRegression()).fit(X, Y)
    np.testing.assert_array_equal(as_model(estimator, output="logits").forward(X), estimator.decision_function(X))
    with pytest.raises(InvalidInput, match="RidgeClassifier gives no probabilities; it gives logits"):
        as_model(RidgeClassifier().fit(X, Y), output="probabilities")


def test_labels_alone():
    estimator = MultiOutputClassifier(LinearSVC()).fit(X, Y)
    model = as_model(estimator)
    assert (model.task, model.output) == ("multilabel", None)
    assert f1(model, (X, Y)).value == pytest.approx(sk.f1_score(Y, estimator.predict(X), average="macro"))
    with pytest.raises(InvalidInput, match="gives labels only"):
        log_loss(model, (X, Y))


def test_a_tie_is_a_no_as_for_the_estimator():
    """A forest of two trees that disagree says 0.5."""
    forest = RandomForestClassifier(2, max_depth=3, random_state=3).fit(X[:80], Y[:80])
    tied = of_labels(forest.predict_proba(X[80:])) == 0.5
    neighbours = KNeighborsClassifier(2).fit(X[:80], Y[:80])
    split = of_labels(neighbours.predict_proba(X[80:])) == 0.5
    assert split.sum() > 20
    for estimator, ties in ((forest, tied), (neighbours, split)):
        assert not estimator.predict(X[80:])[ties].any()
        model = as_model(estimator)
        assert (model.forward(X[80:])[ties] < 0.5).all()
        assert accuracy(model, (X[80:], Y[80:])).value == pytest.approx(estimator.score(X[80:], Y[80:]))


@pytest.mark.parametrize("value", [0, 1])
@pytest.mark.parametrize("estimator", [RandomForestClassifier(3), KNeighborsClassifier()], ids=name)
def test_a_label_that_never_changed_in_training(estimator, value):
    targets = Y.copy()
    targets[:, 1] = value
    outputs = as_model(estimator.fit(X, targets)).forward(X)
    assert outputs.shape == (160, 3)
    assert (outputs[:, 1] == value).all()


def test_labels_have_names():
    estimator = KNeighborsClassifier().fit(X, Y)
    model = as_model(estimator, classes=["rain", "wind", "fog"])
    assert (model.task, model.classes) == ("multilabel", ("rain", "wind", "fog"))
    assert as_model(estimator).classes is None
    assert "wind" in classification_report_text(model, (X, Y))
    named = as_model(as_model(estimator), classes=["rain", "wind", "fog"])
    assert (named.task, named.classes) == ("multilabel", ("rain", "wind", "fog"))


def test_a_table_and_booleans():
    table = pandas.DataFrame(X, columns=list("abcd"))
    estimator = make_pipeline(StandardScaler(), RandomForestClassifier(3, random_state=0)).fit(table, Y.astype(bool))
    model = as_model(estimator)
    assert model.columns == ("a", "b", "c", "d")
    data = table.assign(**{f"y{j}": Y[:, j] for j in range(3)})
    assert accuracy(model, (table, Y)).value == pytest.approx(estimator.score(data[list("abcd")], Y))


def test_a_file_is_loaded_as_such(tmp_path):
    import skops.io

    for i, estimator in enumerate((RandomForestClassifier(3, random_state=0), MLP, MultiOutputClassifier(MLP))):
        estimator.fit(X, Y)
        skops.io.dump(estimator, tmp_path / f"{i}.skops")
        model = load_model(tmp_path / f"{i}.skops")
        np.testing.assert_allclose(model.forward(X), of_labels(estimator.predict_proba(X)), atol=1e-15)
        assert accuracy(model, (X, Y)).value == pytest.approx(estimator.score(X, Y))


@pytest.mark.parametrize(
    ("targets", "estimator", "options", "message"),
    [
        (
            Y + np.array([0, 1, 0]),
            KNeighborsClassifier(),
            {},
            r"output 1 has the classes \[1, 2\]: several labels",
        ),
        (np.where(Y, "yes", "no"), RandomForestClassifier(2), {}, r"output 0 has the classes \['no', 'yes'\]"),
        (np.digitize(X, [-1, 0, 1])[:, :2], KNeighborsClassifier(), {}, r"output 0 has the classes \[0, 1, 2, 3\]"),
        (Y[:, :1], MultiOutputClassifier(LogisticRegression()), {}, "a matrix with a single column: .* labels"),
        (Y, KNeighborsClassifier(), {"classes": ["a", "b"]}, "fitted on 3 labels, got 2 names"),
        (Y, KNeighborsClassifier(), {"task": "classification"}, "several labels a row, and cannot be used for class"),
        (Y, MLP, {"task": "regression"}, "several labels a row, and cannot be used for regression"),
        (Y[:, 0], KNeighborsClassifier(), {"task": "multilabel"}, "is a classifier, and cannot be used for multilabel"),
    ],
)
def test_what_is_no_indicator_matrix_is_named(targets, estimator, options, message):
    with pytest.raises(InvalidInput, match=message):
        as_model(estimator.fit(X, targets), **options)


def test_a_useless_estimator_fails():
    noise = RandomForestClassifier(5, random_state=0).fit(X[:80], RNG.permutation(Y[:80]))
    assert (auc(as_model(noise), (X[80:], Y[80:])) > 0.8).status == "FAIL"
