"""A model whose answers are random: its pass is INVALID, with a figure; what is found wrong again and again stays."""

from dataclasses import fields

import numpy as np
import pytest
import torch
from torch import nn

from robust.attacks.accuracy_under_attack import robust_accuracy
from robust.attacks.adversarial_examples import attacked_rows
from robust.attacks.apgd import APGD
from robust.attacks.bim import BIM
from robust.attacks.boundary import Boundary
from robust.attacks.ddn import DDN
from robust.attacks.deepfool import DeepFool
from robust.attacks.fgsm import FGSM
from robust.attacks.fmn import FMN
from robust.attacks.hop_skip_jump import HopSkipJump
from robust.attacks.minimal_rows import minimal_perturbation
from robust.attacks.noise import RandomNoise
from robust.attacks.pgd import PGD
from robust.attacks.random_search import RandomSearch
from robust.attacks.repeated import Askings
from robust.attacks.square import Square
from robust.attacks.target import aim
from robust.data.live import as_data
from robust.models.conversion import as_model


class Drops(nn.Module):
    """Drops pixels at random, in evaluation mode too: a stochastic layer, the usual one that hides gradients."""

    def __init__(self, net, share=0.3):
        super().__init__()
        self.net, self.share = net, share

    def forward(self, x):
        return self.net(nn.functional.dropout(x, self.share, training=True))


class Coin:
    """Logits (-x, x) with noise of this size, from its own generator."""

    def __init__(self, size, seed=0):
        self.size, self.rng = size, np.random.default_rng(seed)

    def forward(self, x):
        return np.hstack([-x, x]) + self.size * self.rng.normal(size=(len(x), 2))

    def gradients(self, x, cotangent):
        outputs = self.forward(x)
        flow = cotangent(outputs)
        return outputs, flow[:, 1:] - flow[:, :1]


def coin(size, **options):
    made = Coin(size)
    return as_model(made.forward, gradients=made.gradients, output="logits", name="coin", **options)


def randomness(m):
    return next(check for check in m.validity if check.name == "randomness")


def line(n=40, low=0.5, high=3.0):
    x = np.linspace(low, high, n)[:, None] * np.where(np.arange(n) % 2, 1.0, -1.0)[:, None]
    return as_data(x, (x[:, 0] > 0).astype(int))


@pytest.mark.parametrize(
    "attack", [None, FGSM(eps=0.02), PGD(eps=0.02, steps=3), RandomNoise(eps=0.02, draws=10)], ids=repr
)
def test_a_pass_of_a_random_model_is_invalid(digits, digits_net, attack):
    torch.manual_seed(0)
    model = as_model(Drops(digits_net), output="logits", name="drops")
    given = {"eps": 0.02, "strength": "quick"} if attack is None else {"attack": attack}
    m = robust_accuracy(model, digits.rows(np.arange(40)), **given)
    assert m.value > 0.6
    assert (m > 0.3).status == "INVALID"
    check = randomness(m)
    assert not check.passed
    assert check.bias == "raises"
    changed, rows = (int(word) for word in check.reason.split(": ")[1].split(" rows")[0].split(" of "))
    assert 0 < changed <= rows <= 40
    # What is below its floor is a real failure: a third of the labels are wrong.
    if attack == FGSM(eps=0.02):
        labels = np.where(np.arange(40) % 2 == 0, (digits.y[:40] + 1) % 10, digits.y[:40])
        spoiled = robust_accuracy(model, as_data(digits.x[:40], labels, schema={"bounds": (0, 1)}), **given)
        assert (spoiled > 0.9).status == "FAIL"


def test_an_honest_model_repeats(digits, digits_model):
    m = robust_accuracy(digits_model, digits.rows(np.arange(30)), attack=FGSM(eps=0.02))
    assert randomness(m).passed
    assert randomness(m).reason == "rows that were asked twice got the same answers"


def test_rows_that_luck_alone_gets_wrong_are_not_broken():
    # Noise of 0.3 turns an answer at distance d with probability Φ(−2d/(0.3·√2)); the nearest row is at 0.5, where one
    # answer is wrong in 0.9 % of the askings; the mean of five is wrong in 10⁻⁷.
    m = robust_accuracy(coin(0.3), line(), attack=RandomNoise(eps=0.01, draws=200))
    assert m.value == 1.0
    assert (m > 0.5).status == "INVALID"


def test_what_is_wrong_again_and_again_is_broken():
    # Of 40 rows those nearer than eps = 1 to the boundary can be moved across it, whatever the noise of 0.01 says.
    near = np.abs(line().x[:, 0]) < 0.97
    far = np.abs(line().x[:, 0]) > 1.03
    m = robust_accuracy(coin(0.01), line(), eps=1.0, strength="quick")
    assert not m.row_values[near].any()
    assert m.row_values[far].all()
    assert (m > 0.99).status == "FAIL"
    assert not randomness(m).passed
    rows = attacked_rows(coin(0.01), line(), eps=1.0, strength="quick")
    assert rows.broken[near].all()
    assert not rows.broken[far].any()
    x_adv = PGD(eps=1.0, steps=3).perturb(coin(0.01), line())
    assert np.abs(x_adv - line().x).max() <= 1.0


def test_the_smallest_change_of_a_random_model_is_invalid_too():
    m = minimal_perturbation(coin(0.01), line())
    # A search that random answers lead astray finds changes that are too large, or none; never too small ones.
    assert (m.rows > 0.95 * np.abs(line().x[:, 0])).all()
    assert not randomness(m).passed
    assert (m > 0.1).status == "INVALID"
    assert (m > 10.0).status == "FAIL"


def test_randomness_that_shows_only_later_is_seen():
    class Late(Coin):
        def forward(self, x):
            away = ~np.isin(x[:, 0], line().x[:, 0])
            return np.hstack([-x, x]) + away[:, None] * self.size * self.rng.normal(size=(len(x), 2))

    late = Late(0.1)
    m = robust_accuracy(
        as_model(late.forward, gradients=late.gradients, output="logits"), line(), attack=PGD(eps=0.2, steps=3)
    )
    assert not randomness(m).passed
    assert "0 of 40 rows change" in randomness(m).reason
    assert (m > 0.5).status == "INVALID"


def test_labels_that_change_are_judged_by_the_majority():
    rng = np.random.default_rng(0)

    def labels(x):
        wrong = rng.uniform(size=len(x)) < 0.1
        return np.where(wrong, x[:, 0] <= 0, x[:, 0] > 0).astype(int)

    m = robust_accuracy(as_model(labels, task="classification"), line(), attack=RandomNoise(eps=0.01, draws=3))
    assert m.value >= 0.95  # of five answers three are wrong in 0.86 % of the rows
    assert not randomness(m).passed


def test_scores_and_gradients_are_means_of_several_answers():
    target = aim(coin(0.5), line())
    assert target.askings.times == 5
    assert target.part(np.arange(3)).askings is target.askings
    x = np.repeat(target.x[:1], 4000, axis=0)
    rows = np.zeros(4000, dtype=int)
    assert np.std(target.scores(x)[:, 1]) == pytest.approx(0.5 / np.sqrt(5), rel=0.05)
    assert np.std(target.gradient(x, rows)[0][:, 1]) == pytest.approx(0.5 / np.sqrt(5), rel=0.05)
    assert Askings().times == 1


@pytest.mark.parametrize("kind", [BIM, APGD, DDN, FMN, DeepFool, Square, RandomSearch, HopSkipJump, Boundary])
def test_every_attack_takes_a_random_model(kind):
    names = [field.name for field in fields(kind)]
    options = {name: few for name, few in (("queries", 30), ("steps", 5)) if name in names}
    m = robust_accuracy(coin(0.3), line(), attack=kind(eps=1.0, **options))
    assert (m > 0.1).status == "INVALID"
    assert not randomness(m).passed
    assert m.row_values[np.abs(line().x[:, 0]) > 1.6].all()
