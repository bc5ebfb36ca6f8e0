import numpy as np
import pytest
from sklearn.ensemble import RandomForestClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from robust.attacks.categories import codes_of, drawn_codes, spent_on
from robust.attacks.noise import RandomNoise
from robust.attacks.obedience import obeys
from robust.attacks.projection import space_of
from robust.attacks.random_search import RandomSearch
from robust.attacks.relation_moves import mended
from robust.attacks.target import aim
from robust.data.budget import category_eps
from robust.data.live import as_data
from robust.data.schema import build_schema
from robust.errors import InvalidInput
from robust.models.conversion import as_model


@pytest.fixture(scope="module")
def table():
    rng = np.random.default_rng(0)
    hue = np.eye(3)[rng.integers(0, 3, 200)]
    x = np.column_stack([rng.normal(size=(200, 2)), rng.integers(0, 10, 200), hue, rng.normal(size=200)])
    y = (x[:, 0] + 0.5 * x[:, 2] + 2 * x[:, 3] + 0.5 * x[:, 6] > 3).astype(int)
    schema = {
        "n": {"kind": "integer", "bounds": (0, 9)},
        **{name: {"one_hot": "hue"} for name in ("red", "green", "blue")},
        "fixed": {"immutable": True},
    }
    return as_data(x, y, names=["a", "b", "n", "red", "green", "blue", "fixed"], schema=schema)


@pytest.mark.parametrize("norm", ["linf", "l2", "l1"])
def test_breaks_a_pipeline_of_any_kind_under_the_schema(table, norm):
    model = as_model(make_pipeline(StandardScaler(), RandomForestClassifier(10, random_state=0)).fit(table.x, table.y))
    data = table.rows(np.arange(60))
    eps = {"linf": 1.0, "l2": 1.5, "l1": 2.0}[norm]
    found = RandomSearch(eps=eps, norm=norm, queries=60).perturb(model, data)
    noise = RandomNoise(eps=eps, norm=norm, draws=60).perturb(model, data)
    broken, by_noise = (model.forward(rows).argmax(axis=1) != data.y for rows in (found, noise))
    assert broken.mean() >= by_noise.mean()
    assert broken.mean() > 0.2
    assert (found[:, 6] == data.x[:, 6]).all()
    assert np.isin(found[:, 2], range(10)).all()
    assert (np.sort(found[:, 3:6], axis=1) == [0, 0, 1]).all()
    assert obeys(found, data.x, data.schema, eps=eps, norm=norm).all()


@pytest.mark.parametrize("norm", ["linf", "l2", "l1"])
def test_linear_models_break_within_a_factor_of_the_optimum(linear, norm):
    rng = np.random.default_rng(1)
    slope, x = rng.normal(size=8), rng.normal(size=(40, 8))
    model = linear(np.vstack([np.zeros(8), slope]))
    scores = model.forward(x)
    dual = {"linf": np.abs(slope).sum(), "l2": np.linalg.norm(slope), "l1": np.abs(slope).max()}[norm]
    exact = np.abs(scores[:, 1]) / dual
    eps = float(np.median(exact))
    found = RandomSearch(eps=eps, norm=norm).perturb(model, as_data(x, scores.argmax(axis=1)))
    broken = model.forward(found).argmax(axis=1) != scores.argmax(axis=1)
    assert broken[exact < 0.8 * eps].all()
    assert not broken[exact > 1.0001 * eps].any()


def test_equalities_are_kept_by_a_second_move(linear):
    rng = np.random.default_rng(0)
    a, b = rng.uniform(0, 1, (2, 100))
    x = np.column_stack([a, b, a + b])
    model = linear(np.array([[0, 0, 0], [1, -1, 0]]))
    y = model.forward(x).argmax(axis=1)
    data = as_data(x, y, names=["a", "b", "total"], schema={"bounds": (0, 2), "relations": ["total = a + b"]})
    found = RandomSearch(eps=0.2, queries=100).perturb(model, data)
    np.testing.assert_allclose(found[:, 0] + found[:, 1], found[:, 2], atol=1e-6)
    near = np.abs(a - b) < 0.25
    broken = model.forward(found).argmax(axis=1) != y
    assert broken[near].mean() > 0.9
    noise = RandomNoise(eps=0.2, draws=100).perturb(model, data)
    np.testing.assert_allclose(noise[:, 0] + noise[:, 1], noise[:, 2], atol=1e-6)
    assert (noise != x).any(axis=1).all()  # draws are brought to the relation, not thrown away


def test_a_mend_solves_the_relation():
    schema = build_schema({"relations": ["a + 2*b <= 3"]}, names=["a", "b", "c"], shape=(3,))
    space = space_of(schema, np.dtype(float), eps=np.ones(3), norm="linf")
    x = np.array([[1.0, 1.0, 0.0], [1.0, 1.0, 0.0], [0.0, 0.0, 0.0]])
    wish = x + np.array([[0.5, 0.0, 9.0], [0.0, 0.5, 9.0], [0.5, 0.5, 9.0]])
    fixed = mended(wish.copy(), x, space, np.zeros((3, 1)))
    assert fixed.tolist() == [[1.5, 0.75, 9.0], [0.0, 1.5, 9.0], [0.5, 0.5, 9.0]]


def test_categories_have_a_price_by_name():
    schema = build_schema(
        {
            "hue": {"categories": ["r", "g", "b"]},
            "zip": {"kind": "categorical"},
            "day": {"kind": "categorical", "bounds": (1, 3)},
        },
        names=["hue", "zip", "day", "x"],
        shape=(4,),
    )
    assert category_eps({"hue": 2, "x": 1}, schema).tolist() == [2.0, 0, 0, 0]
    assert category_eps(5.0, schema).tolist() == [0.0] * 4
    assert category_eps(None, schema).tolist() == [0.0] * 4
    assert codes_of(schema, 0).tolist() == [0, 1, 2]
    assert codes_of(schema, 1).tolist() == []
    assert codes_of(schema, 2).tolist() == [1, 2, 3]
    changed = np.array([[True, True], [True, False], [False, False]])
    assert spent_on(changed, np.array([2.0, 4.0]), "l1").tolist() == [0.75, 0.5, 0.0]
    assert spent_on(changed, np.array([2.0, 0.5]), "linf").tolist() == [np.inf, 0.0, 0.0]


def test_another_category_is_another_one_and_each_as_likely():
    u = (np.arange(3000) + 0.5) / 3000
    drawn = drawn_codes(np.full(3000, 2.0), np.arange(4.0), u)
    assert np.unique(drawn, return_counts=True)[1].tolist() == [1000, 1000, 1000]
    assert 2 not in drawn
    assert drawn_codes(np.array([5.0]), np.array([5.0]), np.array([0.3])).tolist() == [5.0]
    assert drawn_codes(np.array([5.0]), np.empty(0), np.array([0.3])).tolist() == [5.0]


def test_a_change_of_category_leaves_less_for_the_rest():
    rng = np.random.default_rng(0)
    x = np.column_stack([rng.integers(0, 3, 80), rng.uniform(-1, 0, 80)]).astype(float)
    weights = np.array([0.0, 1.0, 2.0])

    def forward(x):
        return np.column_stack([np.zeros(len(x)), weights[x[:, 0].astype(int)] + x[:, 1] - 1.9])

    model = as_model(forward, output="logits")
    y = forward(x).argmax(axis=1)
    data = as_data(x, y, names=["hue", "size"], schema={"hue": {"categories": ["r", "g", "b"]}})
    eps = {"hue": 2.0, "size": 0.4}
    space = space_of(data.schema, x.dtype, eps=np.array([0.0, 0.4]), norm="l2")
    found = RandomSearch(eps=eps, norm="l2", queries=200).search(aim(model, data), space, seed=0)
    changed = found[:, 0] != x[:, 0]
    cost = changed / 4.0 + ((found[:, 1] - x[:, 1]) / 0.4) ** 2
    assert cost.max() <= 1.0
    assert changed.any()
    reach = np.where(x[:, 0] == 2, 0.4, 0.4 * np.sqrt(0.75))  # the best is to be blue, and to grow by what is left
    exact = 2.0 + x[:, 1] - 1.9 + reach > 0
    broken = forward(found).argmax(axis=1) != y
    assert (broken == exact)[y == 0].mean() > 0.95


def test_hyper_parameters():
    with pytest.raises(InvalidInput, match="queries got -1"):
        RandomSearch(queries=-1)
    assert not RandomSearch().gradients
