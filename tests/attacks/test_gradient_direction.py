"""Gradients that point elsewhere than the loss rises: projections, blurs, other networks; honest ones of few bits."""

import numpy as np
import pytest
import torch
from torch import nn

from robust.attacks.accuracy_under_attack import robust_accuracy
from robust.attacks.fgsm import FGSM
from robust.attacks.gradient_checks import direction_told
from robust.attacks.gradient_direction import Agreement, gradient_direction
from robust.attacks.output_change import largest_output_change
from robust.attacks.pgd import PGD
from robust.attacks.probe import probed
from robust.attacks.target import aim
from robust.data.live import as_data
from robust.models.conversion import as_model
from robust.predicting.metering import metered

_SIDE = 6
_WIDTH = _SIDE**2


class Through(nn.Module):
    """A network of one thing, with the gradient of another."""

    def __init__(self, net, seen, *, read=lambda x: x):
        super().__init__()
        self.net, self.seen, self.read = net, seen, read

    def forward(self, x):
        seen = self.seen(x)
        return self.net(seen + (self.read(x) - seen).detach())


class Borrowed(nn.Module):
    """The answers of one network, the gradient of another."""

    def __init__(self, net, other):
        super().__init__()
        self.net, self.other = net, other

    def forward(self, x):
        lent = self.other(x)
        return self.net(x).detach() + lent - lent.detach()


class Bits(nn.Module):
    """Rounds to so many bits of the unit interval, straight-through."""

    def __init__(self, bits):
        super().__init__()
        self.top = 2**bits - 1

    def forward(self, x):
        inside = x.clamp(0, 1)
        return inside + (torch.round(inside * self.top) / self.top - inside).detach()


def projection(share):
    base, _ = torch.linalg.qr(torch.randn(_WIDTH, _WIDTH, generator=torch.Generator().manual_seed(3)))
    kept = base[:, : round(share * _WIDTH)]
    return lambda x: x @ kept @ kept.T


def blocks(x):
    low = nn.functional.avg_pool2d(x.reshape(-1, 1, _SIDE, _SIDE), 2)
    return nn.functional.interpolate(low, scale_factor=2).reshape(-1, _WIDTH)


def blurred(x):
    return nn.functional.avg_pool2d(x.reshape(-1, 1, _SIDE, _SIDE), 3, 1, 1).reshape(-1, _WIDTH)


def rounded(x):
    return torch.round(32 * x) / 32


def layers(*middle, width=_WIDTH, hidden=48):
    torch.manual_seed(1)
    return nn.Sequential(nn.Linear(width, hidden), *middle, nn.Linear(hidden, 3))


def trained(net, task, *, epochs=120):
    torch.manual_seed(0)
    x, y = (torch.as_tensor(part) for part in task)
    optimiser = torch.optim.Adam(net.parameters(), 0.01)
    for _ in range(epochs):
        optimiser.zero_grad()
        nn.functional.cross_entropy(net(x), y).backward()
        optimiser.step()
    return net.eval()


STEP = FGSM(eps=0.05)


@pytest.fixture(scope="module")
def task():
    rng = np.random.default_rng(0)
    x = rng.random((700, _WIDTH)).astype(np.float32)
    score = (x - 0.5) @ rng.normal(size=(_WIDTH, 3)) + 2 * np.sin(4 * x[:, :3])
    return x, score.argmax(axis=1)


@pytest.fixture(scope="module")
def plain(task):
    return trained(layers(nn.ReLU()), task)


def rows(task, n=250, **schema):
    x, y = task
    return as_data(x[:n], y[:n], schema={"bounds": (0, 1), **schema})


def measured(net, task, attack=STEP):
    return robust_accuracy(as_model(net, task="classification", output="logits"), rows(task), attack=attack)


def check(m):
    return next(check for check in m.validity if check.name == "direction of gradients")


def looked(model, data, *, seed=0, attack=STEP):
    target = aim(model, data)
    part = target.part(~target.wrong(target.scores(target.x), slice(None)))
    return gradient_direction(probed(part, seed=seed), [attack], seed=seed)


@pytest.mark.parametrize(
    "masked",
    [
        lambda net: Through(net, blocks),
        lambda net: Through(net, projection(0.25)),
        lambda net: Through(net, projection(0.6)),
        lambda net: Through(net, blurred, read=rounded),
    ],
    ids=["blocks", "quarter", "most", "blur behind rounding"],
)
@pytest.mark.parametrize("eps", [0.01, 0.05])
def test_gradients_of_something_else_make_a_pass_invalid(task, plain, masked, eps):
    m, seen = (measured(net, task, PGD(eps=eps, steps=10)) for net in (masked(plain), plain))
    assert not check(m).passed
    assert (m > m.value / 2).status == "INVALID"
    assert check(seen).passed
    if eps == 0.05:
        assert m.value > seen.value + 0.03  # what the gradient hid


def test_the_gradient_of_another_network_is_caught(task, plain):
    other = trained(layers(nn.Tanh(), hidden=3), task, epochs=15)
    m = measured(Borrowed(plain, other), task)
    assert not check(m).passed
    assert check(m).reason.endswith(
        "point elsewhere than the loss rises, as behind a blur, a projection or another network"
    )


@pytest.mark.parametrize(
    "middle",
    [
        (nn.ReLU(),),
        (nn.Tanh(), nn.Linear(48, 48), nn.Tanh()),
        (nn.BatchNorm1d(48), nn.GELU()),
        (nn.LayerNorm(48), nn.Sigmoid()),
        (nn.Unflatten(1, (24, 2)), nn.MaxPool1d(2), nn.Flatten(), nn.Linear(24, 48), nn.ReLU()),
        (nn.Sigmoid(), Bits(4)),
        (nn.Sigmoid(), Bits(3)),
        (nn.Sigmoid(), Bits(2), nn.Linear(48, 48), nn.Sigmoid(), Bits(2)),
    ],
    ids=["relu", "deep tanh", "batch norm", "layer norm", "max pooling", "four bits", "three bits", "two bits"],
)
def test_honest_networks_pass(task, middle):
    net = as_model(trained(layers(*middle), task), task="classification", output="logits")
    assert all(looked(net, rows(task), seed=seed).honest for seed in range(4))


@pytest.mark.parametrize("bits", [2, 4, 8])
def test_honest_networks_of_rounded_inputs_pass(task, bits):
    net = trained(nn.Sequential(Bits(bits), *layers(nn.ReLU())), task)
    model = as_model(net, task="classification", output="logits")
    assert all(looked(model, rows(task), seed=seed).honest for seed in range(4))


def test_a_kink_under_every_row_is_no_other_direction(task):
    x, y = task
    ties = np.where(x < 0.6, 0.0, x).astype(np.float32)  # pooling resolves a tie of zeros as it likes
    net = nn.Sequential(
        nn.Unflatten(1, (_WIDTH // 3, 3)), nn.MaxPool1d(3), nn.Flatten(), layers(nn.ReLU(), width=_WIDTH // 3)
    )
    model = as_model(trained(net, (ties, y)), task="classification", output="logits")
    found = looked(model, rows((ties, y)))
    assert found.cosine == pytest.approx(1.0, abs=0.05)
    assert found.rows > 50  # the second look, with gradients beside the kinks


def test_the_cosine_is_the_length_of_a_projection(task):
    weights = torch.linspace(-1, 1, _WIDTH)
    line = nn.Linear(_WIDTH, 2)
    with torch.no_grad():
        line.weight[:] = torch.stack([-weights, weights])
        line.bias[:] = 0.0
    x, _ = task
    labelled = x, (x @ weights.numpy() > 0).astype(int)
    exact = looked(as_model(line, task="classification", output="logits"), rows(labelled))
    assert (exact.cosine, exact.common, exact.rows) == (pytest.approx(1, abs=1e-4), pytest.approx(1, abs=1e-4), 50)
    for share in (0.2, 0.5, 0.8):
        shorter = projection(share)(weights[None])
        through = as_model(Through(line, projection(share)), task="classification", output="logits")
        found = looked(through, rows(labelled))
        assert found.cosine == pytest.approx(float(shorter.norm() / weights.norm()), abs=3 * found.error)
        assert not found.honest


def test_the_first_look_costs_no_gradients_and_is_kept(task, plain):
    model, data = as_model(plain, task="classification", output="logits"), rows(task)
    target = aim(model, data)
    probe = probed(target.part(~target.wrong(target.scores(target.x), slice(None))), seed=0)
    with metered() as meter:
        first = gradient_direction(probe, [FGSM(eps=0.1)], seed=0)
    assert (meter.forward_rows, meter.backward_rows, first.rows) == (200, 0, 50)
    assert gradient_direction(probe, [PGD(eps=0.2)], seed=0) == first
    assert gradient_direction(probe, [FGSM(eps=0.1)], seed=1) != first


def test_features_that_stay_tell_nothing(task, plain):
    model = as_model(plain, task="classification", output="logits")
    data = rows(task, **{f"x{j}": {"immutable": True} for j in range(_WIDTH)})
    found = looked(model, data)
    assert (found.rows, found.honest) == (0, True)
    assert direction_told(found).passed
    assert direction_told(found).reason.startswith("random moves of the features tell too little")


def test_a_few_rows_tell_nothing(task, plain):
    masked = as_model(Through(plain, projection(0.25)), task="classification", output="logits")
    assert looked(masked, rows(task, 9)).honest
    assert not looked(masked, rows(task, 60)).honest


def test_regressions_are_judged_too(task):
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(_WIDTH, 16), nn.Tanh(), nn.Linear(16, 1)).eval()
    x, _ = task
    data = as_data(x[:60], x[:60, 0], schema={"bounds": (0, 1)})
    honest, masked = (
        largest_output_change(as_model(model, task="regression"), data, eps=0.1)
        for model in (net, Through(net, projection(0.25)))
    )
    assert check(honest).passed
    assert not check(masked).passed
    assert masked.value < honest.value


@pytest.mark.parametrize(("common", "least"), [(1.0, 0.95), (0.9, 0.8), (0.65, 0.8)])
def test_the_limit_is_held_against_three_standard_errors(common, least):
    below = Agreement(cosine=least - 0.07, error=0.02, rows=100, common=common)
    above = Agreement(cosine=least - 0.05, error=0.02, rows=100, common=common)
    assert not direction_told(below).passed
    assert direction_told(below).bias == "raises"
    assert direction_told(above).passed


def test_stairs_that_share_too_little_tell_nothing():
    assert Agreement(cosine=0.0, error=0.01, rows=100, common=0.59).honest
    assert Agreement(cosine=np.nan, error=np.nan, rows=100, common=1.0).honest
