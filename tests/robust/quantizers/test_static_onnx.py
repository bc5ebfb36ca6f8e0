import weakref
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from robust.errors import InvalidInput
from robust.quantizers.graphs_onnx import prepared
from robust.quantizers.recipe import read_recipe
from robust.quantizers.static_onnx import static_model, tensor_ranges

#: Heavy tails, so that ranges by extremes and by mass differ.
X = np.random.default_rng(0).standard_t(3, size=(300, 8)).astype(np.float32)
KINDS = ["Gemm", "Relu"]


def recipe(method="static", calibrate="minmax", percentile=99.0):
    return read_recipe(
        method=method,
        calibrate=calibrate,
        percentile=percentile,
        per_channel=True,
        weight_type=None,
        activation_type=None,
        reduce_range=None,
        keep=(),
    )


@pytest.fixture(scope="module")
def model():
    rng = np.random.default_rng(1)
    stored = {"a.weight": (16, 8), "a.bias": (16,), "b.weight": (4, 16), "b.bias": (4,)}
    graph = helper.make_graph(
        [
            helper.make_node("Gemm", ["x", "a.weight", "a.bias"], ["h"], name="a", transB=1),
            helper.make_node("Relu", ["h"], ["r"], name="relu"),
            helper.make_node("Gemm", ["r", "b.weight", "b.bias"], ["y"], name="b", transB=1),
        ],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 8])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 4])],
        [numpy_helper.from_array(rng.normal(size=size).astype(np.float32), name) for name, size in stored.items()],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    return prepared(made, odd_widths=False)


def feeds(x=X, batch=64):
    return lambda: ({"x": x[start : start + batch]} for start in range(0, len(x), batch))


def ranges(model, tmp_path, steps, **how):
    path = Path(tmp_path, "prepared.onnx")
    onnx.save(model, path)
    found = tensor_ranges(path, steps, recipe(**how), kinds=KINDS)
    return {name: tuple(float(np.ravel(side)[0]) for side in data.range_value) for name, data in found.items()}


def scales(model):
    return {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer if "scale" in tensor.name}


def test_minmax_is_the_extremes(model, tmp_path):
    found = ranges(model, tmp_path, feeds())
    assert found["x"] == pytest.approx((X.min(), X.max()))
    hidden = X @ numpy_helper.to_array(model.graph.initializer[0]).T + numpy_helper.to_array(model.graph.initializer[1])
    assert found["r"] == pytest.approx((0, hidden.max()), rel=1e-5)


@pytest.mark.parametrize("percentile", [90.01, 99.01, 99.91])
def test_percentile_is_numpys_quantile_of_the_magnitudes_to_a_bin(model, tmp_path, percentile):
    low, high = ranges(model, tmp_path, feeds(), calibrate="percentile", percentile=percentile)["x"]
    top = np.quantile(np.abs(X), percentile / 100, method="inverted_cdf")
    assert high == pytest.approx(top, abs=2 * float(np.abs(X).max()) / 2048)
    assert low == pytest.approx(-high)


def test_entropy_cuts_heavy_tails_and_has_a_choice(model, tmp_path):
    low, high = ranges(model, tmp_path, feeds(), calibrate="entropy")["x"]
    assert X.min() <= low < 0 < high <= X.max()
    assert high - low < 0.9 * (X.max() - X.min())
    # With as many bins as levels there would be one range to choose: that of all values.
    assert np.mean((low <= X) & (high >= X)) > 0.98


@pytest.mark.parametrize("calibrate", ["minmax", "entropy", "percentile"])
def test_steps_and_their_order_decide_nothing(model, tmp_path, calibrate):
    whole = ranges(model, tmp_path, feeds(batch=300), calibrate=calibrate)
    for steps in (feeds(batch=64), feeds(X[::-1], batch=7)):  # 300 = 4·64 + 44
        found = ranges(model, tmp_path, steps, calibrate=calibrate)
        assert found.keys() == whole.keys()
        np.testing.assert_allclose([found[name] for name in whole], list(whole.values()), rtol=1e-6)


def test_never_more_than_two_steps_are_in_memory(model, tmp_path):
    alive: list[weakref.ref] = []
    most = []

    def steps():
        for start in range(0, 300, 20):
            batch = X[start : start + 20].copy()
            alive.append(weakref.ref(batch))
            most.append(sum(one() is not None for one in alive))
            yield {"x": batch}

    ranges(model, tmp_path, steps, calibrate="percentile")
    assert len(most) == 30
    assert max(most) <= 2


def test_scale_and_zero_point_are_those_of_the_formula(model):
    found = scales(static_model(clone(model), feeds(), recipe(), exclude=[]))
    assert found["x_scale"] == pytest.approx((X.max() - X.min()) / 255, rel=1e-6)
    weight = numpy_helper.to_array(model.graph.initializer[0])
    # Seven bits, symmetric, a scale a channel.
    np.testing.assert_allclose(found["a.weight_scale"], np.abs(weight).max(axis=1) / 64, rtol=0.02)


@pytest.mark.parametrize("method", ["static", "qoperator"])
def test_both_formats_are_sorted_run_and_stay_near_the_float_model(model, method):
    made = static_model(clone(model), feeds(), recipe(method), exclude=[])
    onnx.checker.check_model(made)
    x = np.clip(X, -3, 3)
    want = onnxruntime.InferenceSession(model.SerializeToString()).run(None, {"x": x})[0]
    got = onnxruntime.InferenceSession(made.SerializeToString()).run(None, {"x": x})[0]
    assert 10 * np.log10(np.sum(want**2) / np.sum((want - got) ** 2)) > 20
    kinds = {node.op_type for node in made.graph.node}
    assert kinds == (
        {"QuantizeLinear", "DequantizeLinear", "Gemm"}
        if method == "static"
        else {"QuantizeLinear", "DequantizeLinear", "QGemm"}
    )


def test_excluded_nodes_keep_their_float_weights(model):
    made = static_model(clone(model), feeds(), recipe(), exclude=["b"])
    stored = {tensor.name: tensor.data_type for tensor in made.graph.initializer}
    assert stored["b.weight"] == TensorProto.FLOAT
    assert "a.weight" not in stored


def test_a_dead_tensor_has_a_range_too(model, tmp_path):
    dead = clone(model)
    stored = {tensor.name: tensor for tensor in dead.graph.initializer}
    for name in ("a.weight", "a.bias"):
        stored[name].CopyFrom(numpy_helper.from_array(0 * numpy_helper.to_array(stored[name]), name))
    for calibrate in ("entropy", "percentile"):
        found = ranges(dead, tmp_path, feeds(), calibrate=calibrate)
        assert found["r"] == (0, 0)


@pytest.mark.parametrize("calibrate", ["minmax", "entropy"])
def test_a_float_model_that_overflows_is_refused(model, tmp_path, calibrate):
    with pytest.raises(InvalidInput, match="no finite numbers on the calibration rows, at tensor"):
        ranges(model, tmp_path, feeds(np.clip(X, -2, 2) * np.float32(1e38)), calibrate=calibrate)


def clone(model):
    """A quantizer works on what it is given."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    return copy
