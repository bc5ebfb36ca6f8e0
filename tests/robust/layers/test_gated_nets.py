"""Nets as they are built today, with gates, smooth activations, positions and offsets, against builds of them."""

import numpy as np
import pytest
import torch
from torch import nn

from robust.layers.layer_error import layer_errors
from robust.quantizers.building import quantize

RNG = np.random.default_rng(0)
ROWS = {
    "image": RNG.normal(size=(128, 3, 8, 8)).astype(np.float32),
    "series": RNG.normal(size=(128, 6, 16)).astype(np.float32),
    "flat": RNG.normal(size=(128, 16)).astype(np.float32),
}


class Gate(nn.Module):
    """Squeeze and excitation."""

    def __init__(self, width, inner, gate):
        super().__init__()
        self.reduce, self.expand = nn.Conv2d(width, 4, 1), nn.Conv2d(4, width, 1)
        self.inner, self.gate = inner, gate

    def forward(self, x):
        return x * self.gate(self.expand(self.inner(self.reduce(x.mean((2, 3), keepdim=True)))))


def convolution(inner, outer, act, size=3, groups=1):
    padding = size // 2
    return nn.Sequential(
        nn.Conv2d(inner, outer, size, padding=padding, groups=groups, bias=False), nn.BatchNorm2d(outer), act
    )


class Blocks(nn.Module):
    """A stem, an inverted bottleneck with a gate, and a head."""

    def __init__(self, act, inner, gate):
        super().__init__()
        self.stem = convolution(3, 8, act())
        self.wide = convolution(8, 16, act(), size=1)
        self.depth = convolution(16, 16, act(), groups=16)
        self.excite = Gate(16, inner(), gate())
        self.narrow = convolution(16, 8, nn.Identity(), size=1)
        self.last, self.head = convolution(8, 16, act(), size=1), nn.Linear(16, 5)
        for module in self.modules():
            if isinstance(module, nn.BatchNorm2d):
                nn.init.normal_(module.running_mean, 0.0, 0.2)
                nn.init.uniform_(module.running_var, 0.3, 2.0)

    def forward(self, x):
        x = self.stem(x)
        x = x + self.narrow(self.excite(self.depth(self.wide(x))))
        return self.head(self.last(x).mean((2, 3)))


class Encoder(nn.Module):
    """Positions that are added to embedded tokens, and two layers of attention."""

    def __init__(self):
        super().__init__()
        self.embed, self.position = nn.Linear(16, 16), nn.Parameter(torch.randn(1, 6, 16) * 0.3)
        layer = nn.TransformerEncoderLayer(16, 2, 32, batch_first=True, activation="gelu")
        self.encoder, self.head = nn.TransformerEncoder(layer, 2), nn.Linear(16, 5)

    def forward(self, x):
        return self.head(self.encoder(self.embed(x) + self.position).mean(1))


class Scaled(nn.Module):
    """A regression in the units of its targets."""

    def __init__(self):
        super().__init__()
        self.first, self.second, self.last = nn.Linear(16, 32), nn.Linear(32, 32), nn.Linear(32, 1)
        self.offset = nn.Parameter(torch.randn(32) * 0.3)
        self.register_buffer("mean", torch.tensor(20.0))
        self.register_buffer("std", torch.tensor(3.0))

    def forward(self, x):
        x = torch.relu(self.second(torch.relu(self.first(x) + self.offset)))
        return self.last(x) * self.std + self.mean


class Moved(Scaled):
    """The same without a scale."""

    def forward(self, x):
        return self.last(torch.relu(self.second(torch.relu(self.first(x) + self.offset)))) + self.mean


class Shifted(nn.Module):
    """Convolutions without biases, each with a shift of its own, of each channel or one."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(8, 8, 3, padding=1, bias=False)
        self.head = nn.Linear(8, 5)
        self.channels, self.one = nn.Parameter(torch.randn(1, 8, 1, 1) * 0.5), nn.Parameter(torch.full((1,), 0.3))

    def forward(self, x):
        x = torch.relu(self.first(x) + self.channels)
        return self.head(torch.relu(self.second(x) + self.one).mean((2, 3)))


def perceptron():
    acts = nn.GELU(), nn.GELU(approximate="tanh"), nn.Mish(), nn.Softplus(), nn.ELU(), nn.PReLU(), nn.LogSigmoid()
    widths = [16, *[24] * len(acts), 5]
    layers = [part for i, act in enumerate(acts) for part in (nn.Linear(widths[i], widths[i + 1]), act)]
    return nn.Sequential(*layers, nn.Linear(24, 5))


NETS = {
    "efficient": (lambda: Blocks(nn.SiLU, nn.SiLU, nn.Sigmoid), "image"),
    "mobile": (lambda: Blocks(nn.Hardswish, nn.ReLU, nn.Hardsigmoid), "image"),
    "perceptron": (perceptron, "flat"),
    "encoder": (Encoder, "series"),
    "scaled": (Scaled, "flat"),
    "moved": (Moved, "flat"),
    "shifted": (Shifted, "image"),
}
METHODS = ("static", "dynamic", "qoperator")
FAST = [("efficient", "static"), ("moved", "qoperator")]


@pytest.fixture(scope="module")
def exported(nets, tmp_path_factory):
    """A net, its rows, and its float file."""
    found = {}

    def export(name):
        if name not in found:
            torch.manual_seed(0)
            net, rows = NETS[name][0]().eval(), ROWS[NETS[name][1]]
            shapes, given = ({0: torch.export.Dim("batch")},), (torch.from_numpy(rows[:2]),)
            program = torch.onnx.export(net, given, dynamo=True, dynamic_shapes=shapes, verbose=False)
            found[name] = net, rows, nets.saved(program.model_proto, tmp_path_factory.mktemp("gated"), "float.onnx")
        return found[name]

    return export


def assert_compared(net, rows, plain, method):
    """Every layer with weights is compared, and an honest build passes."""
    made = quantize(plain, rows, method=method)
    kinds = (nn.Linear, nn.Conv2d, nn.MultiheadAttention)
    layers = [name for name, part in net.named_modules() if isinstance(part, kinds) and "out_proj" not in name]
    for reference in (net, plain):
        found = layer_errors(reference, made, rows)
        assert [check.reason for check in found.validity if not check.passed] == []
        left = [one for one in found.unmatched if one.model == "reference"]
        # Attention's last product has its rows and places of time in one axis.
        assert [one.layer for one in left if "row by row" not in one.reason] == []
        assert found.sqnr > 20, found.table()
        assert found.output.sqnr > 20
        if reference is net:
            assert set(layers) <= {row.layer for row in found.rows}
    return made


def assert_exact(net, rows, plain):
    """A net is what its own export is, at every point."""
    found = layer_errors(net, plain, rows)
    assert all(min(row.sqnr, row.own_sqnr) > 100 for row in found.rows), found.table()
    assert not [one for one in found.unmatched if one.model == "reference"]


def assert_planted(nets, folder, exported, name, seed):
    """A wrong scale of one layer's weights is found in that layer."""
    net, rows, plain = exported(name)
    content, _, tensor = nets.planted(quantize(plain, rows, method="static").content(), seed, kinds=("weight",))
    layer = tensor.removeprefix("ConvBnFusion_W_").removesuffix(".weight")
    path = nets.saved(content, folder)
    for reference in (net, plain):
        found = layer_errors(reference, path, rows)
        assert found.worst.layer == layer, found.table()


@pytest.mark.filterwarnings("ignore")  # the exporter's own
@pytest.mark.parametrize(("name", "method"), FAST)
def test_a_build_is_compared(exported, name, method):
    assert_compared(*exported(name), method)
    assert_exact(*exported(name))


@pytest.mark.filterwarnings("ignore")
def test_a_fault_ranks_first(nets, tmp_path, exported):
    assert_planted(nets, tmp_path, exported, "moved", 0)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", NETS)
@pytest.mark.parametrize("method", METHODS)
def test_every_build_is_compared(exported, name, method):
    assert_compared(*exported(name), method)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", NETS)
def test_a_net_and_its_export_are_exact(exported, name):
    assert_exact(*exported(name))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("name", ["efficient", "moved"])
def test_faults_rank_first(nets, tmp_path, exported, name, seed):
    assert_planted(nets, tmp_path, exported, name, seed)
