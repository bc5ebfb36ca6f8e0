import itertools

import numpy as np
import pytest
from sklearn.ensemble import (
    ExtraTreesRegressor,
    GradientBoostingRegressor,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.linear_model import LinearRegression
from sklearn.tree import DecisionTreeRegressor

from robust.attacks.output_rungs import pushed_rows
from robust.attacks.output_target import aim_outputs
from robust.attacks.output_trees import TreeOutput, regression_trees
from robust.data.live import as_data
from robust.errors import InvalidInput
from robust.models.conversion import as_model

RNG = np.random.default_rng(0)
X = RNG.integers(0, 6, size=(80, 4)).astype(float)
Y = X[:, 0] * X[:, 1] + X[:, 2] - 3 * X[:, 3] + RNG.normal(size=80)
WHOLE = {f"x{j}": {"kind": "integer", "bounds": (0, 5)} for j in range(4)}
MOVES = np.array(list(itertools.product(range(-2, 3), repeat=4)), dtype=float)
KINDS = {
    "tree": DecisionTreeRegressor(max_depth=5, random_state=0),
    "forest": RandomForestRegressor(12, random_state=0),
    "extra": ExtraTreesRegressor(8, random_state=0),
    "boosting": GradientBoostingRegressor(n_estimators=25, random_state=0),
    "histogram": HistGradientBoostingRegressor(max_iter=25, min_samples_leaf=3, random_state=0),
}


def reached(estimator, data, sign, **options):
    target = aim_outputs(as_model(estimator), data, output=None).target(0, sign)
    return pushed_rows(TreeOutput(**options), target, seed=0)


def by_brute_force(estimator, x, sign, fits):
    """The largest change of every row over all whole moves that fit, each asked of the model."""
    moves, found = MOVES[fits(np.abs(MOVES))], []
    for row in x:
        near = row + moves
        near = near[((near >= 0) & (near <= 5)).all(axis=1)]
        found.append((sign * (estimator.predict(near) - estimator.predict(row[None]))).max())
    return np.array(found)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_integers_are_pushed_as_far_as_brute_force_finds(kind, sign):
    estimator, data = KINDS[kind].fit(X, Y), as_data(X[:8], schema=WHOLE)
    rows, change = reached(estimator, data, sign, eps=1)
    exact = by_brute_force(estimator, X[:8], sign, lambda moves: moves.max(axis=1) <= 1)
    assert change == pytest.approx(exact, abs=1e-6)
    assert np.abs(rows - X[:8]).max() <= 1
    assert (rows == np.rint(rows)).all()


@pytest.mark.parametrize(
    ("norm", "fits"),
    [("l1", lambda moves: moves.sum(axis=1) <= 2), ("l2", lambda moves: (moves**2).sum(axis=1) <= 4)],
)
def test_other_norms_share_their_budget(norm, fits):
    estimator, data = KINDS["forest"].fit(X, Y), as_data(X[:8], schema=WHOLE)
    change = reached(estimator, data, 1.0, eps=2, norm=norm)[1]
    assert change == pytest.approx(by_brute_force(estimator, X[:8], 1.0, fits), abs=1e-6)


def test_continuous_features_meet_the_cells_of_a_single_tree():
    estimator = DecisionTreeRegressor(max_depth=4, random_state=0).fit(X, Y)
    rows = X[:20] + 0.25
    change = reached(estimator, as_data(rows), 1.0, eps=0.6)[1]
    grid = np.array(list(itertools.product((-0.6, -0.3, 0.0, 0.3, 0.6), repeat=4)))  # thresholds are at halves
    best = [estimator.predict(row + grid).max() - estimator.predict(row[None])[0] for row in rows]
    assert change == pytest.approx(best)


def test_immutable_features_and_one_hot_groups_hold():
    x = np.c_[X[:40, :2], np.eye(3)[RNG.integers(0, 3, 40)]]
    y = x[:, 0] * 2 - x[:, 1] + x @ np.array([0, 0, 5.0, -5.0, 0])
    schema = {
        "x0": {"kind": "integer", "bounds": (0, 5)},
        "x1": {"kind": "integer", "bounds": (0, 5), "immutable": True},
        **{f"x{j}": {"one_hot": "g"} for j in (2, 3, 4)},
    }
    data = as_data(x, schema=schema)
    rows, change = reached(RandomForestRegressor(10, random_state=0).fit(x, y), data, 1.0, eps=1)
    assert (rows[:, 1] == x[:, 1]).all()
    assert (rows[:, 2:].sum(axis=1) == 1).all()
    assert np.isin(rows[:, 2:], (0, 1)).all()
    assert (rows[:, 2] == 1).mean() > 0.9  # the member that adds most
    assert (change > 3).mean() > 0.5


def test_a_tree_of_several_outputs_is_read_output_by_output():
    estimator = RandomForestRegressor(6, random_state=0).fit(X, np.c_[Y, X[:, 0]])
    trees = regression_trees(as_model(estimator))
    assert trees.scores(X) == pytest.approx(estimator.predict(X))


def test_what_is_no_regression_ensemble_is_not_read():
    for estimator in (
        LinearRegression(),
        RandomForestClassifier(2),
        HistGradientBoostingRegressor(loss="poisson", max_iter=2),
        GradientBoostingRegressor(n_estimators=2, init=LinearRegression()),
    ):
        y = (np.abs(Y) > 3).astype(int) if isinstance(estimator, RandomForestClassifier) else np.abs(Y)
        assert regression_trees(as_model(estimator.fit(X, y))) is None
    target = aim_outputs(as_model(LinearRegression().fit(X, Y)), as_data(X), output=None).target(0, 1.0)
    with pytest.raises(InvalidInput, match="no regression tree ensemble"):
        pushed_rows(TreeOutput(eps=1), target, seed=0)
