"""Declared inequalities hold to the last bit in every row that is handed out."""

import math
from functools import partial

import numpy as np
import pytest
from sklearn.ensemble import GradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression

from robust.attacks.apgd import APGD
from robust.attacks.ddn import DDN
from robust.attacks.fgsm import FGSM
from robust.attacks.fmn import FMN
from robust.attacks.hop_skip_jump import HopSkipJump
from robust.attacks.linear_exact import LinearExact
from robust.attacks.noise import RandomNoise
from robust.attacks.obedience import obeys
from robust.attacks.pgd import PGD
from robust.attacks.random_search import RandomSearch
from robust.attacks.relation_rounding import inequalities_kept
from robust.attacks.substitute import Substitute
from robust.attacks.transfer import Transfer
from robust.attacks.tree_attack import TreeAttack
from robust.data.live import as_data
from robust.data.schema import build_schema
from robust.models.conversion import as_model

NAMES = ["low", "mid", "high", "a", "b", "total"]
SCHEMA = {"relations": ["low <= mid", "mid <= high", "total = a + b", "a + b <= 1.9 + low"]}


def table(kind, n=200):
    rng = np.random.default_rng(0)
    x = np.zeros((n, 6))
    x[:, :3] = np.sort(rng.random((n, 3)), axis=1)
    x[::5, 1] = x[::5, 0]  # rows at the edge
    x[:, 3:5] = rng.random((n, 2)) * 0.95
    x = x.astype(kind)
    x[:, 5] = x[:, 3] + x[:, 4]
    y = (x @ [2.0, -1.0, -2.0, 1.0, 0.5, 0.2] > np.median(x @ [2.0, -1.0, -2.0, 1.0, 0.5, 0.2])).astype(int)
    return as_data(x, y, names=NAMES, schema=SCHEMA)


def require_exact(rows):
    """As a user would look."""
    low, mid, high, a, b, total = rows.T
    assert (low <= mid).all()
    assert (mid <= high).all()
    assert (a + b <= rows.dtype.type(1.9) + low).all()
    assert (np.abs(total - a - b) <= 1e-6 * (np.abs(a) + np.abs(b) + np.abs(total)) + 1e-9).all()


LINEAR = [
    *(
        kind(eps=0.2, norm=norm)
        for kind in (FGSM, PGD, APGD, LinearExact, RandomNoise)
        for norm in ("linf", "l2", "l1")
    ),
    *(RandomSearch(eps=0.2, queries=60, norm=norm) for norm in ("linf", "l2", "l1")),
    DDN(eps=0.2, steps=10),
    FMN(eps=0.2, steps=10),
    HopSkipJump(eps=0.2, steps=3),
    Substitute(eps=0.2, queries=30),
]


@pytest.mark.parametrize("kind", [np.float32, np.float64])
@pytest.mark.parametrize("attack", LINEAR, ids=repr)
def test_inequalities_hold_to_the_last_bit(attack, kind):
    data = table(kind)
    model = as_model(LogisticRegression(C=1e4, max_iter=2000).fit(data.x, data.y))
    rows = attack.perturb(model, data)
    require_exact(rows)
    assert obeys(rows, data.x, data.schema, eps=0.2, norm=attack.norm).all()
    assert (rows != data.x).any()


@pytest.mark.parametrize("kind", [np.float32, np.float64])
@pytest.mark.parametrize("make", [RandomForestClassifier, GradientBoostingClassifier])
@pytest.mark.parametrize(
    "attack",
    [*(TreeAttack(eps=0.3, norm=norm) for norm in ("linf", "l2", "l1")), RandomSearch(eps=0.3, queries=80)],
    ids=repr,
)
def test_behind_trees_too(attack, make, kind):
    data = table(kind, n=50)
    rows = attack.perturb(as_model(make(n_estimators=10, random_state=0).fit(data.x, data.y)), data)
    require_exact(rows)
    assert obeys(rows, data.x, data.schema, eps=0.3, norm=attack.norm).all()
    assert (rows != data.x).any()


@pytest.mark.parametrize("kind", [np.float32, np.float64])
@pytest.mark.parametrize("norm", ["linf", "l2", "l1"])
def test_rows_that_are_handed_over_too(kind, norm):
    data = table(kind)
    twin = LogisticRegression(C=1e4, max_iter=2000).fit(data.x, data.y)
    forest = RandomForestClassifier(10, random_state=0).fit(data.x, data.y)
    rows = Transfer(attack=PGD(eps=0.2, norm=norm), surrogate=twin).perturb(as_model(forest), data)
    require_exact(rows)
    assert obeys(rows, data.x, data.schema, eps=0.2, norm=norm).all()
    assert (rows != data.x).any()


def by_itself(data):
    """A logistic regression whose sums do not depend on the rows beside: with BLAS some do, and so do the searches."""
    fitted = LogisticRegression(C=1e4, max_iter=2000).fit(data.x, data.y)
    weights, intercepts = np.vstack([np.zeros(data.x.shape[1]), fitted.coef_[0]]), np.array([0.0, fitted.intercept_[0]])

    def logits(x):
        return np.einsum("md,kd->mk", x.astype(np.float64), weights) + intercepts

    def slopes(x, cotangent):
        return logits(x), np.einsum("mk,kd->md", cotangent(logits(x)), weights)

    return as_model(logits, gradients=slopes, output="logits", name="logistic")


@pytest.mark.parametrize("kind", [np.float32, np.float64])
@pytest.mark.parametrize("norm", ["linf", "l2", "l1"])
@pytest.mark.parametrize("make", [PGD, FGSM, APGD, RandomNoise, partial(RandomSearch, queries=100)])
def test_neighbours_and_order_change_nothing(make, norm, kind):
    data = table(kind)
    model, attack = by_itself(data), make(eps=0.2, norm=norm)
    rows, order = attack.perturb(model, data), np.random.default_rng(3).permutation(len(data))
    np.testing.assert_array_equal(attack.perturb(model, data.rows(order)), rows[order])
    for some in (order[:1], order[:17]):
        np.testing.assert_array_equal(attack.perturb(model, data.rows(some)), rows[some])


@pytest.mark.parametrize("kind", [np.float32, np.float64, np.int64])
@pytest.mark.parametrize("attack", [RandomSearch(eps=3, queries=80), TreeAttack(eps=3), RandomNoise(eps=3)], ids=repr)
def test_relations_of_whole_numbers(attack, kind):
    rng = np.random.default_rng(2)
    first, second = rng.integers(0, 20, (2, 120))
    x = np.column_stack([first, second, first + second, np.maximum(first, second) + rng.integers(0, 4, 120)])
    features = {name: {"kind": "integer", "bounds": [0, 60]} for name in ("p", "q", "sum", "top")}
    schema = {**features, "relations": ["sum = p + q", "p <= top", "q <= top"]}
    y = (x @ [1, -2, 1, -1] > np.median(x @ [1, -2, 1, -1])).astype(int)
    data = as_data(x.astype(kind), y, names=list(features), schema=schema)
    forest = RandomForestClassifier(10, random_state=0).fit(data.x, data.y)
    rows = attack.perturb(as_model(forest), data)
    p, q, total, top = rows.T
    assert (rows == np.rint(rows)).all()
    assert (np.abs(rows - data.x) <= 3).all()
    assert (rows >= 0).all()
    assert (total == p + q).all()
    assert (p <= top).all()
    assert (q <= top).all()
    assert (rows != data.x).any()


@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_rows_beyond_an_edge_by_rounding_come_back(kind):
    rng = np.random.default_rng(1)
    schema = build_schema({"relations": ["p + q + r <= s", "p <= q"]}, names=list("pqrs"), shape=(4,))
    x = rng.random((500, 4)).astype(kind)
    x[:, 1] += 2
    x[:, 3] = x[:, :3].sum(axis=1) + 1
    rows = x.copy()
    rows[:, 0] += rng.random(500).astype(kind) * kind(0.5)
    rows[:, 3] = rows[:, :3].sum(axis=1) * (1 - np.finfo(kind).eps * rng.integers(0, 4, 500)).astype(kind)
    rows[::7, 0] = np.nextafter(rows[::7, 1], kind(9))
    found = inequalities_kept(rows, x, schema)
    assert (found[:, 0] <= found[:, 1]).all()
    assert (found[:, 0] + found[:, 1] + found[:, 2] <= found[:, 3]).all()
    off = [math.fsum([*map(float, row[:3]), -float(row[3])]) for row in found]
    assert max(off) <= 4 * np.finfo(kind).eps * 6
    ordinary = np.arange(500) % 7 != 0
    np.testing.assert_allclose(found[ordinary], rows[ordinary], rtol=40 * np.finfo(kind).eps)
    assert (found == x).all(axis=1).mean() < 0.2


def test_rows_that_are_inside_stay_as_they_are():
    schema = build_schema({"relations": ["p <= q"]}, names=["p", "q"], shape=(2,))
    x, rows = np.array([[0.1, 0.5], [np.nan, 0.2]]), np.array([[0.5, 0.5], [np.nan, 0.1]])
    assert inequalities_kept(rows, x, schema) is rows
    # One that was beyond by rounding may stay so, and not go farther.
    beyond = np.array([[np.nextafter(0.5, 1.0), 0.5]])
    assert inequalities_kept(beyond.copy(), beyond, schema).tolist() == beyond.tolist()
    farther = np.array([[np.nextafter(beyond[0, 0], 1.0), 0.5]])
    assert inequalities_kept(farther, beyond, schema).tolist() == beyond.tolist()
