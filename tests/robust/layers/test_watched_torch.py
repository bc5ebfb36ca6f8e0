"""Torch modules: which layers they have, what these hold, and that nothing is left behind."""

import copy
import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from robust.errors import InvalidInput, ModelFault
from robust.layers.layer_error import layer_errors
from robust.layers.opening import watched
from robust.layers.point_sums import decibels
from robust.models.conversion import as_model
from robust.models.loading import load_model


@torch.no_grad()
def rounded(weight, bits=8):
    scale = weight.abs().amax(dim=tuple(range(1, weight.ndim))) / (2 ** (bits - 1) - 1)
    low, high = -(2 ** (bits - 1)), 2 ** (bits - 1) - 1
    zeros = torch.zeros(len(scale), dtype=torch.int32)
    return torch.fake_quantize_per_channel_affine(weight, scale, zeros, 0, low, high)


def fake_quantized(module, bits=8):
    """A copy with rounded weights."""
    found = copy.deepcopy(module)
    with torch.no_grad():
        for part in found.modules():
            if isinstance(part, nn.Conv2d | nn.Linear):
                part.weight.copy_(rounded(part.weight, bits))
    return found


class Residual(nn.Module):
    """Functional activations, one in place, a sum and a concatenation."""

    def __init__(self):
        super().__init__()
        self.c1, self.c2 = nn.Conv2d(1, 8, 3, padding=1), nn.Conv2d(8, 8, 3, padding=1)
        self.norm, self.c3, self.fc = nn.BatchNorm2d(8), nn.Conv2d(16, 4, 1), nn.Linear(4 * 64, 10)

    def forward(self, x):
        first = F.relu(self.c1(x))
        second = F.relu(self.norm(self.c2(first)), inplace=True)
        both = torch.cat([first + second, second], 1)
        return self.fc(torch.clamp(self.c3(both), min=0).flatten(1))


@pytest.fixture
def residual():
    torch.manual_seed(0)
    module = Residual().eval()
    with torch.no_grad():
        module.norm.running_var.mul_(3.0)
        module.norm.running_mean.add_(0.2)
    return module


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).random((48, 1, 8, 8)).astype(np.float32)


@pytest.fixture(scope="module")
def digits_net(digits):
    from robust.models.base import adapter_of

    return adapter_of(load_model(digits / "net.safetensors", factory="robust.examples.digits_torch:small_cnn")).module


def blocks(module, x, other=None):
    return watched(as_model(module), as_model(module if other is None else other), x[:3]).blocks


def by_layer(found):
    return {row.layer: row for row in found.rows}


def test_layers_end_after_normalisation_and_activation(residual, images):
    found = blocks(residual, images)
    assert [(block.name, block.end, block.activations) for block in found] == [
        ("c1", "relu()#1", ("relu",)),
        ("c2", "relu()#2", ("relu",)),
        ("c3", "clamp()#1", ("relu",)),
        ("fc", "fc#1", ()),
    ]
    assert found[2].feeds == ("relu()#2", "relu()#1")
    assert found[0].feeds == ("(input)",)
    assert found[1].fold is not None
    assert found[0].fold is None


def test_values_are_those_of_a_run_by_hand(residual, images):
    with torch.no_grad():
        x = torch.from_numpy(images)
        first = F.relu(residual.c1(x))
        second = F.relu(residual.norm(residual.c2(first)))
        third = F.relu(residual.c3(torch.cat([first + second, second], 1)))
    seen = watched(as_model(residual), as_model(residual), images[:3])
    values = seen.values(images, [block.end for block in seen.blocks])
    for key, wanted in (("relu()#1", first), ("relu()#2", second), ("clamp()#1", third)):
        np.testing.assert_array_equal(values[key], wanted.double().numpy())


def test_own_errors_are_those_of_a_run_by_hand(residual, images):
    other = fake_quantized(residual, bits=6)
    with torch.no_grad():
        x = torch.from_numpy(images)
        first = F.relu(other.c1(x))
        second = F.relu(other.norm(other.c2(first)))
        third = F.relu(other.c3(torch.cat([first + second, second], 1)))
        pairs = {
            "c1": (F.relu(residual.c1(x)), first),
            "c2": (F.relu(residual.norm(residual.c2(first))), second),
            "c3": (F.relu(residual.c3(torch.cat([first + second, second], 1))), third),
            "fc": (residual.fc(third.flatten(1)), other.fc(third.flatten(1))),
        }
    rows = by_layer(layer_errors(residual, other, images))
    for name, (r, q) in pairs.items():
        r, q = r.double(), q.double()
        wanted = decibels(float((r**2).sum()), float(((r - q) ** 2).sum()))
        assert rows[name].own_sqnr == pytest.approx(wanted, abs=1e-3), name
        assert rows[name].own_max_error == pytest.approx(float((r - q).abs().max()), rel=1e-4)


def test_a_fault_is_found_where_it_is(residual, images):
    for name in ("c1", "c2", "c3", "fc"):
        other = fake_quantized(residual)
        with torch.no_grad():
            other.get_submodule(name).weight.mul_(1.5)
        found = layer_errors(residual, other, images)
        assert found.worst.layer == name
        assert found.worst.own_sqnr < 15 < found.ranking[1].own_sqnr
        assert found.worst.weight_sqnr == pytest.approx(20 * math.log10(1 / 0.5), abs=0.2)


def test_a_module_against_itself_is_exact(residual, images):
    found = layer_errors(residual, residual, images)
    assert all(row.sqnr == row.own_sqnr == math.inf for row in found.rows)
    assert all(check.passed for check in found.validity)


def test_nothing_is_left_behind(residual, images):
    residual.train()
    residual.c1.eval()
    before = {name: value.clone() for name, value in residual.state_dict().items()}
    layer_errors(residual, fake_quantized(residual), images)
    assert not any(part._forward_hooks or part._forward_pre_hooks for part in residual.modules())
    assert all(torch.equal(value, before[name]) for name, value in residual.state_dict().items())
    assert residual.training
    assert not residual.c1.training


class Breaks(nn.Module):
    """Raises when it has been called often enough."""

    def __init__(self, after):
        super().__init__()
        self.fc, self.calls, self.after = nn.Linear(4, 3), 0, after

    def forward(self, x):
        self.calls += 1
        if self.calls > self.after:
            raise RuntimeError("no more")
        return self.fc(x)


@pytest.mark.parametrize("after", [0, 1, 2, 3, 4])
def test_hooks_are_gone_after_an_error(after):
    module = nn.Sequential(nn.Linear(4, 4), Breaks(after)).train()
    with pytest.raises(ModelFault, match=r"Sequential raised while its layers were watched: RuntimeError: no more"):
        layer_errors(module, copy.deepcopy(module), np.ones((8, 4), dtype=np.float32))
    assert not any(part._forward_hooks or part._forward_pre_hooks for part in module.modules())
    assert module.training
    assert torch.overrides._get_current_function_mode() is None


def test_a_torch_net_against_its_onnx_builds(digits, digits_net, x):
    exact = layer_errors(digits_net, digits / "float.onnx", x)
    assert [row.label for row in exact.rows] == [
        *("0 (Conv2d)", "3 (MaxPool2d)", "4 (Conv2d)", "7 (MaxPool2d)", "9 (Linear)")
    ]
    assert all(row.sqnr > 100 for row in exact.rows)
    assert exact.unmatched == ()
    # The file's weights have the normalisations folded in.
    assert all(row.weight_sqnr > 100 for row in exact.rows if row.weight_sqnr is not None)
    one, other = (by_layer(layer_errors(net, digits / "int8.onnx", x)) for net in (digits_net, digits / "float.onnx"))
    for name in "049":
        assert one[name].sqnr == pytest.approx(other[name].sqnr, abs=1e-3)
        assert one[name].own_sqnr == pytest.approx(other[name].own_sqnr, abs=1e-3)
        assert one[name].weight_sqnr == pytest.approx(other[name].weight_sqnr, abs=1e-3)
    assert one["4"].loss == pytest.approx(other["4"].loss, abs=1e-3)


def test_an_onnx_file_against_a_torch_candidate(digits, digits_net, x):
    found = layer_errors(digits / "float.onnx", fake_quantized(digits_net, bits=4), x)
    rows = by_layer(found)
    assert [row.kind for row in found.rows] == ["Conv", "MaxPool", "Conv", "MaxPool", "Gemm"]
    assert all(10 < rows[name].weight_sqnr < 30 for name in "049")
    assert rows["4"].matched_by == "module name"


@pytest.mark.filterwarnings("ignore")  # torchao's own imports warn
def test_torchao_quantizes_the_linear_layers_alone(digits_net, x):
    from torchao.quantization import Int8WeightOnlyConfig, quantize_

    other = copy.deepcopy(digits_net)
    quantize_(other, Int8WeightOnlyConfig())
    found = layer_errors(digits_net, other, x)
    rows = by_layer(found)
    assert rows["0"].own_sqnr == rows["4"].own_sqnr == math.inf
    assert found.worst.layer == "9"
    assert 30 < rows["9"].weight_sqnr < 60
    assert found.sqnr.value == pytest.approx(rows["9"].sqnr)
    assert "4 layers of 5 add no error of their own" in found.findings


class FakeQuantize(nn.Module):
    """A quantizer of activations, as a module."""

    def __init__(self, scale):
        super().__init__()
        self.scale = scale

    def forward(self, x):
        return torch.fake_quantize_per_tensor_affine(x, self.scale, 0, -128, 127)


class Wrapped(nn.Module):
    """A layer between quantizers."""

    def __init__(self, inner, scale):
        super().__init__()
        self.inner, self.after = inner, FakeQuantize(scale)

    def forward(self, x):
        return self.after(F.linear(x, rounded(self.inner.weight), self.inner.bias))


def test_what_is_one_layer_in_one_model_is_one_in_the_other():
    torch.manual_seed(1)
    net = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 3)).eval()
    other = copy.deepcopy(net)
    other[0] = Wrapped(other[0], 0.02)
    other[2] = nn.Sequential(other[2], FakeQuantize(0.02))
    x = np.random.default_rng(0).normal(size=(40, 6)).astype(np.float32)
    found = layer_errors(net, other, x)
    assert [row.layer for row in found.rows] == ["0", "2"]
    assert all(20 < row.own_sqnr < 60 for row in found.rows)
    # Weights as they are applied, not as they are stored.
    weight = net[0].weight.detach().double()
    noise = weight - rounded(net[0].weight).double()
    wanted = decibels(float((weight**2).sum()), float((noise**2).sum()))
    assert found.rows[0].weight_sqnr == pytest.approx(wanted, abs=1e-6)


def test_a_layer_that_is_called_twice_is_two():
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc = nn.Linear(5, 5)

        def forward(self, x):
            return self.fc(torch.tanh(self.fc(x)))

    torch.manual_seed(2)
    net = Twice().eval()
    found = layer_errors(net, fake_quantized(net), np.random.default_rng(0).normal(size=(30, 5)).astype(np.float32))
    assert [row.label for row in found.rows] == ["fc (Linear)", "fc (call 2) (Linear)"]
    assert [row.point for row in found.rows] == ["tanh()#1", "fc#2"]


def test_attention_and_recurrence():
    class Text(nn.Module):
        def __init__(self):
            super().__init__()
            self.embed, self.lstm = nn.Embedding(20, 8), nn.LSTM(8, 8, batch_first=True)
            self.block = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
            self.fc = nn.Linear(8, 3)

        def forward(self, x):
            states, _ = self.lstm(self.embed(x))
            return self.fc(self.block(states).mean(1))

    torch.manual_seed(3)
    net = Text().eval()
    other = fake_quantized(net, bits=4)
    found = layer_errors(net, other, np.random.default_rng(0).integers(0, 20, size=(32, 7)))
    rows = by_layer(found)
    assert {"embed", "lstm", "block.self_attn", "block.linear1", "block.linear2", "fc"} <= set(rows)
    assert rows["embed"].own_sqnr == rows["lstm"].own_sqnr == math.inf
    # Attention has a linear layer inside, which is rounded too.
    assert {row.layer for row in found.ranking[:4]} == {"block.self_attn", "block.linear1", "block.linear2", "fc"}


def test_modules_without_common_names_or_activations():
    x = np.ones((8, 4), dtype=np.float32)
    net = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 2)).eval()
    other = nn.Sequential(nn.Linear(4, 4), nn.Sigmoid(), nn.Linear(4, 2)).eval()
    found = layer_errors(net, other, x)
    assert found.unmatched == ()
    assert [row.point for row in found.rows] == ["0#1", "2#1"]  # before activations that are not the same
    same = layer_errors(net, copy.deepcopy(net), x)
    assert [row.point for row in same.rows] == ["1#1", "2#1"]
    assert found.output.label == "2 (Linear)"
    wide = nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 2)).eval()
    with pytest.raises(InvalidInput, match=r"its weights have shape \(4, 4\) in the reference, \(6, 4\) in the cand"):
        layer_errors(net, wide, x)


@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_an_exported_program_is_refused(digits_net, x):
    program = torch.export.export(digits_net, (torch.from_numpy(x),))
    with pytest.raises(InvalidInput, match="an exported program does not show its modules"):
        layer_errors(program, digits_net, x)


class FakeQuantizedLinear(nn.Linear):
    """A layer for all that its class is called, with a quantizer inside."""

    def __init__(self, *sizes):
        super().__init__(*sizes)
        self.activation_fake_quantizer = FakeQuantize(0.05)

    def forward(self, x):
        return F.linear(self.activation_fake_quantizer(x), rounded(self.weight, 3), self.bias)


def test_a_layer_whose_class_is_called_after_its_quantizer():
    torch.manual_seed(4)
    net = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 3)).eval()
    other = copy.deepcopy(net)
    for place in (2, 4):
        layer = FakeQuantizedLinear(*reversed(net[place].weight.shape))
        layer.load_state_dict(net[place].state_dict())
        other[place] = layer
    x = np.random.default_rng(0).normal(size=(200, 6)).astype(np.float32)
    for reference, candidate in ((net, other), (other, net)):
        found = layer_errors(reference, candidate, x)
        assert [row.label for row in found.rows] == ["0 (Linear)", "2 (Linear)", "4 (Linear)"]
        assert found.unmatched == ()
    r, q = (as_model(one).forward(x) for one in (net, other))
    wanted = decibels(float((r**2).sum()), float(((r - q) ** 2).sum()))
    assert layer_errors(net, other, x).output.sqnr == pytest.approx(wanted, abs=1e-4)
    # Two of them: their inner quantizers are no layers.
    assert [row.label for row in layer_errors(other, other, x).rows] == ["0 (Linear)", "2 (Linear)", "4 (Linear)"]


@pytest.mark.filterwarnings("ignore")  # torchao's own imports warn
def test_torchao_prepared_for_training():
    from torchao.quantization import IntxWeightOnlyConfig, PerGroup, quantize_
    from torchao.quantization.qat import QATConfig

    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(16, 32), nn.ReLU(), nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, 3)).eval()
    other = copy.deepcopy(net)
    quantize_(other, QATConfig(IntxWeightOnlyConfig(torch.int2, PerGroup(16)), step="prepare"))
    x = np.random.default_rng(0).normal(size=(400, 16)).astype(np.float32)
    found = layer_errors(net, other, x, rows=None)
    assert [row.layer for row in found.rows] == ["0", "2", "4"]
    assert (found.sqnr > 20).status == "FAIL"
    assert all(row.weight_sqnr < 15 for row in found.rows)


class Held(nn.Module):
    """Weights that the module itself applies, before and after a layer."""

    def __init__(self):
        super().__init__()
        self.first, self.inner, self.last = (
            nn.Parameter(torch.randn(6, 8)),
            nn.Linear(8, 8),
            nn.Parameter(torch.randn(8, 3)),
        )

    def forward(self, x):
        return torch.relu(self.inner(torch.relu(x @ self.first))) @ self.last


@pytest.mark.parametrize("name", ["first", "last"])
def test_weights_of_the_module_itself_are_layers(name):
    torch.manual_seed(5)
    net = Held().eval()
    other = copy.deepcopy(net)
    getattr(other, name).data.mul_(2).round_().div_(2)
    found = layer_errors(net, other, np.random.default_rng(0).normal(size=(100, 6)).astype(np.float32))
    assert [row.label for row in found.rows] == ["(root).first (matmul)", "inner (Linear)", "(root).last (matmul)"]
    assert found.worst.layer == f"(root).{name}"
    assert [row.layer for row in found.rows if row.own_sqnr < math.inf] == [f"(root).{name}"]
    weight = getattr(net, name).detach().double()
    noise = float(((weight - getattr(other, name).detach().double()) ** 2).sum())
    assert found.worst.weight_sqnr == pytest.approx(decibels(float((weight**2).sum()), noise), abs=1e-6)


def test_what_follows_the_last_layer_is_the_output_s():
    class Scaled(nn.Module):
        def __init__(self, scale):
            super().__init__()
            self.fc, self.scale = nn.Linear(6, 3), scale

        def forward(self, x):
            return self.fc(x).exp() * self.scale

    torch.manual_seed(6)
    net, other = Scaled(1.0).eval(), Scaled(1.1).eval()
    other.load_state_dict(net.state_dict())
    found = layer_errors(net, other, np.random.default_rng(0).normal(size=(500, 6)).astype(np.float32), rows=None)
    assert [row.label for row in found.rows] == ["fc (Linear)", "(output) (Output)"]
    assert found.output.own_sqnr == pytest.approx(20.0, abs=1e-4) == found.sqnr.value
    assert found.rows[1].before == found.rows[0].sqnr == math.inf
    assert (found.sqnr > 15).status == "INVALID"
    assert (found.sqnr > 25).status == "FAIL"
    assert all(check.passed for check in layer_errors(net, net, np.ones((9, 6), dtype=np.float32)).validity)


class Recurrent(nn.Module):
    """An LSTM, attention and a mean over time."""

    def __init__(self):
        super().__init__()
        self.lstm = nn.LSTM(6, 8, batch_first=True)
        self.attention, self.fc = nn.MultiheadAttention(8, 2, batch_first=True), nn.Linear(8, 3)

    def forward(self, x):
        states, _ = self.lstm(x)
        return self.fc(self.attention(states, states, states)[0].mean(1))


@pytest.mark.filterwarnings("ignore")  # the exporter's own
def test_whole_modules_against_the_operators_that_they_become(nets, tmp_path):
    from robust.quantizers.building import quantize

    torch.manual_seed(0)
    net = Recurrent().eval()
    x = np.random.default_rng(0).normal(size=(48, 5, 6)).astype(np.float32)
    shapes = ({0: torch.export.Dim("batch")},)
    program = torch.onnx.export(net, (torch.from_numpy(x[:2]),), dynamo=True, dynamic_shapes=shapes, verbose=False)
    plain = nets.saved(program.model_proto, tmp_path, "float.onnx")
    labels = ["lstm (LSTM)", "attention (MultiheadAttention)", "fc (Linear)"]
    for one, other in ((net, plain), (plain, net)):
        exact = layer_errors(one, other, x)
        assert [row.layer for row in exact.rows if row.layer in ("lstm", "attention", "fc")] == [
            "lstm",
            "attention",
            "fc",
        ]
        assert all(row.sqnr > 100 and row.own_sqnr > 100 for row in exact.rows)
    found = layer_errors(net, quantize(plain, x), x)
    assert [row.label for row in found.rows if row.layer != "(input)"] == labels
    assert all(check.passed for check in found.validity)
    with torch.no_grad():
        states = net.lstm(torch.from_numpy(x))[0].numpy().astype(np.float64)
    assert found.rows[0].shape == states.shape[1:]
    assert by_layer(found)["lstm"].mean_error < 0.1 * np.abs(states).mean()


def test_a_single_layer_is_a_net():
    net = nn.Linear(4, 2).eval()
    found = layer_errors(net, fake_quantized(net), np.random.default_rng(0).normal(size=(20, 4)).astype(np.float32))
    assert [row.label for row in found.rows] == ["Linear (Linear)"]
    assert found.rows[0].own_sqnr > 30


class Basic(nn.Module):
    """A residual block."""

    def __init__(self, inner, outer, stride):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(inner, outer, 3, stride, 1, bias=False), nn.BatchNorm2d(outer)
        self.conv2, self.bn2 = nn.Conv2d(outer, outer, 3, 1, 1, bias=False), nn.BatchNorm2d(outer)
        self.down = nn.Sequential(nn.Conv2d(inner, outer, 1, stride, bias=False), nn.BatchNorm2d(outer))

    def forward(self, x):
        return F.relu(self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x))))) + self.down(x))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # the exporter's own
def test_a_residual_net_against_its_own_exports(nets, tmp_path):
    torch.manual_seed(0)
    stem = nn.Sequential(nn.Conv2d(3, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU(inplace=True))
    body = nn.Sequential(Basic(16, 16, 1), Basic(16, 32, 2))
    net = nn.Sequential(stem, body, nn.Hardswish(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(32, 10)).eval()
    for part in net.modules():
        if isinstance(part, nn.BatchNorm2d):
            nn.init.uniform_(part.running_var, 0.5, 2.0)
    x = np.random.default_rng(0).normal(size=(64, 3, 16, 16)).astype(np.float32)
    shapes = ({0: torch.export.Dim("batch")},)
    program = torch.onnx.export(net, (torch.from_numpy(x[:2]),), dynamo=True, dynamic_shapes=shapes, verbose=False)
    plain = nets.saved(program.model_proto, tmp_path, "float.onnx")
    built = nets.saved(nets.quantized(program.model_proto, x, tmp_path), tmp_path, "int8.onnx")
    weighted = ["0.0", *(f"1.{i}.{part}" for i in (0, 1) for part in ("conv1", "conv2", "down.0")), "5"]
    exact = layer_errors(net, plain, x)
    assert [row.layer for row in exact.rows if row.weight_sqnr is not None] == weighted
    assert all(row.sqnr > 100 and row.own_sqnr > 100 for row in exact.rows)
    for reference in (net, plain):
        found = layer_errors(reference, built, x)
        assert set(weighted) <= set(by_layer(found))
        assert all(row.sqnr > 30 and row.own_sqnr > 30 for row in found.rows)
        assert all(check.passed for check in found.validity)
        # A fault in one of its layers is found there, by the module's name.
        broken, _, _ = nets.planted(built.read_bytes(), 5, kinds=("weight",))
        worst = layer_errors(reference, nets.saved(broken, tmp_path, "broken.onnx"), x).worst
        assert worst.weight_sqnr < 10
