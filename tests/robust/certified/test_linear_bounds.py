import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog
from torch import nn

from robust.certified.interval_bounds import interval_bounds
from robust.certified.linear_bounds import least
from robust.certified.margin_bounds import linear_margins, narrowed, prove_rows
from robust.certified.relaxations import BELOW

KINDS = ("dense", "leaky", "residual", "pooled", "series")


def worst_found(net, shape, x, y, eps, norm, answer, margins, rng, *, count=10_000, bounds=(-np.inf, np.inf)):
    """The smallest margin among random points, corners, and the end of a coordinate search from the best of them."""
    width = len(x)
    u = rng.uniform(-1, 1, (count, width))
    u[: count // 2] = np.sign(u[: count // 2])
    if norm != "linf":
        u /= np.maximum(np.linalg.norm(u, ord=2 if norm == "l2" else 1, axis=1, keepdims=True), 1e-12)
    points = np.clip(x + eps * u, *bounds)
    found = margins(answer(net, shape, points), np.full(count, y))
    best, least_margin = points[found.argmin()], found.min()
    for _ in range(3 if norm == "linf" else 0):
        tries = np.repeat(best[None], 2 * width, axis=0)
        tries[np.arange(width), np.arange(width)] = np.clip(x - eps, *bounds)
        tries[width + np.arange(width), np.arange(width)] = np.clip(x + eps, *bounds)
        values = margins(answer(net, shape, tries), np.full(len(tries), y))
        best, least_margin = tries[values.argmin()], min(least_margin, values.min())
    return least_margin


@settings(max_examples=40, deadline=None)
@given(
    st.sampled_from(KINDS),
    st.integers(0, 10**6),
    st.sampled_from([0.001, 0.03, 0.3, 2.0]),
    st.sampled_from(["linf", "l2", "l1"]),
)
def test_no_point_is_worse_than_the_bounds(make, read, answer, margins, kind, seed, eps, norm):
    net, shape = make(kind, seed)
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(3, int(np.prod(shape)))).astype(np.float32)
    y = answer(net, shape, x).argmax(axis=1)
    network, changes = read(net, shape, x, eps=eps, norm=norm)
    by_interval = prove_rows(network, changes, y, method="interval").margin
    by_lines = prove_rows(network, changes, y, method="linear").margin
    assert (by_lines >= by_interval).all()
    worst = [worst_found(net, shape, x[i], y[i], eps, norm, answer, margins, rng, count=3000) for i in range(3)]
    assert (by_lines <= worst).all()


@pytest.mark.slow
@pytest.mark.parametrize("norm", ["linf", "l2", "l1"])
@pytest.mark.parametrize("kind", KINDS)
def test_no_point_is_worse_in_many_networks(make, read, answer, margins, kind, norm):
    rng = np.random.default_rng(5)
    for seed in range(40):
        net, shape = make(kind, seed, gain=2.0)
        x = rng.uniform(size=(2, int(np.prod(shape)))).astype(np.float32)
        y = answer(net, shape, x).argmax(axis=1)
        eps = float(rng.choice([0.01, 0.1, 0.5]))
        network, changes = read(net, shape, x, eps=eps, norm=norm, schema={"bounds": (0, 1)})
        bound = prove_rows(network, changes, y, method="linear").margin
        for i in range(2):
            worst = worst_found(net, shape, x[i], y[i], eps, norm, answer, margins, rng, bounds=(0, 1))
            assert bound[i] <= worst


@settings(max_examples=25, deadline=None)
@given(st.sampled_from(KINDS), st.integers(0, 10**6))
def test_every_value_of_every_node_lies_inside(make, read, kind, seed):
    # In double precision, so that the network's own arithmetic can be repeated here, node by node.
    net, shape = make(kind, seed, dtype=torch.float64)
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(2, int(np.prod(shape))))
    network, changes = read(net, shape, x, eps=0.2)
    bounds = narrowed(network, changes)
    plain = interval_bounds(network, changes)
    for one, other in zip(bounds.lower, plain.lower, strict=True):
        assert (one >= other - 1e-12 * (1 + np.abs(other))).all()
    points = x[:, None] + 0.2 * rng.uniform(-1, 1, (2, 500, x.shape[1]))
    points[:, :250] = x[:, None] + 0.2 * np.sign(points[:, :250] - x[:, None])
    for row in range(2):
        _, exact = read(net, shape, points[row], eps=0.0)
        at = interval_bounds(network, exact)
        for i in range(len(network.nodes)):
            middle = (at.lower[i] + at.upper[i]) / 2
            assert (middle >= bounds.lower[i][row] - 1e-9).all()
            assert (middle <= bounds.upper[i][row] + 1e-9).all()


@pytest.mark.parametrize("below", BELOW)
@pytest.mark.parametrize("kind", KINDS)
def test_each_line_below_a_rectifier_is_sound(make, read, answer, kind, below):
    net, shape = make(kind, 3)
    rng = np.random.default_rng(0)
    x = rng.normal(size=(1, int(np.prod(shape)))).astype(np.float32)
    network, changes = read(net, shape, x, eps=0.3)
    bounds = narrowed(network, changes)
    outputs = answer(net, shape, x + 0.3 * rng.uniform(-1, 1, (5000, x.shape[1])))
    for sign in (1.0, -1.0):
        a = sign * np.eye(outputs.shape[1])[None]
        found = least(bounds, len(network.nodes) - 1, a, relax=True, below=below)
        assert (found[0] <= (sign * outputs).min(axis=0)).all()


def exact_margin(weights, x, y, eps):
    """The smallest margin of a ReLU network of one hidden layer: a linear program for each pattern and class."""
    (w1, b1), (w2, b2) = weights
    best = np.inf
    for pattern in itertools.product([0.0, 1.0], repeat=len(b1)):
        on = np.array(pattern)
        signs = 2 * on - 1
        for j in range(len(b2)):
            if j == y:
                continue
            c = (w2[y] - w2[j]) * on
            found = linprog(
                c @ w1,
                A_ub=-signs[:, None] * w1,
                b_ub=signs * b1,
                bounds=list(zip(x - eps, x + eps, strict=True)),
            )
            if found.status == 0:
                best = min(best, found.fun + c @ b1 + b2[y] - b2[j])
    return best


@pytest.mark.parametrize("seed", range(4))
def test_enumeration_of_activation_patterns_lies_above_the_bounds(read, answer, margins, seed):
    torch.manual_seed(seed)
    net = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 3)).double()
    weights = [(layer.weight.detach().numpy(), layer.bias.detach().numpy()) for layer in (net[0], net[2])]
    x = np.random.default_rng(seed).normal(size=(1, 3))
    y = answer(net, (3,), x).argmax(axis=1)
    gaps = []
    for eps in (0.01, 0.3, 1.0):
        network, changes = read(net, (3,), x, eps=eps)
        bound = linear_margins(network, changes, y, method="linear")[0]
        exact = exact_margin(weights, x[0], y[0], eps)
        worst = worst_found(net, (3,), x[0], y[0], eps, "linf", answer, margins, np.random.default_rng(1), count=4000)
        assert bound <= exact + 1e-9
        assert exact <= worst + 1e-9
        gaps.append(exact - bound)
    assert gaps[0] < 0.01  # small changes cross few kinks


@pytest.mark.parametrize("norm", ["linf", "l2", "l1"])
def test_affine_networks_are_bounded_exactly(read, answer, norm):
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(6, 5), nn.BatchNorm1d(5), nn.Linear(5, 3)).double().eval()
    x = np.random.default_rng(0).normal(size=(8, 6))
    outputs = answer(net, (6,), x)
    y = outputs.argmax(axis=1)
    matrix = (answer(net, (6,), np.eye(6)) - answer(net, (6,), np.zeros((1, 6)))).T
    network, changes = read(net, (6,), x, eps=0.2, norm=norm)
    bound = prove_rows(network, changes, y, method="linear").margin
    order = {"linf": 1, "l2": 2, "l1": np.inf}[norm]
    for i in range(8):
        rivals = [j for j in range(3) if j != y[i]]
        closed = min(
            outputs[i, y[i]] - outputs[i, j] - 0.2 * np.linalg.norm(matrix[y[i]] - matrix[j], ord=order) for j in rivals
        )
        assert bound[i] == pytest.approx(closed, abs=1e-8)
        assert bound[i] <= closed


@pytest.mark.parametrize("kind", KINDS)
def test_more_budget_never_proves_more_and_rows_do_not_matter_to_each_other(make, read, answer, kind):
    net, shape = make(kind, 1)
    rng = np.random.default_rng(1)
    x = rng.normal(size=(40, int(np.prod(shape)))).astype(np.float32)
    y = answer(net, shape, x).argmax(axis=1)
    before = np.full(40, np.inf)
    for eps in (0.0, 0.01, 0.05, 0.2, 1.0):
        network, changes = read(net, shape, x, eps=eps)
        bound = prove_rows(network, changes, y, method="linear").margin
        assert (bound <= before + 1e-5 * (1 + np.abs(bound))).all()
        before = bound
    order = rng.permutation(40)
    network, changes = read(net, shape, x[order], eps=0.05)
    whole = prove_rows(network, changes, y[order], method=None).proved
    network, changes = read(net, shape, x, eps=0.05)
    single = [prove_rows(network, changes.part(slice(i, i + 1)), y[i : i + 1], method=None).proved[0] for i in order]
    np.testing.assert_array_equal(whole, single)


def test_a_bound_that_forgets_a_layer_would_be_found(make, read, answer, margins):
    # The soundness test can fail: with every rectifier's line above taken away, points lie below the bound.
    net, shape = make("dense", 0)
    rng = np.random.default_rng(0)
    x = rng.normal(size=(30, 5)).astype(np.float32)
    y = answer(net, shape, x).argmax(axis=1)
    network, changes = read(net, shape, x, eps=0.5)
    bounds = narrowed(network, changes)
    for i in (1, 3):
        bounds.lower[i] = np.where(bounds.upper[i] > 0, np.maximum(bounds.lower[i], 0.0), bounds.lower[i])
    a = np.zeros((30, 2, 3))
    for i in range(30):
        a[i, [0, 1], [j for j in range(3) if j != y[i]]] = -1.0
        a[i, :, y[i]] = 1.0
    bound = least(bounds, len(network.nodes) - 1, a, relax=True).min(axis=1)
    worst = np.array(
        [worst_found(net, shape, x[i], y[i], 0.5, "linf", answer, margins, rng, count=500) for i in range(30)]
    )
    assert (bound > worst).any()
