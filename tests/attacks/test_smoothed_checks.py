"""Saturated scores and ripples make a pass invalid; networks with slopes of one scale are not even looked at twice."""

import numpy as np
import pytest
import torch
from torch import nn

from robust.attacks.accuracy_curve import robustness_curve
from robust.attacks.accuracy_under_attack import robust_accuracy
from robust.attacks.base import adversarial_rows
from robust.attacks.fgsm import FGSM
from robust.attacks.pgd import PGD
from robust.attacks.probe import probed
from robust.attacks.smoothed_checks import coherence, halves, smoothed_checks
from robust.attacks.smoothed_gradients import SmoothedGradients
from robust.attacks.target import aim
from robust.data.live import as_data
from robust.models.conversion import as_model

LOUD = "smoothed and of one scale"


class Applied(nn.Module):
    """A function as a layer."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x)


def after(net, function):
    """A network whose logits go through a function."""
    return nn.Sequential(net, Applied(function))


def before(net, function):
    """A network whose input goes through a function."""
    return nn.Sequential(Applied(function), net)


def model_of(module):
    return as_model(module.eval(), output="logits")


def check(measured, name):
    return next(check for check in measured.validity if check.name == name)


SATURATED = {
    "tanh": lambda z: 3 * torch.tanh(2 * z),
    "sigmoid": lambda z: 10 * torch.sigmoid(3 * z),
    "clamp": lambda z: z.clamp(-2, 2) + 1e-4 * z.detach(),
}


@pytest.mark.parametrize("strength", ["quick", "standard"])
@pytest.mark.parametrize("kind", SATURATED)
def test_no_pass_of_a_saturated_network_is_valid(digits_net, digits, kind, strength):
    measured = robust_accuracy(
        model_of(after(digits_net, SATURATED[kind])), digits, eps=0.02, norm="linf", strength=strength
    )
    assert not check(measured, "saturated scores").passed
    assert (measured > measured.value - 0.2).status == "INVALID"


def test_saturation_short_of_flat_hides_rows_from_a_quick_attack(digits_net, digits):
    """Slopes of 1/(1 + 25 z²): nowhere zero, and of two scales."""
    net = model_of(after(digits_net, lambda z: 3 * torch.atan(5 * z)))
    measured = robust_accuracy(net, digits, eps=0.8, norm="l2", strength="quick")
    plain = robust_accuracy(model_of(digits_net), digits, eps=0.8, norm="l2", strength="quick")
    assert measured.value > plain.value + 0.05
    assert check(measured, "saturated scores").passed
    assert not check(measured, "smoothed gradients").passed
    assert check(plain, "smoothed gradients").passed


@pytest.mark.parametrize(("norm", "eps"), [("linf", 0.08), ("l2", 0.6)])
def test_ripples_as_narrow_as_the_ball_make_a_quick_pass_invalid(digits_net, digits, norm, eps):
    rippled = model_of(before(digits_net, lambda x: x + 0.02 * torch.sin(60 * x)))
    measured = robust_accuracy(rippled, digits, eps=eps, norm=norm, strength="quick")
    told = check(measured, "smoothed gradients")
    assert not told.passed
    assert LOUD in told.reason
    assert (measured > measured.value - 0.2).status == "INVALID"


@pytest.mark.parametrize(("norm", "eps"), [("linf", 0.03), ("l2", 0.3)])
def test_a_plain_network_is_not_looked_at_twice(digits_net, digits, norm, eps):
    measured = robust_accuracy(model_of(digits_net), digits, eps=eps, norm=norm, strength="quick")
    assert check(measured, "saturated scores").reason.startswith("0 of")
    told = check(measured, "smoothed gradients")
    assert told.passed
    assert LOUD not in told.reason
    assert "0% of the rows have slopes of two scales" in told.reason


class Against(nn.Module):
    """Logits (0, z): a reference class whose score is the same everywhere."""

    def __init__(self):
        super().__init__()
        self.line = nn.Linear(4, 1)

    def forward(self, x):
        z = self.line(x)
        return torch.cat([torch.zeros_like(z), z], dim=1)


def test_a_reference_class_has_not_saturated():
    x = np.random.default_rng(0).normal(size=(200, 4)).astype(np.float32)
    net = Against()
    with torch.no_grad():
        net.line.weight.copy_(torch.tensor([[1.0, -2.0, 0.5, 1.5]]))
        net.line.bias.zero_()
        y = net(torch.tensor(x)).argmax(dim=1).numpy()
    target = aim(model_of(net), as_data(x, y))
    found = halves(probed(target, seed=0))
    assert not found.blind.any()
    assert found.uneven == 0.0


def test_saturation_without_another_class_in_reach_is_no_fault():
    """A network that calls every row of the range the same, for good reason."""

    class Sure(nn.Module):
        def forward(self, x):
            score = (x[:, :1] + 10).clamp(max=10.5)
            return torch.cat([score, -score], dim=1)

    x = np.random.default_rng(0).uniform(0, 1, size=(100, 2)).astype(np.float32)
    data = as_data(x, np.zeros(100, dtype=int), schema={"bounds": (0, 1)})
    measured = robust_accuracy(model_of(Sure()), data, attack=PGD(eps=0.1, steps=3))
    told = check(measured, "saturated scores")
    assert not told.reason.startswith("0 of")
    assert told.passed


def test_gradients_of_a_linear_model_agree_with_those_beside(linear):
    model = linear([[1.0, -2.0, 0.5], [-1.0, 1.0, 0.0]])
    x = np.random.default_rng(0).normal(size=(60, 3))
    y = (x @ np.array([2.0, -3.0, 0.5]) < 0).astype(int)
    probe = probed(aim(model, as_data(x, y)), seed=0)
    for norm in ("linf", "l2", "l1"):
        assert coherence(probe, FGSM(eps=1.0, norm=norm)) == pytest.approx(1.0)


def test_points_of_a_curve_are_looked_at_each(digits_net, digits):
    grid = [0.0, 0.01, 0.02]
    saturated = robustness_curve(model_of(after(digits_net, SATURATED["tanh"])), digits, FGSM(), eps=grid)
    assert all(not check(point, "saturated scores").passed for point in saturated)
    plain = robustness_curve(model_of(digits_net), digits, FGSM(), eps=grid)
    assert all(check(point, "saturated scores").passed for point in plain)
    names = [[one.name for one in point.validity] for point in plain]
    assert ["smoothed gradients" in point for point in names] == [False, True, True]


def test_nothing_is_told_of_rows_that_all_broke(digits_net, digits):
    model = model_of(digits_net)
    target = aim(model, digits)
    at = FGSM(eps=0.1)
    ((first, *rest),) = smoothed_checks(at, target, [at], [np.ones(len(target), dtype=bool)], seed=0)
    assert first.passed
    assert rest == []


@pytest.mark.parametrize(("norm", "dual"), [("linf", 1), ("l2", 2), ("l1", np.inf)])
def test_smoothed_gradients_solve_a_linear_model(linear, norm, dual):
    rng = np.random.default_rng(1)
    weights, x = rng.normal(size=(2, 5)), rng.normal(size=(80, 5))
    scores = x @ weights.T
    y = scores.argmax(axis=1)
    exact = np.abs(scores[:, 0] - scores[:, 1]) / np.linalg.norm(weights[0] - weights[1], dual)
    eps = float(np.median(exact)) * 1.0001
    target = aim(linear(weights), as_data(x, y))
    attack = SmoothedGradients(eps=eps, norm=norm)
    rows = adversarial_rows(attack, target, seed=0)
    np.testing.assert_array_equal(target.wrong(target.scores(rows), slice(None)), exact < eps)
    # Neighbours change nothing.
    some = np.arange(3, 40, 4)
    np.testing.assert_array_equal(adversarial_rows(attack, target.part(some), seed=0), rows[some])


def test_smoothed_gradients_cross_ripples_that_stop_the_slope(digits_net, digits):
    target = aim(model_of(before(digits_net, lambda x: x + 0.02 * torch.sin(60 * x))), digits)
    broken = [
        int(target.wrong(target.scores(adversarial_rows(attack, target, seed=0)), slice(None)).sum())
        for attack in (PGD(eps=0.08, steps=20), SmoothedGradients(eps=0.08))
    ]
    assert broken[1] > broken[0] + 10


def test_rows_that_more_plain_steps_break_do_not_count_against_a_single_step(digits, fit):
    """A curved network, honest at any budget: one step leaves rows that twenty break."""
    deep = [layer for _ in range(3) for layer in (nn.Linear(64, 64), nn.Tanh())]
    model = model_of(fit(lambda: nn.Sequential(nn.Flatten(), *deep, nn.Linear(64, 10)), digits.x, digits.y))
    curve = robustness_curve(model, digits, FGSM(), eps=[0.15, 0.3])
    assert curve.values[0] > robust_accuracy(model, digits, attack=PGD(eps=0.15)).value + 0.1
    told = check(curve[0], "smoothed gradients")
    assert told.passed
    assert "of which as many plain steps do not" in told.reason


def test_ripples_that_stop_a_single_step_do_count(digits_net, digits):
    rippled = model_of(before(digits_net, lambda x: x + 0.02 * torch.sin(60 * x)))
    curve = robustness_curve(rippled, digits, FGSM(), eps=[0.04, 0.08])
    assert not check(curve[1], "smoothed gradients").passed
    assert (curve[1] > 0.01).status == "INVALID"
