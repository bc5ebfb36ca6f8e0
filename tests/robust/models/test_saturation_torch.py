import numpy as np
import pytest
import torch
from torch import nn

from robust.attacks.accuracy_under_attack import robust_accuracy
from robust.attacks.pgd import PGD
from robust.data.live import as_data
from robust.models.conversion import as_model


class Squeezed(nn.Module):
    """One logit, squeezed to a column of numbers, and to a probability where that is asked for."""

    def __init__(self, net, *, last=True):
        super().__init__()
        self.net, self.last = net, last

    def forward(self, x):
        z = self.net(x)[:, 0]
        return torch.sigmoid(z).unsqueeze(1) if self.last else z


def steep(scale, kind=torch.float32):
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 1)).to(kind)
    with torch.no_grad():
        net[2].weight.mul_(scale)
        net[2].bias.mul_(scale)
    return net.eval()


def slopes(module, x, flow):
    return as_model(module, output="probabilities", task="classification").gradients(x, lambda outputs: flow(outputs))


@pytest.mark.parametrize("kind", [torch.float32, torch.float64])
def test_where_a_sigmoid_is_saturated_the_slope_is_that_of_the_logit(kind):
    net = steep(1e4, kind)
    x = np.random.default_rng(0).random((50, 4))
    outputs, found = slopes(Squeezed(net), x, lambda p: 1e37 * np.ones_like(p))
    lost = (outputs == 0) | (outputs == 1)
    assert lost.mean() > 0.8
    logits = as_model(Squeezed(net, last=False), output="logits", task="classification")
    _, own = logits.gradients(x, np.ones_like)
    gone = lost[:, 0]
    np.testing.assert_allclose(
        found[gone] / np.abs(found[gone]).max(axis=1, keepdims=True),
        own[gone] / np.abs(own[gone]).max(axis=1, keepdims=True),
        rtol=1e-3,
    )


def test_elsewhere_nothing_changes():
    net = steep(1.0)
    x = np.random.default_rng(0).random((50, 4)).astype(np.float32)
    outputs, found = slopes(Squeezed(net), x, np.ones_like)
    leaf = torch.from_numpy(x).requires_grad_()
    torch.sigmoid(net(leaf)).sum().backward()
    assert (outputs > 0).all() and (outputs < 1).all()  # noqa: PT018 - one statement
    np.testing.assert_allclose(found, leaf.grad.numpy(), rtol=1e-6)


@pytest.mark.parametrize("scale", [30.0, 1e3, 1e5])
def test_saturated_probabilities_hide_nothing_and_are_honest(scale):
    net = steep(scale)
    x = np.random.default_rng(1).random((200, 4)).astype(np.float32)
    with torch.no_grad():
        z = net(torch.from_numpy(x))[:, 0].numpy()
        net[2].bias.sub_(float(np.median(z)))
        y = (net(torch.from_numpy(x))[:, 0].numpy() > 0).astype(int)
    data = as_data(x, y, schema={"bounds": (0, 1)})
    plain = robust_accuracy(as_model(Squeezed(net, last=False), output="logits", task="classification"), data, eps=0.05)
    for asked in ({"eps": 0.05}, {"attack": PGD(eps=0.05)}):
        m = robust_accuracy(as_model(Squeezed(net), output="probabilities"), data, **asked)
        assert m.value == pytest.approx(plain.value, abs=0.011)
        assert [check.name for check in m.validity if not check.passed and check.bias != "none"] == []
