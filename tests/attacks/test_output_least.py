import itertools

import numpy as np
import pytest
import torch
from sklearn.ensemble import RandomForestRegressor
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import KBinsDiscretizer
from torch import nn

from robust.attacks.output_least import minimal_perturbation_for_change
from robust.data.live import as_data
from robust.errors import InvalidInput
from robust.models.conversion import as_model

RNG = np.random.default_rng(0)
X = RNG.normal(size=(30, 5))
W = np.array([1.5, -2.0, 0.0, 0.7, 3.0])
DUAL = {"linf": 1, "l2": 2, "l1": np.inf}


@pytest.mark.parametrize("norm", DUAL)
@pytest.mark.parametrize("kind", ["sklearn", "callable"])
def test_linear_models_take_the_change_over_the_dual_norm(kind, norm):
    model = LinearRegression().fit(X, X @ W) if kind == "sklearn" else as_model(lambda x: x @ W, task="regression")
    m = minimal_perturbation_for_change(model, X, change=2.0, norm=norm)
    exact = 2.0 / np.linalg.norm(W, DUAL[norm])
    assert (m.rows >= exact * 0.999999).all()
    assert (m.rows <= exact * 1.01).all()
    assert m.value == np.median(m.rows)
    assert (m > exact * 0.9).status == "PASS"
    assert (m > exact * 1.1).status == "FAIL"


def test_units_count_features_as_they_say_and_the_others_stay():
    model = LinearRegression().fit(X, X @ W)
    m = minimal_perturbation_for_change(model, X, change=2.0, norm="linf", units={"x0": 0.5, "x4": 0.1})
    assert m.rows == pytest.approx(np.full(30, 2.0 / (1.5 * 0.5 + 3.0 * 0.1)), rel=1e-2)
    assert m.unit == "linf norm in the units given"


def test_the_easier_way_and_the_easier_output_count():
    model = as_model(lambda x: np.c_[np.maximum(x[:, 0], 0.0), 4 * x[:, 1]], task="regression")
    x = np.array([[0.3, 0.0], [2.0, 0.0], [0.4, 1.0], [1.5, 1.0], [0.2, 3.0]])

    def rows(**options):
        return minimal_perturbation_for_change(model, x, change=1.0, **options).rows

    assert rows() == pytest.approx(np.full(5, 0.25), rel=1e-2)
    assert rows(output=0, direction="up") == pytest.approx(np.ones(5), rel=1e-2)
    assert np.isfinite(rows(output=0, direction="down")).tolist() == [False, True, False, True, False]


def test_what_cannot_be_reached_is_infinite():
    m = minimal_perturbation_for_change(as_model(lambda x: np.tanh(x[:, 0]), task="regression"), X, change=5.0)
    assert np.isinf(m.rows).all()
    assert m.value == np.inf
    fixed = as_data(X, schema={f"x{j}": {"immutable": True} for j in range(5)})
    still = minimal_perturbation_for_change(as_model(lambda x: x @ W, task="regression"), fixed, change=1.0)
    assert (still > 1).status == "INVALID"


def test_a_forest_is_moved_as_cheaply_as_brute_force_finds():
    x = RNG.integers(0, 5, size=(40, 3)).astype(float)
    forest = RandomForestRegressor(8, random_state=0).fit(x, x[:, 0] * x[:, 1] - 2 * x[:, 2])
    data = as_data(x[:5], schema={f"x{j}": {"kind": "integer", "bounds": (0, 4)} for j in range(3)})
    m = minimal_perturbation_for_change(forest, data, change=3.0, norm="l1")
    moves = np.array(list(itertools.product(range(-4, 5), repeat=3)), dtype=float)
    best = []
    for row in x[:5]:
        near = moves[((row + moves >= 0) & (row + moves <= 4)).all(axis=1)]
        far = np.abs(forest.predict(row + near) - forest.predict(row[None])) >= 3.0
        best.append(np.abs(near[far]).sum(axis=1).min())
    assert m.rows == pytest.approx(best)


@pytest.mark.parametrize(
    "norm", ["l2", pytest.param("linf", marks=pytest.mark.slow), pytest.param("l1", marks=pytest.mark.slow)]
)
def test_a_network_needs_no_more_than_a_dense_search_finds(norm):
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(2, 24), nn.Tanh(), nn.Linear(24, 1)).double().eval()
    model, x = as_model(net, task="regression"), X[:12, :2]
    m = minimal_perturbation_for_change(model, x, change=0.1, norm=norm)
    grid = np.stack(np.meshgrid(np.linspace(-2, 2, 301), np.linspace(-2, 2, 301)), axis=-1).reshape(-1, 2)
    sizes = np.linalg.norm(grid, np.inf if norm == "linf" else int(norm[1]), axis=1)
    best = []
    for row in x:
        far = np.abs(model.forward(row + grid) - model.forward(row[None])).ravel() >= 0.1
        best.append(sizes[far].min())
    # A walk ends at one of several places; the grid is 0.013 apart, so that it can be beaten.
    assert (m.rows <= np.array(best) * 1.01).mean() >= 0.75
    assert (m.rows >= np.array(best) - 0.03).all()


def test_a_clipped_output_is_left_by_the_nearest_edge():
    clipped = as_model(
        nn.Sequential(nn.Linear(2, 1, bias=False), nn.ReLU()).double().eval(), task="regression", name="clipped"
    )
    with torch.no_grad():
        next(clipped.forward.__self__.module.parameters()).copy_(torch.tensor([[3.0, 4.0]]))
    x = np.array([[-1.0, 0.0], [-2.0, 0.0], [-1.0, -1.0], [-0.5, -0.5], [0.0, -1.0], [-3.0, 1.0]])
    m = minimal_perturbation_for_change(clipped, x, change=1.0)
    assert m.rows == pytest.approx((1.0 - np.minimum(x @ [3.0, 4.0], 0.0)) / 5.0, rel=1e-2)


def test_batches_and_order_change_nothing():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(5, 16), nn.ReLU(), nn.Linear(16, 1)).double().eval()
    ids, mixed = np.arange(16), np.random.default_rng(1).permutation(16)[:6]
    whole, some = (
        minimal_perturbation_for_change(
            as_model(net, task="regression", batch_size=batch), as_data(X[rows], ids=rows), change=0.1
        ).rows
        for rows, batch in ((ids, 256), (mixed, 5))
    )
    # Of rows that a fixed budget or noise reaches, the budget is the sample's: these may be smaller by a little.
    assert some == pytest.approx(whole[mixed], rel=1e-2)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"change": 0}, "change got 0"),
        ({"change": -1.0}, "change got -1.0"),
        ({"change": 1, "units": 3}, "units got 3"),
        ({"change": 1, "units": {"zz": 1}}, "no feature 'zz'"),
        ({"change": 1, "norm": "l0"}, "norm got 'l0'"),
        ({"change": 1, "direction": "left"}, "direction got 'left'"),
        ({"change": 1, "output": 1}, "output got 1"),
    ],
)
def test_bad_options_are_refused(options, words):
    with pytest.raises(InvalidInput, match=words):
        minimal_perturbation_for_change(as_model(lambda x: x @ W, task="regression"), X, **options)


def stairs(x):
    return np.floor(np.asarray(x)[:, 0] * 5) / 5


def rounded(x):
    return np.round(2.0 * np.asarray(x)[:, 0] - 1.3)


def ramp(x):
    return np.clip(np.asarray(x)[:, 0] - 1.0, 0.0, 1.0)


@pytest.mark.parametrize("norm", ["linf", "l2"])
@pytest.mark.parametrize("function", [stairs, rounded, ramp, KBinsDiscretizer(8, encode="ordinal")])
def test_steps_without_gradients_are_left_by_the_nearest_edge(function, norm):
    x = np.random.default_rng(3).uniform(0, 2, (30, 1))
    if isinstance(function, KBinsDiscretizer):
        function = make_pipeline(function, LinearRegression()).fit(x, x[:, 0] ** 2)
    ask = function.predict if hasattr(function, "predict") else function
    model = function if hasattr(function, "predict") else as_model(function, task="regression")
    grid = np.linspace(0, 2, 8001)[:, None]
    far = np.abs(ask(grid)[None] - ask(x)[:, None]) >= 0.3
    nearest = np.where(far, np.abs(grid.T - x), np.inf).min(axis=1)
    m = minimal_perturbation_for_change(model, as_data(x, schema={"bounds": (0, 2)}), change=0.3, norm=norm)
    assert (np.isinf(m.rows) == np.isinf(nearest)).all()
    known = np.isfinite(nearest)
    assert (m.rows[known] <= nearest[known] * 1.02 + 1e-3).all()
    assert (m > 0.9).status == "FAIL"
