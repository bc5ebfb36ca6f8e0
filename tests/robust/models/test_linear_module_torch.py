import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.utils import parametrize

from robust.attacks.accuracy_under_attack import robust_accuracy
from robust.data.live import as_data
from robust.models.conversion import as_model
from robust.models.linear_module_torch import affine_of


class Codes(torch.Tensor):
    """Codes with a scale, as a tensor of its own type: what it holds is not what `numpy` would read."""

    @staticmethod
    def __new__(cls, codes, scale):
        return torch.Tensor._make_wrapper_subclass(cls, codes.shape, dtype=torch.float32)

    def __init__(self, codes, scale):
        self.codes, self.scale = codes, scale

    @classmethod
    def __torch_dispatch__(cls, func, types, args=(), kwargs=None):
        if func is torch.ops.aten.detach.default:
            return cls(args[0].codes, args[0].scale)
        plain = [one.codes.float() * one.scale if isinstance(one, Codes) else one for one in args]
        return func(*plain, **(kwargs or {}))


def coded(layer):
    """The layer with its weights as codes."""
    scale = float(layer.weight.detach().abs().max()) / 127
    codes = (layer.weight.detach() / scale).round().to(torch.int8)
    layer.weight = nn.Parameter(Codes(codes, scale), requires_grad=False)
    return layer


class Same(nn.Module):
    def forward(self, x):
        return x


@pytest.fixture
def data():
    rng = np.random.default_rng(0)
    x = rng.random((60, 8)).astype(np.float32)
    return as_data(x, (x[:, 0] > x[:, 1]).astype(int), schema={"bounds": (0, 1)})


def layer():
    torch.manual_seed(0)
    return nn.Linear(8, 2)


def test_two_layers_are_one_map():
    one, two = nn.Linear(3, 4).double(), nn.Linear(4, 2, bias=False).double()
    weights, bias = affine_of(nn.Sequential(nn.Flatten(), one, nn.Dropout(), two, nn.Softmax(1)))
    x = np.random.default_rng(0).normal(size=(5, 3))
    with torch.no_grad():
        wanted = two(one(torch.tensor(x))).numpy()
    np.testing.assert_allclose(x @ weights.T + bias, wanted, rtol=1e-12)


def parametrized():
    found = layer()
    parametrize.register_parametrization(found, "weight", Same())
    return found


@pytest.mark.parametrize(
    "module",
    [
        coded(layer()),
        nn.Sequential(nn.Flatten(), coded(layer())),
        layer().to("meta"),
        parametrized(),
    ],
    ids=["codes", "codes inside", "meta", "parametrized"],
)
def test_weights_that_are_no_plain_tensors_are_no_map_that_can_be_read(module):
    assert affine_of(module) is None


def test_accuracy_under_attack_of_weights_of_another_type(data):
    plain, net = layer(), coded(layer())
    plain.weight.data = net.weight.codes.float() * net.weight.scale
    found = robust_accuracy(as_model(net, output="logits", task="classification"), data, eps=0.05)
    wanted = robust_accuracy(as_model(plain, output="logits", task="classification"), data, eps=0.05)
    assert found.value == wanted.value


def test_accuracy_under_attack_of_torchao_weights(data):
    quantization = pytest.importorskip("torchao.quantization")
    net = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 2)), nn.Sequential(layer())
    for module in net:
        quantization.quantize_(module, quantization.Int8WeightOnlyConfig())
        assert affine_of(module) is None
        found = robust_accuracy(as_model(module, output="logits", task="classification"), data, eps=0.05)
        assert 0 <= found.value <= 1
