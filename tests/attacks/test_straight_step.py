"""A model that is wrong in a narrow band alone hides it from steps that go over it."""

import numpy as np
import pytest
import torch
from torch import nn

from robust.attacks.accuracy_curve import robustness_curve
from robust.attacks.accuracy_under_attack import robust_accuracy
from robust.attacks.apgd import APGD
from robust.attacks.fgsm import FGSM
from robust.attacks.noise import RandomNoise
from robust.attacks.pgd import PGD
from robust.attacks.transfer import Transfer
from robust.data.live import as_data
from robust.models.conversion import as_model

GRID = [0.05, 0.1, 0.15, 0.2]


class Slab(nn.Module):
    """A linear model of the first feature, wrong where the second one is within half a width of 0.

    Outside the slab nothing tells of it: there is no slope that leads there.
    """

    def __init__(self, width):
        super().__init__()
        self.width = width

    def forward(self, x):
        inside = torch.clamp(3.0 - 6.0 * x[:, 1].abs() / self.width, 0.0, 2.0)
        score = (4.0 * x[:, 0] + 0.2 * x[:, 1]) * (1.0 - inside)
        return torch.stack([-score, score], 1)


def slab(width):
    return as_model(Slab(width).eval(), output="logits")


def rows(near, n=200, seed=0):
    """Rows of both classes far from their edge; `near` of them a step of at most 0.2 away from the slab."""
    rng = np.random.default_rng(seed)
    y = np.arange(n) % 2
    x = np.column_stack([(2 * y - 1) * (2 + 0.1 * rng.random(n)), np.full(n, 3.0)])
    close = rng.permutation(n)[:near]
    x[close, 1] = (2 * y[close] - 1) * rng.uniform(0.03, 0.19, near)
    return as_data(x.astype(np.float32), y)


def told(m):
    return next((check for check in m.validity if check.name == "straight step"), None)


@pytest.mark.parametrize("asked", [{"attack": PGD(eps=0.2, steps=4)}, {"attack": FGSM(eps=0.2)}, {"eps": 0.2}])
def test_a_band_that_steps_go_over_makes_a_pass_invalid(asked):
    m = robust_accuracy(slab(0.002), rows(40), **asked)
    assert m.value > 0.9  # dense search: 0.8
    assert not told(m).passed
    assert (m > 0.9).status == "INVALID"
    assert "stepped over what is there" in told(m).reason


@pytest.mark.parametrize("attack", [PGD(steps=4), APGD(steps=4)])
def test_so_it_does_in_a_curve_from_the_budget_on_that_reaches_it(attack):
    data = rows(40)
    curve = robustness_curve(slab(0.002), data, attack, eps=[0.02, *GRID])
    assert told(curve.points[0]).passed
    assert not told(curve.points[-1]).passed
    assert (curve.points[0] > 0.9).status == "PASS"
    assert (curve.points[-1] > 0.9).status == "INVALID"


def test_rows_are_counted_as_by_hand():
    """All of 40 rows are looked at: each whose slab lies before the end of its step is found, and no other."""
    data = rows(0, n=40)
    x = data.x.copy()
    x[:12, 1] = np.linspace(0.035, 0.185, 12) * (2 * data.y[:12] - 1)  # five of them less than 0.095
    data = as_data(x, data.y)
    for attack in (FGSM(eps=0.095), FGSM(eps={"x1": 0.095}), FGSM(eps={"x0": 0.5, "x1": 0.095})):
        m = robust_accuracy(slab(0.01), data, attack=attack)
        assert m.value == 1.0
        assert "5 of 40 rows that held" in told(m).reason
        assert not told(m).passed
    still = told(robust_accuracy(slab(0.01), data, attack=FGSM(eps={"x0": 0.5})))
    assert "0 of 40 rows that held" in still.reason
    assert still.passed


def test_few_rows_are_let_pass():
    assert told(robust_accuracy(slab(0.002), rows(4), attack=PGD(eps=0.2, steps=4))).passed


def test_plain_networks_pass(digits_model, digits):
    for norm, eps in (("linf", 0.05), ("l2", 0.5), ("l1", 1.0)):
        assert told(robust_accuracy(digits_model, digits, attack=PGD(eps=eps, norm=norm))).passed
    assert all(told(point).passed for point in robustness_curve(digits_model, digits, PGD(), eps=GRID[:2]))


def test_it_is_asked_of_gradients_of_the_model_itself(digits_model, digits):
    assert told(robust_accuracy(digits_model, digits, attack=RandomNoise(eps=0.05))) is None
    handed = Transfer(attack=PGD(eps=0.05), surrogate=digits_model)
    assert told(robust_accuracy(digits_model, digits, attack=handed)) is None
    # What FGSM is asked in a curve is its own budgets.
    assert told(robustness_curve(digits_model, digits, FGSM(), eps=GRID).points[0]) is None
