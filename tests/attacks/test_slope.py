from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.optimize import approx_fprime
from scipy.special import softmax
from torch import nn

from robust.attacks.fgsm import FGSM
from robust.attacks.gradient_checks import slope_told
from robust.attacks.losses import log_margin_cotangent, log_margins, margins
from robust.attacks.pgd import PGD
from robust.attacks.probe import probed
from robust.attacks.slope import realised_slope
from robust.attacks.target import aim
from robust.data.live import as_data
from robust.models.conversion import as_model


def rises(attack, model, data):
    target = aim(model, data)
    right = ~target.wrong(target.scores(target.x), slice(None))
    return realised_slope(attack, probed(target.part(right), seed=0), [attack])[0]


def ratios(attack, model, data):
    realised, promised = rises(attack, model, data)
    return realised / promised


def told(attack, model, data):
    """The check, and the ratio that it judges."""
    realised, promised = found = rises(attack, model, data)
    return slope_told(found), realised.sum() / promised.sum()


@pytest.mark.parametrize("attack", [PGD(eps=0.01), PGD(eps=0.01, norm="l2"), FGSM(eps={"x0": 0.01})], ids=repr)
def test_a_linear_model_keeps_what_its_gradient_promises(linear, attack):
    rng = np.random.default_rng(0)
    model, x = linear(rng.normal(size=(3, 4))), rng.normal(size=(300, 4))
    found = ratios(attack, model, as_data(x, model.forward(x).argmax(axis=1)))
    assert len(found) > 90  # a sample of 100, less rows beside a tie
    assert found == pytest.approx(np.ones(len(found)), abs=1e-6)


def test_a_parabola_by_hand(linear):
    # Logits (0, x²) at x = 1: a step of h = 1/4 down loses 2h − h² where the gradient says 2h.
    model = linear([[0.0], [1.0]])
    curved = replace(
        model,
        forward=lambda x: np.hstack([0 * x, x**2]),
        gradients=lambda x, cotangent: (z := np.hstack([0 * x, x**2]), cotangent(z)[:, 1:] * 2 * x),
    )
    data = as_data(np.ones((3, 1)), [1, 1, 1], schema={"bounds": (0, 100)})
    assert ratios(PGD(eps=1.0), curved, data) == pytest.approx([1 - 1 / 8] * 3)
    # A budget of half the range asks for a step of a tenth of the range, 10; the bound at 0 stops it at −1.
    assert ratios(PGD(eps=50.0), curved, data) == pytest.approx([1 / 2] * 3)
    # Three rows judge nothing.
    check = slope_told(rises(PGD(eps=1.0), curved, data))
    assert check.passed
    assert "3 rows, too few" in check.reason


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
    check = slope_told(rises(PGD(eps=1), linear([[0.0, 0.0], [1.0, 1.0]]), whole))
    assert check.passed
    assert "0 rows, too few" in check.reason


def test_rare_stairs_are_judged_by_their_sum():
    # A stair of height 10 in every tenth row, where each promises 1: the median row does not rise, the sum does.
    realised, promised = np.where(np.arange(100) % 10 == 0, 10.0, 0.0), np.ones(100)
    check = slope_told(np.stack([realised, promised]))
    assert check.passed
    assert "1 times as much" in check.reason
    # By the error of the ratio, √(100/99 · Σ(a − r)²)/100 = 0.3: a sum 20 times smaller is clearly below 0.3.
    assert not slope_told(np.stack([realised / 20, promised])).passed
    assert slope_told(np.stack([realised / 4, promised])).passed  # 0.25 ± 3 · 0.075
    # Where every row rises, the median row is asked too: a few that rise by much do not speak for it.
    leak = slope_told(np.stack([realised + 0.01, promised]))
    assert not leak.passed
    assert "0.01 times in the median row" in leak.reason
    # One row less, and there is nothing to judge.
    assert "9 rows, too few" in slope_told(np.stack([realised, promised])[:, 1:]).reason


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
    for size, waves in ((1e-3, 1e4), (1e-2, 1e4), (0.02, 500)):
        rippled = Wrapped(lambda x, size=size, waves=waves: x + size * torch.sin(waves * x), 1.0).eval()
        check, ratio = told(attack, as_model(rippled, output="logits"), digits)
        assert ratio < 0.2
        assert not check.passed
        assert check.bias == "raises"


@pytest.mark.parametrize(("factor", "passed"), [(1e-3, False), (0.1, True), (1.0, True), (2.0, True), (1e3, False)])
def test_the_size_of_a_gradient_is_told_to_an_order_of_magnitude(linear, factor, passed):
    model = linear([[0.0, 0.0], [1.0, 2.0]])
    inner = model.gradients
    scaled = replace(model, gradients=lambda x, cotangent: (inner(x, cotangent)[0], factor * inner(x, cotangent)[1]))
    data = as_data(np.ones((20, 2)), np.ones(20, dtype=int))
    assert ratios(PGD(eps=0.1), scaled, data) == pytest.approx([1 / factor] * 20)
    check, _ = told(PGD(eps=0.1), scaled, data)
    assert check.passed == passed
    assert f"{1 / factor:.2g} times" in check.reason


def test_margins_of_logarithms_are_those_of_the_logits():
    z, y = np.random.default_rng(0).normal(size=(6, 4)), np.array([0, 1, 2, 3, 0, 1])
    p = softmax(z, axis=1)
    assert log_margins(p, y, scale="probabilities") == pytest.approx(margins(z, y))
    assert log_margins(z, y, scale="logits") == pytest.approx(margins(z, y))
    for q, label, flow in zip(p, y, log_margin_cotangent(p, y, scale="probabilities"), strict=True):
        one = np.array([label])
        slope = approx_fprime(q, lambda v, one=one: log_margins(v[None], one, scale="probabilities")[0], 1e-9)
        assert flow == pytest.approx(slope, rel=1e-4, abs=1e-6)
