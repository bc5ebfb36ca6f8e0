import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from robust.certified.accuracy_proved import certified_accuracy
from robust.certified.interval_bounds import interval_bounds
from robust.certified.network_onnx import onnx_network
from robust.certified.perturbations import perturbations
from robust.certified.unsupported import Unsupported
from robust.data.live import as_data
from robust.data.loading import load_data
from robust.examples.catalogue import example_path
from robust.models.loading import load_model


def file(nodes, weights, shape, *, dtype=np.float32):
    kind = TensorProto.FLOAT if dtype == np.float32 else TensorProto.DOUBLE
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info("x", kind, ["n", *shape])],
        [helper.make_tensor_value_info("out", kind, ["n", "k"])],
        [
            numpy_helper.from_array(np.asarray(array, dtype=None if array.dtype.kind == "i" else dtype), name)
            for name, array in weights.items()
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 8
    onnx.checker.check_model(model)
    return model.SerializeToString()


RNG = np.random.default_rng(0)
NODES = [
    helper.make_node("Sub", ["x", "mean"], ["a"]),
    helper.make_node("Div", ["a", "std"], ["b"]),
    helper.make_node("Conv", ["b", "k", "kb"], ["c"], auto_pad="SAME_UPPER", strides=[2, 1]),
    helper.make_node("BatchNormalization", ["c", "g", "s", "m", "v"], ["d"], epsilon=1e-3),
    helper.make_node("LeakyRelu", ["d"], ["e"], alpha=0.2),
    helper.make_node("MaxPool", ["e"], ["f"], kernel_shape=[2, 2], strides=[1, 2], pads=[0, 1, 1, 0]),
    helper.make_node("Conv", ["f", "k2"], ["h"], kernel_shape=[1, 1]),
    helper.make_node("Relu", ["h"], ["i"]),
    helper.make_node("Add", ["i", "f"], ["j"]),
    helper.make_node("AveragePool", ["j"], ["l"], kernel_shape=[2, 1], pads=[1, 0, 0, 0]),
    helper.make_node("Reshape", ["l", "sizes"], ["o"]),
    helper.make_node("MatMul", ["o", "w"], ["p"]),
    helper.make_node("Add", ["wb", "p"], ["q"]),
    helper.make_node("Relu", ["q"], ["r"]),
    helper.make_node("Gemm", ["r", "w2", "wb2"], ["t"], transB=1),
    helper.make_node("Softmax", ["t"], ["out"], axis=-1),
]
WEIGHTS = {
    "mean": np.full((1, 2, 1, 1), 0.3),
    "std": np.full((2, 1, 1), 0.5),
    "k": RNG.normal(size=(3, 2, 3, 2)),
    "kb": RNG.normal(size=3),
    "g": RNG.normal(size=3),
    "s": RNG.normal(size=3),
    "m": RNG.normal(size=3),
    "v": RNG.uniform(0.5, 2, size=3),
    "k2": RNG.normal(size=(3, 3, 1, 1)),
    "sizes": np.array([-1, 27]),
    "w": RNG.normal(size=(27, 5)),
    "wb": RNG.normal(size=5),
    "w2": RNG.normal(size=(3, 5)),
    "wb2": RNG.normal(size=3),
}


def test_a_graph_of_many_operators_is_that_of_onnxruntime(tmp_path):
    content = file(NODES, WEIGHTS, (2, 6, 6))
    (tmp_path / "net.onnx").write_bytes(content)
    model = load_model(tmp_path / "net.onnx")
    x = RNG.normal(size=(30, 2, 6, 6)).astype(np.float32)
    outputs = model.forward(x)
    network = onnx_network(content, (2, 6, 6), x.dtype, output=None)
    data = as_data(x, outputs.argmax(axis=1))
    bounds = interval_bounds(network, perturbations(data.schema.flat(x), data.schema, eps=np.zeros(72), norm="linf"))
    logits = (bounds.lower[-1] + bounds.upper[-1]) / 2
    shares = np.exp(logits - logits.max(axis=1, keepdims=True))
    np.testing.assert_allclose(shares / shares.sum(axis=1, keepdims=True), outputs, atol=1e-5)
    proved = certified_accuracy(model, data, eps=0.003).row_values > 0
    assert proved.any()
    for _ in range(50):  # no corner breaks a row that is proved
        moved = x + np.float32(0.00299) * np.sign(RNG.normal(size=x.shape)).astype(np.float32)
        assert (model.forward(moved).argmax(axis=1) == data.y)[proved].all()


def test_the_shipped_files():
    folder = example_path("digits")
    data = load_data(folder / "test.npz").rows(np.arange(60))
    assert certified_accuracy(load_model(folder / "float.onnx"), data, eps=0.003).value > 0.9
    with pytest.raises(Unsupported, match="QuantizeLinear"):
        certified_accuracy(load_model(folder / "int8.onnx"), data, eps=0.003)


@pytest.mark.parametrize(
    ("node", "told"),
    [
        (helper.make_node("Erf", ["x"], ["out"]), "Erf"),
        (helper.make_node("Gemm", ["x", "w"], ["out"], alpha=2.0), "Gemm with factors"),
        (helper.make_node("Mul", ["x", "x"], ["out"]), "Mul of two values"),
        (helper.make_node("Div", ["c", "x"], ["out"]), "Div by a value"),
        (helper.make_node("Flatten", ["x"], ["out"], axis=0), "Flatten along another axis"),
        (helper.make_node("LeakyRelu", ["x"], ["out"], alpha=2.0), "slope 2"),
        (helper.make_node("Sigmoid", ["x"], ["out"]), "Sigmoid of 2 values"),
    ],
)
def test_what_has_no_bounds_is_named(node, told):
    with pytest.raises(Unsupported, match=told):
        onnx_network(file([node], {"w": np.eye(2), "c": np.ones(2)}, (2,)), (2,), np.dtype(np.float32), output=None)


def test_double_precision_is_known():
    content = file([helper.make_node("Gemm", ["x", "w"], ["out"])], {"w": np.eye(2)}, (2,), dtype=np.float64)
    assert onnx_network(content, (2,), np.dtype(np.float64), output=None).unit == 2.0**-53
