"""Float modules that carry a quantized layer whose weights could be any others."""

import warnings

import numpy as np
import pytest
import torch
from torch import nn

from robust.quantization.coverage import coverage_by_layer
from robust.quantization.degradation_paired import degradation


class Beside(nn.Module):
    """A float net with an int8 product beside it."""

    def __init__(self, how, *, kernel=False):
        super().__init__()
        torch.manual_seed(0)
        self.net = nn.Sequential(nn.Linear(16, 8), nn.ReLU(), nn.Linear(8, 5))
        self.how = how
        self.register_buffer("q", torch.randint(-99, 99, (5, 16), dtype=torch.int8))
        self.register_buffer("s", torch.full((5, 1), 0.01))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            packed = torch.ao.quantization.quantize_dynamic(nn.Sequential(nn.Linear(16, 5)), {nn.Linear})
        self.kernel = packed if kernel else None

    def product(self, x):
        return nn.functional.linear(x, self.q.float() * self.s) if self.kernel is None else self.kernel(x)

    def forward(self, x):
        return self.how(self, x, self.net(x))


IDLE = {
    "sliced": lambda m, x, y: torch.cat([y, m.product(x)], 1)[:, :5],
    "zeros": lambda m, x, y: y + torch.zeros_like(m.product(x)),
    "shape": lambda m, x, y: y + m.product(x).new_zeros(len(x), 5),
    "where": lambda m, x, y: torch.where(torch.zeros_like(y) > 0, m.product(x), y),
    "clamp": lambda m, x, y: y + m.product(x).clamp(0, 0),
    "input": lambda m, x, y: y + m.product(x * 0) - m.product(x * 0),
    "taken away": lambda m, x, y: y + (m.product(x) - m.product(x)),
    "tiny": lambda m, x, y: y + 1e-30 * m.product(x),
}


@pytest.mark.parametrize(
    ("how", "kernel"),
    # Of a compiled kernel the result is replaced, which holds a bias: with x * 0 it counts.
    [*((how, False) for how in IDLE), *((how, True) for how in IDLE if how != "input")],
)
def test_a_layer_whose_weights_could_be_any_others_does_not_count(how, kernel):
    found = coverage_by_layer(Beside(IDLE[how], kernel=kernel).eval(), data=np.ones((2, 16), np.float32))
    assert (found.weights, sum(layer.weights for layer in found.layers)) == (0.0, 168)


@pytest.mark.parametrize("kernel", [False, True])
def test_a_layer_that_changes_the_answer_counts(kernel):
    used = Beside(lambda m, x, y: y + m.product(x), kernel=kernel).eval()
    assert coverage_by_layer(used, input_shape=(16,)).weights == 80 / 248


def test_a_scale_of_zero():
    def silent(m, x, y):
        return y + nn.functional.linear(x, m.q.float() * (m.s * 0))

    assert coverage_by_layer(Beside(silent).eval(), input_shape=(16,)).weights == 0.0


def test_one_of_two_quantized_layers():
    """Both are tried together, then each."""

    def one(m, x, y):
        return torch.cat([y + m.product(x), nn.functional.linear(x, m.r.float() * m.s)], 1)[:, :5]

    net = Beside(one).eval()
    net.register_buffer("r", net.q.flip(0))
    found = coverage_by_layer(net, input_shape=(16,))
    assert (found.weights, sum(layer.weights for layer in found.layers)) == (80 / 248, 248)


def test_a_module_is_left_as_it_was():
    net = Beside(IDLE["sliced"], kernel=True).eval()
    before = {name: value.clone() for name, value in net.state_dict().items() if isinstance(value, torch.Tensor)}
    x = torch.randn(4, 16)
    answer = net(x)
    coverage_by_layer(net, input_shape=(16,))
    assert all(torch.equal(net.state_dict()[name], value) for name, value in before.items())
    assert torch.equal(net(x), answer)
    assert all(not part._forward_hooks for part in net.modules())


def test_a_gate_that_demands_quantized_layers_is_not_faked():
    net = Beside(IDLE["sliced"]).eval()
    x = np.random.default_rng(0).normal(size=(200, 16)).astype(np.float32)
    y = net(torch.from_numpy(x)).argmax(1).numpy()
    verdict = degradation(net.net, net, (x, y), quantized=True) < 0.1
    assert verdict.status == "INVALID"
    assert "0 % of the weights are quantized" in str(verdict)
