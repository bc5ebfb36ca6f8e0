from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.optimize import approx_fprime
from scipy.special import softmax
from torch import nn

from robust.attacks.fgsm import FGSM
from robust.attacks.losses import log_margin_cotangent, log_margins, margins
from robust.attacks.pgd import PGD
from robust.attacks.self_checks import slope_told
from robust.attacks.slope import realised_slope
from robust.attacks.target import aim
from robust.data.live import as_data
from robust.models.conversion import as_model


def both_ratios(attack, model, data):
    target = aim(model, data)
    right = ~target.wrong(target.scores(target.x), slice(None))
    return realised_slope(attack, target.part(right), [attack], seed=0)[0]


def ratios(attack, model, data):
    return both_ratios(attack, model, data)[0]


@pytest.mark.parametrize("attack", [PGD(eps=0.1), PGD(eps=0.1, norm="l2"), FGSM(eps={"x0": 0.1})], ids=repr)
def test_a_linear_model_keeps_what_its_gradient_promises(linear, attack):
    rng = np.random.default_rng(0)
    model, x = linear(rng.normal(size=(3, 4))), rng.normal(size=(300, 4))
    found = ratios(attack, model, as_data(x, model.forward(x).argmax(axis=1)))
    assert len(found) > 90  # a sample of 100, less rows beside a tie
    assert found == pytest.approx(np.ones(len(found)), abs=1e-6)


def test_a_parabola_by_hand(linear):
    # Logits (0, x²) at x = 1: a step of h = 1/40 down loses 2h − h² where the gradient says 2h.
    model = linear([[0.0], [1.0]])
    curved = replace(
        model,
        forward=lambda x: np.hstack([0 * x, x**2]),
        gradients=lambda x, cotangent: (z := np.hstack([0 * x, x**2]), cotangent(z)[:, 1:] * 2 * x),
    )
    data = as_data(np.ones((3, 1)), [1, 1, 1], schema={"bounds": (0, 100)})
    assert ratios(PGD(eps=1.0), curved, data) == pytest.approx([1 - 1 / 80] * 3)
    # The coarse step is a quarter of the budget.
    assert both_ratios(PGD(eps=1.0), curved, data)[1] == pytest.approx([1 - 1 / 8] * 3)
    # A budget of the whole range asks for a step of a hundredth of it, not of a fortieth.
    assert ratios(PGD(eps=100.0), curved, data) == pytest.approx([1 - 1 / 2] * 3)
    # A tenth of the range is 10, but the bound at 0 stops the coarse step at −1.
    assert both_ratios(PGD(eps=100.0), curved, data)[1] == pytest.approx([1 / 2] * 3)


def test_a_reversed_gradient_loses_what_it_promises(linear):
    model = linear([[0.0, 0.0], [1.0, 2.0]])
    inner = model.gradients
    reversed_ = replace(model, gradients=lambda x, cotangent: (inner(x, cotangent)[0], -inner(x, cotangent)[1]))
    data = as_data(np.ones((20, 2)), np.ones(20, dtype=int))
    assert ratios(PGD(eps=0.1), reversed_, data) == pytest.approx([-1.0] * 20)


def test_features_that_cannot_move_are_left_out(linear):
    # The second feature is at the bound that the gradient pushes it against, the third moves by whole steps.
    model = linear([[0.0] * 3, [1.0, 100.0, 100.0]])
    rules = {"x0": {"bounds": (0, 2)}, "x1": {"bounds": (0, 2)}, "x2": {"kind": "integer"}}
    data = as_data(np.array([[1.0, 0.0, 3.0]] * 5), [1] * 5, schema=rules)
    assert ratios(PGD(eps=2.0), model, data) == pytest.approx([1.0] * 5)
    stuck = as_data(np.array([[0.0, 0.0, 3.0]] * 5), [1] * 5, schema=rules)
    assert len(ratios(PGD(eps=2.0), model, stuck)) == 0


def test_nothing_left_is_no_fault(linear):
    whole = as_data(np.ones((5, 2), dtype=np.int64), [1] * 5)
    left = both_ratios(PGD(eps=1), linear([[0.0, 0.0], [1.0, 1.0]]), whole)
    check = slope_told(left)
    assert check.passed
    assert "no row has both" in check.reason


def test_a_ripple_is_seen_and_a_scale_is_not(digits, digits_net):
    class Wrapped(nn.Module):
        def __init__(self, before, factor, *, last=None):
            super().__init__()
            self.net, self.before, self.factor = digits_net, before, factor
            self.last = nn.Identity() if last is None else last

        def forward(self, x):
            return self.last(self.net(self.before(x)) * self.factor)

    def plain(x):
        return x

    attack = PGD(eps=0.08)
    for factor in (1e-6, 0.01, 1.0, 1e4):
        found = ratios(attack, as_model(Wrapped(plain, factor).eval(), output="logits"), digits)
        assert np.median(found) == pytest.approx(1, abs=0.05), factor
    chances = as_model(Wrapped(plain, 1.0, last=nn.Softmax(1)).eval(), output="probabilities")
    assert np.median(ratios(attack, chances, digits)) == pytest.approx(1, abs=0.05)
    for size in (1e-3, 1e-2):
        rippled = Wrapped(lambda x, size=size: x + size * torch.sin(1e4 * x), 1.0).eval()
        found = both_ratios(attack, as_model(rippled, output="logits"), digits)
        assert np.median(found[0]) < 0.2
        assert not slope_told(found).passed
        assert slope_told(found).bias == "raises"
    # A ripple several times as wide as the fine step looks like a slope to it, and not to the coarse one.
    wide = Wrapped(lambda x: x + 0.02 * torch.sin(500 * x), 1.0).eval()
    found = both_ratios(attack, as_model(wide, output="logits"), digits)
    assert np.median(found[0]) > 0.7
    assert np.median(found[1]) < 0.2
    assert not slope_told(found).passed


@pytest.mark.parametrize(("factor", "passed"), [(1e-3, False), (0.1, True), (1.0, True), (2.0, True), (1e3, False)])
def test_the_size_of_a_gradient_is_told_to_an_order_of_magnitude(linear, factor, passed):
    model = linear([[0.0, 0.0], [1.0, 2.0]])
    inner = model.gradients
    scaled = replace(model, gradients=lambda x, cotangent: (inner(x, cotangent)[0], factor * inner(x, cotangent)[1]))
    data = as_data(np.ones((20, 2)), np.ones(20, dtype=int))
    found = both_ratios(PGD(eps=0.1), scaled, data)
    assert found[0] == pytest.approx([1 / factor] * 20)
    check = slope_told(found)
    assert check.passed == passed
    assert f"{1 / factor:.2g} and {1 / factor:.2g} times" in check.reason


def test_margins_of_logarithms_are_those_of_the_logits():
    z, y = np.random.default_rng(0).normal(size=(6, 4)), np.array([0, 1, 2, 3, 0, 1])
    p = softmax(z, axis=1)
    assert log_margins(p, y, scale="probabilities") == pytest.approx(margins(z, y))
    assert log_margins(z, y, scale="logits") == pytest.approx(margins(z, y))
    for q, label, flow in zip(p, y, log_margin_cotangent(p, y, scale="probabilities"), strict=True):
        one = np.array([label])
        slope = approx_fprime(q, lambda v, one=one: log_margins(v[None], one, scale="probabilities")[0], 1e-9)
        assert flow == pytest.approx(slope, rel=1e-4, abs=1e-6)
