"""Settings as models of their own: identity, errors, and the public way to one of them."""

import functools

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from torch import nn

from robust.attacks.accuracy_under_attack import robust_accuracy
from robust.attacks.pgd import PGD
from robust.bitwidths.settings import Bits, Setting, read_channels, read_parts, read_widths, uniform
from robust.bitwidths.simulated_model import simulate_bits
from robust.bitwidths.simulation import can_be_simulated, simulate
from robust.data.live import as_data
from robust.errors import InvalidInput
from robust.limits import percent
from robust.models.conversion import as_model
from robust.quantization.degradation_paired import degradation


def test_each_setting_has_an_identity_of_its_own(nets):
    simulation = simulate(nets.onnx, nets.train)
    settings = [
        uniform(simulation.names(), Bits(weights=8), per_channel=True),
        uniform(simulation.names(), Bits(weights=8), per_channel=False),
        uniform(simulation.names(), Bits(weights=4), per_channel=True),
        uniform(simulation.names(), Bits(weights=8), per_channel=True, but="4"),
        uniform(simulation.names(), Bits(weights=8, activations=8), per_channel=True),
    ]
    hashes = {simulation.at(setting).identity() for setting in settings}
    assert len(hashes) == len(settings)
    assert nets.onnx.identity() not in hashes
    assert simulation.at(settings[0]).identity() == simulation.at(settings[0]).identity()
    other = simulate(nets.onnx, nets.train.rows(np.arange(9)))
    assert other.at(settings[4]).identity() != simulation.at(settings[4]).identity()


def test_compared_like_any_other_model(nets):
    coarse = simulate_bits(nets.onnx, nets.train, weights=2, activations=2)
    fine = simulate_bits(nets.onnx, nets.train)
    assert coarse.name == "float.onnx (weights 2 bits, activations 2 bits, simulated)"
    assert degradation(nets.onnx, fine, nets.test) < percent(1)
    assert degradation(nets.onnx, coarse, nets.test) > percent(1)


def test_bits_by_layer(nets):
    one = simulate_bits(nets.torch, nets.train, weights={"4": 3}, activations=None)
    simulation = simulate(nets.torch, nets.train)
    other = simulation.at(Setting(layers={"4": Bits(weights=3)}))
    assert np.array_equal(one.forward(nets.test.x), other.forward(nets.test.x))
    assert one.name == "net.safetensors (weights mixed, activations float, simulated)"
    with pytest.raises(InvalidInput, match=r"weights names layers \['conv'\] that there are not; the layers are \['0'"):
        simulate_bits(nets.torch, nets.train, weights={"conv": 3})
    with pytest.raises(InvalidInput, match="weights of 4 got 1; a whole number in 2 … 16"):
        simulate_bits(nets.torch, nets.train, weights={"4": 1})
    with pytest.raises(InvalidInput, match=r"there are no layers \['x'\]"):
        simulation.at(Setting(layers={"x": Bits(weights=3)}))


def test_attacked_like_any_other_model(nets):
    metric = functools.partial(robust_accuracy, attack=PGD(eps=0.05, steps=3))
    rows = nets.test.rows(np.arange(64))
    lost = degradation(nets.torch, simulate_bits(nets.torch, nets.train, weights=4, activations=8), rows, metric=metric)
    assert -0.5 < lost.value < 0.5
    assert lost.n == 64


@pytest.mark.parametrize(
    ("model", "match"),
    [
        (lambda x: x, r"\(callable\) shows no layers: a torch module or a float ONNX file"),
        (LogisticRegression().fit(np.eye(3), [0, 1, 2]), r"\(sklearn\) shows no layers"),
    ],
)
def test_models_without_layers_are_refused(model, match):
    with pytest.raises(InvalidInput, match=f"fewer bits cannot be simulated: .*{match}"):
        simulate(as_model(model), as_data(np.eye(3)))


def test_a_live_session_does_not_show_its_graph(nets):
    session = nets.onnx.forward.__self__.session
    assert can_be_simulated(as_model(session)) == (
        "onnx session: a live session does not show its graph: the path of its file would be right"
    )
    assert can_be_simulated(nets.onnx) is None
    assert can_be_simulated(nets.torch) is None


@pytest.mark.parametrize("widths", [(), (8, 8), (1, 8), (32,), (8, None), "8", 8.5, (8, 32)])
def test_widths_that_are_none(widths):
    with pytest.raises(InvalidInput, match="widths got"):
        read_widths(widths)


def test_widths_with_float_parts_and_channels():
    assert read_widths((4, 32, 8), with_float=True) == (32, 8, 4)
    with pytest.raises(InvalidInput, match="perhaps with 32 for float, would be right"):
        read_widths((32,), with_float=True)
    with pytest.raises(InvalidInput, match="parts got 'bias'; some of weights, activations, both would be right"):
        read_parts("bias")
    with pytest.raises(InvalidInput, match=r"per_channel got 1; True, False or \(True, False\)"):
        read_channels(1)
    assert read_parts(("both", "both")) == ("both",)


def test_rows_do_not_depend_on_batch_or_order(nets):
    model = simulate_bits(nets.torch, nets.train, weights=4, activations=4)
    x = nets.test.x[:96]
    order = np.random.default_rng(0).permutation(96)
    assert np.array_equal(model.forward(x)[order], model.forward(x[order]))
    assert np.array_equal(model.forward(x)[:40], model.forward(x[:40]))


def test_weights_that_change_are_seen():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(4, 2))
    x = np.random.default_rng(0).normal(size=(40, 4)).astype(np.float32)
    first = simulate_bits(as_model(net, output="logits"), x, weights=8)
    net[0].weight.data *= 2
    second = simulate_bits(as_model(net, output="logits"), x, weights=8)
    assert first.identity() != second.identity()
