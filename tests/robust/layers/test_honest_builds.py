"""Honest builds of nets whose weights have several users, or no module of their own, against the torch module."""

import numpy as np
import onnx
import pytest
import torch
import torch.nn.functional as F
from onnx import numpy_helper
from torch import nn

from robust.layers.layer_error import layer_errors
from robust.quantizers.building import quantize

RNG = np.random.default_rng(0)
ROWS = {
    "flat": RNG.normal(size=(96, 16)).astype(np.float32),
    "series": RNG.normal(size=(96, 6, 16)).astype(np.float32),
    "image": RNG.normal(size=(96, 1, 6, 6)).astype(np.float32),
    "text": RNG.integers(0, 50, (96, 6)),
}


class Listed(nn.Module):
    """Weights in a list, applied by a function."""

    def __init__(self):
        super().__init__()
        self.ws = nn.ParameterList([torch.randn(16, 16) / 4 for _ in range(3)])
        self.head = nn.Linear(16, 5)

    def forward(self, x):
        for weight in self.ws:
            x = torch.tanh(F.linear(x, weight))
        return self.head(x if x.ndim == 2 else x.mean(1))


class Twice(nn.Module):
    """A convolution that is called twice, followed by another normalisation each time."""

    def __init__(self):
        super().__init__()
        self.stem, self.conv = nn.Conv2d(1, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1)
        self.first, self.second, self.head = nn.BatchNorm2d(4), nn.BatchNorm2d(4), nn.Linear(144, 5)
        nn.init.constant_(self.first.running_mean, -0.3)
        nn.init.constant_(self.second.running_var, 3.0)

    def forward(self, x):
        x = torch.relu(self.stem(x))
        x = torch.relu(self.first(self.conv(x)))
        return self.head(torch.relu(self.second(self.conv(x))).flatten(1))


class Embedded(nn.Module):
    """A last layer with the weights of the embedding."""

    def __init__(self):
        super().__init__()
        self.embed, self.fc, self.head = nn.Embedding(50, 16), nn.Linear(16, 16), nn.Linear(16, 50, bias=False)
        self.head.weight = self.embed.weight

    def forward(self, x):
        return self.head(self.fc(self.embed(x)).mean(1))


class Tied(nn.Module):
    """Two layers with the same weights and biases of their own."""

    def __init__(self):
        super().__init__()
        self.a, self.b, self.head = nn.Linear(16, 16), nn.Linear(16, 16), nn.Linear(16, 5)
        self.b.weight = self.a.weight

    def forward(self, x):
        return self.head(torch.relu(self.b(torch.relu(self.a(x)))))


class Stacked(nn.Module):
    """An LSTM of two layers, forwards and backwards, whose states are read, and the last ones."""

    def __init__(self):
        super().__init__()
        self.rnn, self.head = nn.LSTM(16, 8, 2, batch_first=True, bidirectional=True), nn.Linear(16, 5)

    def forward(self, x):
        states, (last, _) = self.rnn(x)
        return self.head(torch.relu(states)[:, -1] + torch.cat([last[0], last[3]], 1))


class Again(nn.Module):
    """An LSTM that is called twice."""

    def __init__(self):
        super().__init__()
        self.rnn, self.head = nn.LSTM(16, 16, batch_first=True), nn.Linear(16, 5)

    def forward(self, x):
        _, (last, _) = self.rnn(self.rnn(x)[0])
        return self.head(last[-1])


NETS = {
    "listed": (Listed, "flat", ["ws.0", "ws.1", "ws.2", "head"]),
    "listed, of series": (Listed, "series", ["ws.0", "ws.1", "ws.2", "head"]),
    "twice": (Twice, "image", ["stem", "conv", "conv (call 2)", "head"]),
    "embedded": (Embedded, "text", ["embed", "fc", "head"]),
    "tied": (Tied, "flat", ["a", "b", "head"]),
    "again": (Again, "series", ["rnn", "rnn (call 2)", "head"]),
    "stacked": (Stacked, "series", ["rnn", "head"]),
}
#: Weights by which a fault is planted in a layer of a file, as the prepared file calls them.
WEIGHTS = {
    "listed": {"ws.1": "ws.1", "head": "head.weight"},
    "twice": {"stem": "stem.weight", "conv": "conv.weight", "conv (call 2)": "conv.weight_token_0"},
    "embedded": {"embed": "head.weight", "head": "head.weight__2"},
    "tied": {"head": "head.weight"},
    "again": {"head": "head.weight"},
}


@pytest.fixture(scope="module")
def exported(nets, tmp_path_factory):
    """A net, and its float file."""
    found = {}

    def export(name):
        if name not in found:
            torch.manual_seed(0)
            net, rows = NETS[name][0]().eval(), ROWS[NETS[name][1]]
            shapes, given = ({0: torch.export.Dim("batch")},), (torch.from_numpy(rows[:2]),)
            program = torch.onnx.export(net, given, dynamo=True, dynamic_shapes=shapes, verbose=False)
            found[name] = net, rows, nets.saved(program.model_proto, tmp_path_factory.mktemp("honest"), "float.onnx")
        return found[name]

    return export


def assert_compared(net, rows, plain, name, method):
    """An honest build passes, and every layer of the net is compared, none as another."""
    made, layers = quantize(plain, rows, method=method), NETS[name][2]
    for reference, rest in ((net, layers), (plain, None)):
        found = layer_errors(reference, made, rows)
        names = list(dict.fromkeys(row.layer for row in found.rows if not row.layer.startswith("(")))
        assert rest is None or names == rest
        assert [one.layer for one in found.unmatched if one.model == "reference"] == []
        assert [check.reason for check in found.validity if not check.passed] == []
        assert found.sqnr > 20
    exact = layer_errors(net, plain, rows)
    assert all(min(row.sqnr, row.own_sqnr) > 100 for row in exact.rows)
    assert all(row.weight_sqnr > 100 for row in exact.rows if row.weight_sqnr is not None)
    return made


@pytest.mark.filterwarnings("ignore")  # the exporter's own
@pytest.mark.parametrize("name", ["listed", "twice", "embedded", "tied", "again"])
def test_a_build_is_compared_and_a_fault_in_it_ranks_first(exported, nets, tmp_path, name):
    net, rows, plain = exported(name)
    content = assert_compared(net, rows, plain, name, "static").content()
    for layer, weight in WEIGHTS[name].items():
        model = onnx.load_model_from_string(content)
        for part in (f"{weight}_scale", f"{weight.removesuffix('.weight')}.bias_quantized_scale"):
            for tensor in (one for one in model.graph.initializer if one.name == part):
                scaled = numpy_helper.to_array(tensor) * np.float32(1.7)
                tensor.CopyFrom(numpy_helper.from_array(scaled, tensor.name))
        found = layer_errors(net, nets.saved(model, tmp_path), rows)
        assert found.worst.layer == layer, [(row.label, row.own_sqnr) for row in found.ranking]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", NETS)
@pytest.mark.parametrize("method", ["static", "dynamic", "qoperator"])
def test_every_form_of_build_is_compared(exported, name, method):
    assert_compared(*exported(name), name, method)
