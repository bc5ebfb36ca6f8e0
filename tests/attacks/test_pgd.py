import copy
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import brentq

from robust.attacks.fgsm import FGSM
from robust.attacks.noise import RandomNoise
from robust.attacks.pgd import PGD
from robust.attacks.target import aim
from robust.data.live import as_data
from robust.errors import InvalidInput
from robust.models.conversion import as_model
from robust.predicting.metering import metered


def accuracy(attack, model, data):
    return float(np.mean(model.forward(attack.perturb(model, data)).argmax(axis=1) == data.y))


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from(["linf", "l2", "l1"]))
def test_closed_form_on_linear_models(linear, seed, norm):
    rng = np.random.default_rng(seed)
    weights, bias, x = rng.normal(size=6), rng.normal(), rng.normal(size=(20, 6))
    model = linear(np.vstack([np.zeros(6), weights]), [0.0, bias])
    y = model.forward(x).argmax(axis=1)
    dual = np.linalg.norm(weights, ord={"linf": 1, "l2": 2, "l1": np.inf}[norm])
    eps = float(np.median(np.abs(x @ weights + bias) / dual))
    data = as_data(x, y)
    held = model.forward(PGD(eps=eps, norm=norm).perturb(model, data)).argmax(axis=1) == y
    exact = np.abs(x @ weights + bias) / dual
    assert held[exact > 1.001 * eps].all()
    assert not held[exact < 0.99 * eps].any()


def test_optimum_inside_bounds_on_a_linear_model(linear):
    # max w·δ on ‖δ‖ ≤ eps and the bounds is clip(t·w) with the t that spends eps.
    rng = np.random.default_rng(1)
    x, weights, eps = rng.uniform(0, 1, (30, 8)), rng.normal(size=8), 0.7
    model = linear(np.vstack([np.zeros(8), weights]), [0.0, -50.0])
    data = as_data(x, np.zeros(30, dtype=int), schema={"bounds": (0, 1)})
    new = PGD(eps=eps, norm="l2").perturb(model, data)
    for row, start in zip(new, x, strict=True):

        def spent(t, start=start):
            return np.linalg.norm(np.clip(start + t * weights, 0, 1) - start) - eps

        best = np.clip(start + brentq(spent, 0, 1e3) * weights, 0, 1) - start
        assert (row - start) @ weights >= 0.999 * (best @ weights)


@pytest.mark.parametrize("norm", ["linf", "l2", "l1"])
def test_decisions_do_not_depend_on_batches_or_order(digits, digits_net, norm):
    attack = PGD(eps={"linf": 0.08, "l2": 0.6, "l1": 2.0}[norm], norm=norm, steps=6)
    found = {}
    for size in (1, 7, 64, 256):
        rows = digits if size > 1 else digits.rows(np.arange(20))
        model = as_model(digits_net, output="logits", batch_size=size)
        found[size] = model.forward(attack.perturb(model, rows, seed=2)).argmax(axis=1)
    assert (found[1] == found[256][:20]).all()
    assert (found[7] == found[256]).all()
    assert (found[64] == found[256]).all()
    assert 0.1 < np.mean(found[256] != digits.y) < 0.95
    back = np.random.default_rng(0).permutation(len(digits))
    model = as_model(digits_net, output="logits", batch_size=64)
    mixed = model.forward(attack.perturb(model, digits.rows(back), seed=2)).argmax(axis=1)
    assert (mixed == found[64][back]).all()


@pytest.mark.parametrize("norm", ["linf", "l2", "l1"])
def test_no_weaker_than_foolbox(foolbox, digits_net, digits, norm):
    net = copy.deepcopy(digits_net).double()
    x, y = digits.x.astype(np.float64), digits.y.copy()
    peer = foolbox.PyTorchModel(net, bounds=(0, 1), device="cpu")
    kind = {"linf": foolbox.attacks.LinfPGD, "l2": foolbox.attacks.L2PGD, "l1": foolbox.attacks.L1PGD}[norm]
    attack = kind(rel_stepsize=2.5 / 40, steps=40)  # the same steps as ours
    torch.manual_seed(0)
    data, model = as_data(x, y, schema={"bounds": (0, 1)}), as_model(net, output="logits")
    eps = {"linf": 0.08, "l2": 0.5, "l1": 2.5}[norm]
    broken = attack(peer, torch.from_numpy(x), torch.from_numpy(y), epsilons=eps)[2].numpy()
    assert 0.1 < np.mean(broken) < 0.9
    assert accuracy(PGD(eps=eps, norm=norm), model, data) <= np.mean(~broken) + 0.02  # the spread of its seeds


class Scaled(torch.nn.Module):
    """Logits times a number, and a softmax on request: the same decisions."""

    def __init__(self, net, factor, *, softmax=False):
        super().__init__()
        self.net, self.factor, self.softmax = net, factor, softmax

    def forward(self, x):
        z = self.net(x) * self.factor
        return torch.softmax(z, dim=1) if self.softmax else z


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_the_scale_of_the_logits_changes_nothing(digits, digits_net, norm):
    eps = 0.08 if norm == "linf" else 0.6
    attack = PGD(eps=eps, norm=norm)
    plain = accuracy(attack, as_model(digits_net, output="logits"), digits)
    assert 0.1 < plain < 0.9
    for factor in (0.1, 0.01, 1e-6, 1e3):
        scaled = as_model(Scaled(digits_net, factor), output="logits")
        assert accuracy(attack, scaled, digits) == pytest.approx(plain, abs=0.015), factor
    for factor in (0.1, 0.01):
        scaled = as_model(Scaled(digits_net, factor, softmax=True), output="probabilities")
        assert accuracy(attack, scaled, digits) == pytest.approx(plain, abs=0.015), factor


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_stronger_than_one_step_and_than_noise(digits, digits_model, norm):
    eps = 0.1 if norm == "linf" else 0.8
    many, one = (
        accuracy(attack, digits_model, digits) for attack in (PGD(eps=eps, norm=norm), FGSM(eps=eps, norm=norm))
    )
    assert many < one < accuracy(RandomNoise(eps=eps, norm=norm), digits_model, digits)


def test_more_restarts_and_more_budget_break_no_fewer(digits, digits_model):
    weak, strong = PGD(eps=0.05, steps=5), PGD(eps=0.05, steps=5, restarts=3)
    held = {
        attack: digits_model.forward(attack.perturb(digits_model, digits)).argmax(axis=1) == digits.y
        for attack in (weak, strong)
    }
    assert (held[strong] <= held[weak]).all()
    assert accuracy(weak.at(0.2), digits_model, digits) < held[weak].mean()


def test_broken_rows_leave_at_once_and_others_fill_the_batch(digits, digits_net):
    model = as_model(digits_net, output="logits", batch_size=64)
    sizes = []
    gradients = model.gradients

    def watched(x, cotangent):
        sizes.append(len(x))
        return gradients(x, cotangent)

    with metered() as meter:
        PGD(eps=0.15).perturb(replace(model, gradients=watched), digits)
    assert meter.backward_rows < 20 * len(digits)  # of 40 steps; a plain model breaks early
    assert meter.backward_rows == sum(sizes)
    assert np.mean([size > 32 for size in sizes]) > 0.5


def test_saturated_probabilities_are_attacked_where_anything_is_left(digits, digits_net):
    from torch import nn

    soft = as_model(nn.Sequential(digits_net, nn.Softmax(1)), output="probabilities")
    logits = as_model(digits_net, output="logits")
    attack = PGD(eps=0.1)
    assert accuracy(attack, soft, digits) == pytest.approx(accuracy(attack, logits, digits), abs=0.02)


def test_one_output_stands_for_two_classes(cancer, fit):
    from torch import nn

    def loss(z, y):
        return nn.functional.binary_cross_entropy_with_logits(z[:, 0], y.float())

    net = fit(lambda: nn.Linear(30, 1), cancer.x, cancer.y, loss=loss)
    pair = nn.Linear(30, 2)
    with torch.no_grad():
        pair.weight.copy_(torch.vstack([torch.zeros(1, 30), net.weight]))
        pair.bias.copy_(torch.hstack([torch.zeros(1), net.bias]))
    attack = PGD(eps=0.1)
    models = [
        as_model(net, output="logits"),
        as_model(nn.Sequential(net, nn.Sigmoid()), output="probabilities"),
        as_model(pair, output="logits"),
    ]
    broken = []
    for model in models:
        outputs = model.forward(attack.perturb(model, cancer))
        threshold = 0.5 if model.output == "probabilities" else 0.0
        labels = outputs.argmax(axis=1) if outputs.shape[1] == 2 else (outputs[:, 0] > threshold).astype(int)
        broken.append(labels != cancer.y)
    assert broken[0].mean() > 0.05
    assert (broken[0] == broken[2]).mean() > 0.995
    assert (broken[1] == broken[2]).mean() > 0.995


def test_a_sweep_is_monotone_and_no_weaker_than_single_runs(digits, digits_model):
    grid, attack = [0.02, 0.04, 0.06, 0.08, 0.1, 0.15], PGD(steps=10)
    survived = attack.sweep(aim(digits_model, digits), grid, seed=0).survived
    assert (survived[1:] <= survived[:-1]).all()
    for k, eps in enumerate(grid):
        assert survived[k + 1].mean() <= accuracy(attack.at(eps), digits_model, digits) + 0.015


def test_a_curve_costs_one_vain_search_a_row(digits, digits_model):
    grid = np.linspace(0.01, 0.2, 10).tolist()
    with metered() as meter:
        survived = PGD().sweep(aim(digits_model, digits), grid, seed=0).survived
    assert meter.backward_rows < 25 * len(digits)  # 40 steps at 10 budgets would be 400
    with metered() as longer:
        careful = PGD(steps=40).sweep(aim(digits_model, digits), grid, seed=0).survived
    assert meter.backward_rows < longer.backward_rows
    assert np.abs(survived.mean(axis=1) - careful.mean(axis=1)).max() <= 0.01


def test_a_budget_of_zero_is_not_searched(digits, digits_model):
    survived = PGD(steps=3).sweep(aim(digits_model, digits), [0.0, 0.3], seed=0).survived
    assert (survived[1] == survived[0]).all()
    assert survived[2].mean() < 0.1


def test_momentum_by_hand(linear):
    # Slopes (3, −1), then (−3, −1) beyond x_0 = 0.5: g₁ = (¾, −¼), g₂ = 0.9·g₁ + (−¾, −¼) = (−0.075, −0.475).
    seen = []

    def gradients(x, cotangent):
        seen.append(x.copy())
        outputs = np.hstack([np.full((len(x), 1), 9.0), np.zeros((len(x), 1))])
        slope = np.where(x[:, :1] < 0.5, [[3.0, -1.0]], [[-3.0, -1.0]])
        return outputs, slope * cotangent(outputs)[:, 1:]

    model = as_model(lambda x: gradients(x, np.ones_like)[0], gradients=gradients, output="logits")
    attack = PGD(eps=1.0, norm="l2", steps=3, rel_step=0.8, random_start=False, momentum=0.9)
    attack.perturb(model, as_data(np.zeros((1, 2)), [0]))
    points = [place[0] for place in seen if len(place) == 1][-3:]
    first = 0.8 * np.array([3.0, -1.0]) / np.sqrt(10)
    second = first + 0.8 * np.array([-0.075, -0.475]) / np.linalg.norm([0.075, 0.475])
    assert points[1] == pytest.approx(first)
    assert points[2] == pytest.approx(second / max(np.linalg.norm(second), 1.0))


@pytest.mark.parametrize("norm", ["linf", "l2", "l1"])
def test_momentum_finds_about_what_the_gradient_finds(digits, digits_model, norm):
    eps = {"linf": 0.08, "l2": 0.5, "l1": 2.0}[norm]
    plain, heavy = (
        accuracy(PGD(eps=eps, norm=norm, momentum=momentum), digits_model, digits) for momentum in (0.0, 1.0)
    )
    assert abs(plain - heavy) <= 0.03


def test_without_a_random_start_nothing_is_random(digits, digits_model):
    attack = PGD(eps=0.05, steps=3, random_start=False)
    few = digits.rows(np.arange(30))
    assert (attack.perturb(digits_model, few, seed=0) == attack.perturb(digits_model, few, seed=1)).all()
    drawn = replace(attack, random_start=True)
    assert (drawn.perturb(digits_model, few, seed=0) != drawn.perturb(digits_model, few, seed=1)).any()


def test_repr_is_the_constructor_call():
    attack = PGD(eps={"a": 1}, norm="l2", steps=7)
    assert eval(repr(attack), {"PGD": PGD}) == attack


def test_errors():
    with pytest.raises(InvalidInput, match="steps got 0"):
        PGD(eps=0.1, steps=0)
    with pytest.raises(InvalidInput, match="restarts got -1"):
        PGD(eps=0.1, restarts=-1)
    with pytest.raises(InvalidInput, match="rel_step got 0"):
        PGD(eps=0.1, rel_step=0)
    with pytest.raises(InvalidInput, match="momentum got -1"):
        PGD(eps=0.1, momentum=-1)
    with pytest.raises(InvalidInput, match="random_start got 'yes'"):
        PGD(eps=0.1, random_start="yes")
