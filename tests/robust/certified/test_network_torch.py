import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from robust.certified.accuracy_proved import certified_accuracy
from robust.certified.interval_bounds import interval_bounds
from robust.certified.network import Network
from robust.certified.network_torch import torch_network
from robust.certified.unsupported import Unsupported
from robust.data.live import as_data
from robust.models.conversion import as_model


class Functional(nn.Module):
    """Everything by functions and methods."""

    def __init__(self):
        super().__init__()
        self.conv, self.last = nn.Conv2d(1, 4, 3, padding="same"), nn.Linear(4, 3)

    def forward(self, x):
        x = functional.max_pool2d(functional.leaky_relu(self.conv(x * 2.0 - 1.0), 0.1), 2)
        x = functional.dropout(functional.avg_pool2d(x, 2, padding=1, count_include_pad=False), training=self.training)
        x = functional.adaptive_avg_pool2d(x.relu() + 0.5, (1, 1))
        return functional.log_softmax(self.last(x.view(x.size(0), -1)), dim=1)


def inside(net, shape, read, answer, *, tail="none"):
    x = np.random.default_rng(0).normal(size=(40, int(np.prod(shape)))).astype(np.float32)
    network, changes = read(net, shape, x, eps=0.0)
    assert isinstance(network, Network)
    assert network.tail == tail
    bounds = interval_bounds(network, changes)
    outputs = answer(net, shape, x)
    middle = (bounds.lower[-1] + bounds.upper[-1]) / 2
    if tail == "log_softmax":
        middle = middle - np.log(np.exp(middle).sum(axis=1, keepdims=True))
    np.testing.assert_allclose(middle, outputs, atol=2e-5)


@pytest.mark.parametrize("kind", ["dense", "leaky", "residual", "pooled", "series"])
def test_layers_are_read(make, read, answer, kind):
    inside(*make(kind, 7), read, answer)


def test_functions_and_methods_are_read(read, answer):
    torch.manual_seed(0)
    inside(Functional().eval(), (1, 6, 6), read, answer, tail="log_softmax")


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (nn.AdaptiveAvgPool2d((2, None)), (2, 5, 3)),
        (nn.AvgPool2d(3, stride=2, padding=1), (2, 5, 3)),
        (nn.MaxPool1d(3, stride=2, ceil_mode=True), (2, 6)),
        (nn.Conv1d(2, 4, 3, padding="same", bias=False), (2, 6)),
        (nn.Sequential(nn.Flatten(), nn.Unflatten(1, (2, 3)), nn.Conv1d(2, 2, 2)), (6,)),
        (nn.BatchNorm2d(2, affine=False), (2, 3, 3)),
        (nn.Identity(), (2, 3)),
    ],
)
def test_single_layers_are_read(read, answer, layer, shape):
    torch.manual_seed(0)
    inside(nn.Sequential(layer, nn.Flatten()).eval(), shape, read, answer)


@pytest.mark.parametrize("kind", ["dense", "leaky", "pooled", "series"])
def test_exported_programs_are_read(make, read, kind):
    net, shape = make(kind, 7)
    x = np.random.default_rng(0).normal(size=(4, int(np.prod(shape)))).astype(np.float32)
    example = torch.from_numpy(x).reshape(4, *shape)
    program = torch.export.export(net, (example,), dynamic_shapes=({0: torch.export.Dim("batch")},))
    data = as_data(x.reshape(4, *shape), net(example).argmax(dim=1).numpy())
    found = certified_accuracy(as_model(program, output="logits"), data, eps=0.02, method="linear")
    own = certified_accuracy(as_model(net, output="logits"), data, eps=0.02, method="linear")
    np.testing.assert_array_equal(found.row_values, own.row_values)


def test_functions_with_weights_are_read(read, answer):
    torch.manual_seed(0)

    class Weights(nn.Module):
        def __init__(self):
            super().__init__()
            self.kernel, self.matrix = nn.Parameter(torch.randn(3, 2, 3)), nn.Parameter(torch.randn(2, 12))
            self.register_buffer("mean", torch.randn(3))
            self.register_buffer("spread", torch.rand(3) + 0.5)

        def forward(self, x):
            x = functional.conv1d(x, self.kernel, stride=2, padding=1)
            x = functional.batch_norm(x, self.mean, self.spread, eps=0.1)
            return functional.linear(functional.relu(x).flatten(1), self.matrix)

    inside(Weights().eval(), (2, 8), read, answer)


def test_a_maximum_of_rectifiers_becomes_a_rectified_maximum(make, read):
    network, _ = read(*make("pooled", 0), np.zeros((1, 32)), eps=0.1)
    names = [type(node.operator).__name__ for node in network.nodes]
    assert names[1:5] == ["Dense", "Scaling", "Maximum", "Rectifier"]


class Branching(nn.Module):
    def forward(self, x):
        return x if x.sum() > 0 else -x


class Product(nn.Module):
    def forward(self, x):
        return x * x


class Half(nn.Module):
    def forward(self, x):
        return x.to(torch.float16).to(torch.float32)


class Drop(nn.Module):
    def forward(self, x):
        return functional.dropout(x, 0.5)


class Cut(nn.Module):
    def forward(self, x):
        return x.reshape(1, -1)


class Between(nn.Module):
    """Some operator between two layers."""

    def __init__(self, call):
        super().__init__()
        self.call, self.first, self.last = call, nn.Linear(2, 2), nn.Linear(2, 2)

    def forward(self, x):
        return self.last(self.call(self.first(x)))


OPERATORS = {
    "tanh": torch.tanh,
    "clamp": lambda x: torch.clamp(x, -1, 1),
    "exp": torch.exp,
    "pow": lambda x: torch.pow(x, 2),
    "sin": torch.sin,
    "round": torch.round,
    "floor": torch.floor,
    "remainder": lambda x: torch.remainder(x, 1),
    "min": lambda x: torch.min(x, torch.zeros(1)),
    "max": lambda x: x - torch.max(x, 1, keepdim=True)[0],
    "sort": lambda x: torch.sort(x, 1)[0],
    "chunk": lambda x: torch.cat(torch.chunk(x, 2, 1), 1),
    "split": lambda x: torch.cat(x.split(1, 1), 1),
    "fake_quantize_per_tensor_affine": lambda x: torch.fake_quantize_per_tensor_affine(x, 0.1, 0, -128, 127),
}


# torch exports all of them but one.
@pytest.mark.parametrize(
    ("name", "kind"),
    [
        *[(name, "module") for name in OPERATORS],
        *[(name, "program") for name in OPERATORS if not name.startswith("fake")],
    ],
)
def test_operators_without_bounds_are_refused_by_name(read, name, kind):
    net = Between(OPERATORS[name]).eval()
    if kind == "program":
        rows = torch.export.Dim("rows", min=1, max=1024)
        net = torch.export.export(net, (torch.zeros(4, 2),), dynamic_shapes=({0: rows},)).module()
    # Of the minimum, exported with its second term, the term comes first: a tensor that is made on the way.
    named = "a tensor made by zeros" if (name, kind) == ("min", "program") else name
    with pytest.raises(Unsupported, match=rf"^{named}\b.* has no bounds here"):
        read(net, (2,), np.zeros((2, 2)), eps=0.1)


def test_what_torch_prints_of_a_module_that_cannot_be_traced_is_not_shown(read, capfd):
    with pytest.raises(Unsupported, match=r"code that torch.fx cannot trace"):
        read(Between(lambda x: (x, x)).eval(), (2,), np.zeros((2, 2)), eps=0.1)
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize(
    ("net", "told"),
    [
        (nn.Sequential(nn.Linear(2, 2), nn.GELU()), r"GELU \(layer '0.1'\) has no bounds"),
        (nn.Sequential(nn.Linear(2, 2), nn.Tanh(), nn.Linear(2, 2)), r"Tanh \(layer"),
        (nn.Sequential(nn.Softmax(dim=1), nn.Linear(2, 2)), r"Linear \(layer '0.1'\) behind softmax"),
        (nn.Sequential(nn.Linear(2, 2), nn.LeakyReLU(-0.1)), "a leaky ReLU of slope -0.1"),
        (nn.Sequential(nn.Linear(2, 2), nn.Sigmoid()), r"Sigmoid \(layer '0.1'\) of 2 values"),
        (nn.Sequential(nn.BatchNorm1d(2, track_running_stats=False)), "the batch's own statistics"),
        (Branching(), "code that torch.fx cannot trace"),
        (Product(), "mul of two values of the network"),
        (Half(), "to in another precision"),
        (Drop(), "dropout that stays on"),
        (Cut(), "reshape that moves values between rows"),
        (nn.Linear(2, 2).to(torch.bfloat16), "arithmetic in bfloat16"),
    ],
)
def test_what_has_no_bounds_is_named_with_a_remedy(read, net, told):
    with pytest.raises(Unsupported, match=told) as found:
        read(net.eval(), (2,), np.zeros((2, 2)), eps=0.1)
    assert 'method="smoothing" takes any classifier' in str(found.value)


def test_a_hook_that_changes_answers_is_found():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(2, 2), nn.ReLU(), nn.Linear(2, 2))
    data = as_data(np.random.default_rng(0).normal(size=(20, 2)), np.arange(20) % 2)
    certified_accuracy(as_model(net, output="logits"), data, eps=0.1)
    handle = net[0].register_forward_hook(lambda *_: None)
    certified_accuracy(as_model(net, output="logits"), data, eps=0.1)
    handle.remove()
    net[0].register_forward_hook(lambda _module, _inputs, outputs: outputs + 1.0)
    with pytest.raises(Unsupported, match="gives other answers than the operators that it is made of, on 20 rows"):
        certified_accuracy(as_model(net, output="logits"), data, eps=0.1)


def test_a_module_in_training_mode_is_proved_as_it_is_used_and_left_as_it_was():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(3, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.9), nn.Linear(8, 2)).train()
    data = as_data(np.random.default_rng(0).normal(size=(20, 3)), np.arange(20) % 2)
    assert 0.0 <= certified_accuracy(as_model(net, output="logits"), data, eps=0.01).value <= 1.0
    assert all(module.training for module in net.modules())


class Packed(torch.Tensor):
    """A type of its own, which says itself how it multiplies."""


@pytest.mark.parametrize("own", [Packed(torch.eye(4)), torch.eye(4).to_sparse()], ids=["type", "layout"])
def test_weights_that_cannot_be_read_are_named(own):
    net = nn.Sequential(nn.Linear(4, 4, bias=False), nn.ReLU())
    assert torch_network(net, (4,), np.dtype(np.float32)).nodes
    net[0].weight = nn.Parameter(own, requires_grad=False)
    with pytest.raises(Unsupported, match="a weight held as .* has no bounds here"):
        torch_network(net, (4,), np.dtype(np.float32))
