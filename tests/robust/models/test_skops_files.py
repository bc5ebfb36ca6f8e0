import io
import json
import zipfile

import numpy as np
import pytest
import skops.io
from sklearn.calibration import CalibratedClassifierCV
from sklearn.datasets import load_iris
from sklearn.ensemble import (
    BaggingClassifier,
    ExtraTreesRegressor,
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
)
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.svm import SVC, LinearSVC
from sklearn.tree import DecisionTreeClassifier

from robust.errors import InvalidInput, UntrustedFile
from robust.models.loading import load_model

X, Y = load_iris(return_X_y=True)
TREE = "sklearn.tree._tree.Tree"


def save(estimator, tmp_path):
    skops.io.dump(estimator, tmp_path / "m.skops")
    return tmp_path / "m.skops"


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize(
    "estimator",
    [
        make_pipeline(StandardScaler(), LogisticRegression()),
        make_pipeline(StandardScaler(), MLPClassifier((4,), max_iter=5, random_state=0)),
        MLPRegressor(hidden_layer_sizes=(4,), solver="sgd", max_iter=5, random_state=0),
        RandomForestClassifier(3, random_state=0),
        ExtraTreesRegressor(3, random_state=0),
        DecisionTreeClassifier(random_state=0),
        BaggingClassifier(n_estimators=2, random_state=0),
        make_pipeline(StandardScaler(), DecisionTreeClassifier(max_depth=1)),
        SVC(),
        CalibratedClassifierCV(LinearSVC(random_state=0)),
        GaussianProcessRegressor(random_state=0),
        make_pipeline(FunctionTransformer(np.log1p), Ridge()),
    ],
    ids=lambda estimator: type(estimator).__name__,
)
def test_what_was_fitted_is_what_is_loaded(tmp_path, estimator):
    from robust.models.conversion import as_model

    path = save(estimator.fit(X, Y), tmp_path)
    model = load_model(path)
    np.testing.assert_array_equal(model.forward(X), as_model(estimator).forward(X))
    assert model.identity() == load_model(path).identity() is not None
    assert model.name == "m.skops"


@pytest.mark.parametrize(
    ("estimator", "kind"),
    [
        (KNeighborsClassifier(), "KDTree"),
        (HistGradientBoostingClassifier(max_iter=2), "TreePredictor"),
        (make_pipeline(FunctionTransformer(np.nan_to_num), Ridge()), "nan_to_num"),
    ],
)
def test_types_that_are_not_on_the_list_are_refused(tmp_path, estimator, kind):
    path = save(estimator.fit(X, Y), tmp_path)
    with pytest.raises(UntrustedFile, match=rf"not known to be harmless \(.*{kind}.*trust=True or --trust"):
        load_model(path)
    assert load_model(path, trust=True).forward(X).shape[0] == len(X)


def rewrite(path, edit):
    """Writes the file again with its schema edited."""
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    schema = json.loads(parts["schema.json"])
    edit(schema, parts)
    parts["schema.json"] = json.dumps(schema).encode()
    with zipfile.ZipFile(path, "w") as archive:
        for name, part in parts.items():
            archive.writestr(name, part)
    return path


@pytest.mark.parametrize("target", ["os.system", "builtins.eval", "subprocess.Popen", "operator.methodcaller"])
def test_a_hostile_function_is_refused(tmp_path, canary, target):
    """A schema that names a function with arguments: what an exploit of the format needs."""
    module, name = target.rsplit(".", 1)

    def edit(schema, parts):
        call = {"__class__": name, "__module__": module, "__loader__": "FunctionNode", "__id__": 1}
        schema["content"]["content"]["func"] = call

    path = rewrite(save(FunctionTransformer(np.log1p).fit(X), tmp_path), edit)
    with pytest.raises(UntrustedFile, match=f"not known to be harmless .*{name}"):
        load_model(path)


def test_a_pickled_array_inside_is_refused(tmp_path, canary, hostile):
    def edit(schema, parts):
        for name in parts:
            if name.endswith(".npy"):
                header = b"\x93NUMPY\x01\x00v\x00{'descr': '|O', 'fortran_order': False, 'shape': (1,), }"
                parts[name] = header.ljust(127) + b"\n" + hostile

    path = rewrite(save(Ridge().fit(X, Y), tmp_path), edit)
    with pytest.raises(InvalidInput, match=r"cannot be read as a \.skops file"):
        load_model(path)


def tree_of(schema):
    return schema["content"]["content"]["tree_"]


def nodes_of(schema, parts):
    name = tree_of(schema)["content"]["content"]["nodes"]["file"]
    return name, np.load(io.BytesIO(parts[name]))


def put(parts, name, array):
    buffer = io.BytesIO()
    np.save(buffer, array)
    parts[name] = buffer.getvalue()


def set_node(field, value):
    def edit(schema, parts):
        name, nodes = nodes_of(schema, parts)
        nodes[field][0] = value
        put(parts, name, nodes)

    return edit


def shorten(schema, parts):
    name, nodes = nodes_of(schema, parts)
    put(parts, name, nodes[:1])


def set_argument(position, content):
    def edit(schema, parts):
        argument = tree_of(schema)["__reduce__"]["args"]["content"][position]
        argument["content"], argument["__id__"] = content, 7

    return edit


def two_meanings(schema, parts):
    """A count that reads 1 where it is checked, and is another number where it is built: ids repeat."""
    argument = tree_of(schema)["__reduce__"]["args"]["content"][2]
    schema["content"]["content"]["max_depth"] = argument | {"content": "100000000"}


def loose_tree(schema, parts):
    """A second tree, in the place of a number."""
    copied = json.dumps(tree_of(schema)).replace('"__id__": ', '"__id__": 1')
    schema["content"]["content"]["max_features_"] = json.loads(copied)


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (set_node("left_child", 10**6), "children are not behind it"),
        (set_node("right_child", -5), "children are not behind it"),
        (set_node("left_child", 0), "children are not behind it"),
        (set_node("feature", 4), "a tree of 4 features compares another one"),
        (set_node("feature", -2), "compares another one"),
        (shorten, "has arrays of shapes"),
        (set_argument(0, "2"), "compares another one"),
        (set_argument(2, "1000000"), "class counts of shape"),
        (set_argument(2, "-1"), "where a count belongs"),
        (set_argument(2, '"x"'), "where a count belongs"),
        (two_meanings, "go by one id"),
        (loose_tree, "belongs to no decision tree"),
    ],
)
def test_hostile_trees_are_refused_before_they_crash_the_process(tmp_path, edit, message):
    path = rewrite(save(DecisionTreeClassifier(random_state=0).fit(X, Y), tmp_path), edit)
    assert set(skops.io.get_untrusted_types(file=path)) <= {TREE}
    with pytest.raises(UntrustedFile, match=f"decision trees that cannot be checked: .*{message}"):
        load_model(path)


@pytest.mark.parametrize("width", [1, None, "4"])
def test_an_estimator_narrower_than_its_tree_is_refused(tmp_path, width):
    estimator = DecisionTreeClassifier(random_state=0).fit(X, Y)
    if width is None:
        del estimator.n_features_in_
    else:
        estimator.n_features_in_ = width
    with pytest.raises(UntrustedFile, match=r"takes 1 features, its tree compares more|does not say how many features"):
        load_model(save(estimator, tmp_path))


def test_a_forest_narrower_than_its_trees_is_refused(tmp_path):
    forest = RandomForestClassifier(2, random_state=0).fit(X, Y)
    forest.n_features_in_ = 2
    with pytest.raises(UntrustedFile, match="RandomForestClassifier takes 2 features, its tree compares more"):
        load_model(save(forest, tmp_path))


def test_boosting_that_does_not_check_its_trees_is_refused(tmp_path):
    path = save(GradientBoostingClassifier(n_estimators=2).fit(X, Y), tmp_path)
    with pytest.raises(UntrustedFile, match="GradientBoostingClassifier does not check its trees against its rows"):
        load_model(path)
    assert load_model(path, trust=True).forward(X).shape == (150, 3)


def test_something_that_cannot_predict_is_named(tmp_path):
    with pytest.raises(InvalidInput, match=r"m\.skops: StandardScaler cannot predict"):
        load_model(save(StandardScaler().fit(X), tmp_path))
