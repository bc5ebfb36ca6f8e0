import numpy as np
import onnxruntime
import pytest
from onnx import TensorProto as T
from onnx import helper, numpy_helper

from robust.models.runner_quantization import QuantizedEdges
from robust.tensors.spec import Quantization

SCALE, ZERO = 0.25, 5
Q = Quantization(scale=SCALE, zero_point=ZERO, dtype="uint8")


def edges(nodes, weights=(), *, inputs=("x",), outputs=("y",), kind=T.UINT8):
    """The edges of a graph of operators, all on one type."""
    constants = {"s": np.float32(SCALE), "z": np.uint8(ZERO), "s2": np.float32(0.5), "z2": np.uint8(9), **dict(weights)}
    made = [
        helper.make_node(
            op.removeprefix("ms."), ins, outs, domain="com.microsoft" if op.startswith("ms.") else "", **more
        )
        for op, ins, outs, more in nodes
    ]
    graph = helper.make_graph(
        made,
        "g",
        [helper.make_tensor_value_info(name, kind, ["n", 4]) for name in inputs],
        [helper.make_tensor_value_info(name, kind, None) for name in outputs],
        [numpy_helper.from_array(np.asarray(array), name) for name, array in constants.items()],
    )
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=8)
    return QuantizedEdges(content=model.SerializeToString())


def node(op, ins, outs, **more):
    return op, ins.split(), outs.split(), more


DEQUANTIZE, QUANTIZE = node("DequantizeLinear", "x s z", "f"), node("QuantizeLinear", "f s z", "y")


def test_beside_the_edges():
    found = edges([DEQUANTIZE, node("QuantizeLinear", "f s2 z2", "y")])
    assert found.of_input("x", "uint8") == Q
    assert found.of_output("y", "uint8") == Quantization(scale=0.5, zero_point=9, dtype="uint8")


def test_an_absent_zero_point_is_zero():
    found = edges([node("DequantizeLinear", "x s", "f"), node("QuantizeLinear", "f s", "y")])
    zero = Quantization(scale=SCALE, zero_point=0, dtype="uint8")
    assert (found.of_input("x", "uint8"), found.of_output("y", "uint8")) == (zero, zero)


def test_constants_of_nodes_count():
    tensor = numpy_helper.from_array(np.float32(2.0), "v")
    found = edges([node("Constant", "", "c", value=tensor), node("DequantizeLinear", "x c z", "f"), QUANTIZE])
    assert found.of_input("x", "uint8") == Quantization(scale=2.0, zero_point=ZERO, dtype="uint8")


@pytest.mark.parametrize("op", ["Identity", "Transpose", "Flatten", "Reshape", "Squeeze", "Slice"])
def test_operators_that_move_integers_are_looked_through(op):
    more = {"Reshape": " shape", "Slice": " a b"}.get(op, "")
    weights = {"shape": np.array([-1, 2, 2]), "a": np.array([0]), "b": np.array([1])}
    nodes = [node(op, f"x{more}", "m"), node("DequantizeLinear", "m s z", "f")]
    nodes += [node("QuantizeLinear", "f s z", "q"), node(op, f"q{more}", "y")]
    found = edges(nodes, weights)
    assert (found.of_input("x", "uint8"), found.of_output("y", "uint8")) == (Q, Q)


def test_operators_that_compute_are_not():
    found = edges([node("Cast", "x", "f", to=T.FLOAT), QUANTIZE, node("Abs", "y", "z2_")], outputs=("z2_",))
    assert (found.of_input("x", "uint8"), found.of_output("z2_", "uint8")) == (None, None)


def test_an_input_handed_through():
    found = edges([DEQUANTIZE, node("Identity", "x", "y")])
    assert found.of_output("y", "uint8") == Q


def test_readers_that_disagree_tell_nothing():
    other = node("DequantizeLinear", "x s2 z", "g")
    assert edges([DEQUANTIZE, other, QUANTIZE]).of_input("x", "uint8") is None
    same = node("DequantizeLinear", "x s z", "g")
    assert edges([DEQUANTIZE, same, QUANTIZE]).of_input("x", "uint8") == Q


@pytest.mark.parametrize(
    ("weights", "text"),
    [
        ({"p": np.full(4, 0.5, dtype=np.float32), "pz": np.zeros(4, dtype=np.uint8)}, "x p pz"),
        ({"p": np.float32(0), "pz": np.uint8(0)}, "x p pz"),
        ({"p": np.float32(np.nan), "pz": np.uint8(0)}, "x p pz"),
        ({"p": np.float32(1), "pz": np.int8(0)}, "x p pz"),
        ({}, "x computed z"),
        ({}, "x s computed"),
    ],
)
def test_scales_that_cannot_be_used(weights, text):
    """One a channel, no scale at all, of another type, or computed."""
    found = edges([node("DequantizeLinear", text, "f"), QUANTIZE], weights)
    assert found.of_input("x", "uint8") is None


def test_another_domains_operator_of_the_same_name_is_another():
    graph = edges([DEQUANTIZE, QUANTIZE])._graph
    for one in graph.node:
        one.domain = "somebody.else"
    model = helper.make_model(graph).SerializeToString()
    found = QuantizedEdges(content=model)
    assert (found.of_input("x", "uint8"), found.of_output("y", "uint8")) == (None, None)


WEIGHTS = {
    "yes": np.eye(4, dtype=bool),
    "w": np.ones((4, 4), dtype=np.uint8),
    "k": np.ones((1, 1, 1, 1), dtype=np.uint8),
}
QLINEAR = [
    ("QLinearMatMul", "x s z w s2 z2 s2 z2"),
    ("ms.QLinearAdd", "x s z x s z s2 z2"),
    ("ms.QLinearMul", "w s2 z2 x s z s2 z2"),
    ("ms.QGemm", "x s z w s2 z2  s2 z2"),
    ("ms.QLinearSigmoid", "x s z s2 z2"),
    ("ms.QLinearLeakyRelu", "x s z s2 z2"),
    ("ms.QLinearSoftmax", "x s z s2 z2"),
    ("ms.QLinearConcat", "s2 z2 x s z w s2 z2"),
    ("ms.QLinearWhere", "yes x s z w s2 z2 s2 z2"),
]


@pytest.mark.parametrize(("op", "ins"), QLINEAR)
def test_operators_on_integers_tell_both_sides(op, ins):
    """The places in the table are those that onnxruntime computes by: its output is what these numbers say."""
    names = ins.split(" ")  # QGemm leaves one input out
    more = {"ms.QGemm": {"alpha": 1.0}, "ms.QLinearConcat": {"axis": 0}, "ms.QLinearSoftmax": {"axis": -1, "opset": 13}}
    found = edges([(op, names, ["y"], more.get(op, {}))], WEIGHTS)
    out = Quantization(scale=0.5, zero_point=9, dtype="uint8")
    assert (found.of_input("x", "uint8"), found.of_output("y", "uint8")) == (Q, out)

    def x(integers):
        return (integers.astype(int) - ZERO) * SCALE

    w = (np.ones((4, 4)) - 9) * 0.5
    compute = {
        "QLinearMatMul": lambda v: x(v) @ w,
        "ms.QLinearAdd": lambda v: x(v) + x(v),
        "ms.QLinearMul": lambda v: w * x(v),
        "ms.QGemm": lambda v: x(v) @ w,
        "ms.QLinearSigmoid": lambda v: 1 / (1 + np.exp(-x(v))),
        "ms.QLinearLeakyRelu": lambda v: np.where(x(v) < 0, 0.01 * x(v), x(v)),
        "ms.QLinearSoftmax": lambda v: np.exp(x(v)) / np.exp(x(v)).sum(axis=-1, keepdims=True),
        "ms.QLinearWhere": lambda v: np.where(np.eye(4), x(v), w),
        "ms.QLinearConcat": lambda v: np.concatenate([x(v), w]),
    }[op]
    raw = np.array([[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11], [12, 13, 14, 15]], dtype=np.uint8)
    session = onnxruntime.InferenceSession(found.content, providers=["CPUExecutionProvider"])
    got = (session.run(None, {"x": raw})[0].astype(int) - out.zero_point) * out.scale
    low, high = ((end - out.zero_point) * out.scale for end in out.range)
    np.testing.assert_allclose(got, np.clip(compute(raw), low, high), atol=0.26)


def test_convolutions_and_pools_tell_both_sides():
    nodes = [
        node("Reshape", "x shape", "m"),
        node("QLinearConv", "m s z k s2 z2 s2 z2", "c"),
        node("ms.QLinearAveragePool", "c s2 z2 s z", "p", kernel_shape=[1, 1]),
        node("ms.QLinearGlobalAveragePool", "p s z s z", "y", channels_last=0),
    ]
    found = edges(nodes, {**WEIGHTS, "shape": np.array([-1, 1, 2, 2])})
    assert (found.of_input("x", "uint8"), found.of_output("y", "uint8")) == (Q, Q)
    session = onnxruntime.InferenceSession(found.content, providers=["CPUExecutionProvider"])
    raw = np.array([[5, 9, 5, 9]], dtype=np.uint8)
    (y,) = session.run(None, {"x": raw})
    # Read: 0, 1, 0, 1. The kernel is (1 − 9)/2 = −4; its −4 becomes the lowest of the pool, −1.25. The mean, −0.625, is
    # two steps and a half of 0.25 below 0, and the half goes to the even two.
    assert (int(y.ravel()[0]) - ZERO) * SCALE == -0.5
