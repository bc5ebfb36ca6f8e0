"""Constants that multiply what a layer gives: builds have these in its weights, and are compared behind them."""

import numpy as np
import onnx
import pytest
import torch
from torch import nn

from robust.layers.layer_error import layer_errors
from robust.quantizers.building import quantize

ROWS = np.random.default_rng(0).normal(size=(128, 1, 8, 8)).astype(np.float32)


class FrozenBatchNorm2d(nn.Module):
    """A normalisation of buffers alone, as nets for detection have it."""

    def __init__(self, width, eps=1e-5):
        super().__init__()
        self.eps = eps
        for name in ("weight", "running_var"):
            self.register_buffer(name, torch.rand(width) + 0.5)
        for name in ("bias", "running_mean"):
            self.register_buffer(name, torch.randn(width) * 0.3)

    def forward(self, x):
        scale = self.weight * (self.running_var + self.eps).rsqrt()
        offset = self.bias - self.running_mean * scale
        return x * scale.reshape(1, -1, 1, 1) + offset.reshape(1, -1, 1, 1)


class Scale(nn.Module):
    """One number a channel, trained, as blocks have it at the end of a branch."""

    def __init__(self, width):
        super().__init__()
        self.gamma = nn.Parameter(torch.rand(width) + 0.5)

    def forward(self, x):
        return x * self.gamma[:, None, None]


class Curve(nn.Module):
    """An activation with a factor before and one behind it."""

    def forward(self, x):
        return 1.7159 * torch.tanh(0.6667 * x)


class Frozen(FrozenBatchNorm2d):
    """The same normalisation by a name that says nothing."""


class Net(nn.Module):
    """Two convolutions, what the second gives changed by constants, and a head."""

    def __init__(self, behind, bias):
        super().__init__()
        self.first, self.second = nn.Conv2d(1, 8, 3, padding=1), nn.Conv2d(8, 8, 3, padding=1, bias=bias)
        self.frozen, self.head, self.behind = FrozenBatchNorm2d(8), nn.Linear(8, 5), behind
        self.gamma = nn.Parameter(torch.rand(1, 8, 1, 1) + 0.5)
        self.beta = nn.Parameter(torch.randn(1, 8, 1, 1))
        self.norm, self.scale, self.own, self.curve = nn.BatchNorm2d(8), Scale(8), Frozen(8), Curve()
        for name, low in (("weight", 0.5), ("bias", -1.0), ("running_mean", -0.5), ("running_var", 0.05)):
            nn.init.uniform_(getattr(self.norm, name), low, low + 0.5)

    def forward(self, x):
        x = torch.relu(self.first(x))
        return self.head(self.behind(self, x, self.second(x)).mean((2, 3)))


FORMS = {
    "residual": lambda _, x, y: x + y * 0.1,
    "before an activation": lambda _, _x, y: torch.relu(y * 0.8),
    "from the left": lambda _, _x, y: torch.tanh(0.5 * y),
    "divided": lambda _, _x, y: torch.relu(y / 4),
    "in place": lambda _, _x, y: torch.relu(y.mul_(0.25)),
    "twice": lambda _, _x, y: torch.relu(y * 0.5 * 0.2),
    "channels": lambda net, _x, y: torch.relu(y * net.gamma),
    "affine": lambda net, _x, y: torch.relu(y * net.gamma + net.beta),
    "sum first": lambda net, _x, y: torch.relu((y + net.beta) * net.gamma),
    "frozen": lambda net, _x, y: torch.relu(net.frozen(y)),
    "normalised": lambda net, _x, y: torch.relu(net.norm(y * 0.5)),
    "sum normalised": lambda net, _x, y: torch.relu(net.norm(y + net.beta)),
    "own module": lambda net, x, y: x + net.scale(y),
    "own activation": lambda net, _x, y: net.curve(y),
    "own normalisation": lambda net, _x, y: torch.relu(net.own(y)),
    "normalised first": lambda net, _x, y: torch.relu(net.norm(y) * 0.5),
}


@pytest.fixture(scope="module")
def exported(nets, tmp_path_factory):
    """A net, and its float file, its weights times a factor in one layer."""

    def export(form, *, bias=True, at="", factor=1.0):
        torch.manual_seed(0)
        net = Net(FORMS[form], bias).eval()
        folder, given = tmp_path_factory.mktemp("scaled"), (torch.from_numpy(ROWS[:2]),)
        with torch.no_grad():
            for name, weight in net.named_parameters():
                weight *= factor if name == f"{at}.weight" else 1.0
            shapes = ({0: torch.export.Dim("batch")},)
            program = torch.onnx.export(net, given, dynamo=True, dynamic_shapes=shapes, verbose=False)
            path = nets.saved(program.model_proto, folder, "float.onnx")
            for name, weight in net.named_parameters():
                weight /= factor if name == f"{at}.weight" else 1.0
        return net, path

    return export


def assert_compared(found):
    assert [one.layer for one in found.unmatched if one.model == "reference"] == []
    assert [check.reason for check in found.validity if not check.passed] == []
    assert found.sqnr > 25
    weighted = {row.layer: row for row in found.rows if row.weight_sqnr is not None}
    assert list(weighted) == ["first", "second", "head"]
    assert all(row.weight_sqnr > 30 for row in weighted.values())


def slow_but(forms, fast):
    return [pytest.param(form, marks=() if form in fast else pytest.mark.slow) for form in forms]


@pytest.mark.filterwarnings("ignore")  # the exporter's own
@pytest.mark.parametrize("bias", [True, pytest.param(False, marks=pytest.mark.slow)])
@pytest.mark.parametrize(
    "form", slow_but(FORMS, ["residual", "affine", "normalised", "own activation", "own normalisation"])
)
def test_a_build_is_compared_behind_the_constants(exported, form, bias):
    net, plain = exported(form, bias=bias)
    for method in ("static", "dynamic", "qoperator"):
        made = quantize(plain, ROWS, method=method)
        assert_compared(layer_errors(net, made, ROWS))
        assert_compared(layer_errors(plain, made, ROWS))
    exact = layer_errors(net, plain, ROWS)
    assert all(min(row.sqnr, row.own_sqnr) > 100 for row in exact.rows)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    "form", slow_but(["residual", "before an activation", "twice", "affine", "frozen"], ["residual"])
)
@pytest.mark.parametrize("layer", ["first", "second", "head"])
def test_weights_that_are_too_large_rank_first(exported, form, layer):
    honest = exported(form)[1]
    net, faulty = exported(form, at=layer, factor=1.3)
    for method in ("static", "qoperator") if layer == "second" else ("static",):
        made = quantize(faulty, ROWS, method=method)
        for reference in (net, honest):
            found = layer_errors(reference, made, ROWS)
            assert found.worst.layer == layer, [(row.label, row.own_sqnr) for row in found.ranking]
            # Noise of 0.3 to a signal of 1.
            assert found.worst.weight_sqnr == pytest.approx(10.46, abs=0.2)


@pytest.mark.filterwarnings("ignore")
def test_a_factor_that_is_changed_is_found_where_it_multiplies(exported, nets, tmp_path):
    net, plain = exported("before an activation")
    model = onnx.load(plain)
    factors = [one for one in model.graph.initializer if len(one.dims) == 0 and one.data_type == onnx.TensorProto.FLOAT]
    (factor,) = (one for one in factors if abs(float(onnx.numpy_helper.to_array(one)) - 0.8) < 1e-6)
    factor.CopyFrom(onnx.numpy_helper.from_array(np.array(0.4, dtype=np.float32), factor.name))
    made = quantize(nets.saved(model, tmp_path), ROWS)
    assert layer_errors(net, made, ROWS).worst.layer == "second"
