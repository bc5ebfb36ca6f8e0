"""Stored numbers by hand, and weights against what onnxruntime makes of unit vectors."""

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnxruntime import InferenceSession

from robust.quantization.stored_values_onnx import constants_of, dequantized, named_scale, weight_of

RNG = np.random.default_rng(0)
CODES = RNG.integers(-128, 128, size=(4, 3)).astype(np.int8)
SCALES = np.array([0.5, 0.25, 2.0], dtype=np.float32)


def graph_of(nodes, sizes=(4, 3), **stored):
    tensors = [numpy_helper.from_array(np.asarray(values), name) for name, values in stored.items()]
    ends = [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", sizes[0]])]
    return helper.make_graph(nodes, "g", ends, [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)], tensors)


def unit_rows(graph, width):
    """What a runtime makes of unit vectors: (in, out)."""
    opsets = [helper.make_opsetid("", 21), helper.make_opsetid("com.microsoft", 1)]
    content = helper.make_model(graph, opset_imports=opsets, ir_version=10).SerializeToString()
    session = InferenceSession(content, providers=["CPUExecutionProvider"])
    return session.run(None, {"x": np.eye(width, dtype=np.float32)})[0]


def test_dequantized_by_tensor_axis_and_block():
    raw = np.array([[0, 255], [3, 4]], dtype=np.uint8)
    scale, zero = np.array([0.5, 2.0], dtype=np.float32), np.array([200, 1], dtype=np.uint8)
    assert dequantized(raw, scale, zero, axis=0).tolist() == [[-100.0, 27.5], [4.0, 6.0]]
    assert dequantized(raw, scale, zero, axis=1).tolist() == [[-100.0, 508.0], [-98.5, 6.0]]
    assert dequantized(raw, scale[:1], None, axis=0).tolist() == [[0.0, 127.5], [1.5, 2.0]]
    blocks = np.array([[1.0, 10.0]], dtype=np.float32)
    four = np.array([[1, 2, 3, 4]], dtype=np.int8)
    assert dequantized(four, blocks, None, axis=1, block=2).tolist() == [[1.0, 2.0, 30.0, 40.0]]


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("per_channel", [False, True])
def test_unpacked_weights_are_those_that_the_runtime_multiplies_by(turned, per_channel):
    codes, axis = (CODES.T.copy(), 0) if turned else (CODES, 1)
    scale = SCALES if per_channel else SCALES[0]
    zero = np.zeros(np.shape(scale), dtype=np.int8)
    unpack = helper.make_node("DequantizeLinear", ["w_quantized", "w_scale", "w_zero_point"], ["w"], axis=axis)
    product = helper.make_node("Gemm", ["x", "w"], ["y"], transB=int(turned))
    graph = graph_of([unpack, product], w_quantized=codes, w_scale=scale, w_zero_point=zero)
    found = weight_of(product, constants_of(graph), None)
    np.testing.assert_allclose(found.values, unit_rows(graph, 4).T, rtol=1e-6)
    wanted = SCALES if per_channel else np.full(3, SCALES[0])
    np.testing.assert_array_equal(found.steps, np.repeat(wanted[:, None], 4, axis=1))  # one row an output


def test_steps_follow_a_weight_through_transposition_and_shape():
    nodes = [
        helper.make_node("DequantizeLinear", ["w_quantized", "w_scale"], ["d"], axis=1),
        helper.make_node("Transpose", ["d"], ["t"], perm=[1, 0]),
        helper.make_node("Reshape", ["t", "shape"], ["r"]),
        helper.make_node("Conv", ["x", "r"], ["y"]),
    ]
    stored = {"w_quantized": CODES, "w_scale": SCALES, "shape": np.array([3, 4, 1])}
    found = weight_of(nodes[-1], constants_of(graph_of(nodes, **stored)), None)
    wanted = CODES.T.astype(np.float64) * SCALES[:, None]
    np.testing.assert_array_equal(found.values, wanted[:, :, None])
    np.testing.assert_array_equal(found.steps[:, :, 0], np.repeat(SCALES[:, None].astype(np.float64), 4, axis=1))


def test_plain_weights_have_no_step():
    product = helper.make_node("MatMul", ["x", "w"], ["y"])
    found = weight_of(product, constants_of(graph_of([product], w=CODES.astype(np.float32))), None)
    np.testing.assert_array_equal(found.values, CODES.T)
    assert not found.steps.any()


def test_weights_of_integer_products_have_the_scale_that_is_stored_beside_them():
    product = helper.make_node("MatMulInteger", ["q", "w_quantized", "", "w_zero_point"], ["y"])
    zero = np.array([1, 0, -1], dtype=np.int8)
    constants = constants_of(graph_of([product], w_quantized=CODES, w_scale=SCALES, w_zero_point=zero))
    found = weight_of(product, constants, None)
    np.testing.assert_array_equal(found.values, ((CODES.astype(int) - zero) * SCALES.astype(np.float64)).T)
    # The product that follows counts more than a name.
    twice = weight_of(product, constants, 2 * SCALES)
    np.testing.assert_array_equal(twice.values, 2 * found.values)
    np.testing.assert_array_equal(twice.steps, 2 * found.steps)
    assert weight_of(product, constants, SCALES[:2]) is None  # no scale of these weights
    assert named_scale("w", constants) is None
    assert weight_of(product, constants_of(graph_of([product], w_quantized=CODES)), None) is None


def test_a_transposed_convolution_has_its_outputs_along_the_second_axis():
    codes = RNG.integers(-128, 128, size=(2, 3, 1, 1)).astype(np.int8)
    inputs = ["q", "s", "z", "w", "w_scale", "w_zero", "s", "z"]
    node = helper.make_node("QLinearConvTranspose", inputs, ["y"])
    stored = {"w": codes, "w_scale": SCALES, "w_zero": np.zeros(3, dtype=np.int8)}
    found = weight_of(node, constants_of(graph_of([node], **stored)), None)
    np.testing.assert_array_equal(found.values[..., 0, 0], codes[..., 0, 0] * SCALES.astype(np.float64))


def test_a_table_that_rows_are_looked_up_in():
    node = helper.make_node("Gather", ["e_quantized", "x"], ["y"])
    stored = {"e_quantized": CODES.astype(np.uint8), "e_scale": np.float32(0.5), "e_zero_point": np.uint8(128)}
    found = weight_of(node, constants_of(graph_of([node], **stored)), None)
    np.testing.assert_array_equal(found.values, (CODES.astype(np.uint8).astype(int) - 128) * 0.5)
    assert (found.steps == 0.5).all()
    plain = weight_of(node, constants_of(graph_of([node], e_quantized=CODES.astype(np.float32))), None)
    np.testing.assert_array_equal(plain.values, CODES)
    assert weight_of(node, constants_of(graph_of([node], e_quantized=CODES)), None) is None


@pytest.mark.parametrize("symmetric", [True, False])
def test_packed_blocks_and_their_steps(symmetric):
    from onnxruntime.quantization.matmul_nbits_quantizer import MatMulNBitsQuantizer

    weights = RNG.normal(size=(40, 7)).astype(np.float32)
    graph = graph_of([helper.make_node("MatMul", ["x", "w"], ["y"], name="fc")], sizes=(40, 7), w=weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    quantizer = MatMulNBitsQuantizer(model, block_size=16, is_symmetric=symmetric, accuracy_level=0)
    quantizer.process()
    made = quantizer.model.model.graph
    found = weight_of(made.node[0], constants_of(made), None)
    np.testing.assert_allclose(found.values, unit_rows(made, 40).T, atol=1e-6)
    assert found.steps.shape == (7, 40)
    assert (np.abs(found.values - weights.T) <= found.steps * (1 + 1e-6)).all()
