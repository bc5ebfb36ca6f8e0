"""Layers that hold the same tensor are one choice, stored once, in torch and in ONNX."""

import numpy as np
import pytest
import torch
from onnx import helper
from torch import nn

from robust.bitwidths.one_layer import layer_sensitivity
from robust.bitwidths.precision_mix import mixed_precision
from robust.bitwidths.rounding import rounded_weights
from robust.bitwidths.settings import Bits, Setting, uniform
from robust.bitwidths.simulated_model import simulate_bits
from robust.bitwidths.simulation import simulate
from robust.data.live import as_data
from robust.errors import InvalidInput
from robust.models.conversion import as_model
from robust.quantization.coverage import quantized_coverage

RNG = np.random.default_rng(0)
X = RNG.normal(size=(400, 16)).astype(np.float32)
NODE = helper.make_node
FLOAT, SCALE = 4, 4


class Tied(nn.Module):
    """b.weight is a.weight."""

    def __init__(self):
        super().__init__()
        rng = np.random.default_rng(3)
        self.a, self.b, self.c = nn.Linear(16, 16), nn.Linear(16, 16), nn.Linear(16, 5)
        for layer, scale in ((self.a, 0.35), (self.b, 0.35), (self.c, 0.5)):
            layer.weight.data = torch.from_numpy(rng.normal(size=layer.weight.shape, scale=scale).astype(np.float32))
            layer.bias.data.zero_()
        self.b.weight = self.a.weight

    def forward(self, x):
        return self.c(torch.relu(self.b(torch.relu(self.a(x)))))


class Decoder(nn.Module):
    """The last layer's weights are those of the embedding."""

    def __init__(self):
        super().__init__()
        self.embedding, self.head = nn.Embedding(7, 4), nn.Linear(4, 7, bias=False)
        values = np.random.default_rng(5).normal(size=(7, 4)).astype(np.float32)
        self.embedding.weight.data = torch.from_numpy(values)
        self.head.weight = self.embedding.weight

    def forward(self, x):
        return self.head(self.embedding(x.long()).mean(dim=1))


@pytest.fixture(scope="module")
def tied(nets, tmp_path_factory):
    net = Tied().eval()
    stored = {name: tensor.detach().numpy() for name, tensor in net.state_dict().items()}
    stored["a.weight"] = stored.pop("b.weight")
    nodes = [
        NODE("Gemm", ["x", "a.weight", "a.bias"], ["h"], name="/a/Gemm", transB=1),
        NODE("Relu", ["h"], ["r"]),
        NODE("Gemm", ["r", "a.weight", "b.bias"], ["i"], name="/b/Gemm", transB=1),
        NODE("Relu", ["i"], ["s"]),
        NODE("Gemm", ["s", "c.weight", "c.bias"], ["y"], name="/c/Gemm", transB=1),
    ]
    file = nets.saved(nets.graph(nodes, stored, (16,)), tmp_path_factory.mktemp("tied"), output="logits")
    with torch.no_grad():
        y = net(torch.from_numpy(X)).argmax(1).numpy()
    return {"torch": as_model(net, output="logits"), "onnx": file}, y


@pytest.mark.parametrize("framework", ["torch", "onnx"])
def test_tied_layers_are_one_choice_whose_bytes_count_once(framework, tied):
    models, y = tied
    model = models[framework]
    simulation = simulate(model, as_data(X[:100]))
    assert simulation.names() == ["a, b", "c"]
    biases = FLOAT * (16 + 16 + 5)
    assert simulation.size(None) == FLOAT * (256 + 80) + biases
    eight, two = (Setting(layers={"a, b": Bits(weights=bits), "c": Bits(weights=8)}) for bits in (8, 2))
    assert simulation.size(eight) == 256 + 80 + SCALE * (16 + 5) + biases
    assert simulation.size(eight) - simulation.size(two) == 256 - 256 // 4
    mix = mixed_precision(model, X[:100], (X[100:250], y[100:250]), (X[250:], y[250:]), limit=0.1, widths=(8, 2))
    assert set(mix.choice) == {"a, b", "c"}
    assert {kept.bytes for kept in mix.kept} <= {256 - 256 // 4, 80 - 80 // 4}


@pytest.mark.parametrize("framework", ["torch", "onnx"])
def test_tied_layers_run_with_one_rounded_tensor(framework, tied):
    models, _ = tied
    model = models[framework]
    net = Tied().eval()
    before = model.forward(X)
    w = rounded_weights(net.a.weight.detach().numpy(), 3, axes=(0,))
    hidden = np.maximum(np.maximum(X @ w.T, 0) @ w.T, 0)
    wanted = hidden @ net.c.weight.detach().numpy().T
    for weights in ({"a, b": 3}, {"a": 3}, {"a": 3, "b": 3}):
        if framework == "onnx" and "b" in weights:
            continue  # the file names the tensor once
        coarse = simulate_bits(model, X[:100], weights=weights, activations=None)
        np.testing.assert_allclose(coarse.forward(X), wanted, rtol=1e-4, atol=1e-4)
    assert quantized_coverage(coarse) == 256 / 336
    np.testing.assert_array_equal(model.forward(X), before)


def test_two_widths_of_one_tensor_are_refused(tied):
    with pytest.raises(InvalidInput, match="a, b share their weights: one width would be right"):
        simulate_bits(tied[0]["torch"], X[:100], weights={"a": 8, "b": 2})
    with pytest.raises(InvalidInput, match=r"names layers \['d'\] that there are not; the layers are \['a, b', 'c'\]"):
        simulate_bits(tied[0]["torch"], X[:100], weights={"d": 8})


def test_torch_and_onnx_agree(tied):
    models, y = tied
    one, other = (
        layer_sensitivity(models[framework], X[:100], (X[100:], y[100:]), bits=3) for framework in ("torch", "onnx")
    )
    mine = {(row.layer, row.part): (row.alone.value, row.spared.value, row.bytes) for row in one}
    assert mine == {(row.layer, row.part): (row.alone.value, row.spared.value, row.bytes) for row in other}


def test_an_embedding_reads_the_tensor_as_it_is_stored():
    net = Decoder().eval()
    x = np.random.default_rng(1).integers(0, 7, size=(60, 3))
    simulation = simulate(as_model(net, output="logits"), as_data(x))
    assert simulation.names() == ["embedding, head"]
    assert simulation.left == ()
    assert simulation.size(None) == 7 * 4 * FLOAT
    w = rounded_weights(net.head.weight.detach().numpy(), 2, axes=(0,))
    coarse = simulation.at(uniform(simulation.names(), Bits(weights=2), per_channel=True))
    np.testing.assert_allclose(coarse.forward(x), w[x].mean(axis=1) @ w.T, rtol=1e-5, atol=1e-6)


def test_a_file_that_reads_a_tensor_both_ways_round(nets, tmp_path):
    w = RNG.normal(size=(16, 16)).astype(np.float32)
    nodes = [
        NODE("MatMul", ["x", "code.weight"], ["h"]),
        NODE("Transpose", ["code.weight"], ["turned"], perm=[1, 0]),
        NODE("MatMul", ["h", "turned"], ["g"]),
        NODE("Gather", ["code.weight", "first"], ["row"], axis=0),
        NODE("Add", ["g", "row"], ["y"]),
    ]
    stored = {"code.weight": w, "first": np.array([2], dtype=np.int64)}
    model = nets.saved(nets.graph(nodes, stored, (16,)), tmp_path, output="logits")
    simulation = simulate(model, as_data(X))
    assert simulation.names() == ["code"]
    assert simulation.size(None) == 256 * FLOAT + 8  # the index that Gather is given
    r = rounded_weights(w, 3, axes=(1,))
    coarse = simulation.at(uniform(["code"], Bits(weights=3), per_channel=True))
    np.testing.assert_allclose(coarse.forward(X), X @ r @ r.T + r[2], rtol=1e-4, atol=1e-4)


def test_normalisation_behind_shared_convolutions_is_not_folded():
    net = nn.Sequential(nn.Conv1d(2, 2, 1), nn.BatchNorm1d(2), nn.Conv1d(2, 2, 1), nn.BatchNorm1d(2), nn.Flatten())
    net[2].weight = net[0].weight
    net.eval()
    simulation = simulate(as_model(net, output="logits"), as_data(X.reshape(400, 2, 8)))
    assert simulation.names() == ["0, 2"]
    assert [item.name for item in simulation.left] == ["1", "3"]
