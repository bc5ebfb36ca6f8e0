"""Recurrent nets: every tensor that a layer gives is watched and handed on, and a fault in one layer ranks it first."""

import copy
import math

import numpy as np
import pytest
import torch

from robust.layers.layer_error import layer_errors

X = np.random.default_rng(0).normal(size=(96, 6, 4)).astype(np.float32)


@torch.no_grad()
def planted(net, seed):
    """Fake int8 weights, those of one layer scaled; and that layer's name."""
    rng, other = np.random.default_rng(seed), copy.deepcopy(net)
    for weight in other.parameters():
        step = float(weight.abs().max()) / 127
        weight.copy_(torch.round(weight / step) * step)
    layer = str(rng.choice(["rnn", "rnn", "hidden", "head"]))  # as often in the recurrent layer as in the others
    weights = [one for one in other.get_submodule(layer).parameters() if one.ndim == 2]
    weights[int(rng.integers(len(weights)))].mul_(float(rng.uniform(1.5, 3.0)))
    return other, layer


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("name", ["last state", "cell", "two layers", "both ways"])
def test_a_planted_fault_ranks_first(nets, name, seed):
    net = nets.recurrent(name, seed)
    other, layer = planted(net, seed)
    found = layer_errors(net, other, X)
    assert found.worst.layer == layer, [(row.label, row.own_sqnr) for row in found.ranking]
    assert [check.reason for check in found.validity if not check.passed] == []
    clean = next(row for row in found.ranking if row.layer != layer)
    assert clean.own_sqnr > found.worst.own_sqnr + 3  # dB: no tie


@pytest.mark.parametrize("name", ["last state", "cell", "two layers", "both ways"])
def test_a_fault_in_the_recurrent_layer_alone_leaves_the_others_exact(nets, name):
    net = nets.recurrent(name)
    other = copy.deepcopy(net)
    with torch.no_grad():
        other.rnn.weight_hh_l0.mul_(1.3)
    found = layer_errors(net, other, X)
    assert {row.layer for row in found.rows if row.own_sqnr < math.inf} == {"rnn"}
    assert found.output.sqnr < 60


def test_the_tensors_of_a_layer_are_rows_of_their_own(nets):
    net = nets.recurrent("both ways")
    found = layer_errors(net, net, X)
    assert [row.label for row in found.rows] == [
        *("rnn (LSTM)", "rnn (LSTM h_n)", "rnn (LSTM c_n)", "hidden (Linear)", "head (Linear)")
    ]
    assert [row.shape for row in found.rows[:3]] == [(6, 12), (2, 6), (2, 6)]
    # Those that nobody reads take no part in what the model gives, and are not listed.
    only = layer_errors(nets.recurrent("cell"), nets.recurrent("cell"), X)
    assert only.rows[0].label == "rnn (LSTM c_n)"
    assert len(only.rows) == 3


def test_own_errors_are_those_of_a_run_by_hand(nets):
    net = nets.recurrent("last state")
    other = copy.deepcopy(net)
    with torch.no_grad():
        other.rnn.weight_ih_l0.mul_(1.2)
        other.hidden.weight.mul_(1.1)
        x = torch.from_numpy(X)
        (_, (r, _)), (_, (q, _)) = net.rnn(x), other.rnn(x)
        hidden = torch.relu(net.hidden(q[-1])), torch.relu(other.hidden(q[-1]))
    rows = {row.layer: row for row in layer_errors(net, other, X).rows}
    for name, (one, two) in {"rnn": (r, q), "hidden": hidden}.items():
        one, two = one.double(), two.double()
        wanted = 10 * math.log10(float((one**2).sum()) / float(((one - two) ** 2).sum()))
        assert rows[name].own_sqnr == pytest.approx(wanted, abs=1e-3), name
