"""Minimal-norm attacks against the exact smallest change of linear models, with and without bounds."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import brentq, linprog
from sklearn.linear_model import LogisticRegression

from robust.attacks.ddn import DDN
from robust.attacks.deepfool import DeepFool
from robust.attacks.fmn import FMN
from robust.attacks.minimal_linear import LinearStep
from robust.attacks.minimal_rows import minimal_perturbation
from robust.attacks.self_checks import unlimited_budget
from robust.attacks.target import aim
from robust.data.live import as_data
from robust.models.conversion import as_model

NORMS = ("linf", "l2", "l1")


def length(moves, norm):
    return np.linalg.norm(moves, ord={"linf": np.inf, "l2": 2, "l1": 1}.get(norm, norm), axis=-1)


def smallest(a, gap, low, high, norm):
    """min ‖δ‖ with a·δ ≥ gap and low ≤ δ ≤ high, by linear programming or a root; inf where there is none."""
    d = len(a)
    most = np.where(a > 0, high, low)
    if np.nansum(np.where(a == 0, 0.0, a * most)) < gap:
        return np.inf
    if norm == "l2":

        def short(s):
            return a @ np.clip(s * a, low, high) - gap

        top = 1.0
        while short(top) < 0:
            top *= 2
        return np.linalg.norm(np.clip(brentq(short, 0, top, xtol=1e-14) * a, low, high))
    bounds = [(None if np.isinf(lo) else lo, None if np.isinf(hi) else hi) for lo, hi in zip(low, high, strict=True)]
    parts = 1 if norm == "linf" else d  # one bound of all moves, or one each
    caps = np.ones((d, 1)) if norm == "linf" else np.eye(d)
    rows = np.vstack([np.hstack([-a[None], np.zeros((1, parts))]), np.hstack([np.eye(d), -caps])])
    rows = np.vstack([rows, np.hstack([-np.eye(d), -caps])])
    cost = np.concatenate([np.zeros(d), np.ones(parts)])
    found = linprog(
        cost, A_ub=rows, b_ub=np.concatenate([[-gap], np.zeros(2 * d)]), bounds=bounds + [(0, None)] * parts
    )
    assert found.status == 0
    return found.fun


def exact_distances(weights, bias, x, y, lower, upper, norm):
    scores = x @ weights.T + bias
    best = np.full(len(x), np.inf)
    for i, row in enumerate(x):
        for k in range(len(weights)):
            if k != y[i]:
                gap = scores[i, y[i]] - scores[i, k]
                found = smallest(weights[k] - weights[y[i]], gap, lower - row, upper - row, norm)
                best[i] = min(best[i], found)
    return best


def problem(seed, *, classes, d, bounded):
    rng = np.random.default_rng(seed)
    weights, bias = rng.normal(size=(classes, d)), rng.normal(size=classes) * 0.3
    x = rng.uniform(0, 1, (12, d)) if bounded else rng.normal(size=(12, d))
    x[rng.random(x.shape) < 0.2] = 0.0  # at a bound, as dark pixels are
    lower, upper = (np.zeros(d), np.ones(d)) if bounded else (np.full(d, -np.inf), np.full(d, np.inf))
    return weights, bias, x, lower, upper


def check(linear, attack, seed, *, classes, d, bounded):
    weights, bias, x, lower, upper = problem(seed, classes=classes, d=d, bounded=bounded)
    model = linear(weights, bias)
    y = model.forward(x).argmax(axis=1)
    data = as_data(x, y, schema={"bounds": (0, 1)} if bounded else None)
    new = attack.perturb(model, data)
    exact = exact_distances(weights, bias, x, y, lower, upper, attack.norm)
    moved, wrong = length(new - x, attack.norm), model.forward(new).argmax(axis=1) != y
    assert (wrong == np.any(new != x, axis=1)).all()
    assert (new >= lower).all()
    assert (new <= upper).all()
    assert not (wrong & np.isinf(exact)).any()
    assert wrong[np.isfinite(exact)].all()
    assert (moved[wrong] >= exact[wrong] * (1 - 1e-6)).all()  # nobody beats the exact one
    assert (moved[wrong] <= 1.01 * exact[wrong]).all(), (moved[wrong] / exact[wrong]).max()


@settings(max_examples=8, deadline=None)
@given(st.integers(0, 10**6), st.booleans())
@pytest.mark.parametrize(
    "attack", [DDN(), FMN(norm="linf"), FMN(norm="l2"), FMN(norm="l1"), DeepFool(norm="linf"), DeepFool()], ids=repr
)
def test_two_classes(linear, attack, seed, bounded):
    if isinstance(attack, DeepFool) and bounded:
        bounded = False  # it clips its steps, and knows nothing of the way around
    check(linear, attack, seed, classes=2, d=8, bounded=bounded)


@settings(max_examples=6, deadline=None)
@given(st.integers(0, 10**6), st.booleans())
@pytest.mark.parametrize("norm", NORMS)
def test_several_classes(linear, norm, seed, bounded):
    weights, bias, x, lower, upper = problem(seed, classes=4, d=10, bounded=bounded)
    model = linear(weights, bias)
    y = model.forward(x).argmax(axis=1)
    data = as_data(x, y, schema={"bounds": (0, 1)} if bounded else None)
    exact = exact_distances(weights, bias, x, y, lower, upper, norm)
    found = minimal_perturbation(model, data, norm=norm).rows
    assert (np.isinf(found) == np.isinf(exact)).all()
    known = np.isfinite(exact)
    assert (found[known] >= exact[known] * (1 - 1e-6)).all()
    assert (found[known] <= 1.01 * exact[known]).all(), (found[known] / exact[known]).max()


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize(("classes", "d"), [(30, 10), (60, 3)])
def test_many_classes(linear, classes, d, norm):
    """The nearest class need not be one of those with the largest scores: some slopes are steeper than others."""
    rng = np.random.default_rng(classes + d)
    weights, bias = rng.normal(size=(classes, d)) * np.exp(rng.normal(size=(classes, 1))), rng.normal(size=classes)
    x = rng.normal(size=(200, d))
    scores = x @ weights.T + bias
    y, every = scores.argmax(axis=1), np.arange(200)
    slopes = length(weights[None] - weights[y][:, None], {"linf": 1, "l2": 2, "l1": np.inf}[norm])
    gaps = scores[every, y][:, None] - scores
    ways = np.divide(gaps, slopes, out=np.full(gaps.shape, np.inf), where=slopes > 0)
    assert not (np.argsort(-scores, axis=1)[:, 1:11] == ways.argmin(axis=1)[:, None]).any(axis=1).all()
    new = LinearStep(norm=norm).perturb(linear(weights, bias), as_data(x, y))
    np.testing.assert_allclose(length(new - x, norm), ways.min(axis=1), rtol=0.01, atol=1e-9)


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("classes", [2, 4, 14])
def test_probabilities_that_have_saturated(classes, norm):
    """A logistic regression without a penalty: most rows have a probability of exactly 1, and no slope of it."""
    rng = np.random.default_rng(classes)
    x = rng.normal(size=(60, 5))
    model = LogisticRegression().fit(x, np.arange(60) % classes)
    model.coef_, model.intercept_ = (
        1e4 * rng.normal(size=model.coef_.shape),
        1e3 * rng.normal(size=model.coef_.shape[0]),
    )
    y = model.predict(x)
    assert (model.predict_proba(x).max(axis=1) == 1.0).mean() > 0.8
    weights = model.coef_ if classes > 2 else np.vstack([np.zeros((1, 5)), model.coef_])
    bias = model.intercept_ if classes > 2 else np.append(0.0, model.intercept_)
    exact = exact_distances(weights, bias, x, y, np.full(5, -np.inf), np.full(5, np.inf), norm)
    np.testing.assert_allclose(minimal_perturbation(model, as_data(x, y), norm=norm).rows, exact, rtol=0.01, atol=1e-9)


def test_a_single_probability_of_a_linear_module_decides_at_its_half():
    net = torch.nn.Linear(2, 1)
    with torch.no_grad():
        net.weight.copy_(torch.tensor([[1.0, 0.0]]))
        net.bias.fill_(0.0)
    x = np.random.default_rng(0).uniform(0, 1, (50, 2)).astype(np.float32)
    data, model = as_data(x, (x[:, 0] > 0.5).astype(int)), as_model(net, output="probabilities", task="classification")
    found = LinearStep(norm="l2").perturb(model, data)
    np.testing.assert_allclose(length(found - x, "l2"), np.abs(x[:, 0] - 0.5), rtol=0.01, atol=1e-6)


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize(
    ("seed", "classes", "d", "scaled"),
    [
        # The nearest class inside the bounds is the fourth without them.
        *[(seed, 5, 2, False) for seed in (138, 218, 363, 398, 413)],
        *[(seed, 5, 6, False) for seed in (49, 149, 394)],
        # Where the steep features have met their bounds, those hundreds of times as flat have to do the rest.
        *[(seed, classes, d, True) for seed in range(4) for classes, d in ((2, 2), (3, 6), (5, 12))],
    ],
)
def test_bounds_and_slopes_of_unlike_sizes(linear, seed, classes, d, scaled, norm):
    weights, bias, x, lower, upper = problem(seed, classes=classes, d=d, bounded=True)
    if scaled:
        weights = weights * 10 ** np.random.default_rng(seed).uniform(-2, 2, d)
    model = linear(weights, bias)
    y = model.forward(x).argmax(axis=1)
    exact = exact_distances(weights, bias, x, y, lower, upper, norm)
    found = minimal_perturbation(model, as_data(x, y, schema={"bounds": (0, 1)}), norm=norm).rows
    assert (np.isinf(found) == np.isinf(exact)).all()
    known = np.isfinite(exact) & (exact > 0)
    assert (found[known] >= exact[known] * (1 - 1e-6)).all()
    assert (found[known] <= 1.01 * exact[known]).all(), (found[known] / exact[known]).max()


@pytest.mark.parametrize("norm", NORMS)
def test_where_the_next_best_score_is_constant_all_rungs_count(linear, norm):
    """Its slope leads nowhere, and that of a class behind it does: only the linear step looks at each class."""
    weights = np.array([[0.0, 0.0], [0.0, 0.0], [0.4, 0.1], [0.1, -0.8]])
    bias = np.array([1.2, 0.6, 0.0, -1.2])
    x = np.random.default_rng(0).normal(size=(80, 2))
    y = (x @ weights.T + bias).argmax(axis=1)
    model, data = linear(weights, bias), as_data(x, y)
    measured = minimal_perturbation(model, data, norm=norm)
    np.testing.assert_allclose(
        measured.rows, exact_distances(weights, bias, x, y, -1e3, 1e3, norm), rtol=1e-2, atol=1e-9
    )
    assert next(check for check in measured.validity if check.name == "unlimited budget").passed
    alone = unlimited_budget(FMN(eps=1.0, norm=norm), target=aim(model, data), seed=0)
    assert not alone.passed


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_deepfool_looks_at_every_class(linear, norm):
    check(linear, DeepFool(norm=norm, candidates=None), 3, classes=12, d=10, bounded=False)


@pytest.mark.parametrize("attack", [DDN(), FMN(norm="linf"), FMN(norm="l1")], ids=repr)
def test_probabilities_of_one_output(linear, attack):
    rng = np.random.default_rng(0)
    weights, x = rng.normal(size=6), rng.normal(size=(15, 6))
    logits = linear(weights[None])

    def squashed(rows):
        return 1.0 / (1.0 + np.exp(-logits.forward(rows)))

    def gradients(rows, cotangent):
        p = squashed(rows)
        return p, (cotangent(p) * p * (1 - p)) @ weights[None]

    model = as_model(squashed, gradients=gradients, output="probabilities", name="one output")
    y = (x @ weights > 0).astype(int)
    new = attack.perturb(model, as_data(x, y))
    dual = {"linf": np.abs(weights).sum(), "l2": np.linalg.norm(weights), "l1": np.abs(weights).max()}[attack.norm]
    assert length(new - x, attack.norm) == pytest.approx(np.abs(x @ weights) / dual, rel=0.01)
