"""Relations between features: attacks move along them as far as a linear program or a grid says one can."""

import re
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.optimize import linprog
from sklearn.ensemble import GradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.tree import DecisionTreeClassifier

from robust.attacks.accuracy_under_attack import robust_accuracy
from robust.attacks.apgd import APGD
from robust.attacks.balls import ball_around
from robust.attacks.base import unit_space
from robust.attacks.ddn import DDN
from robust.attacks.fgsm import FGSM
from robust.attacks.fmn import FMN
from robust.attacks.l1_ball import L1Ball
from robust.attacks.l2_ball import L2Ball
from robust.attacks.linear_exact import LinearExact
from robust.attacks.linf_ball import LinfBall
from robust.attacks.minimal_rows import minimal_perturbation
from robust.attacks.noise import RandomNoise
from robust.attacks.obedience import obeys
from robust.attacks.pgd import PGD
from robust.attacks.projection import space_of
from robust.attacks.random_search import RandomSearch
from robust.attacks.relation_planes import planes_of
from robust.attacks.relation_steps import best_in_box
from robust.attacks.strengths import cascade
from robust.attacks.target import aim
from robust.attacks.tree_attack import TreeAttack
from robust.data.live import as_data
from robust.data.schema import build_schema
from robust.models.conversion import as_model

_NAMES = ["a", "b", "t", "lo", "hi"]
_BOTH = ["t = a + b", "lo <= hi"]
_LINES = {"t = a + b": [1.0, 1.0, -1.0, 0.0, 0.0], "lo <= hi": [0.0, 0.0, 0.0, 1.0, -1.0]}


def _linear(n=120):
    rng = np.random.default_rng(0)
    a, b = rng.uniform(0, 5, (2, n))
    lo = rng.uniform(0, 3, n)
    x = np.column_stack([a, b, a + b, lo, lo + rng.uniform(0, 1, n)])
    score = x @ np.array([1.0, -2.0, 0.5, 1.5, -1.0])
    return x, (score - np.median(score) + rng.normal(size=n) * 0.05 > 0).astype(int)


def _programmed(model, x, y, relations, eps):
    """Which rows hold in linf, by a linear program each."""
    w, b = model.coef_[0], model.intercept_[0]
    equal = [_LINES[r] for r in relations if " = " in r] or None
    below = [_LINES[r] for r in relations if "<=" in r] or None
    held = []
    for row, label in zip(x, y, strict=True):
        sign = 2 * label - 1
        room = None if below is None else [-np.dot(below[0], row)]
        worst = linprog(
            sign * w, A_eq=equal, b_eq=equal and [0.0], A_ub=below, b_ub=room, bounds=[(-eps, eps)] * len(w)
        ).fun
        held.append(sign * (row @ w + b) > 0 and sign * (row @ w + b) + worst > 0)
    return np.array(held)


def _twin(model):
    twin = torch.nn.Linear(5, 2).double()
    with torch.no_grad():
        half = torch.tensor(np.vstack([-model.coef_, model.coef_]) / 2)
        twin.weight.copy_(half)
        twin.bias.copy_(torch.tensor(np.concatenate([-model.intercept_, model.intercept_]) / 2))
    return twin


@pytest.fixture(scope="module")
def net():
    """A small network, its rows under `t = a + b`, and which of them a fine grid breaks at 0.3."""
    rng = np.random.default_rng(0)
    a, b = rng.uniform(0, 5, (2, 200))
    x = np.column_stack([a, b, a + b])
    y = ((a - 2 * b) + np.sin(2 * a) > -2.5).astype(int)
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(3, 32), torch.nn.ReLU(), torch.nn.Linear(32, 2)).double()
    steps = torch.optim.Adam(model.parameters(), 1e-2)
    for _ in range(300):
        steps.zero_grad()
        torch.nn.functional.cross_entropy(model(torch.tensor(x)), torch.tensor(y)).backward()
        steps.step()
    grid = np.linspace(-0.3, 0.3, 41)
    da, db = (part.ravel() for part in np.meshgrid(grid, grid))
    fits = np.abs(da + db) <= 0.3 + 1e-12
    moves = np.column_stack([da, db, da + db])[fits]
    with torch.no_grad():
        told = model(torch.tensor((x[:, None, :] + moves).reshape(-1, 3))).argmax(1).numpy().reshape(len(x), -1)
    data = as_data(x, y, names=["a", "b", "t"], schema={"relations": ["t = a + b"]})
    return model, data, (told == y[:, None]).all(axis=1)


@pytest.mark.parametrize("relations", [["t = a + b"], ["lo <= hi"], _BOTH])
def test_a_linear_model_falls_as_far_as_a_program_says(relations):
    x, y = _linear()
    data = as_data(x, y, names=_NAMES, schema={"relations": relations})
    model = LogisticRegression(C=1e3, max_iter=5000).fit(x, y)
    exact = _programmed(model, x, y, relations, 0.2).mean()
    for asked in (model, _twin(model)):
        m = robust_accuracy(asked, data, eps=0.2)
        assert m.value == pytest.approx(exact)
        assert (m > 0.01).status == "PASS"
    assert robust_accuracy(_twin(model), data, attack=PGD(eps=0.2)).value == pytest.approx(exact, abs=2 / len(x))
    assert robust_accuracy(model, data, attack=LinearExact(eps=0.2)).value == pytest.approx(exact)


def test_relations_that_share_features_are_a_program():
    rng = np.random.default_rng(1)
    schema = build_schema({"relations": ["t = a + b", "a <= b"]}, names=["a", "b", "t"], shape=(3,))
    planes = planes_of(schema, np.array([1.0, 1.0, 2.0]))
    a = rng.uniform(0, 1, 30)
    x = np.column_stack([a, a + rng.uniform(0, 1, 30), np.zeros(30)])
    x[:, 2] = x[:, 0] + x[:, 1]
    slope, edge = rng.normal(size=(30, 3)), np.broadcast_to([0.5, 0.5, 0.6], (30, 3))
    best, left = best_in_box(planes, slope, -edge, edge, planes.room(x), exact=True)
    assert not left.any()
    for row in range(30):
        told = linprog(
            -slope[row],
            A_eq=[[1, 1, -1]],
            b_eq=[0],
            A_ub=[[1, -1, 0]],
            b_ub=[x[row, 1] - x[row, 0]],
            bounds=list(zip(-edge[row], edge[row], strict=True)),
        )
        assert slope[row] @ best[row] == pytest.approx(-told.fun, abs=1e-9)


def test_a_sign_step_does_not_cancel():
    schema = build_schema({"relations": ["t = a + b"]}, names=["a", "b", "t"], shape=(3,))
    space = space_of(schema, np.dtype(np.float64), eps=np.ones(3), norm="linf")
    ball = ball_around(space, np.array([[1.0, 1.0, 2.0]]))
    step = ball.ascend(ball.centre(), np.array([[1.0, 0.1, -0.5]]), 1.0) - ball.x
    np.testing.assert_allclose(step, [[1.0, -1.0, 0.0]], atol=1e-12)  # by hand: 0.5 a − 0.4 b is what rises


@pytest.mark.parametrize("strength", ["quick", "standard"])
def test_a_network_falls_as_far_as_a_grid_says(net, strength):
    model, data, held = net
    m = robust_accuracy(model, data, eps=0.3, strength=strength)
    assert m.value <= held.mean() + 1 / len(held)
    assert (m > 0.01).status == "PASS"


def test_single_attacks_move_along_relations(net):
    model, data, held = net
    assert robust_accuracy(model, data, attack=PGD(eps=0.3)).value <= held.mean() + 0.02
    assert robust_accuracy(model, data, attack=APGD(eps=0.3, steps=40)).value <= held.mean() + 0.02
    moved = (FGSM(eps=0.3).perturb(model, data) != data.x).any(axis=1)
    assert moved.mean() > 0.9


@pytest.mark.parametrize("norm", ["linf", "l2", "l1"])
def test_smallest_changes_are_found(net, norm):
    model, data, _ = net
    m = minimal_perturbation(model, data, norm=norm)
    assert np.isfinite(m.value)
    assert (m > 1e-6).status == "PASS"
    assert np.isfinite(np.asarray(m.rows)).mean() > 0.9


@pytest.mark.parametrize(
    "attack", [DDN(eps=0.3), FMN(eps=0.3, norm="l1"), PGD(eps=0.3, norm="l2"), PGD(eps=0.3, norm="l1")]
)
def test_other_norms_break_what_a_search_breaks(net, attack):
    model, data, _ = net
    search = robust_accuracy(model, data, attack=RandomSearch(eps=0.3, norm=attack.norm, queries=300))
    assert robust_accuracy(model, data, attack=attack).value <= search.value + 0.02


def _table(n=80):
    """Columns of every kind, with whole numbers that add up."""
    rng = np.random.default_rng(1)
    hue = np.eye(3)[rng.integers(0, 3, n)]
    dose, age = rng.normal(size=n).round(2), rng.integers(18, 80, n)
    sex, a = rng.integers(0, 2, n), rng.integers(0, 5, n)
    x = np.column_stack([dose, age, hue, sex, a, age + a]).astype(float)
    y = (dose + (age - 49) / 20 + hue[:, 0] + 0.3 * sex + 0.2 * a + rng.normal(size=n) * 0.2 > 1).astype(int)
    whole = {"kind": "integer"}
    schema = {
        "dose": {"bounds": (-5, 5)},
        "age": {**whole, "bounds": (18, 80)},
        **{name: {"one_hot": "hue"} for name in "rgb"},
        "sex": {"kind": "binary", "immutable": True},
        "a": {**whole, "bounds": (0, 5)},
        "t": {**whole, "bounds": (18, 90)},
        "relations": ["t = age + a"],
    }
    data = as_data(x, y, names=["dose", "age", "r", "g", "b", "sex", "a", "t"], schema=schema)
    return data, {"dose": 0.3, "age": 2, "r": 1, "g": 1, "b": 1, "sex": 1, "a": 1, "t": 3}


@pytest.mark.parametrize(
    "model",
    [
        DecisionTreeClassifier(max_depth=5, random_state=0),
        RandomForestClassifier(10, max_depth=4, random_state=0),
        GradientBoostingClassifier(n_estimators=15, random_state=0),
    ],
)
def test_trees_fall_as_far_as_a_search_says(model):
    data, eps = _table()
    model.fit(data.x, data.y)
    search = robust_accuracy(model, data, attack=RandomSearch(eps=eps, queries=300))
    m = robust_accuracy(model, data, eps=eps)
    assert m.value <= search.value
    assert (m > 0.01).status == "PASS"
    trees = robust_accuracy(model, data, attack=TreeAttack(eps=eps))
    lost = int(((np.asarray(trees.row_values) == 1) & (np.asarray(search.row_values) == 0)).sum())
    unproved = re.search(r"(\d+) of \d+ rows held without proof", repr(trees.evidence))
    said = int(unproved[1]) if unproved else 0
    assert lost <= said  # what is called proved is held by every search


@pytest.mark.parametrize("norm", ["linf", "l2", "l1"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_rows_obey(norm, dtype):
    rng = np.random.default_rng(2)
    n = 60
    a, b, k = rng.uniform(0, 2, n), rng.uniform(0, 2, n), rng.integers(0, 4, n)
    hot = np.eye(2)[rng.integers(0, 2, n)]
    x = np.column_stack([a, b, a + b + k, k, hot, b + 0.1]).astype(dtype)
    x[:, 2] = x[:, 0] + x[:, 1] + x[:, 3]
    schema = {
        "k": {"kind": "integer", "bounds": (0, 4)},
        "p": {"one_hot": "g"},
        "q": {"one_hot": "g"},
        "a": {"bounds": (0, 2)},
        "relations": ["t = a + b + k", "b <= c", "c <= 3 + 2*p"],
    }
    weights = rng.normal(size=(7, 2))
    model = torch.nn.Linear(7, 2).to(torch.float32 if dtype == np.float32 else torch.float64)
    with torch.no_grad():
        model.weight.copy_(torch.tensor(weights.T))
    with torch.no_grad():
        y = model(torch.tensor(x)).argmax(1).numpy()
    data = as_data(x, y, names=["a", "b", "t", "k", "p", "q", "c"], schema=schema)
    attacks = (FGSM(), PGD(steps=8), APGD(steps=8), RandomNoise(draws=10), RandomSearch(queries=60), LinearExact())
    for template in attacks:
        found = replace(template, eps=1.2, norm=norm).perturb(model, data)
        assert obeys(found, data.x, data.schema, eps=1.2, norm=norm).all()
        if not isinstance(template, RandomNoise):
            assert (found != data.x).any(axis=1).mean() > 0.5


def test_a_missing_value_unbinds_its_relation():
    schema = build_schema({"relations": ["t = a + b"]}, names=["a", "b", "t"], shape=(3,))
    space = space_of(schema, np.dtype(np.float64), eps=np.full(3, 0.1), norm="linf")
    ball = ball_around(space, np.array([[1.0, 2.0, np.nan], [1.0, 2.0, 3.0]]))
    points = ball.points(ball.ascend(ball.centre(), np.ones((2, 3)), 1.0))
    np.testing.assert_allclose(points[0], [1.1, 2.1, np.nan])
    assert points[1, 2] == pytest.approx(points[1, 0] + points[1, 1])
    assert points[1, 2] == pytest.approx(3.1)


def test_without_relations_nothing_is_wrapped():
    schema = build_schema({}, names=["a", "b"], shape=(2,))
    for norm, kind in (("linf", LinfBall), ("l2", L2Ball), ("l1", L1Ball)):
        space = space_of(schema, np.dtype(np.float64), eps=np.ones(2), norm=norm)
        assert space.planes is None
        assert type(ball_around(space, np.zeros((1, 2)))) is kind


def test_features_that_must_stay_bind_nothing():
    schema = build_schema({"relations": ["a <= b"]}, names=["a", "b", "c"], shape=(3,))
    assert planes_of(schema, np.array([0.0, 0.0, 1.0])) is None


def test_a_cascade_searches_among_rows_that_keep_relations(net):
    model, data, _ = net
    target = aim(as_model(model), data)
    for strength, queries in (("quick", 300), ("standard", 300), ("thorough", 2000)):
        assert cascade(target, eps=0.1, norm="linf", strength=strength)[-1] == RandomSearch(eps=0.1, queries=queries)
    assert unit_space(PGD(), target, [0.1]).planes is not None
