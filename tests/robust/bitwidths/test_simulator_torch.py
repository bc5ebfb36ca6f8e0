"""Modules in fewer bits: what is rounded, and that the module is the same afterwards."""

import numpy as np
import pytest
import torch
from torch import nn

from robust.bitwidths.layers_torch import find_layers
from robust.bitwidths.settings import Bits, Setting, uniform
from robust.bitwidths.simulated_model import simulate_bits
from robust.bitwidths.simulation import simulate
from robust.data.live import as_data
from robust.errors import InvalidInput, ModelFault
from robust.models.base import adapter_of
from robust.models.conversion import as_model


def state(module):
    """All parameters and buffers by identity and content, modes and hooks."""
    tensors = {
        name: (id(t), t.data_ptr(), t.clone()) for name, t in [*module.named_parameters(), *module.named_buffers()]
    }
    hooks = [len(part._forward_pre_hooks) + len(part._forward_hooks) for part in module.modules()]
    return tensors, hooks, [part.training for part in module.modules()], list(module.state_dict())


def unchanged(before, module):
    after = state(module)
    assert before[1:] == after[1:]
    assert before[0].keys() == after[0].keys()
    pairs = zip(before[0].values(), after[0].values(), strict=True)
    return all(old[:2] == new[:2] and torch.equal(old[2], new[2]) for old, new in pairs)


def simulation_of(net, x):
    return simulate(as_model(net, output="logits"), as_data(x))


def at(simulation, weights, activations=None, *, per_channel=True):
    return simulation.at(
        uniform(simulation.names(), Bits(weights=weights, activations=activations), per_channel=per_channel)
    )


def as_torch_rounds(layer, value, low, high):
    """A linear layer with weights of 4 bits and an input of 6 that ranged from low to high."""
    low, high = min(low, 0.0), max(high, 0.0)
    scale = float(np.float32((high - low) / 63))
    rounded = torch.fake_quantize_per_tensor_affine(value, scale, round(-low / scale), 0, 63)
    scales, zeros = layer.weight.abs().amax(1) / 7, torch.zeros(layer.out_features, dtype=torch.int32)
    return rounded @ torch.fake_quantize_per_channel_affine(layer.weight, scales, zeros, 0, -7, 7).T + layer.bias


def test_weights_and_inputs_as_torch_would_round_them():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2)).eval()
    x = np.random.default_rng(0).normal(size=(64, 4)).astype(np.float32)
    with torch.no_grad():
        hidden = as_torch_rounds(net[0], torch.from_numpy(x), float(x.min()), float(x.max()))
        float_hidden = net[:2](torch.from_numpy(x))  # ranges are those of the float model
        wanted = as_torch_rounds(net[2], torch.relu(hidden), 0.0, float(float_hidden.max())).numpy()
    np.testing.assert_allclose(at(simulation_of(net, x), 4, 6).forward(x), wanted, atol=1e-5)


@pytest.mark.parametrize("training", [False, True])
def test_the_module_is_the_same_afterwards(training, nets):
    module = adapter_of(nets.torch).module.train(training)
    before = state(module)
    x = nets.train.x[:64]
    simulation = simulate(nets.torch, nets.train.rows(np.arange(64)))
    model = at(simulation, 2, 2)
    assert not np.allclose(model.forward(x), nets.torch.forward(x), atol=0.1)
    assert unchanged(before, module)
    model.gradients(x, np.ones_like)
    assert unchanged(before, module)
    module.eval()


class Breaks(nn.Module):
    """Raises on rows that begin with 7."""

    def __init__(self):
        super().__init__()
        self.one, self.two = nn.Linear(3, 3), nn.Linear(3, 2)

    def forward(self, x):
        x = self.one(x)
        if bool((self.last == 7).any()):
            raise RuntimeError("seven")
        return self.two(x)


def test_also_after_an_exception():
    net = Breaks()
    net.one.register_forward_pre_hook(lambda part, args: setattr(net, "last", args[0][:, 0]))
    x = np.random.default_rng(0).normal(size=(40, 3)).astype(np.float32)
    simulation = simulation_of(net, x)
    before = state(net)
    model = at(simulation, 2, 2)
    bad = np.full((4, 3), 7, dtype=np.float32)
    with pytest.raises(RuntimeError, match="seven"):
        model.forward(bad)
    assert unchanged(before, net)
    with pytest.raises(ModelFault, match="raised while the inputs of its layers were watched: RuntimeError: seven"):
        simulate(as_model(net, output="logits"), as_data(np.concatenate([x, bad])))
    assert unchanged(before, net)


def test_float_in_float_out():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(6, 5), nn.Tanh(), nn.Linear(5, 3)).eval()
    x = np.random.default_rng(0).normal(size=(50, 6)).astype(np.float32)
    simulation, plain = simulation_of(net, x), as_model(net).forward(x)
    assert np.array_equal(simulation.at(Setting(layers={})).forward(x), plain)
    assert np.array_equal(at(simulation, None).forward(x), plain)
    np.testing.assert_allclose(at(simulation, 16, 16).forward(x), plain, atol=1e-3)


@pytest.mark.parametrize(
    ("make", "norm", "shape"),
    [
        (lambda: nn.Conv1d(3, 4, 3), lambda: nn.BatchNorm1d(4), (3, 8)),
        (lambda: nn.Conv2d(4, 6, 3, groups=2, bias=False), lambda: nn.BatchNorm2d(6), (4, 6, 6)),
        (lambda: nn.Conv3d(2, 4, 2), lambda: nn.BatchNorm3d(4), (2, 4, 4, 4)),
        (lambda: nn.ConvTranspose2d(4, 6, 2, groups=2), lambda: nn.BatchNorm2d(6), (4, 3, 3)),
        (lambda: nn.Linear(5, 4), lambda: nn.BatchNorm1d(4), (5,)),
    ],
)
def test_batch_norm_is_folded_before_rounding(make, norm, shape):
    torch.manual_seed(1)
    layer, bn = make(), norm()
    bn.running_var.uniform_(0.1, 9)
    bn.running_mean.normal_()
    bn.weight.data.normal_()
    bn.bias.data.normal_()
    net = nn.Sequential(layer, bn, nn.Flatten()).eval()
    x = np.random.default_rng(0).normal(size=(40, *shape)).astype(np.float32)
    simulation = simulation_of(net, x)
    (found,) = simulation.layers
    factor = (bn.weight / torch.sqrt(bn.running_var + bn.eps)).detach().numpy()
    with torch.no_grad():  # the factor itself, by a layer of one channel at a time
        each = [
            bn(
                torch.eye(len(factor))[i]
                .reshape(1, -1, *(1,) * (len(shape) - 1))
                .expand(1, -1, *(3,) * (len(shape) - 1))
            )
            for i in range(len(factor))
        ]
        zero = bn(torch.zeros(1, len(factor), *(3,) * (len(shape) - 1)))
    told = np.array([(one - zero).reshape(len(factor), -1)[i, 0] for i, one in enumerate(each)])
    np.testing.assert_allclose(told, factor, rtol=1e-4)
    # Per tensor: the folded layer, built by hand, rounded by one scale.
    (weight,) = found.weights
    folded = weight.values * weight.factor
    scale = np.abs(folded).max() / 7
    other = make()
    other.load_state_dict(layer.state_dict())
    other.weight.data = torch.from_numpy((np.clip(np.rint(folded / scale), -7, 7) * scale).astype(np.float32))
    if other.bias is not None:
        other.bias.data.zero_()
    with torch.no_grad():
        product = other(torch.from_numpy(x))
        offset = bn(
            torch.zeros(1, len(factor), *(1,) * (len(shape) - 1)).expand(2, *([-1] * len(shape)))
            + (0 if layer.bias is None else layer.bias.reshape(1, -1, *(1,) * (len(shape) - 1)))
        )[:1]
        wanted = (product + offset).flatten(1).numpy()
    np.testing.assert_allclose(at(simulation, 4, per_channel=False).forward(x), wanted, atol=2e-4)
    # The size counts normalisation as a bias.
    bias = len(factor) * 4
    assert simulation.size(None) == found.parameters * 4 + bias
    assert simulation.left == ()


def test_a_switched_off_channel_stays_as_it_is():
    net = nn.Sequential(nn.Conv2d(1, 2, 1, bias=False), nn.BatchNorm2d(2), nn.Flatten()).eval()
    net[1].weight.data = torch.tensor([0.0, 2.0])
    x = np.random.default_rng(0).normal(size=(40, 1, 2, 2)).astype(np.float32)
    plain = as_model(net).forward(x)
    found = at(simulation_of(net, x), 8, per_channel=False).forward(x)
    assert np.array_equal(found[:, :4], plain[:, :4])
    np.testing.assert_allclose(found, plain, atol=0.05)


class Residual(nn.Module):
    """A norm before, a branch around, a layer used twice and a parameter of its own."""

    def __init__(self):
        super().__init__()
        self.pre = nn.BatchNorm1d(4)
        self.same = nn.Linear(4, 4)
        self.scale = nn.Parameter(torch.ones(4))
        self.out = nn.Linear(4, 2)
        self.unused = nn.Linear(4, 9)

    def forward(self, x):
        x = self.pre(x)
        x = x + torch.relu(self.same(x))
        x = x + torch.relu(self.same(x))
        return self.out(x * self.scale)


def test_what_stays_in_float_is_told():
    net = Residual().eval()
    x = np.random.default_rng(0).normal(size=(40, 4)).astype(np.float32)
    simulation = simulation_of(net, x)
    assert [(layer.name, layer.input) for layer in simulation.layers] == [
        ("same", True),
        ("out", True),
        ("unused", False),
    ]
    told = {item.name: item.reason for item in simulation.left}
    assert "follows no convolution" in told["pre"]
    assert "no convolution, linear" in told["Residual"]
    assert "did not run as a module of its own" in told["unused"]
    assert "stays in float: Residual (Residual)" in simulation.remarks(None, inputs=True)[0]


@pytest.mark.parametrize("kind", ["lstm", "gru", "attention"])
def test_recurrent_and_attention_layers_by_their_weights(kind):
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.core = (
                {"lstm": nn.LSTM, "gru": nn.GRU}[kind](4, 6, batch_first=True)
                if kind != "attention"
                else nn.MultiheadAttention(4, 2, batch_first=True)
            )
            self.head = nn.Linear(4 if kind == "attention" else 6, 2)

        def forward(self, x):
            y = self.core(x, x, x)[0] if kind == "attention" else self.core(x)[0]
            return self.head(y[:, -1])

    torch.manual_seed(0)
    net = Net().eval()
    x = np.random.default_rng(0).normal(size=(40, 5, 4)).astype(np.float32)
    simulation = simulation_of(net, x)
    core = simulation.layers[0]
    assert (core.name, core.input) == ("core", False)
    before, plain = state(net), as_model(net).forward(x)
    fine, coarse = at(simulation, 16).forward(x), at(simulation, 2).forward(x)
    np.testing.assert_allclose(fine, plain, atol=1e-3)
    assert np.abs(coarse - plain).max() > 0.02
    assert unchanged(before, net)
    # The same numbers as with the weights written into a copy.
    copy = Net().eval()
    copy.load_state_dict(net.state_dict())
    for name, parameter in copy.named_parameters():
        if "weight" in name:
            w = parameter.data
            scale = w.abs().amax(1, keepdim=True)
            parameter.data = torch.round(w / scale) * scale
    np.testing.assert_allclose(coarse, as_model(copy).forward(x), atol=1e-5)


def test_tied_weights_are_stored_once():
    net = nn.Sequential(nn.Linear(4, 4, bias=False), nn.ReLU(), nn.Linear(4, 4, bias=False)).eval()
    net[2].weight = net[0].weight
    x = np.random.default_rng(0).normal(size=(40, 4)).astype(np.float32)
    simulation = simulation_of(net, x)
    assert simulation.size(None) == 64
    assert simulation.size(uniform(simulation.names(), Bits(weights=4), per_channel=False)) == 8 + 4


def test_half_precision_and_a_root_that_is_a_layer():
    net = nn.Linear(3, 2).to(torch.bfloat16)
    x = np.random.default_rng(0).normal(size=(40, 3)).astype(np.float32)
    simulation = simulation_of(net, x)
    assert simulation.names() == ["Linear"]
    np.testing.assert_allclose(at(simulation, 8, 8).forward(x), as_model(net).forward(x), atol=0.1)
    assert simulation.size(None) == (6 + 2) * 2


def test_a_simulated_module_can_be_attacked(nets):
    model = simulate_bits(nets.torch, nets.train, weights=4, activations=4)
    outputs, slope = model.gradients(nets.test.x[:32], np.ones_like)
    _, plain = nets.torch.gradients(nets.test.x[:32], np.ones_like)
    np.testing.assert_allclose(outputs, model.forward(nets.test.x[:32]), atol=1e-5)
    cosine = (slope * plain).sum() / np.sqrt((slope**2).sum() * (plain**2).sum())
    assert 0.5 < cosine < 1


@pytest.mark.parametrize(
    ("net", "match"),
    [
        (nn.Sequential(nn.ReLU()), "has no layer whose bits could be simulated: it has no weights"),
        (nn.Sequential(nn.LayerNorm(4)), r"0 \(LayerNorm\): no convolution, linear"),
        (nn.utils.parametrizations.weight_norm(nn.Linear(4, 2)), "quantized already, or computed from other"),
    ],
)
def test_models_without_layers(net, match):
    with pytest.raises(InvalidInput, match=match):
        simulation_of(net, np.random.default_rng(0).normal(size=(40, 4)).astype(np.float32))


class Operators(nn.Module):
    """What an exported program is: weights and operators, no layers."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(2, 4))

    def forward(self, x):
        return torch.nn.functional.linear(x, self.weight)


def test_exported_programs_are_refused():
    with pytest.raises(InvalidInput, match="exported program keeps operators, not layers"):
        simulation_of(torch.fx.symbolic_trace(Operators()), np.random.default_rng(0).normal(size=(9, 4)))


def test_layers_are_found_in_order(nets):
    found = find_layers(adapter_of(nets.torch), nets.train.x[:32])
    assert [layer.name for layer in found.layers] == ["0", "4", "9"]
    assert found.rest == (16 + 32 + 10) * 4
