import numpy as np
import pytest
import torch
from torch import nn

from robust.errors import InvalidInput
from robust.quantization.coverage import coverage_by_layer
from robust.quantizers.building import quantize

X = np.random.default_rng(0).normal(size=(40, 1, 6, 6)).astype(np.float32)


@pytest.fixture(scope="module")
def net():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 3))


def state(module):
    return {name: tensor.clone() for name, tensor in module.state_dict().items()}


@pytest.mark.parametrize(("activations", "macc"), [("int8", (2048 + 96) / (576 + 2048 + 96)), ("float", 0)])
def test_linear_layers_alone_are_quantized_and_the_coverage_says_so(net, activations, macc):
    before, training = state(net), net.training
    candidate = quantize(net, X, method="torchao", activation_type=activations)
    found = coverage_by_layer(candidate, data=X)
    assert found.weights == pytest.approx((2048 + 96) / (36 + 2048 + 96))
    assert found.macc == pytest.approx(macc)
    assert [layer.name for layer in found.layers if not layer.quantized] == ["0"]
    assert net.training == training
    assert all(torch.equal(tensor, before[name]) for name, tensor in net.state_dict().items())
    want = net.eval()(torch.from_numpy(X)).detach().numpy()
    net.train(training)
    assert 0 < np.abs(candidate.forward(X) - want).max() < 0.05 * np.abs(want).max()


def test_modules_that_stay(net):
    found = coverage_by_layer(quantize(net, X, method="torchao", keep=("3",)), data=X)
    assert found.weights == pytest.approx(96 / (36 + 2048 + 96))
    with pytest.raises(InvalidInput, match="keep names '7'.*layers with weights are 0, 3, 5"):
        quantize(net, X, method="torchao", keep=("7",))
    with pytest.raises(InvalidInput, match=r"Linear layers alone.*none to quantize.*0 \(Conv2d\), 3 \(Linear\)"):
        quantize(net, X, method="torchao", keep=("3", "5"))


def test_the_projection_of_attention_stays_in_float_so_that_the_module_runs():
    class Attending(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
            self.head = nn.Linear(8, 3)

        def forward(self, x):
            return self.head(self.layer(x).mean(1))

    torch.manual_seed(0)
    x = np.random.default_rng(0).normal(size=(40, 5, 8)).astype(np.float32)
    found = coverage_by_layer(quantize(Attending(), x, method="torchao"), data=x)
    assert {layer.name for layer in found.layers if layer.weights and not layer.quantized} == {
        "layer.self_attn",
        "layer.self_attn.out_proj",
    }


def test_a_part_that_takes_no_quantized_weight_is_told():
    class Reading(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc = nn.Linear(36, 3)

        def forward(self, x):
            return torch.linalg.matrix_exp(self.fc.weight[:, :3]).sum() + self.fc(x.flatten(1))

    with pytest.raises(InvalidInput, match="cannot be run, since a part of it takes no weights of torchao"):
        quantize(Reading(), X, method="torchao")


def test_a_module_of_convolutions_is_refused_by_its_layers():
    with pytest.raises(InvalidInput, match=r"0 \(Conv2d\): method='static' quantizes convolutions too"):
        quantize(nn.Sequential(nn.Conv2d(1, 4, 3), nn.Flatten()), X, method="torchao")
