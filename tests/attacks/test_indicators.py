"""Indicators of a failed search: each fails for a search made to fail it, and holds for one that works."""

from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch
from torch import nn

from robust.attacks.accuracy_under_attack import robust_accuracy
from robust.attacks.base import Attack, adversarial_rows
from robust.attacks.fgsm import FGSM
from robust.attacks.indicators import (
    beats_single_step,
    iterations_suffice,
    more_budget,
    planted_found,
    transfer_failure,
    unstable_loss,
    weaker_black_box,
)
from robust.attacks.noise import RandomNoise
from robust.attacks.pgd import PGD
from robust.attacks.target import aim
from robust.attacks.transfer import Transfer
from robust.data.live import as_data
from robust.models.conversion import as_model

RNG = np.random.default_rng(0)
WEIGHT = np.array([1.0, -1.0, 0.5, 2.0])
X = RNG.uniform(0.2, 0.8, (300, 4))
Y = (X @ WEIGHT > 1.25).astype(int)


def linear():
    net = nn.Linear(4, 2).double()
    with torch.no_grad():
        net.weight[:] = torch.from_numpy(np.stack([-WEIGHT, WEIGHT]))
        net.bias[:] = torch.tensor([1.25, -1.25])
    return net


@pytest.fixture
def target():
    return aim(as_model(linear(), output="logits"), as_data((X, Y), schema={"bounds": (0, 1)}))


def broken_by(attack, target):
    return target.wrong(target.scores(adversarial_rows(attack, target, seed=0)), slice(None))


@dataclass(frozen=True, slots=True, kw_only=True)
class Staying(FGSM):
    """Finds its direction and does not go there."""

    def search(self, target, space, *, seed):
        return target.x.copy()


@dataclass(frozen=True, slots=True, kw_only=True)
class Shy(FGSM):
    """Goes less far the more it may."""

    def search(self, target, space, *, seed):
        rows = FGSM.search(self, target, space, seed=seed)
        return target.x + (rows - target.x) * (1.0 if self.eps <= 0.1 else 0.01)


def test_planted_rows_are_found_by_an_attack_that_climbs_and_missed_by_one_that_stays(target):
    found = planted_found(PGD(eps=0.05), target, seed=0)
    assert found.passed
    assert found.reason == "of 32 planted adversarial rows, the attack found 32"
    missed = planted_found(Staying(eps=0.05), target, seed=0)
    assert not missed.passed
    assert missed.bias == "raises"
    assert missed.reason == "of 32 planted adversarial rows, the attack found 0: it misses rows that are there"


def test_nothing_is_planted_where_noise_leads_nowhere(target):
    flat = linear()
    with torch.no_grad():
        flat.weight.zero_()
    constant = aim(as_model(flat, output="logits"), target.data)
    found = planted_found(PGD(eps=0.05), constant, seed=0)
    assert (found.passed, found.reason) == (True, "of 0 planted adversarial rows, the attack found 0")


def test_steps_that_find_less_than_one(target):
    eps = 0.1
    good, bad = PGD(eps=eps), Staying(eps=eps)
    assert beats_single_step(good, target, broken_by(good, target), seed=0).passed
    found = beats_single_step(bad, target, broken_by(bad, target), seed=0)
    assert not found.passed
    assert "one step breaks" in found.reason


def test_too_few_steps(target):
    slow = PGD(eps=0.1, steps=4, rel_step=1e-3, random_start=False)
    held = np.zeros(len(target), dtype=bool)
    assert iterations_suffice(PGD(eps=0.1), target, broken_by(PGD(eps=0.1), target), seed=0).passed
    found = iterations_suffice(slow, target, held, seed=0)
    assert not found.passed
    assert "twice as many steps break" in found.reason
    assert iterations_suffice(FGSM(eps=0.1), target, held, seed=0) is None
    assert iterations_suffice(slow, target, ~held, seed=0) is None
    twin = Transfer(attack=slow, surrogate=as_model(linear(), output="logits"))
    assert not iterations_suffice(twin, target, held, seed=0).passed


def test_black_box_that_finds_more(target):
    held = np.zeros(len(target), dtype=bool)
    found = weaker_black_box(RandomNoise(eps=0.2), target, held, seed=0)
    assert not found.passed
    assert found.reason.startswith("RandomNoise, which sees scores alone, breaks ")
    real = broken_by(PGD(eps=0.2), target)
    assert weaker_black_box(RandomNoise(eps=0.2), target, real, seed=0).passed
    assert weaker_black_box(RandomNoise(eps=0.2), target, ~held, seed=0) is None


def test_more_budget_that_makes_it_worse(target):
    gone = broken_by(PGD(eps=0.1), target)
    assert more_budget(PGD(eps=0.1), target, gone, seed=0).passed
    found = more_budget(Shy(eps=0.1), target, gone, seed=0)
    assert (found.passed, found.bias) == (False, "none")
    assert "hold at 1.5 times the budget" in found.reason
    assert more_budget(PGD(eps=0.1), target, ~gone & False, seed=0) is None


def test_a_transfer_from_another_model_fails_more(target):
    same = Transfer(attack=PGD(eps=0.1), surrogate=as_model(linear(), output="logits"))
    assert str(transfer_failure(same, target, seed=0).value).startswith("0 of ")
    other = linear()
    with torch.no_grad():
        other.weight[:] = other.weight.flip(1)
        other.bias.zero_()
    lost = str(transfer_failure(replace(same, surrogate=as_model(other, output="logits")), target, seed=0).value)
    assert int(lost.split()[0]) > 5


def test_a_restless_loss_is_told(target):
    calm = unstable_loss(target, eps=0.1, norm="linf", seed=0)

    class Restless(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = linear()

        def forward(self, x):
            return self.net(x) + 3 * torch.sin(1e6 * x[:, :2])

    restless = aim(as_model(Restless(), output="logits"), target.data)
    assert calm.value < 0.05
    assert unstable_loss(restless, eps=0.1, norm="linf", seed=0).value > 0.3


def test_budgets_by_name_are_scaled_by_name(target):
    attack = PGD(eps={"x0": 0.1, "x3": 0.05})
    assert isinstance(attack, Attack)
    assert more_budget(attack, target, broken_by(attack, target), seed=0).passed


def test_a_named_attack_is_held_against_forty_steps(target):
    # Twice as many of two short steps are still far too few.
    slow = PGD(eps=0.1, steps=2, rel_step=0.02, random_start=False)
    broken = broken_by(slow, target)
    assert iterations_suffice(slow, target, broken, seed=0).passed
    found = iterations_suffice(
        replace(slow, rel_step=None), target, np.zeros(len(target), dtype=bool), seed=0, least=40
    )
    assert not found.passed
    assert found.reason.startswith("40 steps break ")
    model, data = as_model(nn.Sequential(linear(), nn.Tanh()), output="logits"), target.data
    told = [
        next(check for check in robust_accuracy(model, data, **asked).validity if check.name == "enough steps")
        for asked in ({"attack": slow}, {"eps": 0.02, "strength": "quick"})
    ]
    assert told[0].reason.startswith("40 steps")
    assert told[1].reason.startswith("twice as many")
