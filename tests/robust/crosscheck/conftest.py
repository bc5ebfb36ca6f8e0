"""Model files with several inputs and outputs, float and int8."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

FLOAT, INT8 = TensorProto.FLOAT, TensorProto.INT8


def save(path, nodes, inputs, outputs, weights):
    """Write an ONNX file; weights are arrays by name."""
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info(*value) for value in inputs],
        [helper.make_tensor_value_info(*value) for value in outputs],
        [numpy_helper.from_array(np.asarray(array), name) for name, array in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 9
    onnx.checker.check_model(model)
    onnx.save(model, path)
    return path


@pytest.fixture
def save_onnx():
    return save


def detector(path, *, noise=0.0, seed=0, swap=False, last="score"):
    """A recurrent detector: a frame and a state in, a score, box values and the next state out."""
    rng = np.random.default_rng(0)
    shake = np.random.default_rng(seed)
    weights = {
        name: (rng.normal(size=shape) + noise * shake.normal(size=shape)).astype(np.float32)
        for name, shape in {"Wx": (6, 4), "Wh": (4, 4), "Ws": (4, 3), "Wb": (4, 8)}.items()
    }
    weights |= {"shape": np.array([0, 2, 4], dtype=np.int64)}
    nodes = [
        helper.make_node("MatMul", ["frame", "Wx"], ["a"]),
        helper.make_node("MatMul", ["state", "Wh"], ["b"]),
        helper.make_node("Add", ["a", "b"], ["c"]),
        helper.make_node("Tanh", ["c"], ["next_state"]),
        helper.make_node("MatMul", ["next_state", "Ws"], ["d"]),
        helper.make_node("Softmax", ["d"], [last], axis=1),
        helper.make_node("MatMul", ["next_state", "Wb"], ["e"]),
        helper.make_node("Reshape", ["e", "shape"], ["boxes"]),
    ]
    inputs = [("frame", FLOAT, ["n", 6]), ("state", FLOAT, ["n", 4])]
    outputs = [(last, FLOAT, ["n", 3]), ("boxes", FLOAT, ["n", 2, 4]), ("next_state", FLOAT, ["n", 4])]
    return save(path, nodes, inputs[::-1] if swap else inputs, outputs[::-1] if swap else outputs, weights)


@pytest.fixture
def make_detector():
    return detector


def classifier(path, *, int8=False, scale=1 / 256, zero=-128, in_scale=0.02, in_zero=3):
    """A softmax over a linear layer; with int8 input and output, as converters for small devices write them."""
    rng = np.random.default_rng(1)
    weights = {"W": rng.normal(size=(6, 4)).astype(np.float32)}
    core = [helper.make_node("MatMul", ["x" if not int8 else "real_x", "W"], ["z"])]
    core += [helper.make_node("Softmax", ["z"], ["p" if not int8 else "real_p"], axis=1)]
    if not int8:
        return save(path, core, [("x", FLOAT, ["n", 6])], [("p", FLOAT, ["n", 4])], weights)
    weights |= {"s": np.float32(scale), "q": np.int8(zero), "si": np.float32(in_scale), "qi": np.int8(in_zero)}
    nodes = [
        helper.make_node("DequantizeLinear", ["x", "si", "qi"], ["real_x"]),
        *core,
        helper.make_node("QuantizeLinear", ["real_p", "s", "q"], ["p"]),
    ]
    return save(path, nodes, [("x", INT8, ["n", 6])], [("p", INT8, ["n", 4])], weights)


@pytest.fixture
def make_classifier():
    return classifier
