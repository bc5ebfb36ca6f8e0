"""Slopes that gradients do not tell: bins beside a smooth summary, leaks, and honest networks of few bits."""

import re

import numpy as np
import pytest
import torch
from torch import nn

from robust.attacks.accuracy_under_attack import robust_accuracy
from robust.attacks.faint_features import faint_features
from robust.attacks.fgsm import FGSM
from robust.attacks.pgd import PGD
from robust.attacks.probe import probed
from robust.attacks.target import aim
from robust.data.live import as_data
from robust.models.conversion import as_model


class Binned(nn.Module):
    """A network on features in sixteen bins beside their mean, as pipelines for tables make them."""

    def __init__(self, width, *, straight=False):
        super().__init__()
        self.straight = straight
        self.net = nn.Sequential(nn.Linear(width + 1, 32), nn.ReLU(), nn.Linear(32, 2))

    def forward(self, x):
        binned = torch.round(16 * x) / 16
        if self.straight:
            binned = x + (binned - x).detach()
        return self.net(torch.cat([binned, x.mean(dim=1, keepdim=True)], dim=1))


class Leaking(nn.Module):
    """A network that hides half of its features behind a millionth of their slope."""

    def __init__(self, net, width):
        super().__init__()
        self.net = net
        self.register_buffer("hidden", (torch.arange(width) % 2).float())

    def forward(self, x):
        return self.net(x - (1 - 1e-6) * self.hidden * (x - x.detach()))


class FewBits(nn.Module):
    """Straight-through rounding of the hidden units to four bits, as quantization-aware training leaves it."""

    def __init__(self, net):
        super().__init__()
        self.net = net

    def forward(self, x):
        hidden = self.net[1](self.net[0](x))
        step = 4.0 / 15
        return self.net[2](hidden + (torch.round(hidden / step) * step - hidden).detach())


@pytest.fixture(scope="module")
def task():
    rng = np.random.default_rng(0)
    x = rng.random((600, 20)).astype(np.float32)
    score = (x - 0.5) @ rng.normal(size=20)
    return x, (score > 0).astype(int)


def trained(net, task):
    torch.manual_seed(0)
    x, y = (torch.as_tensor(part) for part in task)
    optimiser = torch.optim.Adam(net.parameters(), 0.01)
    for _ in range(150):
        optimiser.zero_grad()
        nn.functional.cross_entropy(net(x), y).backward()
        optimiser.step()
    return net.eval()


def plain(width=20):
    torch.manual_seed(1)
    return nn.Sequential(nn.Linear(width, 32), nn.ReLU(), nn.Linear(32, 2))


def measured(net, task, attack):
    x, y = task
    data = as_data(x[:200], y[:200], schema={"bounds": (0, 1)})
    return robust_accuracy(as_model(net, task="classification", output="logits"), data, attack=attack)


def failed(m):
    return {check.name for check in m.validity if not check.passed and check.bias != "none"}


@pytest.mark.parametrize("attack", [FGSM(eps=0.05), PGD(eps=0.05, steps=5)], ids=["FGSM", "PGD"])
def test_bins_beside_their_mean_are_caught(task, attack):
    net = trained(Binned(20), task)
    m = measured(net, task, attack)
    honest = Binned(20, straight=True)
    honest.load_state_dict(net.state_dict())
    seen = measured(honest.eval(), task, attack)
    assert m.value > seen.value + 0.2  # what the gradient hid
    assert "slope of features" in failed(m)
    assert (m > m.value - 0.2).status == "INVALID"
    assert "slope of features" not in failed(seen)


def test_a_leak_of_a_millionth_is_caught(task):
    net = trained(plain(), task)
    m = measured(Leaking(net, 20), task, FGSM(eps=0.05))
    assert failed(m) >= {"slope of features"}
    reason = next(check.reason for check in m.validity if check.name == "slope of features")
    told = re.match(r"of 20 features, the 10 with the smallest gradients move the loss (\S+) times", reason)
    assert 0.7e6 < float(told[1]) < 1.4e6


@pytest.mark.parametrize("make", [lambda net: net, FewBits], ids=["plain", "four bits"])
@pytest.mark.parametrize("eps", [0.005, 0.05])
def test_honest_networks_stay_valid(task, make, eps):
    m = measured(make(trained(plain(), task)), task, FGSM(eps=eps))
    assert "slope of features" not in failed(m)


def test_a_linear_model_moves_as_its_gradient_says(linear):
    weights = np.zeros((2, 4))
    weights[1] = [4.0, 2.0, 1.0, 0.5]
    rng = np.random.default_rng(0)
    x = rng.random((60, 4))
    data = as_data(x, (x @ weights[1] > 0).astype(int))
    target = aim(linear(weights), data)
    attack = FGSM(eps=0.1)
    faint = faint_features(attack, probed(target, seed=0), [attack], seed=0)
    assert (faint.movable, faint.ratio) == (4, pytest.approx(1.0, abs=1e-5))


def test_features_that_must_stay_are_not_asked(linear):
    data = as_data(np.random.default_rng(0).random((30, 3)), np.ones(30, dtype=int), schema={"x1": {"immutable": True}})
    target = aim(linear([[0.0] * 3, [1.0] * 3]), data)
    attack = FGSM(eps=0.1)
    assert faint_features(attack, probed(target, seed=0), [attack], seed=0).movable == 2
    idle = FGSM(eps=0.0)
    assert faint_features(idle, probed(target, seed=0), [idle], seed=0).features == 0


class Gaps(nn.Module):
    """A network that has no answer where one feature is large, or raises there."""

    def __init__(self, net, *, raises):
        super().__init__()
        self.net, self.raises = net, raises

    def forward(self, x):
        lost = x[:, 3] > 0.95
        if self.raises and lost.any():
            raise ValueError("x3 is too large")
        return torch.where(lost[:, None], torch.nan, self.net(x))


@pytest.mark.parametrize("raises", [False, True])
def test_rows_without_an_answer_say_nothing_of_slopes(task, raises):
    net = trained(plain(), task)
    honest = measured(Gaps(net, raises=raises), task, FGSM(eps=0.05))
    assert "slope of features" not in failed(honest)
    assert "slope of features" in failed(measured(Gaps(Leaking(net, 20), raises=raises), task, FGSM(eps=0.05)))
