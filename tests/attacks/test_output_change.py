import pickle

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from sklearn.linear_model import LinearRegression, Ridge
from sklearn.neural_network import MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import nn

from robust.attacks.noise import RandomNoise
from robust.attacks.obedience import obeys
from robust.attacks.output_change import largest_output_change, pushed_outputs
from robust.attacks.output_rungs import pushed_rows
from robust.attacks.output_target import aim_outputs
from robust.data.live import as_data
from robust.errors import InvalidInput
from robust.models.conversion import as_model
from robust.models.loading import load_model

RNG = np.random.default_rng(0)
X = RNG.normal(size=(64, 6))
W = np.array([1.5, -2.0, 0.0, 0.7, -0.3, 3.0])
DUAL = {"linf": 1, "l2": 2, "l1": np.inf}


def smooth():
    """A small network, the same every time."""
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 24), nn.Tanh(), nn.Linear(24, 24), nn.ReLU(), nn.Linear(24, 1)).double().eval()


def linear_models():
    y = X @ W
    layer = nn.Linear(6, 1).double()
    with torch.no_grad():
        layer.weight.copy_(torch.tensor(W[None]))
    return {
        "sklearn": LinearRegression().fit(X, y),
        "scaled": make_pipeline(StandardScaler(), Ridge(alpha=1e-9)).fit(X, y),
        "torch": layer.eval(),
        "callable": as_model(lambda x: x @ W, task="regression"),
    }


@pytest.mark.parametrize("norm", DUAL)
@pytest.mark.parametrize("kind", ["sklearn", "scaled", "torch", "callable"])
def test_linear_models_reach_the_dual_norm(kind, norm):
    model = linear_models()[kind]
    model = as_model(model, task="regression") if kind == "torch" else model
    m = largest_output_change(model, X[:20], eps=0.2, norm=norm, quantile=None)
    exact = 0.2 * np.linalg.norm(W, DUAL[norm])
    assert m.rows == pytest.approx(np.full(20, exact), rel=1e-4)
    assert all(check.passed for check in m.validity)


def test_bounds_are_the_optimum_of_the_box_they_leave():
    x = RNG.uniform(0, 1, size=(15, 6))
    m = largest_output_change(
        LinearRegression().fit(X, X @ W), as_data(x, schema={"bounds": (0, 1)}), eps=0.4, direction="up", quantile=1
    )
    room = np.where(W > 0, np.minimum(0.4, 1 - x), np.minimum(0.4, x))
    assert m.rows == pytest.approx((np.abs(W) * room).sum(axis=1), rel=1e-6)
    assert m.value == m.rows.max()


def test_what_is_gated():
    model = as_model(lambda x: x[:, 0] ** 2, task="regression")  # pushed by 0.1, x² moves by 0.2|x| + 0.01
    x = np.linspace(0, 9.9, 100)[:, None]
    exact = 0.2 * x[:, 0] + 0.01
    most = largest_output_change(model, x, eps=0.1)
    assert most.rows == pytest.approx(exact, rel=1e-6)
    ordered = np.sort(exact)
    found = (most.value, most.lower, most.upper)
    assert found == pytest.approx((ordered[94], ordered[90], ordered[98]), rel=1e-6)
    assert (most.unit, most.higher_is_better, most.method) == ("target", False, "order-statistics")
    assert largest_output_change(model, x, eps=0.1, quantile=1).upper == pytest.approx(exact.max())
    mean = largest_output_change(model, x, eps=0.1, quantile=None)
    assert mean.value == pytest.approx(exact.mean())
    assert mean.lower < mean.value < mean.upper
    share = largest_output_change(model, x, eps=0.1, tolerance=1.5)
    assert share.value == (exact > 1.5).mean()
    assert (share.unit, share.method) == ("share", "clopper-pearson")
    assert (share < 0.4).status == "PASS"
    assert (share < 0.1).status == "FAIL"
    worst = next(one for one in most.evidence if type(one).__name__ == "Rows")
    assert worst.ids[:3] == (99, 98, 97)
    assert worst.values[0] == pytest.approx(1.99)
    assert pickle.loads(pickle.dumps(most)).rows == pytest.approx(most.rows)


def test_directions_and_outputs():
    weights = np.array([[1.0, 0.0], [0.0, 4.0]])
    model = as_model(lambda x: np.maximum(x @ weights, 0.0), task="regression")  # cannot fall below 0
    x = np.array([[0.05, 3.0], [2.0, 0.1]])

    def rows(**options):
        return largest_output_change(model, x, eps=0.1, **options).rows

    assert rows() == pytest.approx([0.4, 0.4])
    assert rows(output=0) == pytest.approx([0.1, 0.1])
    assert rows(output=0, direction="down") == pytest.approx([0.05, 0.1])
    assert rows(output="output 2 of 2", direction="up") == pytest.approx([0.4, 0.4])


@pytest.mark.parametrize(
    "norm", ["linf", pytest.param("l2", marks=pytest.mark.slow), pytest.param("l1", marks=pytest.mark.slow)]
)
def test_a_network_moves_farther_than_2000_draws_of_noise(norm):
    data, eps = as_data(X[:12]), {"linf": 0.3, "l2": 0.7, "l1": 1.5}[norm]
    regression = aim_outputs(as_model(smooth(), task="regression"), data, output=None)
    for push in pushed_outputs(regression, (1.0, -1.0), eps=eps, norm=norm, strength="standard", seed=0):
        noise = pushed_rows(RandomNoise(eps=eps, norm=norm, draws=2000), push.target, seed=7)[1]
        assert (push.attacked >= noise).all()
        assert obeys(push.rows, data.x, data.schema, eps=eps, norm=norm).all()


def test_stronger_attacks_and_larger_budgets_move_rows_no_less():
    model = as_model(smooth(), task="regression")
    quick, standard = (
        largest_output_change(model, X[:12], eps=1.0, strength=name).rows.mean() for name in ("quick", "standard")
    )
    assert quick <= standard * 1.0001
    small, large = (largest_output_change(model, X[:16], eps=eps, quantile=None).value for eps in (0.1, 0.2))
    assert small < large


@pytest.mark.slow
def test_thorough_moves_rows_no_less_than_standard():
    model = as_model(smooth(), task="regression")
    standard, thorough = (
        largest_output_change(model, X[:20], eps=1.0, strength=name).rows.mean() for name in ("standard", "thorough")
    )
    assert standard <= thorough * 1.0001


def test_batches_order_and_neighbours_change_nothing():
    def rows(x, ids, **options):
        model = as_model(smooth(), task="regression", **options)
        return largest_output_change(model, as_data(x, ids=ids), eps=0.3, strength="quick").rows

    ids, mixed = np.arange(64), np.random.default_rng(1).permutation(64)
    whole, few = rows(X[:30], ids[:30]), mixed[mixed < 30]
    assert rows(X[:5], ids[:5], batch_size=1) == pytest.approx(whole[:5], rel=1e-6)
    assert rows(X[few], ids[few], batch_size=7) == pytest.approx(whole[few], rel=1e-6)


def test_schema_is_obeyed_and_the_small_problem_is_solved():
    x = np.c_[RNG.integers(0, 5, 40), RNG.integers(0, 5, 40), np.eye(3)[RNG.integers(0, 3, 40)], RNG.uniform(0, 1, 40)]
    weights = np.array([2.0, -9.0, 0.5, 4.0, -1.0, 3.0])
    data = as_data(
        x,
        names=["a", "b", "c1", "c2", "c3", "d"],
        schema={
            "a": {"kind": "integer", "bounds": (0, 4)},
            "b": {"kind": "integer", "bounds": (0, 4), "immutable": True},
            **{name: {"one_hot": "c"} for name in ("c1", "c2", "c3")},
            "d": {"bounds": (0, 1)},
        },
    )
    model = as_model(lambda rows: rows @ weights, task="regression")
    regression = aim_outputs(model, data, output=None)
    (push,) = pushed_outputs(regression, (1.0,), eps=1.0, norm="linf", strength="standard", seed=0)
    new = push.rows
    assert (new[:, 1] == x[:, 1]).all()
    assert np.isin(new[:, 0] - x[:, 0], (-1, 0, 1)).all()
    assert ((new[:, 0] >= 0) & (new[:, 0] <= 4)).all()
    assert (new[:, 2:5].sum(axis=1) == 1).all()
    assert np.isin(new[:, 2:5], (0, 1)).all()
    assert ((new[:, 5] >= 0) & (new[:, 5] <= 1)).all()
    best = 2.0 * (x[:, 0] < 4) + 4.0 - x[:, 2:5] @ weights[2:5] + 3.0 * (1 - x[:, 5])
    assert push.farthest == pytest.approx(best)


def test_relations_hold():
    total = X[:30, 0] + X[:30, 1]
    x = np.c_[X[:30, :2], total]
    data = as_data(x, names=["a", "b", "c"], schema={"relations": ["c = a + b"]})
    regression = aim_outputs(as_model(lambda rows: rows[:, 0] * 2 - rows[:, 1], task="regression"), data, output=None)
    (push,) = pushed_outputs(regression, (1.0,), eps=0.5, norm="linf", strength="standard", seed=0)
    assert push.rows[:, 2] == pytest.approx(push.rows[:, 0] + push.rows[:, 1], abs=1e-6)
    assert np.median(push.farthest) > 0.5


def test_a_file_is_attacked_through_its_conversion(tmp_path):
    rng = np.random.default_rng(3)
    first, second = rng.normal(size=(6, 12)).astype(np.float32), rng.normal(size=(12, 1)).astype(np.float32)
    graph = helper.make_graph(
        [
            helper.make_node("MatMul", ["x", "a"], ["h"]),
            helper.make_node("Relu", ["h"], ["r"]),
            helper.make_node("MatMul", ["r", "b"], ["y"]),
        ],
        "graph",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, (None, 6))],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, (None, 1))],
        [numpy_helper.from_array(first, "a"), numpy_helper.from_array(second, "b")],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9), tmp_path / "m.onnx")
    twin = nn.Sequential(nn.Linear(6, 12, bias=False), nn.ReLU(), nn.Linear(12, 1, bias=False)).eval()
    with torch.no_grad():
        twin[0].weight.copy_(torch.tensor(first.T))
        twin[2].weight.copy_(torch.tensor(second.T))
    x = X[:20].astype(np.float32)
    file = largest_output_change(load_model(tmp_path / "m.onnx", task="regression"), x, eps=0.1)
    assert file.provenance.cost.backward_rows > 0
    assert file.rows == pytest.approx(
        largest_output_change(as_model(twin, task="regression"), x, eps=0.1).rows, rel=1e-3
    )


def test_a_network_without_gradients_is_climbed_by_differences():
    net = MLPRegressor(hidden_layer_sizes=(16,), solver="lbfgs", random_state=0, max_iter=5000)
    net.fit(X, np.sin(X[:, 0]) + X[:, 1] ** 2)
    twin = nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, 1)).double().eval()
    with torch.no_grad():
        for layer, weight, bias in zip((twin[0], twin[2]), net.coefs_, net.intercepts_, strict=True):
            layer.weight.copy_(torch.tensor(weight.T))
            layer.bias.copy_(torch.tensor(bias))
    for norm in ("linf", "l2"):
        blind = largest_output_change(net, X[:20], eps=0.2, norm=norm).rows
        seeing = largest_output_change(as_model(twin, task="regression"), X[:20], eps=0.2, norm=norm).rows
        assert (np.abs(blind / seeing - 1) < 0.03).mean() >= 0.9
        assert blind.mean() == pytest.approx(seeing.mean(), rel=0.03)


def test_missing_values_stay_missing_and_targets_are_not_needed():
    x = X[:20].copy()
    x[3, 2] = np.nan
    model = as_model(lambda rows: np.nan_to_num(rows) @ W, task="regression")
    expected = np.full(20, 0.1 * np.abs(W).sum())
    assert largest_output_change(model, x, eps=0.1).rows == pytest.approx(expected)  # W[2] is 0
    with pytest.raises(InvalidInput, match="missing labels"):
        largest_output_change(model, (x, np.full(20, np.nan)), eps=0.1)


def test_nothing_may_move_is_no_pass():
    m = largest_output_change(as_model(lambda x: x @ W, task="regression"), X, eps=0)
    assert m.value == 0
    assert (m < 1).status == "INVALID"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"eps": -1}, "eps got -1"),
        ({"eps": None}, "eps got None"),
        ({"eps": 1, "norm": "l3"}, "norm got 'l3'"),
        ({"eps": 1, "strength": "max"}, "strength got 'max'"),
        ({"eps": 1, "quantile": 95}, "quantile got 95"),
        ({"eps": 1, "tolerance": -1}, "tolerance got -1"),
        ({"eps": 1, "tolerance": float("nan")}, "tolerance got nan"),
        ({"eps": 1, "direction": "left"}, "direction got 'left'"),
        ({"eps": {"zz": 1}}, "no feature 'zz'"),
        ({"eps": 1, "level": 0.3}, "level got 0.3"),
    ],
)
def test_bad_options_are_refused(options, words):
    with pytest.raises(InvalidInput, match=words):
        largest_output_change(as_model(lambda x: x @ W, task="regression"), X, **options)
