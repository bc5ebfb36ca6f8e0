import itertools

import numpy as np
import pytest
from sklearn.ensemble import (
    ExtraTreesClassifier,
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
)
from sklearn.linear_model import LogisticRegression
from sklearn.tree import DecisionTreeClassifier

from robust.attacks.accuracy_under_attack import robust_accuracy
from robust.attacks.base import adversarial_rows
from robust.attacks.projection import space_of
from robust.attacks.random_search import RandomSearch
from robust.attacks.target import aim
from robust.attacks.tree_attack import TreeAttack
from robust.attacks.tree_structure import tree_ensemble
from robust.data.budget import feature_eps
from robust.data.live import as_data
from robust.errors import InvalidInput
from robust.models.conversion import as_model
from robust.predicting.metering import metered

SCHEMA = {
    "size": {"bounds": (-3, 3)},
    "age": {"kind": "integer", "bounds": (0, 9)},
    "red": {"one_hot": "hue"},
    "green": {"one_hot": "hue"},
    "blue": {"one_hot": "hue"},
    "sex": {"kind": "binary"},
    "weight": {"immutable": True},
}
KINDS = {
    "tree": lambda: DecisionTreeClassifier(max_depth=4, random_state=0),
    "forest": lambda: RandomForestClassifier(4, max_depth=3, random_state=0),
    "full forest": lambda: RandomForestClassifier(6, random_state=0),
    "extra": lambda: ExtraTreesClassifier(4, max_depth=3, random_state=0),
    "boosting": lambda: GradientBoostingClassifier(n_estimators=5, max_depth=3, random_state=0),
    "histogram": lambda: HistGradientBoostingClassifier(max_iter=4, max_leaf_nodes=6, min_samples_leaf=3),
}


def table(n=60, classes=2, seed=0, dtype=np.float64):
    rng = np.random.default_rng(seed)
    hue = np.eye(3)[rng.integers(0, 3, n)]
    x = np.column_stack(
        [rng.uniform(-3, 3, n), rng.integers(0, 10, n), hue, rng.integers(0, 2, n), rng.normal(size=n)]
    ).astype(dtype)
    signal = x[:, 0] + 0.4 * (x[:, 1] - 4.5) + 1.5 * (x[:, 2] - x[:, 4]) + x[:, 5] + 0.5 * x[:, 6]
    y = np.digitize(signal, np.quantile(signal, np.arange(1, classes) / classes))
    return as_data(x, y, names=list(SCHEMA), schema=SCHEMA, name="table")


def legal(x_adv, x, eps, norm):
    """Written apart from the attack: plain rules of the table above, budgets in exact arithmetic up to 1e-9."""
    moved = x_adv - x
    assert (moved[:, 6] == 0).all()
    assert ((x_adv[:, 0] >= -3) & (x_adv[:, 0] <= 3)).all()
    assert (x_adv[:, 1] == np.round(x_adv[:, 1])).all()
    assert ((x_adv[:, 1] >= 0) & (x_adv[:, 1] <= 9)).all()
    assert np.isin(x_adv[:, 2:6], (0, 1)).all()
    assert (x_adv[:, 2:5].sum(axis=1) == 1).all()
    size = np.abs(moved).max(axis=1) if norm == "linf" else np.sqrt((moved**2).sum(axis=1))
    assert (size <= eps + 1e-9).all()


def breakable(model, row, label, eps, norm, cuts):
    """Whether any legal row within the budget gets another class: all cells of the two axes, all codes."""
    points = np.unique(np.concatenate([[row[0]], *(cuts + shift for shift in (-1e-6, 0.0, 1e-6))]))
    sizes = points[(np.abs(points - row[0]) <= eps) & (points >= -3) & (points <= 3)]
    ages = [age for age in range(10) if abs(age - row[1]) <= eps]
    hues = np.eye(3) if eps >= 1 else row[None, 2:5]
    sexes = (0, 1) if eps >= 1 else (row[5],)
    grid = np.array([[a, b, *c, d, row[6]] for a, b, c, d in itertools.product(sizes, ages, hues, sexes)])
    if norm == "l2":
        grid = grid[((grid - row) ** 2).sum(axis=1) <= eps**2]
    return (model.forward(grid).argmax(axis=1) != label).any()


@pytest.mark.parametrize("norm", ["linf", "l2"])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("classes", [2, 3])
def test_exact_against_brute_force_over_all_cells(kind, classes, norm):
    data = table(classes=classes)
    model = as_model(KINDS[kind]().fit(data.x, data.y))
    trees = tree_ensemble(model)
    cuts = trees.threshold[trees.feature == 0]
    right = model.forward(data.x).argmax(axis=1) == data.y
    rows = data.rows(np.flatnonzero(right)[:25])
    broken_in_all = 0
    for eps in (0.4, 1.0, 1.6):
        attack = TreeAttack(eps=eps, norm=norm, exact=True, nodes=10**6)
        with metered() as meter:
            found = attack.perturb(model, rows)
        assert not meter.remarks  # every row that held is proved
        broken = model.forward(found).argmax(axis=1) != rows.y
        expected = [breakable(model, *pair, eps, norm, cuts) for pair in zip(rows.x, rows.y, strict=True)]
        assert broken.tolist() == expected
        legal(found, rows.x, eps, norm)
        broken_in_all += broken.sum()
    assert 5 < broken_in_all < 70


def nearest_leaf(tree, row, label, eps, norm):
    """Least share of the budget that reaches a leaf of another class: all boxes, one after the other."""
    least = np.inf
    waiting = [(0, np.full(3, -np.inf), np.full(3, np.inf))]
    while waiting:
        node, low, high = waiting.pop()
        if tree.children_left[node] >= 0:
            j, cut = tree.feature[node], tree.threshold[node]
            waiting.append((tree.children_left[node], low, np.where(np.arange(3) == j, np.minimum(high, cut), high)))
            waiting.append((tree.children_right[node], np.where(np.arange(3) == j, np.maximum(low, cut), low), high))
        elif tree.value[node, 0].argmax() != label:
            low, high = low.copy(), high.copy()
            low[2], high[2] = np.floor(low[2]) + 1, np.floor(high[2])  # the last feature is a whole number
            share = np.maximum(0, np.maximum(low - row, row - high)) / eps
            length = {"linf": share.max(), "l2": np.sqrt((share**2).sum()), "l1": share.sum()}[norm]
            least = min(least, length if low[2] <= high[2] else np.inf)
    return least


@pytest.mark.parametrize("norm", ["linf", "l2", "l1"])
@pytest.mark.parametrize("seed", [6, 7, 10, 12, 17])
def test_a_single_tree_is_exact_in_every_norm(seed, norm):
    rng = np.random.default_rng(seed)
    x = np.column_stack([2 * rng.normal(size=300), rng.normal(size=300), rng.integers(18, 90, 300)])
    y = (x[:, 0] + 2 * x[:, 1] + (x[:, 2] - 50) / 10 + rng.normal(size=300) > 0).astype(int)
    tree = DecisionTreeClassifier(max_depth=(4, 8, None)[seed % 3], random_state=0).fit(x[:200], y[:200])
    held = x[200:], y[200:]
    data = as_data(*held, names=["a", "b", "age"], schema={"age": {"kind": "integer"}}, name="table")
    eps = {"a": 0.5, "b": 0.3, "age": 5.0}
    found = TreeAttack(eps=eps, norm=norm).perturb(as_model(tree), data)
    right = tree.predict(held[0]) == held[1]
    length = np.array(
        [nearest_leaf(tree.tree_, *pair, np.array(list(eps.values())), norm) for pair in zip(*held, strict=True)]
    )
    clear = right & (np.abs(length - 1) > 1e-4)  # trees cast to single precision
    assert (tree.predict(found) != held[1])[clear].tolist() == (length < 1)[clear].tolist()
    assert 5 < (length < 1)[clear].sum() < clear.sum()


@pytest.mark.parametrize("kind", KINDS)
def test_trees_are_read_as_the_model_adds_them_up(kind):
    data = table(200, classes=3)
    estimator = KINDS[kind]().fit(data.x, data.y)
    read = tree_ensemble(as_model(estimator)).scores(data.x)
    told = estimator.predict_proba(data.x)
    if kind in ("boosting", "histogram"):
        told = estimator.decision_function(data.x)
    np.testing.assert_allclose(read, told, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("kind", ["full forest", "boosting", "histogram"])
def test_greedy_search_finds_most_of_what_there_is(kind):
    data = table(120)
    model = as_model(KINDS[kind]().fit(data.x, data.y))
    held = {
        exact: (
            model.forward(TreeAttack(eps=1.0, norm="l2", exact=exact).perturb(model, data)).argmax(axis=1) == data.y
        ).sum()
        for exact in (True, False)
    }
    assert held[True] <= held[False] <= held[True] + 8
    assert held[True] < 100


@pytest.mark.parametrize("attack", [TreeAttack(), RandomSearch(queries=30)], ids=["trees", "search"])
def test_rows_do_not_depend_on_batches_order_or_neighbours(attack):
    data = table(40)
    estimator = KINDS["boosting"]().fit(data.x, data.y)
    attack = attack.at(1.0)
    whole = attack.perturb(as_model(estimator, batch_size=64), data)
    assert (attack.perturb(as_model(estimator, batch_size=1), data) == whole).all()
    order = np.random.default_rng(0).permutation(len(data))
    assert (attack.perturb(as_model(estimator, batch_size=64), data.rows(order)) == whole[order]).all()
    assert (attack.perturb(as_model(estimator, batch_size=64), data.rows(order[:9])) == whole[order[:9]]).all()


def test_single_precision_rows_cross_thresholds_that_they_can_hold():
    data = table(150, dtype=np.float32)
    model = as_model(KINDS["tree"]().fit(data.x, data.y))
    found = TreeAttack(eps=0.5).perturb(model, data)
    assert found.dtype == np.float32
    broken = model.forward(found).argmax(axis=1) != data.y
    single = table(150)
    exact = model.forward(TreeAttack(eps=0.5).perturb(model, single)).argmax(axis=1) != single.y
    assert (broken == exact).mean() > 0.98
    assert broken.sum() > 20


def test_whole_numbers_as_a_number_type():
    rng = np.random.default_rng(0)
    x = rng.integers(0, 200, (100, 3)).astype(np.uint8)
    y = (x.astype(int).sum(axis=1) > 300).astype(int)
    model = as_model(DecisionTreeClassifier(max_depth=5, random_state=0).fit(x, y))
    data = as_data(x, y, schema={"bounds": (0, 255)})
    found = TreeAttack(eps=12).perturb(model, data)
    assert found.dtype == np.uint8
    assert np.abs(found.astype(int) - x).max() == 12
    assert (model.forward(found).argmax(axis=1) != y).mean() > 0.2


def test_relations_hold_and_are_crossed_together():
    rng = np.random.default_rng(0)
    a, b = rng.uniform(0, 1, (2, 200))
    x = np.column_stack([a, b, a + b])
    y = (a > 0.5).astype(int)
    model = as_model(DecisionTreeClassifier(max_depth=2, random_state=0).fit(x, y))
    data = as_data(x, y, names=["a", "b", "total"], schema={"relations": ["total = a + b"]})
    found = TreeAttack(eps=0.2).perturb(model, data)
    np.testing.assert_allclose(found[:, 0] + found[:, 1], found[:, 2], atol=1e-6)
    searched = RandomSearch(eps=0.2, queries=100).perturb(model, data)
    np.testing.assert_allclose(searched[:, 0] + searched[:, 1], searched[:, 2], atol=1e-6)
    near = np.abs(a - 0.5) < 0.15
    assert (model.forward(searched).argmax(axis=1) != y)[near].mean() > 0.9


def test_categories_change_when_the_budget_names_them():
    rng = np.random.default_rng(0)
    hue = rng.integers(0, 4, 200)
    x = np.column_stack([hue, rng.normal(size=200)]).astype(float)
    y = ((hue == 2) | (x[:, 1] > 1)).astype(int)
    model = as_model(DecisionTreeClassifier(max_depth=6, random_state=0).fit(x, y))
    schema = {"hue": {"categories": ["red", "green", "blue", "black"]}}
    data = as_data(x, y, names=["hue", "size"], schema=schema)
    target = aim(model, data)
    for attack in (TreeAttack(), RandomSearch(queries=40)):
        for eps, moves in (({"hue": 1}, True), ({"hue": 0.5}, False), ({"size": 1e-9}, False)):
            space = space_of(
                data.schema, x.dtype, eps=feature_eps({"size": eps.get("size", 0)}, data.schema), norm="linf"
            )
            found = attack.at(eps).search(target, space, seed=0)
            assert np.isin(found[:, 0], range(4)).all()
            assert (found[:, 1] == x[:, 1]).all() or "size" in eps
            broken = model.forward(found).argmax(axis=1) != y
            assert broken[x[:, 1] <= 1].all() == moves
            assert broken.any() == moves


def test_what_it_refuses():
    data = table()
    linear = as_model(LogisticRegression().fit(data.x, data.y))
    with pytest.raises(InvalidInput, match="no tree ensemble that can be read"):
        TreeAttack(eps=0.1).perturb(linear, data)
    with pytest.raises(InvalidInput, match="exact got 'yes'"):
        TreeAttack(exact="yes")
    hist = HistGradientBoostingClassifier(max_iter=2, categorical_features=[1]).fit(data.x, data.y)
    assert tree_ensemble(as_model(hist)) is None


def test_missing_values_stay_and_are_sent_where_the_tree_sends_them():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(300, 3))
    y = (x[:, 0] + x[:, 1] > 0).astype(int)
    x[rng.uniform(size=x.shape) < 0.2] = np.nan
    model = as_model(HistGradientBoostingClassifier(max_iter=5).fit(x, y))
    data = as_data(x, y)
    found = TreeAttack(eps=0.5).perturb(model, data)
    assert (np.isnan(found) == np.isnan(x)).all()
    assert (model.forward(found).argmax(axis=1) != y).mean() > 0.2


def test_it_is_an_attack_like_any_other():
    data = table(60)
    model = as_model(KINDS["boosting"]().fit(data.x, data.y))
    exact = robust_accuracy(model, data, attack=TreeAttack(eps=0.5, exact=True))
    noise = robust_accuracy(model, data, attack=RandomSearch(eps=0.5, queries=30))
    assert exact.value <= noise.value
    target = aim(model, data)
    swept = TreeAttack().sweep(target, [0.1, 0.5], seed=0)
    assert swept.survived[2].mean() == exact.value
    assert len(adversarial_rows(TreeAttack(eps=0.1), target, seed=0)) == 60
