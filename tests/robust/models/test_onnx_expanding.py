import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from robust.errors import InvalidInput
from robust.models.loading import load_model
from robust.models.onnx_expanding import expanded
from robust.models.onnx_gradients_torch import converted

RNG = np.random.default_rng(0)
U8, I8 = np.uint8, np.int8


def codes(kind, *shape):
    limit = np.iinfo(kind)
    return RNG.integers(limit.min, limit.max + 1, shape, dtype=kind)


def saved(path, nodes, constants, *, shape):
    """A file whose nodes go from the codes `q` of its input `x` to codes `r`; one without `r` gives `out` itself."""
    # Steps without a common factor: no number lies half-way between two others, where kernels round as they like.
    given = {"xs": np.float32(0.03137), "xz": U8(128), "ys": np.float32(0.05291), "yz": U8(100), **constants}
    start = helper.make_node("QuantizeLinear", ["x", "xs", "xz"], ["q"])
    nodes = [start, *nodes]
    if not any("out" in node.output for node in nodes):
        nodes += [helper.make_node("DequantizeLinear", ["r", "ys", "yz"], ["d"])]
        nodes += [helper.make_node("Flatten", ["d"], ["out"])]
    graph = helper.make_graph(
        nodes,
        "graph",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, (None, *shape))],
        [helper.make_tensor_value_info("out", TensorProto.FLOAT, (None, None))],
        [numpy_helper.from_array(np.asarray(array), name) for name, array in given.items()],
    )
    domains = [helper.make_opsetid("", 18), helper.make_opsetid("com.microsoft", 1)]
    onnx.save(helper.make_model(graph, opset_imports=domains, ir_version=9), path)
    return load_model(path, output="logits")


def microsoft(kind, inputs, outputs=("r",), **attributes):
    return helper.make_node(kind, inputs, list(outputs), domain="com.microsoft", **attributes)


def normal(*shape):
    return RNG.normal(size=shape).astype(np.float32)


CASES = {
    "a padded, grouped convolution, factors by channel": (
        [
            helper.make_node(
                "QLinearConv",
                ["q", "xs", "xz", "w", "ws", "wz", "ys", "yz", "b"],
                ["r"],
                group=2,
                strides=[2, 1],
                pads=[1, 0, 0, 2],
            )
        ],
        {
            "w": codes(I8, 4, 1, 3, 3),
            "ws": np.array([0.00711, 0.0193, 0.00517, 0.0289], dtype=np.float32),
            "wz": np.zeros(4, dtype=I8),
            "b": RNG.integers(-3000, 3000, 4).astype(np.int32),
        },
        (2, 6, 6),
    ),
    "a convolution of int8 without a bias": (
        [
            helper.make_node("QuantizeLinear", ["x", "xs", "sz"], ["p"]),
            helper.make_node("QLinearConv", ["p", "xs", "sz", "w", "ws", "wz", "ys", "sz"], ["s"]),
            helper.make_node("DequantizeLinear", ["s", "ys", "sz"], ["e"]),
            helper.make_node("Flatten", ["e"], ["out"]),
        ],
        {"w": codes(I8, 3, 2, 2, 2), "ws": np.float32(0.00711), "wz": I8(0), "sz": I8(-28)},
        (2, 4, 4),
    ),
    "a product, factors by column": (
        [helper.make_node("QLinearMatMul", ["q", "xs", "xz", "w", "ws", "wz", "ys", "yz"], ["r"])],
        {
            "w": codes(I8, 5, 3),
            "ws": np.array([0.00711, 0.0193, 0.00517], dtype=np.float32),
            "wz": np.zeros(3, dtype=I8),
        },
        (2, 5),
    ),
    "a scaled, transposed product with a bias": (
        [microsoft("QGemm", ["q", "xs", "xz", "w", "ws", "wz", "b", "ys", "yz"], alpha=0.5, transB=1)],
        {
            "w": codes(I8, 3, 5),
            "ws": np.array([0.00711, 0.0193, 0.00517], dtype=np.float32),
            "wz": np.zeros(3, dtype=I8),
            "b": RNG.integers(-3000, 3000, 3).astype(np.int32),
        },
        (5,),
    ),
    "a product that gives numbers": (
        [microsoft("QGemm", ["q", "xs", "xz", "w", "ws", "wz"], ["out"])],
        {"w": codes(U8, 5, 3), "ws": np.float32(0.00711), "wz": U8(7)},
        (5,),
    ),
    "a sum and a product of a row and a constant": (
        [
            microsoft("QLinearAdd", ["q", "xs", "xz", "w", "ws", "wz", "ys", "yz"], ["a"]),
            microsoft("QLinearMul", ["a", "ys", "yz", "w", "ws", "wz", "ys", "yz"]),
        ],
        {"w": codes(U8, 5), "ws": np.float32(0.00711), "wz": U8(90)},
        (5,),
    ),
    "activations": (
        [
            microsoft("QLinearLeakyRelu", ["q", "xs", "xz", "ys", "yz"], ["a"], alpha=0.2),
            microsoft("QLinearSigmoid", ["a", "ys", "yz", "ws", "wz"], ["b"]),
            microsoft("QLinearConcat", ["ys", "yz", "a", "ys", "yz", "b", "ws", "wz"], axis=1),
        ],
        {"ws": np.float32(1 / 256), "wz": U8(0)},
        (5,),
    ),
    "pools": (
        [
            microsoft(
                "QLinearAveragePool",
                ["q", "xs", "xz", "ys", "yz"],
                ["a"],
                kernel_shape=[2, 2],
                pads=[1, 1, 0, 0],
                strides=[2, 2],
            ),
            helper.make_node("MaxPool", ["a"], ["m"], kernel_shape=[2, 2], pads=[0, 0, 1, 1]),
            microsoft("QLinearGlobalAveragePool", ["m", "ys", "yz", "ys", "yz"]),
        ],
        {},
        (3, 5, 5),
    ),
    "codes that are moved and cut": (
        [
            helper.make_node("Transpose", ["q"], ["t"], perm=[0, 2, 1]),
            helper.make_node("Reshape", ["t", "shape"], ["s"]),
            helper.make_node("Clip", ["s", "low", "high"], ["c"]),
            helper.make_node("DequantizeLinear", ["c", "xs", "xz"], ["out"]),
        ],
        {"shape": np.array([0, -1]), "low": U8(110), "high": U8(150)},
        (2, 3),
    ),
    "integers and a range of their own": (
        [
            helper.make_node("DynamicQuantizeLinear", ["x"], ["dq", "ds", "dz"]),
            helper.make_node("ConvInteger", ["dq", "w", "dz", "wz"], ["i"], pads=[1, 1, 1, 1]),
            helper.make_node("Cast", ["i"], ["j"], to=TensorProto.FLOAT),
            helper.make_node("Mul", ["j", "ds"], ["k"]),
            helper.make_node("Flatten", ["k"], ["flat"]),
            helper.make_node("DynamicQuantizeLinear", ["flat"], ["fq", "fs", "fz"]),
            helper.make_node("MatMulInteger", ["fq", "v", "fz", "vz"], ["m"]),
            helper.make_node("Cast", ["m"], ["n"], to=TensorProto.FLOAT),
            helper.make_node("Mul", ["n", "fs"], ["out"]),
        ],
        {"w": codes(I8, 2, 2, 3, 3), "wz": I8(3), "v": codes(U8, 32, 3), "vz": np.array([3, 128, 60], dtype=U8)},
        (2, 4, 4),
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_each_answers_as_onnxruntime(name, tmp_path):
    nodes, constants, shape = CASES[name]
    model = saved(tmp_path / "one.onnx", nodes, constants, shape=shape)
    x = normal(32, *shape)
    told = model.forward(x)
    assert np.ptp(told, axis=0).max() > 0
    found = converted(model, x)
    assert found.rounded
    assert found.gap <= 1e-5 * np.abs(told).max()
    _, slope = found.model.gradients(x, lambda outputs: np.ones_like(outputs))
    assert np.isfinite(slope).all()
    assert np.abs(slope).max() > 0


def test_softmax_answers_to_a_step(tmp_path):
    # onnxruntime reads e^x off a table; its answers are a step off at most.
    step = np.float32(1 / 256)
    node = microsoft("QLinearSoftmax", ["q", "xs", "xz", "ys", "yz"], axis=-1, opset=13)
    model = saved(tmp_path / "s.onnx", [node], {"ys": step, "yz": U8(0)}, shape=(5,))
    assert converted(model, normal(64, 5)).gap <= step * 1.001


def test_an_older_softmax_sees_a_matrix(tmp_path):
    step = np.float32(1 / 256)
    node = microsoft("QLinearSoftmax", ["q", "xs", "xz", "ys", "yz"], axis=1, opset=11)
    model = saved(tmp_path / "s.onnx", [node], {"ys": step, "yz": U8(0)}, shape=(2, 3))
    x = normal(64, 2, 3)
    assert model.forward(x).sum(axis=1) == pytest.approx(np.ones(64), abs=0.02)
    assert converted(model, x).gap <= step * 1.001


def test_a_slope_is_the_floating_operators_inside_the_range_and_zero_past_it(tmp_path):
    weight = np.array([[2], [-3]], dtype=I8)
    node = helper.make_node("QLinearMatMul", ["q", "xs", "xz", "w", "ws", "wz", "ys", "yz"], ["r"])
    given = {"w": weight, "ws": np.float32(0.5), "wz": I8(0), "yz": U8(0)}  # outputs below 0 are cut, as by a ReLU
    model = saved(tmp_path / "one.onnx", [node], given, shape=(2,))
    x = np.array([[1.0, 0.2], [-1.0, 0.2]], dtype=np.float32)
    _, slope = converted(model, x).model.gradients(x, lambda outputs: np.ones_like(outputs))
    np.testing.assert_allclose(slope, [[1.0, -1.5], [0.0, 0.0]], atol=1e-6)


def test_a_dynamic_range_has_slope_one(tmp_path):
    nodes = [
        helper.make_node("DynamicQuantizeLinear", ["x"], ["c", "cs", "cz"]),
        helper.make_node("DequantizeLinear", ["c", "cs", "cz"], ["out"]),
    ]
    model = saved(tmp_path / "one.onnx", nodes, {}, shape=(3,))
    x = np.array([[0.0, 1.0, -2.0], [0.3, 0.4, 0.5]], dtype=np.float32)
    found = converted(model, x).model
    _, slope = found.gradients(x, lambda outputs: np.ones_like(outputs))
    np.testing.assert_allclose(slope, np.ones((2, 3)))
    np.testing.assert_allclose(found.gradients(np.zeros_like(x), lambda outputs: outputs)[1], 0.0)


@pytest.mark.parametrize(
    "node",
    [
        microsoft("QLinearGlobalAveragePool", ["q", "xs", "xz", "ys", "yz"], channels_last=1),
        microsoft("QLinearWhere", ["where", "q", "xs", "xz", "q", "xs", "xz", "ys", "yz"]),
    ],
    ids=["channels last", "unknown"],
)
def test_what_is_left_as_it_is_is_refused_by_name(node, tmp_path):
    assert expanded([node]) == [node]
    model = saved(tmp_path / "one.onnx", [node], {"where": np.array([True])}, shape=(2, 3, 3))
    with pytest.raises(InvalidInput, match=rf"operator {node.op_type} at node 'r'"):
        converted(model, normal(4, 2, 3, 3))


def test_other_nodes_stay():
    nodes = [
        helper.make_node("Relu", ["x"], ["y"]),
        helper.make_node("QLinearAdd", list("abcdefgh"), ["z"], domain="other"),
        microsoft("QLinearSigmoid", ["q", "xs", "xz", "ys"]),  # codes of no known type
    ]
    assert expanded(nodes) == nodes
