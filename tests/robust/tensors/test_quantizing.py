import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from robust.errors import InvalidInput
from robust.tensors.quantizing import dequantize, quantize
from robust.tensors.spec import Quantization

KINDS = {"int8": TensorProto.INT8, "uint8": TensorProto.UINT8}


def runtime(q, *, back):
    """onnxruntime's own QuantizeLinear (or, back, DequantizeLinear)."""
    weights = [
        numpy_helper.from_array(np.array(q.scale, dtype=np.float32), "s"),
        numpy_helper.from_array(np.array(q.zero_point, dtype=q.dtype), "z"),
    ]
    kinds = (KINDS[q.dtype], TensorProto.FLOAT) if back else (TensorProto.FLOAT, KINDS[q.dtype])
    node = helper.make_node("DequantizeLinear" if back else "QuantizeLinear", ["x", "s", "z"], ["y"])
    ends = [helper.make_tensor_value_info(name, kind, ["n"]) for name, kind in zip("xy", kinds, strict=True)]
    graph = helper.make_graph([node], "g", ends[:1], ends[1:], weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return lambda x: session.run(None, {"x": x})[0]


@pytest.mark.parametrize(
    "q",
    [
        Quantization(scale=0.1, zero_point=-3, dtype="int8"),
        Quantization(scale=0.00392157, zero_point=-128, dtype="int8"),
        Quantization(scale=0.10196070, zero_point=0, dtype="uint8"),
        Quantization(scale=7.0, zero_point=200, dtype="uint8"),
    ],
)
def test_float32_gives_the_integers_of_the_runtime(q):
    """Also halfway between two steps, where a quotient in another precision falls on the other side."""
    generator = np.random.default_rng(0)
    steps = np.arange(-400, 400)[:, None] + np.array([0.0, 0.5, 0.25])
    x = np.concatenate([(steps * q.scale).ravel(), generator.normal(size=20_000) * 200 * q.scale]).astype(np.float32)
    raw = quantize(x, q)
    np.testing.assert_array_equal(raw, runtime(q, back=False)(x))
    np.testing.assert_allclose(dequantize(raw, q), runtime(q, back=True)(raw), rtol=1e-6)


def test_half_to_even_and_clipping_by_hand():
    q = Quantization(scale=0.5, zero_point=10, dtype="uint8")
    x = np.array([0.25, 0.75, 1.25, -0.25, -5.0, -5.5, 1e30, -1e30, 122.5, 123.0])
    #   x/scale:  0.5   1.5   2.5   -0.5  -10   -11                 245    246
    np.testing.assert_array_equal(quantize(x, q), np.array([10, 12, 12, 10, 0, 0, 255, 0, 255, 255], dtype=np.uint8))


def test_dequantized_differences_do_not_wrap_around():
    q = Quantization(scale=1.0, zero_point=127, dtype="int8")
    assert dequantize(np.array([-128], dtype=np.int8), q).tolist() == [-255.0]
    u = Quantization(scale=2.0, zero_point=255, dtype="uint8")
    assert dequantize(np.array([0, 255], dtype=np.uint8), u).tolist() == [-510.0, 0.0]
    w = Quantization(scale=1.0, zero_point=65535, dtype="uint16")
    assert dequantize(np.array([0], dtype=np.uint16), w).tolist() == [-65535.0]


@given(
    dtype=st.sampled_from(["int8", "uint8", "int16", "uint16"]),
    scale=st.floats(1e-6, 1e6),
    share=st.floats(0, 1),
    shape=st.sampled_from([(5,), (2, 3), (2, 1, 2)]),
    seed=st.integers(0, 99),
)
@settings(max_examples=60, deadline=None)
def test_every_integer_comes_back(dtype, scale, share, shape, seed):
    low, high = np.iinfo(dtype).min, np.iinfo(dtype).max
    q = Quantization(scale=scale, zero_point=round(low + share * (high - low)), dtype=dtype)
    raw = np.random.default_rng(seed).integers(low, high, size=shape, endpoint=True, dtype=dtype)
    np.testing.assert_array_equal(quantize(dequantize(raw, q), q), raw)


@given(x=st.floats(-100, 100), zero=st.integers(-128, 127))
@settings(max_examples=100, deadline=None)
def test_inside_the_range_the_error_is_half_a_step_at_most(x, zero):
    q = Quantization(scale=0.75, zero_point=zero, dtype="int8")
    low, high = ((end - zero) * q.scale for end in q.range)
    if low <= x <= high:
        assert abs(dequantize(quantize(np.array([x]), q), q)[0] - x) <= 0.375 * (1 + 1e-12)


def test_scales_that_float32_cannot_hold():
    tiny = Quantization(scale=1e-60, zero_point=0, dtype="int8")
    assert quantize(np.array([0, 1], dtype=np.float32), tiny).tolist() == [0, 127]
    huge = Quantization(scale=1e60, zero_point=3, dtype="int8")
    assert quantize(np.array([1e30], dtype=np.float32), huge).tolist() == [3]


@pytest.mark.parametrize("dtype", ["int64", "uint8", "int8", "bool"])
def test_integers_may_be_quantized_already(dtype):
    with pytest.raises(InvalidInput, match=f"{dtype} cannot be quantized to int8"):
        quantize(np.zeros(2, dtype=dtype), Quantization(scale=1.0, zero_point=0, dtype="int8"))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_is_refused(bad):
    q = Quantization(scale=1.0, zero_point=0, dtype="int8")
    with pytest.raises(InvalidInput, match=r"row 1 \(counted from 0\)"):
        quantize(np.array([[0.0, 1.0], [bad, 0.0]]), q)
    with pytest.raises(InvalidInput, match="NaN or infinity"):
        quantize(np.array(bad), q)


def test_dequantizing_by_the_wrong_type_is_refused():
    with pytest.raises(InvalidInput, match="uint8 cannot be dequantized .* of a int8"):
        dequantize(np.zeros(1, dtype=np.uint8), Quantization(scale=1.0, zero_point=0, dtype="int8"))


def test_without_a_scale_numbers_pass_through_as_float64():
    found = dequantize(np.array([1, 2], dtype=np.float32), None)
    assert found.dtype == np.float64
    assert found.tolist() == [1.0, 2.0]
