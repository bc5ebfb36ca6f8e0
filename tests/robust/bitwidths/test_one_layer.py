"""Sensitivities: planted layers come first, and the figures are those of the settings."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from robust.bitwidths.one_layer import layer_sensitivity
from robust.bitwidths.simulated_model import simulate_bits
from robust.data.live import as_data
from robust.errors import InvalidInput
from robust.models.conversion import as_model
from robust.quantization.degradation_paired import degradation


def planted(nets, seed):
    """A network in which one layer's weights have an outlier that a dead unit multiplies: the function is the same."""
    net = nets.mlp(seed)
    layers = [part for part in net if isinstance(part, nn.Linear)]
    place = 1 + seed % 3
    layers[place - 1].bias.data[3] = -1e4  # behind a ReLU: always 0
    layers[place].weight.data[:, 3] = 40.0
    return as_model(net, output="logits"), next(name for name, part in net.named_children() if part is layers[place])


@pytest.mark.parametrize("seed", range(8))
def test_a_planted_layer_is_the_worst(seed, nets):
    model, name = planted(nets, seed)
    x, y = nets.own_rows(model.forward.__self__.module, 600, (12,), seed)
    found = layer_sensitivity(model, x[:200], (x[200:], y[200:]), bits=6, parts="weights")
    assert found.worst.layer == name
    assert found.worst.alone.lower > found.rows[1].alone.value
    assert found.worst.recovered.lower > 0


def test_a_planted_input_is_the_worst(nets):
    """An outlier in a unit that the next layer does not weigh spoils that layer's input alone."""
    net = nets.mlp(1)
    net[2].weight.data[5] *= 400
    net[4].weight.data[:, 5] = 0
    model = as_model(net, output="logits")
    x, y = nets.own_rows(net, 600, (12,))
    found = layer_sensitivity(model, x[:200], (x[200:], y[200:]), bits=6)
    assert (found.worst.layer, found.worst.part) == ("4", "activations")


def test_figures_are_those_of_the_settings(nets):
    found = layer_sensitivity(nets.onnx, nets.train, nets.test, bits=3)
    alone = simulate_bits(nets.onnx, nets.train, weights={"4": 3}, activations=None)
    others = simulate_bits(nets.onnx, nets.train, weights={"0": 3, "9": 3}, activations=None)
    everything = simulate_bits(nets.onnx, nets.train, weights=3, activations=None)
    row = found.of("4", "weights")
    for ours, pair in (
        (row.alone, (nets.onnx, alone)),
        (row.spared, (nets.onnx, others)),
        (row.recovered, (others, everything)),
        (found.together["weights"], (nets.onnx, everything)),
    ):
        theirs = degradation(*pair, nets.test)
        assert (ours.value, ours.lower, ours.upper) == (theirs.value, theirs.lower, theirs.upper)
    assert row.bytes == 4608 * 4 - 4608 * 3 // 8 - 32 * 4
    assert found.of("4", "activations").bytes == 0


def test_ranking_words_and_table(nets):
    found = layer_sensitivity(nets.torch, nets.train, nets.test, bits=3)
    lost = [row.alone.value for row in found]
    assert lost == sorted(lost, reverse=True)
    assert len(found) == 6
    assert found.findings[0].startswith("weights of all layers at 3 bits cost")
    assert "4 (Conv2d): its activations alone at 3 bits cost" in found.findings[2]
    assert len(found.table().splitlines()) == 7
    assert found.figure.kind == "interval"
    assert {len(column.values) for column in found.figure.columns} == {6}
    with pytest.raises(InvalidInput, match="there is no 'both' of layer '4'; measured were"):
        found.of("4", "both")


def test_layers_that_lose_alike_are_ranked_by_their_noise(nets):
    found = layer_sensitivity(nets.onnx, nets.train, nets.test, bits=16, parts="both")
    assert {row.alone.value for row in found} == {0.0}
    assert [row.sqnr for row in found] == sorted(row.sqnr for row in found)


def test_bounds_of_all_figures_at_once_are_wider(nets):
    own = layer_sensitivity(nets.onnx, nets.train, nets.test, bits=4)
    every = layer_sensitivity(nets.onnx, nets.train, nets.test, bits=4, simultaneous=True)
    assert all(b.alone.upper > a.alone.upper for a, b in zip(own, every, strict=True))
    assert every.worst.alone.level == pytest.approx(1 - 0.05 / (3 * 6 + 2))


def test_a_single_layer_has_nothing_to_spare(nets):
    torch.manual_seed(0)
    net = nn.Linear(4, 3)
    x, y = nets.own_rows(net, 200, (4,))
    found = layer_sensitivity(as_model(net, output="logits"), x[:50], (x[50:], y[50:]), bits=3, parts="weights")
    assert found.worst.spared.value == 0
    assert found.worst.alone.value == found.worst.recovered.value == found.together["weights"].value


def test_bad_options(nets):
    with pytest.raises(InvalidInput, match="bits got 32; the float model is what is compared with"):
        layer_sensitivity(nets.onnx, nets.train, nets.test, bits=32)
    with pytest.raises(InvalidInput, match="bits got 1"):
        layer_sensitivity(nets.onnx, nets.train, nets.test, bits=1)


def test_no_layer_takes_rounded_inputs(nets):
    class Recurrent(nn.Module):
        def __init__(self):
            super().__init__()
            self.core = nn.GRU(2, 3, batch_first=True)

        def forward(self, x):
            return self.core(x)[0][:, -1]

    x = np.random.default_rng(0).normal(size=(64, 4, 2)).astype(np.float32)
    data = as_data(x, np.arange(64) % 3)
    model = as_model(Recurrent().eval(), output="logits")
    with pytest.raises(InvalidInput, match="no layer's activations can be rounded"):
        layer_sensitivity(model, x, data, parts="activations")
    assert math.isfinite(layer_sensitivity(model, x, data, parts="weights").worst.sqnr)


def test_a_layer_can_be_kept_at_more_bits(nets):
    found = layer_sensitivity(nets.onnx, nets.train, nets.test, bits=2, keep=8, parts="weights")
    row = found.of("4", "weights")
    others = dict.fromkeys(("0", "9"), 2)
    kept = simulate_bits(nets.onnx, nets.train, weights={**others, "4": 8}, activations=None)
    assert row.spared.value == pytest.approx(degradation(nets.onnx, kept, nets.test).value)
    assert row.bytes == 4608 - 4608 // 4
    (told,) = [text for text in found.findings if text.startswith("4 (Conv)")]
    assert "keeping them at 8 bits while all others are at 2 bits costs 3.5 kB and recovers 3" in told
    with pytest.raises(InvalidInput, match="keep got 2; more than 2 bits would be right"):
        layer_sensitivity(nets.onnx, nets.train, nets.test, bits=2, keep=2)


def test_the_largest_layers_are_looked_at(nets):
    every = layer_sensitivity(nets.onnx, nets.train, nets.validation, bits=3)
    found = layer_sensitivity(nets.onnx, nets.train, nets.validation, bits=3, most=1)
    assert {row.layer for row in found} == {"4"}
    assert found.together["weights"].value == every.together["weights"].value
    assert found.of("4", "weights").spared.value == every.of("4", "weights").spared.value
    with pytest.raises(InvalidInput, match="most got 0"):
        layer_sensitivity(nets.onnx, nets.train, nets.validation, most=0)
