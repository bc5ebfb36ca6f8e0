"""Weight storage read from graphs that are built here, node by node, and from the bundled int8 build."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from robust.examples.catalogue import example_path
from robust.models.base import Model
from robust.models.loading import load_model
from robust.quantization.coverage import quantized_coverage
from robust.quantization.coverage_onnx import initialiser_coverage


def graph(nodes, tensors):
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in ("x", "out")]
    initialisers = [numpy_helper.from_array(np.asarray(array), name) for name, array in tensors.items()]
    made = helper.make_graph(nodes, "g", values[:1], values[1:], initialisers)
    return helper.make_model(made).SerializeToString()


WIDE, NARROW = np.ones((4, 3), np.float32), np.ones((4, 3), np.int8)
SCALE, ZERO = np.float32(0.1), np.int8(0)


def node(kind, *inputs, out="out"):
    return helper.make_node(kind, list(inputs), [out])


@pytest.mark.parametrize(
    ("nodes", "tensors", "share"),
    [
        ([node("MatMul", "x", "w")], {"w": WIDE}, 0.0),
        ([node("DequantizeLinear", "w", "s", out="d"), node("MatMul", "x", "d")], {"w": NARROW, "s": SCALE}, 1.0),
        (
            [
                node("DequantizeLinear", "w", "s", out="d"),
                node("Transpose", "d", out="t"),
                node("Gemm", "x", "t", "b"),
            ],
            {"w": NARROW, "s": SCALE, "b": np.ones(3, np.float32)},
            1.0,  # the bias stays wide by design
        ),
        (
            # A float weight that is only rounded on the way (fake quantization) is not stored in 8 bits.
            [
                node("QuantizeLinear", "w", "s", "z", out="q"),
                node("DequantizeLinear", "q", "s", "z", out="d"),
                node("MatMul", "x", "d"),
            ],
            {"w": WIDE, "s": SCALE, "z": ZERO},
            0.0,
        ),
        (
            [node("MatMul", "x", "w", out="h"), node("DequantizeLinear", "v", "s", out="d"), node("MatMul", "h", "d")],
            {"w": np.ones((3, 3), np.float32), "v": np.ones((3, 9), np.int8), "s": SCALE},
            0.75,
        ),
        ([node("MatMulInteger", "x", "w")], {"w": NARROW}, 1.0),
        # One tensor used twice counts once.
        ([node("MatMul", "x", "w", out="h"), node("MatMul", "h", "w")], {"w": np.ones((3, 3), np.float32)}, 0.0),
        ([node("Relu", "x")], {}, None),
        ([node("MatMul", "x", "x")], {}, None),
    ],
)
def test_share_of_narrow_weights(nodes, tensors, share):
    assert initialiser_coverage(graph(nodes, tensors)) == share


def test_a_chain_that_never_ends_in_a_stored_tensor():
    nodes = [node("Transpose", "x", out="t"), node("MatMul", "x", "t")]
    assert initialiser_coverage(graph(nodes, {})) is None


def test_the_bundled_builds():
    folder = example_path("digits")
    # All convolution weights and the last layer: nothing wide is left.
    assert quantized_coverage(load_model(folder / "int8.onnx")) == pytest.approx(1.0, abs=0.05)
    assert quantized_coverage(load_model(folder / "float.onnx")) == 0.0


def test_what_cannot_be_read_is_unknown():
    model = Model(name="m", framework="onnx", forward=lambda x: x)
    assert quantized_coverage(model) is None
    assert quantized_coverage(Model(name="m", framework="torch", forward=lambda x: x)) is None


def test_narrow_types_are_known_to_this_version_of_onnx():
    assert onnx.TensorProto.UINT4 != onnx.TensorProto.INT4
