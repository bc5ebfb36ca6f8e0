"""Files in fewer bits: what is rounded, by hand and against the module, and what is refused."""

import numpy as np
import onnx
import pytest
from onnx import helper

from robust.bitwidths.layers_onnx import find_nodes
from robust.bitwidths.rounding import grid_of, rounded_weights
from robust.bitwidths.settings import PARTS, Bits, uniform
from robust.bitwidths.simulation import simulate
from robust.bitwidths.variants_onnx import Variants
from robust.costing.whole_model import cost
from robust.data.live import as_data
from robust.errors import InvalidInput
from robust.predicting.predictions import predict
from robust.quantization.coverage import coverage_by_layer

NODE = helper.make_node
RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 4)).astype(np.float32)
#: Bytes of the shape that the file's Reshape is told by: two whole numbers of 8 bytes.
SHAPE = 16
A, B = RNG.normal(size=(4, 5)).astype(np.float32), RNG.normal(size=(3, 5)).astype(np.float32)


def at(simulation, weights, activations=None, *, per_channel=True):
    widths = Bits(weights=weights, activations=activations)
    return simulation.at(uniform(simulation.names(), widths, per_channel=per_channel))


def two_layers(nets):
    nodes = [NODE("MatMul", ["x", "first.weight"], ["h"]), NODE("Gemm", ["h", "second.weight"], ["y"], transB=1)]
    return nets.graph(nodes, {"first.weight": A, "second.weight": B})


def test_weights_and_inputs_by_hand(nets, tmp_path):
    simulation = simulate(nets.saved(two_layers(nets), tmp_path, output="logits"), as_data(X))
    assert [(layer.name, layer.kind) for layer in simulation.layers] == [("first", "MatMul"), ("second", "Gemm")]
    h = X @ A
    for bits in (4, 8, 12):
        first = grid_of(float(X.min()), float(X.max()), bits).nearest(X) @ rounded_weights(A, bits, axes=(1,))
        second = grid_of(float(h.min()), float(h.max()), bits).nearest(first) @ rounded_weights(B, bits, axes=(0,)).T
        np.testing.assert_allclose(at(simulation, bits, bits).forward(X), second, rtol=1e-4, atol=1e-4)
        whole = X @ rounded_weights(A, bits, axes=()) @ rounded_weights(B, bits, axes=()).T
        np.testing.assert_allclose(at(simulation, bits, per_channel=False).forward(X), whole, rtol=1e-4, atol=1e-4)


def test_sizes_are_counted_by_hand(nets, tmp_path):
    simulation = simulate(nets.saved(two_layers(nets), tmp_path, output="logits"), as_data(X))
    assert simulation.size(None) == (20 + 15) * 4
    names = simulation.names()
    assert simulation.size(uniform(names, Bits(weights=3), per_channel=True)) == 8 + 6 + 4 * (5 + 3)
    assert simulation.size(uniform(names, Bits(weights=3), per_channel=False)) == 8 + 6 + 4 * 2
    assert simulation.size(uniform(names, Bits(activations=3), per_channel=False)) == 140
    model = simulation.at(uniform(names, Bits(weights=3), per_channel=True, but="first"))
    assert coverage_by_layer(model).weights == 15 / 35


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("per_channel", [True, False])
def test_file_and_module_are_simulated_alike(part, per_channel, nets):
    one, other = simulate(nets.onnx, nets.train), simulate(nets.torch, nets.train)
    assert one.names() == other.names() == ["0", "4", "9"]
    assert other.size(None) == 24_360
    assert one.size(None) == 24_360 + SHAPE == int(cost(nets.onnx).rom)
    for bits in (8, 4, 2):
        setting = uniform(one.names(), Bits.of(bits, part), per_channel=per_channel)
        assert one.size(setting) == other.size(setting) + SHAPE
        a, b = one.at(setting).forward(nets.test.x), other.at(setting).forward(nets.test.x)
        # Sums are added up in another order, so that a number on a half may be rounded the other way.
        assert np.median(np.abs(a - b)) < 1e-4
        assert (a.argmax(axis=1) == b.argmax(axis=1)).mean() >= 0.998


def test_the_real_int8_file_decides_alike(nets):
    simulated = at(simulate(nets.onnx, nets.train), 8, 8)
    same = simulated.forward(nets.test.x).argmax(axis=1) == predict(nets.int8, nets.test).labels
    assert same.mean() >= 0.995


def test_sixteen_bits_answer_as_float(nets):
    fine = at(simulate(nets.onnx, nets.train), 16, 16).forward(nets.train.x)
    plain = nets.onnx.forward(nets.train.x)
    assert np.abs(fine - plain).max() < 2e-3 * np.abs(plain).max()
    assert np.array_equal(fine.argmax(axis=1), plain.argmax(axis=1))


def test_batch_norm_of_its_own_is_folded(nets, tmp_path):
    rng = np.random.default_rng(1)
    w = rng.normal(size=(6, 2, 3, 3)).astype(np.float32)
    norm = {name: rng.uniform(0.2, 3, size=6).astype(np.float32) for name in ("slope", "shift", "mean", "var")}
    nodes = [
        NODE("Conv", ["x", "c.weight"], ["h"], kernel_shape=[3, 3]),
        NODE("BatchNormalization", ["h", *norm], ["n"]),
        NODE("Flatten", ["n"], ["y"]),
    ]
    x = rng.normal(size=(50, 2, 4, 4)).astype(np.float32)
    model = nets.saved(nets.graph(nodes, {"c.weight": w, **norm}, (2, 4, 4)), tmp_path, output="logits")
    simulation = simulate(model, as_data(x))
    factor = (norm["slope"] / np.sqrt(norm["var"] + 1e-5)).reshape(-1, 1, 1, 1)
    rounded = (rounded_weights(w * factor, 4, axes=()) / factor).astype(np.float32)
    other = nets.saved(nets.graph(nodes, {"c.weight": rounded, **norm}, (2, 4, 4)), tmp_path, output="logits")
    np.testing.assert_allclose(at(simulation, 4, per_channel=False).forward(x), other.forward(x), atol=1e-4)
    assert simulation.size(None) == w.size * 4 + 6 * 4


def test_shared_weights_are_one_layer(nets, tmp_path):
    square = RNG.normal(size=(4, 4)).astype(np.float32)
    nodes = [NODE("MatMul", ["x", "w"], ["h"]), NODE("Tanh", ["h"], ["t"]), NODE("MatMul", ["t", "w"], ["y"])]
    simulation = simulate(nets.saved(nets.graph(nodes, {"w": square}), tmp_path, output="logits"), as_data(X))
    assert simulation.names() == ["MatMul_0, MatMul_2"]
    w = rounded_weights(square, 4, axes=(1,))
    np.testing.assert_allclose(at(simulation, 4).forward(X), np.tanh(X @ w) @ w, rtol=1e-4, atol=1e-4)
    low, high = simulation.ranges.ends["MatMul_0, MatMul_2"]
    assert (low, high) == (min(X.min(), np.tanh(X @ square).min()), max(X.max(), np.tanh(X @ square).max()))


def test_one_tensor_of_two_layers_is_rounded_once(nets, tmp_path):
    nodes = [
        NODE("Relu", ["x"], ["r"]),
        NODE("MatMul", ["r", "q.weight"], ["a"]),
        NODE("MatMul", ["r", "k.weight"], ["b"]),
        NODE("Add", ["a", "b"], ["y"]),
    ]
    model = nets.saved(nets.graph(nodes, {"q.weight": A, "k.weight": 2 * A}), tmp_path, output="logits")
    simulation = simulate(model, as_data(X))
    plan = simulation._plan(uniform(simulation.names(), Bits(activations=4), per_channel=True), simulation.ranges.ends)
    variants = Variants(simulation.simulator.found)
    variants.add(plan)
    assert [node.op_type for node in variants.model(None).graph.node].count("QuantizeLinear") == 1
    rounded = grid_of(0.0, float(X.max()), 4).nearest(np.maximum(X, 0))
    np.testing.assert_allclose(at(simulation, None, 4).forward(X), rounded @ (3 * A), rtol=1e-4, atol=1e-4)


def test_turned_and_constant_weights_are_found(nets, tmp_path):
    nodes = [
        NODE("Constant", [], ["stored"], value=onnx.numpy_helper.from_array(B)),
        NODE("MatMul", ["x", "a.weight"], ["h"]),
        NODE("Transpose", ["stored"], ["turned"], perm=[1, 0]),
        NODE("MatMul", ["h", "turned"], ["y"]),
    ]
    simulation = simulate(nets.saved(nets.graph(nodes, {"a.weight": A}), tmp_path, output="logits"), as_data(X))
    wanted = X @ rounded_weights(A, 4, axes=(1,)) @ rounded_weights(B, 4, axes=(0,)).T
    np.testing.assert_allclose(at(simulation, 4).forward(X), wanted, rtol=1e-4, atol=1e-4)
    assert simulation.size(None) == 35 * 4


def test_recurrent_weights_are_rounded(nets, tmp_path):
    rng = np.random.default_rng(2)
    stored = {"w": rng.normal(size=(1, 12, 4)), "r": rng.normal(size=(1, 12, 3)), "h.weight": rng.normal(size=(3, 2))}
    stored = {name: array.astype(np.float32) for name, array in stored.items()} | {"axes": np.array([0])}
    nodes = [
        NODE("Transpose", ["x"], ["t"], perm=[1, 0, 2]),
        NODE("LSTM", ["t", "w", "r"], ["", "last"], hidden_size=3, name="lstm"),
        NODE("Squeeze", ["last", "axes"], ["s"]),
        NODE("MatMul", ["s", "h.weight"], ["y"]),
    ]
    x = rng.normal(size=(40, 6, 4)).astype(np.float32)
    simulation = simulate(nets.saved(nets.graph(nodes, stored, (6, 4)), tmp_path, output="logits"), as_data(x))
    assert [(layer.name, layer.input) for layer in simulation.layers] == [("lstm", False), ("h", True)]
    assert "its inputs and states stay in float" in simulation.remarks(None, inputs=True)[0]
    rounded = {name: rounded_weights(stored[name], 3, axes=(0, 1)).astype(np.float32) for name in ("w", "r")}
    rounded["h.weight"] = rounded_weights(stored["h.weight"], 3, axes=(1,)).astype(np.float32)
    other = nets.saved(nets.graph(nodes, stored | rounded, (6, 4)), tmp_path, output="logits")
    np.testing.assert_allclose(at(simulation, 3).forward(x), other.forward(x), atol=1e-4)


def test_other_operators_are_named_with_their_node(nets, tmp_path):
    table = RNG.normal(size=(4, 4)).astype(np.float32)
    nodes = [
        NODE("Einsum", ["x", "table"], ["e"], equation="ni,ij->nj", name="mix"),
        NODE("MatMul", ["e", "out.weight"], ["y"]),
    ]
    model = nets.saved(nets.graph(nodes, {"table": table, "out.weight": A}), tmp_path, output="logits")
    (left,) = simulate(model, as_data(X)).left
    assert (left.name, left.kind, left.parameters) == ("mix", "Einsum", 16)
    alone = nets.saved(
        nets.graph([NODE("Einsum", ["x", "table"], ["y"], equation="ni,ij->nj", name="mix")], {"table": table}),
        tmp_path,
    )
    with pytest.raises(
        InvalidInput, match=r"net.onnx: the model has no operator .*: mix \(Einsum\): its stored numbers"
    ):
        simulate(alone, as_data(X))


def test_quantized_and_old_files_are_refused(nets):
    with pytest.raises(InvalidInput, match=r"int8.onnx: the file is quantized already: 0.weight_bias_DequantizeLinear"):
        simulate(nets.int8, nets.train)
    old = nets.graph([NODE("MatMul", ["x", "w"], ["y"])], {"w": A}, opset=9)
    with pytest.raises(InvalidInput, match="operator set 9; export it with 11 or later"):
        find_nodes(old)


def test_the_users_session_is_not_touched(nets):
    before, content = nets.onnx.forward(nets.test.x), nets.onnx.content()
    simulation = simulate(nets.onnx, nets.train)
    at(simulation, 2, 2).forward(nets.test.x)
    assert np.array_equal(nets.onnx.forward(nets.test.x), before)
    assert (
        simulation.simulator.found.model.SerializeToString() == onnx.load_model_from_string(content).SerializeToString()
    )


def test_weights_in_another_file_and_local_functions(nets, tmp_path):
    model = onnx.load_model_from_string(two_layers(nets))
    inner = helper.make_function(
        "own", "Twice", ["a", "w"], ["b"], [NODE("MatMul", ["a", "w"], ["b"])], [helper.make_opsetid("", 18)]
    )
    model.functions.append(inner)
    model.opset_import.append(helper.make_opsetid("own", 1))
    model.graph.node[0].CopyFrom(NODE("Twice", ["x", "first.weight"], ["h"], domain="own"))
    found = find_nodes(model.SerializeToString())
    assert [layer.name for layer in found.layers] == ["first", "second"]
    simulation = simulate(nets.saved(model.SerializeToString(), tmp_path, output="logits"), as_data(X))
    wanted = X @ rounded_weights(A, 4, axes=(1,)) @ rounded_weights(B, 4, axes=(0,)).T
    np.testing.assert_allclose(at(simulation, 4).forward(X), wanted, rtol=1e-4, atol=1e-4)
    onnx.external_data_helper.convert_model_to_external_data(model, location="w.bin", size_threshold=0)
    onnx.save(model, tmp_path / "net.onnx")
    with pytest.raises(
        InvalidInput, match="the weights 'first.weight' are kept in another file: save the model as one"
    ):
        find_nodes((tmp_path / "net.onnx").read_bytes())


def test_a_file_with_a_fixed_batch(nets, tmp_path):
    model = onnx.load_model_from_string(two_layers(nets))
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 8
    del model.graph.value_info[:]
    fixed = nets.saved(model.SerializeToString(), tmp_path, output="logits")
    assert fixed.fixed_batch == 8
    free = tmp_path / "free"
    free.mkdir()
    other = simulate(nets.saved(two_layers(nets), free, output="logits"), as_data(X))
    found = simulate(fixed, as_data(X))
    assert {name: np.round(ends, 5).tolist() for name, ends in found.ranges.ends.items()} == {
        name: np.round(ends, 5).tolist() for name, ends in other.ranges.ends.items()
    }
    np.testing.assert_allclose(at(found, 4, 4).forward(X[:8]), at(other, 4, 4).forward(X[:8]), atol=1e-4)
