"""Files whose outputs are integers: their scale and zero point are those of the file, and unknown ones are refused."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from robust import as_model, classification_metrics, load_model, log_loss, rmse
from robust.data.live import as_data
from robust.errors import InvalidInput

WEIGHTS = np.random.default_rng(5).normal(size=(6, 4)).astype(np.float32)


def quantized_file(path, *, columns=4, raw=True, scale=0.1, zero_point=5):
    """A linear model whose output is rounded to eight bits, given as integers or dequantized."""
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["z"]),
        helper.make_node("QuantizeLinear", ["z", "s", "zp"], ["q"]),
    ]
    if not raw:
        nodes.append(helper.make_node("DequantizeLinear", ["q", "s", "zp"], ["real"]))
    kind = TensorProto.INT8 if raw else TensorProto.FLOAT
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 6])],
        [helper.make_tensor_value_info("q" if raw else "real", kind, ["N", columns])],
        [
            numpy_helper.from_array(WEIGHTS[:, :columns], "w"),
            numpy_helper.from_array(np.float32(scale), "s"),
            numpy_helper.from_array(np.int8(zero_point), "zp"),
        ],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path


@pytest.fixture
def rows():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(300, 6)).astype(np.float32)
    return as_data(x, (x @ WEIGHTS + rng.gumbel(size=(300, 4))).argmax(axis=1))


def test_integers_are_dequantized_as_the_file_says(tmp_path, rows):
    raw = load_model(quantized_file(tmp_path / "raw.onnx"), output="logits")
    real = load_model(quantized_file(tmp_path / "real.onnx", raw=False), output="logits")
    for one, other in zip(classification_metrics(raw, rows), classification_metrics(real, rows), strict=True):
        assert (one.value, one.lower, one.upper) == pytest.approx((other.value, other.lower, other.upper), abs=1e-6)


def test_numbers_too(tmp_path):
    x = np.random.default_rng(0).normal(size=(200, 6)).astype(np.float32)
    model = load_model(quantized_file(tmp_path / "raw.onnx", columns=1), task="regression")
    steps = np.clip(np.rint((x @ WEIGHTS[:, :1]).astype(np.float64) / np.float32(0.1)) + 5, -128, 127) - 5
    expected = np.sqrt(np.mean((steps * np.float64(np.float32(0.1)) - x @ WEIGHTS[:, :1]) ** 2))
    assert rmse(model, as_data(x, x @ WEIGHTS[:, 0])).value == pytest.approx(expected, rel=1e-3)


def test_a_live_session_does_not_tell(tmp_path):
    import onnxruntime

    session = onnxruntime.InferenceSession(
        str(quantized_file(tmp_path / "raw.onnx")), providers=["CPUExecutionProvider"]
    )
    with pytest.raises(InvalidInput, match="int8 .output 'q'., and a live session does not tell which numbers"):
        as_model(session)


def test_whole_numbers_of_a_function_are_not_taken_for_logits(rows):
    def codes(x):
        return np.clip(np.rint(10 * (x @ WEIGHTS)), -128, 127)

    with pytest.raises(InvalidInput, match="whole numbers from .* may be the integers of a quantized model"):
        log_loss(codes, rows)
    assert log_loss(as_model(codes, output="logits"), rows).value > 1
