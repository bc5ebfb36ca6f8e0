import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog, minimize
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression, RidgeClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC
from torch import nn

from robust.attacks.linear_exact import LinearExact, best_moves, linear_scores
from robust.attacks.pgd import PGD
from robust.data.live import as_data
from robust.errors import InvalidInput
from robust.models.conversion import as_model

NORMS = ["linf", "l2", "l1"]


def broken(attack, model, data):
    return model.forward(attack.perturb(model, data)).argmax(axis=1) != data.y


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from(NORMS))
def test_breaks_what_the_distance_to_the_hyperplane_says(seed, norm):
    rng = np.random.default_rng(seed)
    net = nn.Linear(6, 2).double()
    with torch.no_grad():
        net.weight.copy_(torch.from_numpy(rng.normal(size=(2, 6))))
        net.bias.copy_(torch.from_numpy(rng.normal(size=2)))
    model = as_model(net, output="logits")
    x = rng.normal(size=(30, 6))
    logits = model.forward(x)
    y = logits.argmax(axis=1)
    slope = (net.weight[1] - net.weight[0]).detach().numpy()
    dual = {"linf": np.abs(slope).sum(), "l2": np.linalg.norm(slope), "l1": np.abs(slope).max()}[norm]
    exact = np.abs(logits[:, 1] - logits[:, 0]) / dual
    eps = float(np.median(exact))
    found = broken(LinearExact(eps=eps, norm=norm), model, as_data(x, y))
    assert found[exact < (1 - 1e-6) * eps].all()
    assert not found[exact > (1 + 1e-6) * eps].any()


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6))
def test_best_moves_between_bounds_against_solvers(seed):
    rng = np.random.default_rng(seed)
    d = int(rng.integers(1, 7))
    slope = rng.normal(size=d) * rng.integers(0, 2, d)
    low, high = -rng.uniform(0, 0.8, d) * rng.integers(0, 2, d), rng.uniform(0, 0.8, d)
    got = {norm: best_moves(slope[None], low[None], high[None], norm=norm)[0] for norm in NORMS}
    for norm, move in got.items():
        size = {"linf": np.abs(move).max(), "l2": np.linalg.norm(move), "l1": np.abs(move).sum()}[norm]
        assert size <= 1 + 1e-12
        assert ((move >= low - 1e-12) & (move <= high + 1e-12)).all()
    split = linprog(
        np.concatenate([-slope, slope]),
        A_ub=np.ones((1, 2 * d)),
        b_ub=[1.0],
        bounds=[*((0, top) for top in high), *((0, -bottom) for bottom in low)],
    )
    assert got["l1"] @ slope == pytest.approx(-split.fun, abs=1e-9)
    assert got["linf"] @ slope == pytest.approx(np.where(slope > 0, high, low) @ slope, abs=1e-12)
    free = minimize(
        lambda v: -(v @ slope),
        np.zeros(d),
        jac=lambda v: -slope,
        bounds=list(zip(low, high, strict=True)),
        constraints={"type": "ineq", "fun": lambda v: 1 - v @ v, "jac": lambda v: -2 * v},
        method="SLSQP",
        options={"maxiter": 300, "ftol": 1e-14},
    )
    assert got["l2"] @ slope >= -free.fun - 1e-6


@pytest.mark.parametrize("norm", NORMS)
def test_many_classes_behind_scalers_and_bounds(norm):
    x, y = load_iris(return_X_y=True)
    estimator = make_pipeline(StandardScaler(), LogisticRegression()).fit(x, y)
    model = as_model(estimator)
    data = as_data(x, y, schema={"bounds": (0, 8)})
    attack = LinearExact(eps=0.3, norm=norm)
    exact = broken(attack, model, data)
    assert 0.05 < exact.mean() < 0.95
    steps = broken(PGD(eps=0.3, norm=norm, steps=40, restarts=3), model, data)
    assert (steps <= exact).all()
    # Where it holds, the linear program of each other class says so too (l1 and linf are polytopes).
    weights, bias = linear_scores(model)
    if norm != "l2":
        for row, label, fell in zip(x, y, exact, strict=True):
            leads = []
            for other in {0, 1, 2} - {label}:
                slope = weights[other] - weights[label]
                low, high = np.maximum(0 - row, -0.3), np.minimum(8 - row, 0.3)
                move = best_moves(slope[None] * 0.3, low[None] / 0.3, high[None] / 0.3, norm=norm)[0] * 0.3
                leads.append(slope @ (row + move) + bias[other] - bias[label])
            assert fell == (max(leads) > 0) or abs(max(leads)) < 1e-6


def test_kinds_of_features_are_exact_in_linf():
    rng = np.random.default_rng(0)
    hue = np.eye(3)[rng.integers(0, 3, 200)]
    x = np.column_stack([rng.normal(size=200), rng.integers(0, 6, 200), hue, rng.normal(size=200)])
    y = (x @ [1.0, 0.7, -1.0, 0.2, 1.2, 1.0] > 1.5).astype(int)
    estimator = LogisticRegression(C=100).fit(x, y)
    model = as_model(estimator)
    names = ["a", "n", "r", "g", "b", "fixed"]
    schema = {
        "n": {"kind": "integer", "bounds": (0, 5)},
        **{name: {"one_hot": "hue"} for name in "rgb"},
        "fixed": {"immutable": True},
    }
    data = as_data(x, y, names=names, schema=schema)
    found = broken(LinearExact(eps=1.3), model, data)
    w = estimator.coef_[0]
    for row, label, fell in zip(x, y, found, strict=True):
        sign = 1 if label == 0 else -1
        rest = w[5] * row[5] + estimator.intercept_[0]
        n = np.clip(row[1] + np.array([-1, 0, 1]), 0, 5)
        moves = itertools.product((-1.3, 1.3), n, w[2:5])
        best = max(sign * (w[0] * (row[0] + step) + w[1] * k + hue_weight + rest) for step, k, hue_weight in moves)
        assert fell == (best > 0) or abs(best) < 1e-9 or estimator.predict(row[None])[0] != label
    assert 0.1 < found.mean() < 0.95


def test_which_models_are_linear():
    x, y = load_iris(return_X_y=True)
    data = as_data(x, y)
    for estimator in (LogisticRegression(max_iter=500), RidgeClassifier(), LinearSVC()):
        weights, bias = linear_scores(as_model(estimator.fit(x, y)))
        assert ((x @ weights.T + bias).argmax(axis=1) == estimator.predict(x)).all()
    nets = {
        nn.Linear(4, 3): True,
        nn.Sequential(nn.Flatten(), nn.Linear(4, 5), nn.Dropout(), nn.Linear(5, 3), nn.Softmax(dim=1)): True,
        nn.Sequential(nn.Linear(4, 5), nn.ReLU(), nn.Linear(5, 3)): False,
        nn.Sequential(nn.Softmax(dim=1), nn.Linear(4, 3)): False,
        nn.Sequential(nn.Linear(4, 3), nn.Sigmoid()): False,
        nn.Sequential(nn.Linear(4, 1), nn.Sigmoid()): True,
    }
    for net, linear in nets.items():
        found = linear_scores(as_model(net, task="classification"))
        assert (found is not None) == linear
        if linear and len(found[1]) == 3:
            told = net.eval()(torch.from_numpy(x).float()).argmax(dim=1).numpy()
            assert ((x @ found[0].T + found[1]).argmax(axis=1) == told).mean() > 0.99
    relu = as_model(nn.Sequential(nn.Linear(4, 5), nn.ReLU(), nn.Linear(5, 3)), output="logits")
    with pytest.raises(InvalidInput, match="not known to be linear"):
        LinearExact(eps=0.1).perturb(relu, data)


def test_a_table_with_columns_in_another_order():
    pandas = pytest.importorskip("pandas")
    x, y = load_iris(return_X_y=True)
    names = ["a", "b", "c", "d"]
    frame = pandas.DataFrame(x, columns=names)
    model = as_model(LogisticRegression(max_iter=500).fit(frame[["d", "b"]], y))
    data = as_data(x, y, names=names)
    moved = LinearExact(eps=0.5).perturb(model, data) - x
    assert (moved[:, [0, 2]] == 0).all()
    assert np.abs(moved[:, [1, 3]]).max() == pytest.approx(0.5)


@pytest.mark.parametrize("norm", NORMS)
def test_whole_numbers_are_exact_in_every_norm(norm):
    """Against all combinations of steps, the one continuous feature solved for."""
    rng = np.random.default_rng(3)
    x = np.column_stack([rng.integers(0, 6, (150, 3)), rng.uniform(-1, 1, 150)]).astype(float)
    model = LogisticRegression().fit(x, (x @ [0.5, -0.7, 0.3, 1.0] + rng.normal(size=150) > 0).astype(int))
    y, slope = model.predict(x), model.coef_[0]
    schema = {name: {"kind": "integer", "bounds": (0, 5)} for name in "abc"}
    data = as_data(x, y, names=list("abcd"), schema=schema)
    steps = np.array(list(itertools.product(range(6), repeat=3)))
    length = np.empty(150)
    for i, row in enumerate(x):
        scores = steps @ slope[:3] + row[3] * slope[3] + model.intercept_[0]
        last = np.where((scores > 0) == (y[i] > 0), scores / slope[3], 0.0)
        moves = np.column_stack([steps - row[:3], last])
        length[i] = np.linalg.norm(moves, ord={"linf": np.inf, "l2": 2, "l1": 1}[norm], axis=1).min()
    eps = float(np.median(length)) + 0.01
    found = LinearExact(eps=eps, norm=norm).perturb(model, data)
    clear = np.abs(length - eps) > 1e-6
    assert (model.predict(found) != y)[clear].tolist() == (length < eps)[clear].tolist()
    assert 20 < (length < eps).sum() < 130
