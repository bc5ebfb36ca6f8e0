"""Nets as ONNX files, quantized by onnxruntime, and faults planted in them."""

import logging
from types import SimpleNamespace

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import CalibrationMethod, QuantFormat, QuantType, quantize_dynamic, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process

from robust.examples.catalogue import example_path


@pytest.fixture(scope="session")
def digits():
    return example_path("digits")


@pytest.fixture(scope="session")
def x(digits):
    return np.load(digits / "test.npz")["x"][:64]


class Graph:
    """An ONNX graph, put together operator by operator."""

    def __init__(self, row, seed):
        self.rng = np.random.default_rng(seed)
        self.row, self.nodes, self.stored = row, [], []

    def store(self, name, values):
        self.stored.append(numpy_helper.from_array(np.asarray(values), name))
        return name

    def node(self, kind, inputs, output, **attributes):
        self.nodes.append(helper.make_node(kind, inputs, [output], name=f"node_{output}", **attributes))
        return output

    def conv(self, source, name, inner, outer, size=3):
        weight = self.rng.normal(size=(outer, inner, size, size)) / np.sqrt(inner * size * size)
        self.store(f"{name}.weight", weight.astype(np.float32))
        self.store(f"{name}.bias", self.rng.normal(size=outer).astype(np.float32) * 0.1)
        inputs, pads = [source, f"{name}.weight", f"{name}.bias"], [size // 2] * 4
        return self.node("Conv", inputs, f"{name}_out", kernel_shape=[size, size], pads=pads)

    def gemm(self, source, name, inner, outer):
        weight = self.rng.normal(size=(outer, inner)) / np.sqrt(inner)
        self.store(f"{name}.weight", weight.astype(np.float32))
        self.store(f"{name}.bias", self.rng.normal(size=outer).astype(np.float32) * 0.1)
        return self.node("Gemm", [source, f"{name}.weight", f"{name}.bias"], f"{name}_out", transB=1)

    def norm(self, source, name, width):
        for part in ("gamma", "var"):
            self.store(f"{name}.{part}", self.rng.uniform(0.5, 2.0, size=width).astype(np.float32))
        for part in ("beta", "mean"):
            self.store(f"{name}.{part}", self.rng.normal(size=width).astype(np.float32))
        inputs = [source, *(f"{name}.{part}" for part in ("gamma", "beta", "mean", "var"))]
        return self.node("BatchNormalization", inputs, f"{name}_out")

    def relu(self, source):
        return self.node("Relu", [source], source.replace("_out", "_relu"))

    def model(self, output, width):
        graph = helper.make_graph(
            self.nodes,
            "net",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", *self.row])],
            [helper.make_tensor_value_info(output, TensorProto.FLOAT, ["n", *np.atleast_1d(width).tolist()])],
            self.stored,
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
        onnx.checker.check_model(model, full_check=True)
        return model


def mlp(seed, depth):
    """A multi-layer perceptron of `depth` linear layers."""
    graph = Graph((12,), seed)
    widths = [12, *graph.rng.integers(16, 33, size=depth - 1).tolist(), 5]
    out = "x"
    for i in range(depth):
        out = graph.gemm(out, f"layers.{i}", widths[i], widths[i + 1])
        out = graph.relu(out) if i < depth - 1 else out
    return graph.model(out, 5)


def cnn(seed):
    """Six layers with weights, a normalisation, a residual sum, a concatenation and pooling."""
    graph = Graph((1, 8, 8), seed)
    first = graph.relu(graph.conv("x", "stem", 1, 8))
    second = graph.relu(graph.norm(graph.conv(first, "body.0", 8, 8), "body.1", 8))
    third = graph.conv(second, "body.2", 8, 8)
    total = graph.relu(graph.node("Add", [third, first], "sum_out"))
    both = graph.node("Concat", [total, second], "both", axis=1)
    pooled = graph.node("MaxPool", [both], "pooled", kernel_shape=[2, 2], strides=[2, 2])
    last = graph.relu(graph.conv(pooled, "tail", 16, 6, size=1))
    flat = graph.node("Flatten", [last], "flat")
    hidden = graph.relu(graph.gemm(flat, "head.0", 6 * 16, 24))
    return graph.model(graph.gemm(hidden, "head.2", 24, 5), 5)


def rows_of(model, seed, n=64):
    """Rows that a net takes."""
    sizes = [size.dim_value for size in model.graph.input[0].type.tensor_type.shape.dim][1:]
    return np.random.default_rng(seed).normal(size=(n, *sizes)).astype(np.float32)


class Calibration:
    """All rows at once, then nothing."""

    def __init__(self, name, x):
        self._batches = iter(({name: x},))

    def get_next(self):
        return next(self._batches, None)


def quantized(model, x, folder, *, form="qdq", activations="int8", weights="int8", per_channel=True, symmetric=False):
    """Bytes of a quantized build."""
    kinds = {"int8": QuantType.QInt8, "uint8": QuantType.QUInt8}
    prepared, path = folder / "prepared.onnx", folder / "quantized.onnx"
    level = logging.getLogger().level
    logging.getLogger().setLevel(logging.ERROR)  # onnxruntime advises on the root logger
    try:
        quant_pre_process(model, prepared)
        if form == "dynamic":
            names = ["Conv", "MatMul", "Gemm"]
            quantize_dynamic(prepared, path, op_types_to_quantize=names, weight_type=kinds[weights])
        else:
            quantize_static(
                prepared,
                path,
                Calibration(model.graph.input[0].name, x),
                quant_format=QuantFormat.QDQ if form == "qdq" else QuantFormat.QOperator,
                per_channel=per_channel,
                activation_type=kinds[activations],
                weight_type=kinds[weights],
                calibrate_method=CalibrationMethod.MinMax,
                extra_options={"ActivationSymmetric": symmetric},
            )
    finally:
        logging.getLogger().setLevel(level)
    return path.read_bytes()


def saved(content, folder, name="model.onnx"):
    """A file of these bytes or of this model."""
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.SerializeToString())
    return path


def initialiser(model, name):
    return next(tensor for tensor in model.graph.initializer if tensor.name == name)


def replaced(model, name, values):
    """Store other values under a name."""
    initialiser(model, name).CopyFrom(numpy_helper.from_array(np.asarray(values), name))


def planted(content, seed, *, kinds=("weight", "activation", "zero point")):
    """A QDQ model in which one DequantizeLinear unpacks by a wrong scale or zero point.

    Returns the bytes, what was done, and the name of the float tensor (or weight) behind it.
    """
    rng, model = np.random.default_rng(seed), onnx.load_model_from_string(content)
    stored = {tensor.name: tensor for tensor in model.graph.initializer}
    unpack = [node for node in model.graph.node if node.op_type == "DequantizeLinear"]
    weights = [node for node in unpack if len(getattr(stored.get(node.input[0]), "dims", ())) > 1]
    activations = [node for node in unpack if node.input[0] not in stored]
    kind = str(rng.choice(kinds))
    places = weights if kind == "weight" else activations
    node = places[int(rng.integers(len(places)))]
    place = 2 if kind == "zero point" else 1
    old = numpy_helper.to_array(stored[node.input[place]])
    if kind == "zero point":
        off = int(rng.integers(15, 60))
        new = np.asarray(int(old) + (off if old < 0 else -off)).astype(old.dtype)
    else:
        new = (old * rng.uniform(1.5, 4.0)).astype(old.dtype)
    # A fault of one reader: where several take the same integers, all of them do.
    readers = [other for other in unpack if other.input[0] == node.input[0]]
    model.graph.initializer.append(numpy_helper.from_array(new, "planted"))
    for reader in readers:
        reader.input[place] = "planted"
    name = node.input[0]
    for ending in ("_QuantizeLinear_Output", "_quantized"):
        name = name.removesuffix(ending)
    return model.SerializeToString(), kind, name


def recurrent(name, seed=0):
    """A classifier with a recurrent layer `rnn`, of which not only the first tensor is read, and two more layers."""
    import torch
    from torch import nn

    class Net(nn.Module):
        def __init__(self, rnn, features):
            super().__init__()
            self.rnn, self.features = rnn, features
            self.hidden, self.head = nn.Linear(12, 12), nn.Linear(12, 5)

        def forward(self, x):
            return self.head(torch.relu(self.features(self, *self.rnn(x))))

    def last_state(net, _states, last):
        return net.hidden(last[0][-1])

    def cell(net, _states, last):
        return net.hidden(last[1][-1])

    def two_layers(net, states, last):
        return net.hidden(last[-1]) + states.mean(1)

    def both_ways(net, states, last):
        return net.hidden(torch.cat([last[0][0], last[0][1]], 1)) + states[:, -1] + last[1].transpose(0, 1).flatten(1)

    torch.manual_seed(seed)
    layers = {
        "last state": lambda: (nn.LSTM(4, 12, batch_first=True), last_state),
        "cell": lambda: (nn.LSTM(4, 12, batch_first=True), cell),
        "two layers": lambda: (nn.GRU(4, 12, num_layers=2, batch_first=True), two_layers),
        "both ways": lambda: (nn.LSTM(4, 6, batch_first=True, bidirectional=True), both_ways),
    }
    return Net(*layers[name]()).eval()


@pytest.fixture(scope="session")
def nets():
    """The functions of this module, which tests cannot import."""
    return SimpleNamespace(
        Graph=Graph,
        mlp=mlp,
        cnn=cnn,
        rows_of=rows_of,
        quantized=quantized,
        saved=saved,
        initialiser=initialiser,
        replaced=replaced,
        planted=planted,
        recurrent=recurrent,
    )
