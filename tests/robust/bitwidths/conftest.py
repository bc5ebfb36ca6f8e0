"""Small networks and rows of their own, which the tests of bit widths share."""

import itertools
from types import SimpleNamespace

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn

from robust.data.loading import load_data
from robust.examples.catalogue import example_path
from robust.models.loading import load_model

DIGITS = example_path("digits")


def mlp(seed, widths=(12, 20, 20, 20, 5)):
    """A random network of some layers."""
    rng = np.random.default_rng(seed)
    layers = []
    for a, b in itertools.pairwise(widths):
        layer = nn.Linear(a, b)
        layer.weight.data = torch.from_numpy(rng.normal(size=(b, a), scale=(2 / a) ** 0.5).astype(np.float32))
        layer.bias.data = torch.from_numpy(rng.normal(size=b, scale=0.1).astype(np.float32))
        layers += [layer, nn.ReLU()]
    return nn.Sequential(*layers[:-1]).eval()


def own_rows(net, n, shape, seed=0):
    """Rows, and the labels that the float network gives them."""
    x = np.random.default_rng(seed).normal(size=(n, *shape)).astype(np.float32)
    with torch.no_grad():
        return x, net(torch.from_numpy(x)).argmax(1).numpy()


def graph(nodes, stored, row=(4,), *, opset=18):
    """An ONNX file's bytes: from x (n, *row) to y."""
    made = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", *row])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(np.asarray(array), name) for name, array in stored.items()],
    )
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", opset)], ir_version=9)
    return onnx.shape_inference.infer_shapes(model).SerializeToString()


def saved(content, folder, **said):
    """A model loaded from the bytes of an ONNX file."""
    path = folder / "net.onnx"
    path.write_bytes(content)
    return load_model(path, **said)


@pytest.fixture(scope="session")
def nets():
    """The helpers above, and the digits example."""
    return SimpleNamespace(
        mlp=mlp,
        own_rows=own_rows,
        graph=graph,
        saved=saved,
        int8=load_model(DIGITS / "int8.onnx"),
        onnx=load_model(DIGITS / "float.onnx"),
        torch=load_model(DIGITS / "net.safetensors", factory="robust.examples.digits_torch:small_cnn"),
        train=load_data(DIGITS / "train.npz"),
        validation=load_data(DIGITS / "validation.npz"),
        test=load_data(DIGITS / "test.npz"),
    )
