"""One weight for several products: each candidate must be as near to the float model as with weights of their own."""

import copy

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn

from robust.costing.whole_model import cost
from robust.errors import InvalidInput
from robust.models.conversion import as_model
from robust.quantizers import files_onnx
from robust.quantizers.building import quantize
from robust.quantizers.shared_onnx import rejoined, unshared

ROWS = np.random.default_rng(0).standard_normal((200, 16)).astype(np.float32)
METHODS = ["static", "qoperator", "dynamic", "weight-only"]


class Tied(nn.Module):
    """Two layers with one square weight, whose transpose has the same shape."""

    def __init__(self):
        super().__init__()
        self.a, self.b, self.c = nn.Linear(16, 16), nn.Linear(16, 16), nn.Linear(16, 5)
        self.b.weight = self.a.weight

    def forward(self, x):
        return self.c(torch.relu(self.b(torch.relu(self.a(x)))))


class Twice(nn.Module):
    """One layer, called twice: weight and bias are shared, and the bias meets inputs of two scales."""

    def __init__(self):
        super().__init__()
        self.a, self.c = nn.Linear(16, 16), nn.Linear(16, 5)
        nn.init.uniform_(self.a.bias, -2, 2)

    def forward(self, x):
        return self.c(torch.relu(self.a(8 * torch.relu(self.a(x)))))


class TiedConvolutions(nn.Module):
    """One convolution, called twice, with batch norms of its own behind each call."""

    def __init__(self):
        super().__init__()
        self.i, self.c, self.o = nn.Conv2d(1, 6, 1), nn.Conv2d(6, 6, 3, padding=1), nn.Linear(6, 5)
        self.n, self.m = nn.BatchNorm2d(6), nn.BatchNorm2d(6)
        nn.init.uniform_(self.m.weight, 0.5, 2)

    def forward(self, x):
        x = torch.relu(self.n(self.c(torch.relu(self.i(x.reshape(-1, 1, 4, 4))))))
        return self.o(torch.relu(self.m(self.c(x))).mean((2, 3)))


def net_of(kind):
    with torch.random.fork_rng():
        torch.manual_seed(1)
        return kind().eval()


def error(net, method):
    """Largest difference of an output, of the largest output."""
    expected = as_model(net, output="logits").forward(ROWS)
    found = quantize(as_model(net, output="logits"), ROWS, method=method).forward(ROWS)
    return np.abs(found - expected).max() / np.abs(expected).max()


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("kind", [Tied, Twice, TiedConvolutions])
def test_a_shared_weight_is_quantized_as_well_as_any(kind, method):
    # Four bits lose more; a weight that is transposed once too often makes 0.5 and more of all three.
    assert error(net_of(kind), method) < (0.25 if method == "weight-only" else 0.04)


@pytest.mark.parametrize("method", METHODS)
def test_what_comes_out_the_same_is_stored_once(method):
    apart = copy.deepcopy(net_of(Tied))
    apart.b.weight = nn.Parameter(apart.b.weight.detach().clone() * 1.25)
    tied, untied = (cost(quantize(net, ROWS, method=method)).rom.value for net in (net_of(Tied), apart))
    assert untied - tied >= 16 * 16 * (0.5 if method == "weight-only" else 1)


@pytest.mark.parametrize(
    ("method", "match"),
    [
        ("dynamic", "quantized weights of layer a of Twice .Gemm, node '.*'. are more than a step from its own"),
        ("weight-only", "quantized weights of layer a of Twice .Gemm, node '.*'. are more than a step"),
        ("qoperator", "the quantized bias of layer a of Twice .* more than a step"),
    ],
)
def test_the_self_check_names_the_layer_of_another_weight(monkeypatch, tmp_path, method, match):
    monkeypatch.setattr(files_onnx, "unshared", lambda model: {})
    with pytest.raises(InvalidInput, match=match):
        quantize(net_of(Twice), ROWS, method=method, cache=tmp_path)


def test_the_self_check_sees_a_graph_that_answers_otherwise(monkeypatch, tmp_path):
    prepare = files_onnx.prepared

    def spoilt(model, **given):
        found = prepare(model, **given)
        for tensor in found.graph.initializer:
            if tensor.name == "c.weight":
                tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor) * np.float32(1.001), tensor.name))
        return found

    monkeypatch.setattr(files_onnx, "prepared", spoilt)
    with pytest.raises(InvalidInput, match="Tied answers otherwise once it is prepared .* rows, by up to"):
        quantize(net_of(Tied), ROWS, cache=tmp_path)


def test_keep_finds_a_module_that_shares_another_ones_weight():
    candidate = quantize(net_of(Tied), ROWS, keep=("b",))
    stored = {t.name: t for t in onnx.load_model_from_string(candidate.content()).graph.initializer}
    shapes = [(t.data_type == TensorProto.FLOAT, tuple(t.dims)) for t in stored.values() if len(t.dims) == 2]
    assert sorted(shapes)[-1] == (True, (16, 16))


def two_users():
    weight = numpy_helper.from_array(np.eye(2, dtype=np.float32), "w")
    nodes = [helper.make_node("MatMul", ["x", "w"], ["h"]), helper.make_node("MatMul", ["h", "w"], ["y"])]
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", 2]) for name in ("x", "y")]
    return helper.make_model(helper.make_graph(nodes, "g", ends[:1], ends[1:], [weight]))


def test_a_copy_for_each_use_and_one_again():
    model = two_users()
    copies = unshared(model)
    assert copies == {"w__2": "w"}
    assert [list(node.input) for node in model.graph.node] == [["x", "w"], ["h", "w__2"]]
    rejoined(model, copies)
    assert model.graph == two_users().graph


def test_what_came_out_otherwise_stays_apart():
    model = two_users()
    copies = unshared(model)
    model.graph.initializer[1].CopyFrom(numpy_helper.from_array(2 * np.eye(2, dtype=np.float32), "w__2"))
    rejoined(model, copies)
    assert [tensor.name for tensor in model.graph.initializer] == ["w", "w__2"]


def test_a_weight_that_is_handed_out_keeps_its_name():
    model = two_users()
    model.graph.output.append(helper.make_tensor_value_info("w", TensorProto.FLOAT, [2, 2]))
    assert unshared(model) == {"w__2": "w", "w__3": "w"}
