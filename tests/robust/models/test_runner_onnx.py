import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto as T
from onnx import helper, numpy_helper

from robust.errors import InvalidInput, ModelFault
from robust.models.runner import as_runner, load_runner
from robust.tensors.quantizing import dequantize, quantize
from robust.tensors.spec import Quantization

GENERATOR = np.random.default_rng(0)
W, R = GENERATOR.normal(size=(4, 3)).astype(np.float32), GENERATOR.normal(size=(3, 3)).astype(np.float32)
X, H = GENERATOR.normal(size=(10, 4)).astype(np.float32), GENERATOR.normal(size=(10, 3)).astype(np.float32)


def write(path, nodes, inputs, outputs, weights=()):
    def value(name, kind, shape):
        return helper.make_tensor_value_info(name, kind, shape)

    tensors = [numpy_helper.from_array(np.asarray(array), name) for name, array in dict(weights).items()]
    graph = helper.make_graph(
        [helper.make_node(kind, ins, outs, **attributes) for kind, ins, outs, attributes in nodes],
        "g",
        [value(*item) for item in inputs],
        [value(*item) for item in outputs],
        tensors,
    )
    opsets = [
        helper.make_opsetid("", 17),
        helper.make_opsetid("com.microsoft", 1),
        helper.make_opsetid("ai.onnx.ml", 3),
    ]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=8), path)
    return path


def detector(path, *, batch="n"):
    """A recurrent detector: a frame and a state in, a score and the next state out."""
    nodes = [
        ("MatMul", ["frame", "w"], ["a"], {}),
        ("MatMul", ["state", "r"], ["b"], {}),
        ("Add", ["a", "b"], ["s"], {}),
        ("Tanh", ["s"], ["next_state"], {}),
        ("ReduceMean", ["next_state"], ["m"], {"axes": [1], "keepdims": 1}),
        ("Sigmoid", ["m"], ["score"], {}),
    ]
    return write(
        path,
        nodes,
        [("frame", T.FLOAT, [batch, 4]), ("state", T.FLOAT, [batch, 3])],
        [("score", T.FLOAT, [batch, 1]), ("next_state", T.FLOAT, [batch, 3])],
        {"w": W, "r": R},
    )


def expected():
    state = np.tanh(X @ W + H @ R)
    return 1 / (1 + np.exp(-state.mean(axis=1, keepdims=True))), state


@pytest.mark.parametrize("batch_size", [1, 3, 256])
def test_a_recurrent_detector_equals_numpy(tmp_path, batch_size):
    runner = load_runner(detector(tmp_path / "m.onnx"), batch_size=batch_size)
    (score, state), specs = runner.run([X, H])
    np.testing.assert_allclose(score, expected()[0], rtol=1e-5)
    np.testing.assert_allclose(state, expected()[1], rtol=1e-5, atol=1e-6)
    assert [(spec.name, spec.shape, spec.dtype) for spec in specs] == [
        ("score", (1,), "float32"),
        ("next_state", (3,), "float32"),
    ]
    assert [(spec.name, spec.shape) for spec in runner.inputs] == [("frame", (4,)), ("state", (3,))]
    assert (runner.name, runner.framework, runner.fixed_batch, runner.outputs) == ("m.onnx", "onnx", None, specs)


@pytest.mark.parametrize("batch", [1, 4, 16])
def test_a_fixed_batch_is_padded(tmp_path, batch):
    runner = load_runner(detector(tmp_path / "m.onnx", batch=batch))
    assert runner.fixed_batch == batch
    (score, state), _ = runner.run([X, H])
    np.testing.assert_allclose(score, expected()[0], rtol=1e-5)
    assert state.shape == (10, 3)


def test_states_are_handed_from_step_to_step(tmp_path):
    runner = load_runner(detector(tmp_path / "m.onnx"))
    state, by_hand = np.zeros((10, 3), dtype=np.float32), np.zeros((10, 3), dtype=np.float32)
    for _ in range(3):
        (_, state), _ = runner.run([X, state])
        by_hand = np.tanh(X @ W + by_hand @ R)
    np.testing.assert_allclose(state, by_hand, rtol=1e-4, atol=1e-6)


def test_the_inputs_are_checked_by_name(tmp_path):
    runner = load_runner(detector(tmp_path / "m.onnx"))
    with pytest.raises(InvalidInput, match=r"m.onnx: it takes 2 inputs \('frame', 'state'\), got 1"):
        runner.run([X])
    with pytest.raises(
        InvalidInput, match=r"m.onnx: input 'state' takes rows of shape \(3,\), got rows of shape \(4,\)"
    ):
        runner.run([X, X])
    with pytest.raises(InvalidInput, match="different numbers of rows: 'frame' has 10, 'state' has 9"):
        runner.run([X, H[:9]])
    with pytest.raises(InvalidInput, match="input 'frame' is float32, got uint8, which is not converted"):
        runner.run([X.astype(np.uint8), H])
    with pytest.raises(InvalidInput, match="input 'state' has NaN or infinity in row 0"):
        runner.run([X, np.where(np.arange(10)[:, None] == 0, np.nan, H)])
    with pytest.raises(InvalidInput, match="zero rows"):
        runner.run([X[:0], H[:0]])
    with pytest.raises(InvalidInput, match="got no inputs"):
        runner.run([])


def test_float64_data_and_the_callers_arrays_stay(tmp_path):
    runner = load_runner(detector(tmp_path / "m.onnx"))
    x, h = X.astype(np.float64), H.astype(np.float64)
    before = x.copy(), h.copy()
    (score, _), _ = runner.run([x, h])
    np.testing.assert_allclose(score, expected()[0], rtol=1e-5)
    np.testing.assert_array_equal((x, h)[0], before[0])
    np.testing.assert_array_equal(h, before[1])


# --- where the batch is ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("batch", ["n", 1])
def test_a_state_with_the_batch_second_is_refused(tmp_path, batch):
    """As recurrent layers write it: (layers, batch, units)."""
    path = write(
        tmp_path / "m.onnx",
        [("Identity", ["x"], ["y"], {}), ("Identity", ["h"], ["h_out"], {})],
        [("x", T.FLOAT, [batch, 4]), ("h", T.FLOAT, [2, batch, 3])],
        [("y", T.FLOAT, [batch, 4]), ("h_out", T.FLOAT, [2, batch, 3])],
    )
    with pytest.raises(InvalidInput, match=r"m.onnx: 'h' \(2, .*, 3\) has not the batch as its first axis"):
        load_runner(path)


def test_one_layer_with_the_batch_second_is_refused_by_its_name(tmp_path):
    path = write(
        tmp_path / "m.onnx",
        [("Identity", ["x"], ["y"], {}), ("Identity", ["h"], ["h_out"], {})],
        [("x", T.FLOAT, ["n", 4]), ("h", T.FLOAT, ["layers", "n", 3])],
        [("y", T.FLOAT, ["n", 4]), ("h_out", T.FLOAT, ["layers", "n", 3])],
    )
    with pytest.raises(InvalidInput, match=r"'h' \(layers, n, 3\) .* axis 1 \('n'\) is its batch"):
        load_runner(path)


def test_an_input_without_a_batch_is_refused(tmp_path):
    path = write(
        tmp_path / "m.onnx",
        [("Mul", ["x", "rate"], ["y"], {})],
        [("x", T.FLOAT, ["n", 4]), ("rate", T.FLOAT, [])],
        [("y", T.FLOAT, ["n", 4])],
    )
    with pytest.raises(InvalidInput, match="m.onnx: input 'rate' has no batch axis"):
        load_runner(path)


@pytest.mark.parametrize(("sizes", "named"), [((1, 2), "h"), (("n", 2), "h"), ((2, "n"), "h")])
def test_first_axes_that_differ_are_refused(tmp_path, sizes, named):
    path = write(
        tmp_path / "m.onnx",
        [("Identity", ["x"], ["y"], {}), ("Identity", ["h"], ["z"], {})],
        [("x", T.FLOAT, [sizes[0], 4]), ("h", T.FLOAT, [sizes[1], 3])],
        [("y", T.FLOAT, [sizes[0], 4]), ("z", T.FLOAT, [sizes[1], 3])],
    )
    with pytest.raises(InvalidInput, match=f"'{named}' .* has not the batch as its first axis"):
        load_runner(path)


def test_an_output_that_lost_its_batch(tmp_path):
    path = write(
        tmp_path / "m.onnx",
        [("ReduceMean", ["x"], ["y"], {"keepdims": 0})],
        [("x", T.FLOAT, ["n", 4])],
        [("y", T.FLOAT, [])],
    )
    runner = load_runner(path)
    assert runner.outputs is None
    with pytest.raises(ModelFault, match=r"m.onnx: output 'y' has shape \(\) for 10 rows: the batch must be its first"):
        runner.run([X])


def test_an_output_with_another_fixed_batch(tmp_path):
    path = write(
        tmp_path / "m.onnx",
        [("Reshape", ["x", "shape"], ["y"], {})],
        [("x", T.FLOAT, [1, 4])],
        [("y", T.FLOAT, [2, 2])],
        {"shape": np.array([2, 2])},
    )
    with pytest.raises(InvalidInput, match=r"'y' \(2, 2\) has not the batch .* input 'x' has 1 there"):
        load_runner(path)


# --- integers --------------------------------------------------------------------------------------------------------

S_IN, Z_IN, S_OUT, Z_OUT = 0.05, -3, 0.1, 7


def qdq(path):
    """int8 in and out: dequantize, multiply, quantize."""
    nodes = [
        ("DequantizeLinear", ["x", "si", "zi"], ["xf"], {}),
        ("MatMul", ["xf", "w"], ["yf"], {}),
        ("QuantizeLinear", ["yf", "so", "zo"], ["y"], {}),
    ]
    weights = {
        "w": W,
        "si": np.float32(S_IN),
        "zi": np.int8(Z_IN),
        "so": np.float32(S_OUT),
        "zo": np.int8(Z_OUT),
    }
    return write(path, nodes, [("x", T.INT8, ["n", 4])], [("y", T.INT8, ["n", 3])], weights)


def test_a_qdq_model_of_integers_equals_numpy(tmp_path):
    runner = load_runner(qdq(tmp_path / "m.onnx"))
    q_in = Quantization(scale=float(np.float32(S_IN)), zero_point=Z_IN, dtype="int8")
    q_out = Quantization(scale=float(np.float32(S_OUT)), zero_point=Z_OUT, dtype="int8")
    assert (runner.inputs[0].quantization, runner.outputs[0].quantization) == (q_in, q_out)
    raw = quantize(X, q_in)
    (y,), (spec,) = runner.run([raw])
    assert (y.dtype, spec.quantization) == (np.int8, q_out)
    by_hand = quantize((dequantize(raw, q_in).astype(np.float32) @ W).astype(np.float32), q_out)
    assert np.abs(y.astype(int) - by_hand).max() <= 1
    assert (y == by_hand).mean() > 0.9
    # Floating data are quantized on the way in, by the very same numbers.
    np.testing.assert_array_equal(runner.run([X])[0][0], y)
    with pytest.raises(InvalidInput, match="input 'x' is int8, got uint8"):
        runner.run([raw.astype(np.uint8)])


def test_int64_codes(tmp_path):
    path = write(
        tmp_path / "m.onnx",
        [("Gather", ["table", "ids"], ["y"], {})],
        [("ids", T.INT64, ["n", 2])],
        [("y", T.FLOAT, ["n", 2, 3])],
        {"table": W},
    )
    runner = load_runner(path)
    ids = np.array([[0, 3], [2, 1]], dtype=np.int32)
    np.testing.assert_array_equal(runner.run([ids])[0][0], W[ids])
    with pytest.raises(ModelFault, match=r"m.onnx: it raised .* on rows 0 to 1"):
        runner.run([ids + 90])


# --- outputs ---------------------------------------------------------------------------------------------------------


def test_outputs_that_are_not_finite_are_named(tmp_path):
    path = write(
        tmp_path / "m.onnx", [("Log", ["x"], ["y"], {})], [("x", T.FLOAT, ["n", 1])], [("y", T.FLOAT, ["n", 1])]
    )
    x = np.ones((10, 1), dtype=np.float32)
    x[7] = 0
    with pytest.raises(ModelFault, match="m.onnx: output 'y' is NaN or infinite for row 7"):
        load_runner(path, batch_size=4).run([x])


@pytest.mark.parametrize("texts", [True, False])
@pytest.mark.parametrize("zipped", [True, False])
def test_a_classifiers_label_and_probabilities(tmp_path, zipped, texts):
    labels = {"classlabels_strings": ["no", "yes"]} if texts else {"classlabels_ints": [3, 7]}
    node = helper.make_node(
        "LinearClassifier", ["x"], ["label", "p"], domain="ai.onnx.ml", post_transform="SOFTMAX",
        coefficients=[-1.0, 0, 0, 0, 1.0, 0, 0, 0], intercepts=[0.0, 0.0], **labels,
    )  # fmt: skip
    kind = T.STRING if texts else T.INT64
    nodes, last = [node], helper.make_tensor_value_info("p", T.FLOAT, ["n", 2])
    if zipped:
        names = {"classlabels_strings": ["no", "yes"]} if texts else {"classlabels_int64s": [3, 7]}
        nodes.append(helper.make_node("ZipMap", ["p"], ["map"], domain="ai.onnx.ml", **names))
        key = helper.make_map_type_proto(kind, helper.make_tensor_type_proto(T.FLOAT, []))
        last = helper.make_value_info("map", helper.make_sequence_type_proto(key))
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", T.FLOAT, ["n", 4])],
        [helper.make_tensor_value_info("label", kind, ["n"]), last],
    )
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", 3)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=8), tmp_path / "m.onnx")
    outputs, specs = load_runner(tmp_path / "m.onnx").run([X])
    p = 1 / (1 + np.exp(-2 * X[:, 0]))
    np.testing.assert_allclose(outputs[-1], np.stack([1 - p, p], axis=1), rtol=1e-4)
    assert [spec.name for spec in specs] == (
        ["map" if zipped else "p"] if texts else ["label", "map" if zipped else "p"]
    )
    if not texts:
        np.testing.assert_array_equal(outputs[0], np.where(p > 0.5, 7, 3))


def test_outputs_that_are_no_numbers(tmp_path):
    path = write(
        tmp_path / "m.onnx",
        [("SequenceConstruct", ["x"], ["y"], {})],
        [("x", T.FLOAT, ["n", 4])],
        [],
    )
    model = onnx.load(path)
    kind = helper.make_sequence_type_proto(helper.make_tensor_type_proto(T.FLOAT, ["n", 4]))
    model.graph.output.append(helper.make_value_info("y", kind))
    onnx.save(model, path)
    with pytest.raises(InvalidInput, match=r"output 'y' is a seq\(tensor\(float\)\)"):
        load_runner(path)


def test_a_live_session_has_no_scales(tmp_path):
    session = onnxruntime.InferenceSession(qdq(tmp_path / "m.onnx"), providers=["CPUExecutionProvider"])
    runner = as_runner(session, name="live", batch_size=2)
    assert (runner.name, runner.batch_size, runner.inputs[0].quantization) == ("live", 2, None)
    with pytest.raises(InvalidInput, match="scale and zero point are not known"):
        runner.run([X])
