"""Networks whose cost is known by hand, and a writer of small ONNX files."""

from types import SimpleNamespace

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn


class Convolutional(nn.Module):
    """For 8 x 8 images, in MACC: 64·8·9 = 4,608 + 64·16·8·9 = 73,728 + 256·10 = 2,560; in all 80,896.

    Parameters: 80 + 16 + 1,168 + 32 + 2,570 = 3,866.
    """

    def __init__(self):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(1, 8, 3, padding=1), nn.BatchNorm2d(8)
        self.conv2, self.bn2 = nn.Conv2d(8, 16, 3, padding=1), nn.BatchNorm2d(16)
        self.fc = nn.Linear(256, 10)

    def forward(self, x):
        x = torch.relu(self.bn1(self.conv1(x)))
        x = torch.relu(self.bn2(self.conv2(x)))
        return self.fc(torch.max_pool2d(x, 2).flatten(1))


class Sequential(nn.Module):
    """For 8 steps of 8 numbers, in MACC, 23,936 in all.

    * LSTM 8 -> 16: 8 steps · 4 gates · 16 · (8 + 16) = 12,288
    * attention, 4 heads of 4: projections to Q, K, V 8·16·48 = 6,144; QKᵀ 4·8·8·4 = 1,024; AV the same; out 8·16·16 =
      2,048; in all 10,240
    * a product of the states with themselves: 8·8·16 = 1,024
    * a linear layer 64 -> 6: 384
    """

    def __init__(self):
        super().__init__()
        self.rnn = nn.LSTM(8, 16, batch_first=True)
        self.att = nn.MultiheadAttention(16, 4, batch_first=True)
        self.head = nn.Linear(64, 6)

    def forward(self, x):
        states, _ = self.rnn(x)
        states = self.att(states, states, states, need_weights=False)[0]
        return self.head((states @ states.transpose(1, 2)).flatten(1))


@pytest.fixture
def convolutional():
    return Convolutional()


@pytest.fixture
def sequential():
    return Sequential()


def _value(name, shape, kind=TensorProto.FLOAT):
    return helper.make_tensor_value_info(name, kind, shape)


def _model(nodes, inputs, outputs, weights=None, *, opset=18, functions=(), domains=()):
    """Bytes of a file; `weights` are arrays by name, or tensors."""
    stored = [
        numpy_helper.from_array(array, name) if isinstance(array, np.ndarray) else array
        for name, array in (weights or {}).items()
    ]
    graph = helper.make_graph(nodes, "g", inputs, outputs, stored)
    opsets = [helper.make_opsetid("", opset), helper.make_opsetid("ai.onnx.ml", 3)]
    opsets += [helper.make_opsetid(domain, 1) for domain in ("com.microsoft", *domains)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=10, functions=list(functions))
    return model.SerializeToString()


@pytest.fixture
def files():
    """Helpers that write ONNX files."""
    return SimpleNamespace(node=helper.make_node, value=_value, model=_model, kinds=TensorProto, onnx=onnx)


@pytest.fixture
def float_file(files):
    """The convolutional network as a file, normalisation folded; rows of any number."""
    weights = {
        "conv1.weight": np.zeros((8, 1, 3, 3), np.float32),
        "conv1.bias": np.zeros(8, np.float32),
        "conv2.weight": np.zeros((16, 8, 3, 3), np.float32),
        "conv2.bias": np.zeros(16, np.float32),
        "fc.weight": np.zeros((10, 256), np.float32),
        "fc.bias": np.zeros(10, np.float32),
    }
    node = files.node
    nodes = [
        node("Conv", ["x", "conv1.weight", "conv1.bias"], ["a"], pads=[1, 1, 1, 1], name="getitem"),
        node("Relu", ["a"], ["b"], name="relu"),
        node("Conv", ["b", "conv2.weight", "conv2.bias"], ["c"], pads=[1, 1, 1, 1], name="getitem_3"),
        node("Relu", ["c"], ["d"], name="relu_1"),
        node("MaxPool", ["d"], ["e"], kernel_shape=[2, 2], strides=[2, 2], name="pool"),
        node("Flatten", ["e"], ["f"], name="flat"),
        node("Gemm", ["f", "fc.weight", "fc.bias"], ["y"], transB=1, name="linear"),
    ]
    return files.model(nodes, [_value("x", ["n", 1, 8, 8])], [_value("y", ["n", 10])], weights)


@pytest.fixture
def quantized_file(files):
    """The same in 8 bits, in QDQ form, as onnxruntime's quantizer writes it: Relu is taken into the product."""
    node, weights, nodes = files.node, {}, []
    for name, shape in (("conv1", (8, 1, 3, 3)), ("conv2", (16, 8, 3, 3)), ("fc", (10, 256))):
        weights[f"{name}.weight_quantized"] = np.zeros(shape, np.int8)
        weights[f"{name}.bias_quantized"] = np.zeros(shape[0], np.int32)
        for part, axis in (("weight", 0), ("bias", 0)):
            weights[f"{name}.{part}_scale"] = np.ones(shape[0], np.float32)
            zero = np.int8 if part == "weight" else np.int32
            weights[f"{name}.{part}_zero_point"] = np.zeros(shape[0], zero)
            stored = [f"{name}.{part}_{end}" for end in ("quantized", "scale", "zero_point")]
            nodes.append(node("DequantizeLinear", stored, [f"{name}.{part}"], axis=axis))
    weights |= {"s": np.array(0.1, np.float32), "z": np.array(0, np.int8)}

    def quantized(name):
        nodes.append(node("QuantizeLinear", [name, "s", "z"], [f"{name}_q"]))
        nodes.append(node("DequantizeLinear", [f"{name}_q", "s", "z"], [f"{name}_d"]))
        return f"{name}_d"

    def convolved(source, name, result):
        nodes.append(node("Conv", [source, f"{name}.weight", f"{name}.bias"], [result], pads=[1, 1, 1, 1], name=result))
        nodes.append(node("Relu", [result], [f"{result}_r"], name=f"{result}_relu"))
        return quantized(f"{result}_r")

    second = convolved(convolved(quantized("x"), "conv1", "a"), "conv2", "c")
    nodes.append(node("MaxPool", [second], ["e"], kernel_shape=[2, 2], strides=[2, 2], name="pool"))
    nodes.append(node("Flatten", [quantized("e")], ["f"], name="flat"))
    flat = quantized("f")
    nodes.append(node("Gemm", [flat, "fc.weight", "fc.bias"], ["g"], transB=1, name="linear"))
    nodes.append(node("QuantizeLinear", ["g", "s", "z"], ["g_q"]))
    nodes.append(node("DequantizeLinear", ["g_q", "s", "z"], ["y"]))
    return files.model(nodes, [_value("x", ["n", 1, 8, 8])], [_value("y", ["n", 10])], weights)
