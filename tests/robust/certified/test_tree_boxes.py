import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.ensemble import (
    ExtraTreesClassifier,
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
)
from sklearn.linear_model import LogisticRegression
from sklearn.tree import DecisionTreeClassifier, ExtraTreeClassifier

from robust.certified.accuracy_proved import certified_accuracy
from robust.certified.unsupported import Unsupported
from robust.data.live import as_data


def table(seed, *, rows=60, classes=3):
    """Two continuous features, one of whole numbers and one immutable; labels that depend on all."""
    rng = np.random.default_rng(seed)
    x = np.column_stack([rng.normal(size=(rows, 2)), rng.integers(0, 6, rows), rng.normal(size=rows)])
    y = np.digitize(x[:, 0] - x[:, 1] + 0.5 * x[:, 2] + x[:, 3] + rng.normal(size=rows) / 3, [0.5, 2.0])
    schema = {"count": {"kind": "integer", "bounds": (0, 5)}, "fixed": {"immutable": True}}
    return as_data(x, np.minimum(y, classes - 1), names=["a", "b", "count", "fixed"], schema=schema)


def every_point(model, row, eps):
    """One point in each cell of the model's thresholds within eps of a row, and the row itself."""
    trees = model.estimators_ if hasattr(model, "estimators_") else [model]
    trees = [tree.tree_ for tree in np.ravel(trees)]
    axes = []
    for j in range(4):
        if j == 3 or (j == 2 and eps < 1):
            axes.append([row[j]])
        elif j == 2:
            axes.append([v for v in range(6) if abs(v - row[2]) <= eps])
        else:
            cuts = np.concatenate([tree.threshold[tree.feature == j] for tree in trees])
            low, high = row[j] - eps, row[j] + eps
            ends = np.unique(np.concatenate([[low, high], cuts[(cuts > low) & (cuts < high)]]))
            axes.append([*((ends[1:] + ends[:-1]) / 2), low, high])
    return np.array(list(itertools.product(*axes)))


@settings(max_examples=20, deadline=None)
@given(
    st.integers(0, 10**6),
    st.sampled_from([0.05, 0.4, 1.0]),
    st.sampled_from([DecisionTreeClassifier, ExtraTreeClassifier]),
)
def test_a_single_tree_is_decided_exactly(seed, eps, kind):
    data = table(seed, rows=30)
    model = kind(max_depth=4, random_state=0).fit(data.x, data.y)
    found = certified_accuracy(model, data, eps=eps)
    for i in range(len(data)):
        holds = (model.predict(every_point(model, data.x[i], eps)) == data.y[i]).all()
        assert holds == bool(found.row_values[i])


ENSEMBLES = [
    RandomForestClassifier(8, max_depth=3, random_state=0),
    ExtraTreesClassifier(8, max_depth=3, random_state=0),
    GradientBoostingClassifier(n_estimators=6, max_depth=2, random_state=0),
]


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("model", ENSEMBLES, ids=lambda model: type(model).__name__)
def test_what_is_proved_of_an_ensemble_holds_in_every_cell(model, classes):
    data = table(0, rows=40, classes=classes)
    model.fit(data.x, data.y)
    for eps in (0.05, 0.3):
        proved = certified_accuracy(model, data, eps=eps).row_values
        holds = np.array(
            [(model.predict(every_point(model, row, eps)) == y).all() for row, y in zip(data.x, data.y, strict=True)]
        )
        assert (proved <= holds).all()
        assert proved.sum() >= 0.5 * holds.sum()  # not vacuous


def test_histogram_trees_hold_at_random_and_with_missing_values():
    data = table(1, rows=300)
    x = np.array(data.x)
    x[::7, 0] = np.nan
    data = data.with_x(x)
    model = HistGradientBoostingClassifier(max_iter=15, max_depth=3, random_state=0).fit(data.x, data.y)
    proved = certified_accuracy(model, data, eps=0.1).row_values > 0
    assert proved.mean() > 0.3
    rng = np.random.default_rng(0)
    for _ in range(100):
        moved = data.x + 0.1 * rng.uniform(-1, 1, data.x.shape) * [1, 1, 0, 0]
        assert (model.predict(moved) == data.y)[proved].all()


@pytest.mark.parametrize("norm", ["l2", "l1"])
def test_a_ball_reaches_fewer_leaves_than_its_box(norm):
    # Class 1 where a > 0 and b > 0: from (−0.8, −0.8) a box of 1 reaches it, the balls do not.
    rng = np.random.default_rng(0)
    x = rng.choice([-0.8, 0.8], size=(200, 2))
    y = ((x > 0).all(axis=1)).astype(int)
    model = DecisionTreeClassifier(random_state=0).fit(x, y)
    corner = as_data(np.array([[-0.8, -0.8], [-0.8, 0.8]]), [0, 0])
    assert certified_accuracy(model, corner, eps=1.0).row_values.tolist() == [0.0, 0.0]
    assert certified_accuracy(model, corner, eps=1.0, norm=norm).row_values.tolist() == [1.0, 0.0]
    assert certified_accuracy(model, corner, eps=1.14 if norm == "l2" else 1.61, norm=norm).row_values[0] == (
        1.0 if norm == "l2" and np.hypot(0.8, 0.8) > 1.14 else 0.0
    )


def test_rows_are_compared_in_single_precision():
    # 0.1 + 1e-9 is 0.1 in float32, where the tree compares: what rounds to the threshold is not above it.
    model = DecisionTreeClassifier().fit(np.array([[0.0], [1.0]]), [0, 1])
    threshold = float(model.tree_.threshold[0])
    data = as_data(np.array([[threshold + 1e-12]]), [0])
    assert model.predict(data.x)[0] == 0
    assert certified_accuracy(model, data, eps=1e-13).value == 1.0
    assert certified_accuracy(model, data, eps=1e-6).value == 0.0


def test_rows_order_and_company_change_nothing():
    data = table(3)
    model = RandomForestClassifier(10, random_state=0).fit(data.x, data.y)
    order = np.random.default_rng(0).permutation(len(data))
    whole = certified_accuracy(model, data, eps=0.2).row_values[order]
    np.testing.assert_array_equal(whole, certified_accuracy(model, data.rows(order), eps=0.2).row_values)


def test_what_is_not_known_is_named():
    data = table(4)
    started = GradientBoostingClassifier(n_estimators=3, init=LogisticRegression()).fit(data.x, data.y)
    with pytest.raises(Unsupported, match="starts from another model's scores"):
        certified_accuracy(started, data, eps=0.1)
    coded = HistGradientBoostingClassifier(max_iter=3, categorical_features=[2]).fit(data.x, data.y)
    with pytest.raises(Unsupported, match="categorical features"):
        certified_accuracy(coded, data, eps=0.1)
    with pytest.raises(Unsupported, match='method="linear" of trees'):
        certified_accuracy(DecisionTreeClassifier().fit(data.x, data.y), data, eps=0.1, method="linear")
