"""Activations that users write themselves, in modules without weights and outside of any."""

import copy
import math

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from robust.layers.layer_error import layer_errors
from robust.quantizers.building import quantize

ROWS = np.random.default_rng(0).normal(size=(128, 4, 16)).astype(np.float32)
FORMS = {
    "relu": torch.relu,
    "hardswish": lambda x: x * functional.relu6(x + 3) / 6,
    "hardswish, clipped": lambda x: x * torch.clip(x + 3, 0, 6) / 6,
    "hardswish, gate": lambda x: x * torch.clamp(x / 6 + 0.5, 0, 1),
    "hardsigmoid": lambda x: functional.relu6(x + 3) / 6,
    "hardsigmoid, clipped": lambda x: torch.clamp((x + 3) / 6, 0, 1),
    "gelu": lambda x: 0.5 * x * (1 + torch.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x * x * x))),
    "scaled tanh": lambda x: 1.7159 * torch.tanh(0.6667 * x),
}
PARAMETERS = [(form, inside) for form in FORMS for inside in (True, False)]
FAST = [("relu", True), ("hardsigmoid", False)]


class Own(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x)


class Net(nn.Module):
    """Two layers, the second one without a bias, one activation behind both, and a head."""

    def __init__(self, act):
        super().__init__()
        self.first, self.second, self.head = nn.Linear(16, 24), nn.Linear(24, 24, bias=False), nn.Linear(24, 5)
        self.act = act

    def forward(self, x):
        return self.head(self.act(self.second(self.act(self.first(x)))).mean(1))


@pytest.fixture(scope="module")
def exported(nets, tmp_path_factory):
    """A net, and its float file, its weights times a factor in one layer."""

    def export(form, inside, at=None, factor=1.0):
        torch.manual_seed(0)
        net = Net(Own(FORMS[form]) if inside else FORMS[form]).eval()
        with torch.no_grad():
            for layer in (net.first, net.second):
                layer.weight *= 2.0  # so that activations bend
        other = copy.deepcopy(net)
        if at is not None:
            other.get_submodule(at).weight.data *= factor
        folder, given = tmp_path_factory.mktemp("own"), (torch.from_numpy(ROWS[:2]),)
        shapes = ({0: torch.export.Dim("batch")},)
        program = torch.onnx.export(other, given, dynamo=True, dynamic_shapes=shapes, verbose=False)
        return net, nets.saved(program.model_proto, folder, "float.onnx")

    return export


def slow_but(fast):
    return [pytest.param(*one, marks=() if one in fast else pytest.mark.slow) for one in PARAMETERS]


def assert_compared(found):
    assert [check.reason for check in found.validity if not check.passed] == []
    assert found.sqnr > 25, found.table()
    assert [row.layer for row in found.rows if row.weight_sqnr is not None] == ["first", "second", "head"]


@pytest.mark.filterwarnings("ignore")  # the exporter's own
@pytest.mark.parametrize(("form", "inside"), slow_but(FAST))
def test_a_build_is_compared(exported, form, inside):
    net, plain = exported(form, inside)
    for method, ranges in (
        ("static", "minmax"),
        ("static", "percentile"),
        ("dynamic", "minmax"),
        ("qoperator", "minmax"),
    ):
        made = quantize(plain, ROWS, method=method, calibrate=ranges)
        for reference in (net, plain):
            assert_compared(layer_errors(reference, made, ROWS))
    exact = layer_errors(net, plain, ROWS)
    assert all(min(row.sqnr, row.own_sqnr) > 100 for row in exact.rows), exact.table()


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("form", "inside"), slow_but([("relu", True), ("hardsigmoid", False)]))
@pytest.mark.parametrize("layer", ["first", "second"])
def test_weights_that_are_too_large_rank_first(exported, form, inside, layer):
    net, faulty = exported(form, inside, layer, 1.3)
    honest = exported(form, inside)[1]
    made = quantize(faulty, ROWS, method="static")
    for reference in (net, honest):
        found = layer_errors(reference, made, ROWS)
        assert found.worst.layer == layer, found.table()


class Through(nn.Module):
    """A layer, and what a user's module makes of it."""

    def __init__(self, own):
        super().__init__()
        self.fc, self.own = nn.Linear(16, 16), own

    def forward(self, x):
        return self.own(self.fc(x))


def rows_of(own):
    net = Through(Own(own)).eval()
    other = copy.deepcopy(net)
    with torch.no_grad():
        other.fc.weight += 0.01
    found = layer_errors(net, other, ROWS, rows=32)
    assert [check.reason for check in found.validity if not check.passed] == []
    assert found.worst.layer == "fc"
    return [(row.label, math.isinf(row.own_sqnr)) for row in found.rows]


def test_a_module_is_what_its_functions_are():
    assert rows_of(torch.relu) == [("fc (Linear)", False)]
    assert rows_of(lambda x: 2.0 * torch.tanh(0.5 * x)) == [("fc (Linear)", False), ("own (Own)", True)]
    assert rows_of(lambda x: x) == [("fc (Linear)", False)]


def test_a_module_whose_inside_is_not_seen_is_a_layer():
    unseen = [("fc (Linear)", False), ("own (Own)", True)]
    assert rows_of(lambda x: torch.from_numpy(np.tanh(x.numpy()))) == unseen
    assert rows_of(lambda x: torch.tanh(torch.from_numpy(x.numpy()))) == unseen
    assert rows_of(lambda x: torch.relu(x)[:, :2]) == unseen  # of another shape
