"""Partial dependence against scikit-learn and closed forms, its rows, bounds, errors and extrapolation."""

import numpy as np
import pytest
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.inspection import partial_dependence as theirs
from sklearn.linear_model import LinearRegression, LogisticRegression
from statsmodels.api import OLS

from robust.data.live import as_data
from robust.errors import InvalidInput
from robust.models.conversion import as_model
from robust.sensitivity import partial_dependence
from robust.sensitivity.dependence_curve import dependence_figures
from robust.sensitivity.extrapolation import extrapolation_share
from robust.sensitivity.feature_grid import asked_features, feature_grid
from robust.sensitivity.ice_bounds import mean_errors


def regression(function, **options):
    return as_model(function, task="regression", **options)


def draw(n, d=3, seed=0):
    return np.random.default_rng(seed).standard_normal((n, d))


# --- values


def test_scikit_learns_brute_force_on_the_same_grid_for_a_regressor():
    x = draw(200)
    model = HistGradientBoostingRegressor(max_iter=20, random_state=0).fit(x, x[:, 0] * x[:, 1] + x[:, 2] ** 2)
    grid = [-1.0, -0.3, 0.4, 1.2]
    ours = partial_dependence(model, x, 1, grid=grid)
    oracle = theirs(model, x, features=[1], custom_values={1: np.array(grid)}, method="brute", kind="both")
    np.testing.assert_allclose(ours.values, oracle["average"][0], rtol=1e-12)
    np.testing.assert_allclose(ours.ice, oracle["individual"][0], rtol=1e-12)


def test_scikit_learns_brute_force_for_each_class_of_a_classifier():
    x = draw(150)
    model = LogisticRegression().fit(x, np.digitize(x[:, 0] + x[:, 1], [-0.5, 0.5]))
    grid = [-1.0, 0.0, 1.0]
    oracle = theirs(
        model,
        x,
        features=[0],
        custom_values={0: np.array(grid)},
        method="brute",
        response_method="predict_proba",
    )
    for label in (0, 1, 2):
        ours = partial_dependence(model, x, 0, grid=grid, target=label)
        np.testing.assert_allclose(ours.values, oracle["average"][label], rtol=1e-12)


def test_the_slope_of_a_linear_model_is_its_coefficient():
    x = draw(100)
    model = LinearRegression().fit(x, x @ [2.0, -1.0, 0.5])
    curve = partial_dependence(model, x, 0)
    np.testing.assert_allclose(np.diff(curve.values) / np.diff(curve.grid), 2.0, rtol=1e-9)
    assert curve.heterogeneity == pytest.approx(0, abs=1e-12)


def test_an_interaction_of_correlated_features_has_a_flat_curve_and_heterogeneous_rows():
    z = draw(4000, 2)
    x = np.column_stack([z[:, 0], 0.7 * z[:, 0] + np.sqrt(0.51) * z[:, 1]])
    curve = partial_dependence(regression(lambda x: x[:, 0] * x[:, 1]), x, 0, rows=4000)
    # PD(g) = g mean(x2), and the ICE of a row differs from it by g (x2 − mean).
    np.testing.assert_allclose(curve.values, curve.grid * x[:, 1].mean(), atol=1e-12)
    assert curve.heterogeneity == pytest.approx(curve.grid.std() * x[:, 1].std(), rel=1e-6)
    assert all(point.lower <= 0 <= point.upper for point in curve if abs(point.value) > 1e-3)


def test_classes_that_are_meant_by_default():
    x = draw(60)
    binary = partial_dependence(LogisticRegression().fit(x, np.where(x[:, 0] > 0, "yes", "no")), x, 0)
    assert binary.target == "yes"
    most = np.where(x[:, 0] > 1, "c", np.where(x[:, 0] > -0.5, "b", "a"))
    assert partial_dependence(LogisticRegression().fit(x, most), x, 0).target == "b"


def test_labels_alone_give_shares():
    model = as_model(lambda x: (x[:, 0] + x[:, 1] > 0).astype(int), task="classification", classes=[0, 1])
    x = draw(50)
    curve = partial_dependence(model, x, 0, grid=[-1.0, 1.0])
    assert curve.values.tolist() == [np.mean(x[:, 1] > 1), np.mean(x[:, 1] > -1)]


def test_one_probability_a_row_keeps_its_meaning_on_changed_rows():
    model = as_model(lambda x: np.clip(x[:, :1], 0, 1), output="probabilities")
    curve = partial_dependence(model, np.array([[0.2], [0.7], [0.9]]), 0, grid=[0.0, 1.0])
    assert curve.values.tolist() == [0.0, 1.0]


# --- grids


def test_grids_obey_kind_and_bounds():
    rng = np.random.default_rng(1)
    x = np.column_stack([rng.normal(0, 3, 300), rng.integers(0, 90, 300), rng.integers(0, 2, 300)])
    schema = {"b": {"kind": "integer", "bounds": (0, 90)}, "c": {"kind": "binary"}}
    data = as_data(x, names=["a", "b", "c"], schema=schema)
    a, b, c = (feature_grid(data, name, points=10) for name in "abc")
    np.testing.assert_allclose(a.grid, np.quantile(x[:, 0], np.linspace(0.05, 0.95, 10)))
    assert (b.grid == np.rint(b.grid)).all()
    assert len(b.grid) == 10
    assert c.grid.tolist() == [0.0, 1.0]


def test_integer_arrays_keep_their_type():
    x = np.random.default_rng(2).integers(0, 255, (100, 4), dtype=np.uint8)
    seen = []

    def model(rows):
        seen.append(rows.dtype)
        return rows.sum(axis=1).astype(float)

    partial_dependence(regression(model), x, 2)
    assert set(seen) == {np.dtype(np.uint8)}


def test_a_one_hot_group_is_set_as_a_whole():
    rng = np.random.default_rng(3)
    x = np.column_stack([np.eye(3)[rng.integers(0, 3, 80)], rng.standard_normal(80)])
    schema = {name: {"one_hot": "city"} for name in ("oslo", "rome", "bonn")}
    data = as_data(x, names=["oslo", "rome", "bonn", "z"], schema=schema)
    model = regression(lambda x: x @ [1.0, 2.0, 4.0, 0.0] + 10 * (x[:, :3].sum(axis=1) != 1))
    curve = partial_dependence(model, data, "city")
    assert curve.labels == ("oslo", "rome", "bonn")
    np.testing.assert_allclose(curve.values, [1.0, 2.0, 4.0])
    assert partial_dependence(model, data, "city", grid=["bonn", "oslo"]).values.tolist() == [1.0, 4.0]
    with pytest.raises(InvalidInput, match="one-hot group 'city'"):
        partial_dependence(model, data, "rome")


def test_categories_are_named():
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame({"colour": ["red", "blue", "red", "green"] * 10, "z": np.arange(40.0)})
    data = as_data(frame)
    code = data.schema.names.index("colour")
    curve = partial_dependence(regression(lambda x: x[:, code]), data, "colour")
    assert curve.labels == ("blue", "green", "red")
    assert curve.values.tolist() == [0.0, 1.0, 2.0]


def test_images_take_a_pixel():
    x = np.random.default_rng(4).random((30, 1, 4, 4))
    curve = partial_dependence(regression(lambda x: x[:, 0, 2, 1]), x, "x[0,2,1]", grid=[0.1, 0.9])
    np.testing.assert_allclose(curve.values, [0.1, 0.9])


def test_features_that_stand_for_many():
    x = np.linspace(-1, 1, 50)[:, None] * np.arange(30)
    assert asked_features(as_data(x), few=3) == (27, 28, 29)
    assert asked_features(as_data(x[:, :5]), few=3) == (1, 2, 3, 4)


# --- rows, bounds, evidence


def test_rows_are_chosen_by_id_alone():
    x = draw(500)
    data = as_data(x, ids=np.arange(500) * 7)
    model = regression(lambda x: np.sin(x).sum(axis=1) * x[:, 1])
    first = partial_dependence(model, data, 0, rows=100)
    mixed = partial_dependence(model, data.rows(np.random.default_rng(5).permutation(500)), 0, rows=100)
    assert sorted(first.ids) == sorted(mixed.ids)
    assert first.ice.shape == (100, 20)
    np.testing.assert_allclose(first.values, mixed.values)
    other = partial_dependence(model, data, 0, rows=100, seed=1)
    assert sorted(other.ids) != sorted(first.ids)


def test_costs_rows_times_points_and_one_pass():
    curve = partial_dependence(regression(lambda x: x.sum(axis=1)), draw(80), 0, points=5)
    assert curve[0].provenance.cost.forward_rows == 80 * 6


def test_bounds_cover_the_population():
    rng, hits = np.random.default_rng(6), 0
    model = regression(lambda x: x[:, 0] * np.exp(x[:, 1] / 2))
    for _ in range(200):
        curve = partial_dependence(model, rng.standard_normal((100, 2)), 0, grid=[0.0, 1.0])
        hits += curve.lower[1] <= np.exp(1 / 8) <= curve.upper[1]
    assert hits >= 170


def test_a_feature_that_acts_alike_on_all_rows_is_not_certain():
    curve = partial_dependence(regression(lambda x: 3 * x[:, 0]), draw(60), 0, grid=[0.0, 1.0])
    # 0 of 60 rows differ: at most 4.87 % of the rows may, by at most the range seen.
    assert curve.upper[1] == pytest.approx(3 + 3 * (1 - 0.05 ** (1 / 60)))


def test_errors_follow_groups_and_order():
    rng = np.random.default_rng(7)
    groups = np.repeat(np.arange(30), 10)
    table = (rng.standard_normal(30)[groups] + rng.standard_normal(300))[:, None]
    x = np.zeros((300, 1))
    found, dof = mean_errors(table, as_data(x, groups=groups))
    fit = OLS(table[:, 0], np.ones(300)).fit(cov_type="cluster", cov_kwds={"groups": groups, "df_correction": True})
    assert found[0] == pytest.approx(fit.bse[0], rel=0.01)
    assert dof == 29
    walk = np.repeat(rng.standard_normal(30), 10)[:, None]
    plain, timed = (
        mean_errors(walk, as_data(x))[0][0],
        mean_errors(walk, as_data(x, order=np.arange(300)))[0][0],
    )
    assert timed > 2 * plain
    few, _ = mean_errors(table, as_data(x, groups=groups // 5))
    assert np.isinf(few[0])


def test_extrapolation_is_measured_and_warned_about():
    z = draw(600, 2)
    free = as_data(z)
    tied = as_data(np.column_stack([z[:, 0], z[:, 0] + 0.05 * z[:, 1]]))
    assert extrapolation_share(free, feature_grid(free, 0), seed=0) < 0.03
    share = extrapolation_share(tied, feature_grid(tied, 0), seed=0)
    assert share > 0.5
    curve = partial_dependence(regression(lambda x: x[:, 0]), tied, 0)
    assert curve.extrapolation == share
    assert not curve[0].validity[0].passed
    # A warning, no verdict: it biases nothing in a known direction.
    assert (curve[0] < 100.0).status == "PASS"


def test_broken_relations_are_said():
    data = as_data(np.array([[1.0, 2.0], [2.0, 5.0], [3.0, 4.0]]), names=["a", "b"], schema={"relations": ["a <= b"]})
    curve = partial_dependence(regression(lambda x: x[:, 0]), data, "a")
    # a = 3 is above b = 2, the one broken point of nine.
    assert any("relation" in item.name and item.value == pytest.approx(1 / 9, abs=1e-4) for item in curve[0].evidence)


def test_figures():
    curve = partial_dependence(regression(lambda x: x[:, 0] * x[:, 1]), draw(200), 0)
    mean, lines = dependence_figures(curve)
    assert [column.name for column in mean.columns] == ["x", "y", "lower", "upper"]
    assert len(set(lines.columns[2].values)) == 20


def test_the_curve_is_read_only_and_shows_itself():
    curve = partial_dependence(regression(lambda x: x[:, 0]), draw(20), 0, grid=[0.0, 1.0])
    assert repr(curve) == "PartialDependence(x0=[0.0, 1.0], values=[0.0, 1.0])"
    with pytest.raises(ValueError, match="read-only"):
        curve.ice[0, 0] = 1.0


@pytest.mark.parametrize(
    ("feature", "options", "match"),
    [
        ("height", {}, "height"),
        (7, {}, "outside 0 … 2"),
        (0, {"target": 1}, "regression model"),
        (0, {"grid": [0.0, np.inf]}, "finite values"),
        (0, {"grid": ["a", "b"]}, "numbers would be right"),
        (0, {"grid": [1.0]}, "at least two"),
        (0, {"points": 1}, "points"),
        (0, {"rows": 1}, "rows"),
        (0, {"level": 0.5}, "level"),
    ],
)
def test_errors(feature, options, match):
    with pytest.raises(InvalidInput, match=match):
        partial_dependence(regression(lambda x: x[:, 0]), draw(20), feature, **options)


def test_own_values_obey_the_schema():
    data = as_data(np.arange(20.0)[:, None], names=["age"], schema={"age": {"kind": "integer", "bounds": (0, 120)}})
    model = regression(lambda x: x[:, 0])
    with pytest.raises(InvalidInput, match="0 … 120"):
        partial_dependence(model, data, "age", grid=[10, 130])
    with pytest.raises(InvalidInput, match="whole numbers"):
        partial_dependence(model, data, "age", grid=[10, 10.5])


def test_unknown_class_and_several_outputs():
    x = draw(30)
    with pytest.raises(InvalidInput, match="one of the classes"):
        partial_dependence(LogisticRegression().fit(x, x[:, 0] > 0), x, 0, target="maybe")
    with pytest.raises(InvalidInput, match="2 values a row"):
        partial_dependence(regression(lambda x: x[:, :2]), x, 0)
