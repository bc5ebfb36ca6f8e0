"""Functions that no slope describes at the scale of a budget are honest; what hides adversarial rows is not."""

import numpy as np
import pytest
import torch
from torch import nn

from robust.attacks.accuracy_curve import robustness_curve
from robust.attacks.accuracy_under_attack import robust_accuracy
from robust.attacks.harmless import unless_harmless
from robust.attacks.pgd import PGD
from robust.attacks.target import aim
from robust.data.live import as_data
from robust.evidence import SelfCheck
from robust.models.conversion import as_model


class Skewed(nn.Module):
    """A net of the square roots, whose slope at 0 is infinite."""

    def __init__(self, width):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(width, 16), nn.ReLU(), nn.Linear(16, 2))

    def forward(self, x):
        return self.net(torch.sqrt(x))


class Waves(nn.Module):
    """Positions by waves of up to 2^8 turns over the range."""

    def __init__(self, width, octaves=9):
        super().__init__()
        self.register_buffer("turns", np.pi * 2.0 ** torch.arange(octaves))
        self.net = nn.Sequential(nn.Linear(2 * width * octaves, 32), nn.ReLU(), nn.Linear(32, 2))

    def forward(self, x):
        angle = x[..., None] * self.turns
        return self.net(torch.cat([angle.sin(), angle.cos()], -1).flatten(1))


class Blind(nn.Module):
    """The same answers, and the gradient of a model that never learned."""

    def __init__(self, net, other):
        super().__init__()
        self.net, self.other = net, other

    def forward(self, x):
        slope = self.other(x)
        return self.net(x.detach()) + slope - slope.detach()


def trained(net, x, y, steps=300):
    torch.manual_seed(0)
    for part in net.modules():
        if hasattr(part, "reset_parameters"):
            part.reset_parameters()
    optimiser = torch.optim.Adam(net.parameters(), 0.01)
    for _ in range(steps):
        optimiser.zero_grad()
        nn.functional.cross_entropy(net(torch.from_numpy(x)), torch.from_numpy(y)).backward()
        optimiser.step()
    return net.eval()


def rows(width, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.random((400, width)).astype(np.float32)
    x[rng.random(x.shape) < 0.4] = 0.0
    return x, (np.sqrt(x).sum(axis=1) > np.median(np.sqrt(x).sum(axis=1))).astype(np.int64)


def faults(m):
    return [check for check in m.validity if not check.passed and check.bias != "none"]


def measured(net, x, y, **asked):
    return robust_accuracy(as_model(net, output="logits"), as_data(x, y, schema={"bounds": (0, 1)}), **asked)


@pytest.mark.parametrize("width", [2, 6])
def test_honest_functions_without_a_slope_are_valid(width):
    x, y = rows(width)
    skewed, waves = trained(Skewed(width), x, y), trained(Waves(width), x, y)
    let_off = 0
    for net, eps in ((skewed, 0.02), (skewed, 0.1), (waves, 0.001)):
        for seed in range(2):
            m = measured(net, x, y, attack=PGD(eps=eps), seed=seed)
            assert faults(m) == []
            let_off += any("have hidden little" in check.reason for check in m.validity)
    assert let_off >= 2
    curve = robustness_curve(
        as_model(skewed, output="logits"), as_data(x, y, schema={"bounds": (0, 1)}), PGD(), eps=[0.02, 0.1]
    )
    assert [faults(point) for point in curve] == [[], []]


@pytest.mark.parametrize("width", [2, 6, 16])
def test_what_hides_rows_stays_invalid(width):
    x, y = rows(width)
    net = trained(nn.Sequential(nn.Linear(width, 16), nn.Tanh(), nn.Linear(16, 2)), x, y)
    other = trained(nn.Sequential(nn.Linear(width, 16), nn.Tanh(), nn.Linear(16, 2)), x, 1 - y)
    hidden = measured(Blind(net, other), x, y, attack=PGD(eps=0.1))
    assert hidden.value > measured(net, x, y, attack=PGD(eps=0.1)).value + 0.06
    assert {"gradient tells the slope", "direction of gradients"} & {check.name for check in faults(hidden)}


def test_of_many_features_nothing_is_let_off():
    x, y = rows(17)
    net = trained(nn.Sequential(nn.Linear(17, 16), nn.Tanh(), nn.Linear(16, 2)), x, y)
    target = aim(as_model(net, output="logits"), as_data(x, y, schema={"bounds": (0, 1)}))
    part = target.part(~target.wrong(target.scores(target.x), slice(None)))
    fault = (SelfCheck(name="a check", passed=False, reason="it failed", bias="raises"),)
    assert unless_harmless(fault, PGD(eps=0.01), part, seed=0) == fault
    fewer = {f"x{j}": 0.01 for j in range(16)}
    told = unless_harmless(fault, PGD(eps=fewer), part, seed=0)
    assert told[0].passed
    assert told[0].reason.startswith("it failed; but of ")


def test_in_other_norms_nothing_is_let_off():
    x, y = rows(6)
    skewed = trained(Skewed(6), x, y)
    target = aim(as_model(skewed, output="logits"), as_data(x, y, schema={"bounds": (0, 1)}))
    part = target.part(~target.wrong(target.scores(target.x), slice(None)))
    fault = (SelfCheck(name="a check", passed=False, reason="it failed", bias="raises"),)
    assert unless_harmless(fault, PGD(eps=0.02), part, seed=0)[0].passed
    for norm in ("l2", "l1"):
        assert unless_harmless(fault, PGD(eps=0.02, norm=norm), part, seed=0) == fault
