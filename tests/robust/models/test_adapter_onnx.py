import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from robust.errors import InvalidInput
from robust.models.conversion import as_model
from robust.models.loading import load_model

X = np.random.default_rng(0).normal(size=(10, 4))
W = np.random.default_rng(1).normal(size=(4, 3)).astype(np.float32)


def value(name, kind, shape):
    return helper.make_tensor_value_info(name, kind, shape)


def write(path, nodes, inputs, outputs, weights=()):
    graph = helper.make_graph(nodes, "g", inputs, outputs, list(weights))
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", 3)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=8), path)
    return path


def linear(path, *, batch="n", name="w", weight=W, kind=TensorProto.FLOAT, constant=False):
    tensor = numpy_helper.from_array(weight, name)
    nodes = [helper.make_node("MatMul", ["x", name], ["y"])]
    if constant:
        nodes.insert(0, helper.make_node("Constant", [], [name], value=tensor))
    return write(
        path,
        nodes,
        [value("x", kind, [batch, 4])],
        [value("y", kind, [batch, 3])],
        [] if constant else [tensor],
    )


def classifier(path, *, zipped, texts):
    """A linear classifier as exporters write it: a label, and probabilities or maps of them."""
    labels = {"classlabels_strings": ["no", "yes"]} if texts else {"classlabels_ints": [3, 7]}
    nodes = [
        helper.make_node(
            "LinearClassifier", ["x"], ["label", "scores"], domain="ai.onnx.ml", post_transform="SOFTMAX",
            coefficients=[-1.0, 0, 0, 0, 1.0, 0, 0, 0], intercepts=[0.0, 0.0], **labels,
        )
    ]  # fmt: skip
    kind = TensorProto.STRING if texts else TensorProto.INT64
    if zipped:
        names = {"classlabels_strings": ["no", "yes"]} if texts else {"classlabels_int64s": [3, 7]}
        nodes.append(helper.make_node("ZipMap", ["scores"], ["probabilities"], domain="ai.onnx.ml", **names))
        key = helper.make_map_type_proto(kind, helper.make_tensor_type_proto(TensorProto.FLOAT, []))
        last = helper.make_value_info("probabilities", helper.make_sequence_type_proto(key))
    else:
        last = value("scores", TensorProto.FLOAT, ["n", 2])
    return write(path, nodes, [value("x", TensorProto.FLOAT, ["n", 4])], [value("label", kind, ["n"]), last])


def test_outputs_equal_numpy_in_float64(tmp_path):
    model = load_model(linear(tmp_path / "m.onnx"))
    outputs = model.forward(X)
    np.testing.assert_allclose(outputs, X.astype(np.float32) @ W, rtol=1e-5)
    assert outputs.dtype == np.float64
    assert (model.fixed_batch, model.gradients, model.task, model.output) == (None, None, None, None)


def test_a_fixed_batch_is_found(tmp_path):
    model = load_model(linear(tmp_path / "m.onnx", batch=8))
    assert model.fixed_batch == 8
    assert model.forward(X[:8]).shape == (8, 3)


def test_bits_do_not_depend_on_the_batch(tmp_path):
    model = load_model(linear(tmp_path / "m.onnx"))
    rows = [model.forward(X[i : i + 1]) for i in range(10)]
    np.testing.assert_array_equal(np.concatenate(rows), model.forward(X))


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("texts", [True, False])
def test_of_a_label_and_probabilities_the_probabilities_are_judged(tmp_path, zipped, texts):
    model = load_model(classifier(tmp_path / "m.onnx", zipped=zipped, texts=texts))
    expected = 1 / (1 + np.exp(-2 * X[:, 0]))
    np.testing.assert_allclose(model.forward(X), np.stack([1 - expected, expected], axis=1), atol=1e-6)
    assert (model.task, model.output) == ("classification", "probabilities")
    assert model.classes == (("no", "yes") if texts else (3, 7))
    assert load_model(tmp_path / "m.onnx", classes=["a", "b"]).classes == ("a", "b")


def test_a_live_session_is_wrapped_and_never_cached(tmp_path):
    """What a session was made of may have changed since: two sessions of one path are two models."""
    path = linear(tmp_path / "m.onnx")
    first = as_model(onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"]))
    linear(path, weight=-W)
    second = as_model(onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"]))
    np.testing.assert_array_equal(first.forward(X), -second.forward(X))
    assert first.identity() is second.identity() is first.weights() is None


def test_identity_is_the_file_and_weights_are_the_numbers(tmp_path):
    def load(file, **options):
        return load_model(linear(tmp_path / file, **options))

    plain, again, renamed = load("a.onnx"), load("b.onnx"), load("c.onnx", name="kernel")
    constant, changed = load("d.onnx", constant=True), load("e.onnx", weight=np.nextafter(W, np.float32(9)))
    assert plain.identity() == again.identity()
    assert len({model.identity() for model in (plain, renamed, constant, changed)}) == 4
    assert plain.weights() == renamed.weights() == constant.weights() == again.weights() != changed.weights()


def test_weights_in_attributes_count(tmp_path):
    first = load_model(classifier(tmp_path / "a.onnx", zipped=False, texts=True))
    second = load_model(classifier(tmp_path / "b.onnx", zipped=False, texts=False))
    assert None not in (first.weights(), second.weights())
    assert first.weights() != second.weights()


def test_tensors_in_a_file_beside_it_are_part_of_the_hash(tmp_path):
    model = onnx.load(linear(tmp_path / "m.onnx"))
    hashes = []
    for sign in (1, -1):
        model.graph.initializer[0].CopyFrom(numpy_helper.from_array(sign * W, "w"))
        onnx.save_model(model, tmp_path / "big.onnx", save_as_external_data=True, location="big.data", size_threshold=0)
        loaded = load_model(tmp_path / "big.onnx")
        np.testing.assert_allclose(loaded.forward(X), sign * (X.astype(np.float32) @ W), rtol=1e-5)
        hashes.append((loaded.identity(), loaded.weights()))
        model = onnx.load(tmp_path / "m.onnx")
    assert hashes[0][0] != hashes[1][0]
    assert hashes[0][1] != hashes[1][1]
    assert load_model(tmp_path / "m.onnx").weights() == hashes[0][1]
    (tmp_path / "big.data").unlink()
    with pytest.raises(InvalidInput, match=r"keeps tensors in big\.data, which is not beside it"):
        load_model(tmp_path / "big.onnx")


@pytest.mark.parametrize("place", ["../secret", "/etc/hostname"])
def test_tensors_outside_the_folder_are_refused(tmp_path, place):
    model = onnx.load(linear(tmp_path / "m.onnx"))
    tensor = model.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value=place)
    (tmp_path / "m.onnx").write_bytes(model.SerializeToString())
    with pytest.raises(InvalidInput, match="outside its own folder"):
        load_model(tmp_path / "m.onnx")


def test_shapes_that_do_not_fit_are_both_named(tmp_path):
    model = load_model(linear(tmp_path / "m.onnx"))
    with pytest.raises(InvalidInput, match=r"takes rows of shape \(4\) \(input 'x'\), got rows of shape \(1, 2, 2\)"):
        model.forward(X.reshape(10, 1, 2, 2))
    with pytest.raises(InvalidInput, match=r"takes rows of shape \(4\) .* got rows of shape \(3\)"):
        model.forward(X[:, :3])


def identity(path, kind, gives=None):
    gives = kind if gives is None else gives
    return write(
        path,
        [helper.make_node("Cast", ["x"], ["y"], to=gives)],
        [value("x", kind, ["n", 4])],
        [value("y", gives, ["n", 4])],
    )


@pytest.mark.parametrize("kind", [TensorProto.UINT8, TensorProto.INT8])
def test_a_quantized_input_refuses_floats(tmp_path, kind):
    with pytest.raises(InvalidInput, match="the file does not tell which numbers they stand for"):
        load_model(identity(tmp_path / "m.onnx", kind))
    model = load_model(identity(tmp_path / "m.onnx", kind, gives=TensorProto.FLOAT))
    with pytest.raises(InvalidInput, match="got float64: quantize the rows"):
        model.forward(np.ones((2, 4)))
    assert model.forward(np.ones((2, 4), dtype=np.int64)).tolist() == [[1] * 4] * 2
    with pytest.raises(InvalidInput, match="values that it cannot hold, between 300 and 300"):
        model.forward(np.full((2, 4), 300))


def dequantizing(path, kind, dtype):
    """A model that starts with the integers of its input, by a scale of 0.5 and a zero point of 1."""
    constants = [numpy_helper.from_array(np.float32(0.5), "s"), numpy_helper.from_array(np.array(1, dtype), "z")]
    nodes = [helper.make_node("DequantizeLinear", ["x", "s", "z"], ["y"])]
    return write(path, nodes, [value("x", kind, ["n", 4])], [value("y", TensorProto.FLOAT, ["n", 4])], constants)


@pytest.mark.parametrize("floating", [np.float16, np.float32, np.float64])
def test_float_rows_are_quantized_by_the_inputs_own_scale(tmp_path, floating):
    model = load_model(dequantizing(tmp_path / "m.onnx", TensorProto.INT8, np.int8))
    rows = np.array([[0.25, 0.75, -0.25, 1.0], [99.0, -99.0, 0.3, 0.2]], dtype=floating)
    # Half to even, and clipped to (-128 - 1) / 2 … (127 - 1) / 2.
    assert model.forward(rows).tolist() == [[0.0, 1.0, 0.0, 1.0], [63.0, -64.5, 0.5, 0.0]]
    with pytest.raises(InvalidInput, match="NaN or infinity cannot be quantized: row 1"):
        model.forward(np.array([[0.0] * 4, [np.inf] * 4], dtype=floating))


def test_a_live_session_with_an_integer_input_does_not_tell_its_scale(tmp_path):
    path = dequantizing(tmp_path / "m.onnx", TensorProto.INT8, np.int8)
    model = as_model(onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"]))
    with pytest.raises(
        InvalidInput, match="quantize the rows with its input scale and zero point, which nothing tells"
    ):
        model.forward(np.zeros((1, 4)))


@pytest.mark.parametrize(
    ("kind", "own", "other"),
    [
        (TensorProto.INT8, np.int8, np.uint8),
        (TensorProto.UINT8, np.uint8, np.int8),
        (TensorProto.INT8, np.int8, np.int16),
    ],
)
def test_small_integers_of_another_type_are_refused_whatever_they_are(tmp_path, kind, own, other):
    model = load_model(dequantizing(tmp_path / "m.onnx", kind, own))
    message = f"takes {np.dtype(own)} .* got {np.dtype(other)}, .*: {np.dtype(own)}, or floating numbers, would be"
    for rows in (np.full((2, 4), 3), np.full((2, 4), 100), np.zeros((2, 4))):
        with pytest.raises(InvalidInput, match=message):
            model.forward(rows.astype(other))
    assert model.forward(np.full((2, 4), 3, dtype=own)).tolist() == [[1.0] * 4] * 2
    # Whole numbers without a narrow type are data as they were written, e.g. in a table.
    assert model.forward(np.full((2, 4), 3, dtype=np.int64)).tolist() == [[1.0] * 4] * 2
    with pytest.raises(InvalidInput, match="values that it cannot hold, between 300 and 300"):
        model.forward(np.full((2, 4), 300))
    unknown = load_model(identity(tmp_path / "u.onnx", kind, gives=TensorProto.FLOAT))
    with pytest.raises(InvalidInput, match=f"got {np.dtype(other)}, .*: {np.dtype(own)} would be right"):
        unknown.forward(np.full((2, 4), 3, dtype=other))


def test_small_integers_are_codes_of_words_and_pixels_too(tmp_path):
    wide = load_model(identity(tmp_path / "wide.onnx", TensorProto.INT64))
    real = load_model(identity(tmp_path / "real.onnx", TensorProto.FLOAT))
    for model in (wide, real):
        assert model.forward(np.full((2, 4), 200, dtype=np.uint8)).tolist() == [[200] * 4] * 2


def test_whole_numbers_are_cast_and_fractions_are_not(tmp_path):
    model = load_model(identity(tmp_path / "m.onnx", TensorProto.INT64))
    assert model.forward(np.full((2, 4), 3.0)).tolist() == [[3] * 4] * 2
    with pytest.raises(InvalidInput, match=r"takes int64 .* between 0.5 and 0.5: pass whole numbers"):
        model.forward(np.full((2, 4), 0.5))


@pytest.mark.parametrize("kind", [TensorProto.DOUBLE, TensorProto.FLOAT16])
def test_floats_of_other_precisions_are_cast(tmp_path, kind):
    model = load_model(identity(tmp_path / "m.onnx", kind))
    np.testing.assert_allclose(model.forward(X), X, rtol=1e-3)


def test_several_inputs_or_outputs_are_named(tmp_path):
    f = TensorProto.FLOAT
    two = write(
        tmp_path / "two.onnx",
        [helper.make_node("Add", ["a", "b"], ["y"])],
        [value("a", f, ["n", 4]), value("b", f, ["n", 4])],
        [value("y", f, ["n", 4])],
    )
    with pytest.raises(InvalidInput, match=r"2 inputs \(a tensor\(float\), b tensor\(float\)\); models with several"):
        load_model(two)
    pair = write(
        tmp_path / "pair.onnx",
        [helper.make_node("Relu", ["x"], ["y"]), helper.make_node("Neg", ["x"], ["z"])],
        [value("x", f, ["n", 4])],
        [value("y", f, ["n", 4]), value("z", f, ["n", 4])],
    )
    with pytest.raises(InvalidInput, match=r"gives 2 outputs \(y tensor\(float\), z tensor\(float\)\)"):
        load_model(pair)


def test_a_text_input_and_unknown_operators_are_named(tmp_path):
    with pytest.raises(InvalidInput, match=r"input 'x' is a tensor\(string\); a tensor of numbers is needed"):
        load_model(identity(tmp_path / "m.onnx", TensorProto.STRING))
    f = TensorProto.FLOAT
    odd = write(
        tmp_path / "odd.onnx",
        [helper.make_node("Odd", ["x"], ["y"])],
        [value("x", f, ["n"])],
        [value("y", f, ["n"])],
    )
    with pytest.raises(InvalidInput, match="onnxruntime must know its operators"):
        load_model(odd)
