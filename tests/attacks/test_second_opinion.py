"""Attacks that did not look are held against those that do."""

import numpy as np
import pytest
import torch
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier
from torch import nn

from robust.attacks.accuracy_curve import robustness_curve
from robust.attacks.accuracy_under_attack import robust_accuracy
from robust.attacks.boundary import Boundary
from robust.attacks.hop_skip_jump import HopSkipJump
from robust.attacks.noise import RandomNoise
from robust.attacks.pgd import PGD
from robust.attacks.random_search import RandomSearch
from robust.attacks.square import Square
from robust.data.live import as_data
from robust.errors import InvalidInput
from robust.models.conversion import as_model

EPS = 0.15


@pytest.fixture(scope="module")
def net(fit, digits):
    def build():
        return nn.Sequential(nn.Flatten(), nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10))

    return fit(build, digits.x, digits.y)


def failed(measured):
    return {check.name for check in measured.validity if not check.passed}


def does_nothing(model, x, y):
    return x


def test_an_attack_that_does_nothing_passes_nothing(net, digits):
    model = as_model(net, output="logits")
    m = robust_accuracy(model, digits, attack=does_nothing, eps=EPS)
    assert (m > 0.5).status == "INVALID"
    assert "second opinion" in failed(m)
    assert robust_accuracy(model, digits, eps=EPS).value < m.value - 0.2
    area = robustness_curve(model, digits, does_nothing, eps=[EPS / 2, EPS]).area()
    assert (area > 0.5).status == "INVALID"


def test_an_attack_that_moves_nothing_has_not_looked_at_any_budget(net, digits):
    model = as_model(net, output="logits")
    m = robust_accuracy(model, digits, attack=does_nothing, eps=1e-3)
    check = next(check for check in m.validity if check.name == "obeys budget and schema")
    assert not check.passed
    assert check.reason.endswith("stayed where they were: it has not looked")
    assert (m > 0.5).status == "INVALID"


def test_a_second_opinion_looks_at_a_hundred_rows(net, digits):
    """Weak attacks miss a few rows in a hundred, which thirty-two rows would not tell."""
    model = as_model(net, output="logits")
    for eps in (0.08, 0.1, 0.12):
        weak = robust_accuracy(model, digits, attack=HopSkipJump(eps=eps, steps=1))
        found = robust_accuracy(model, digits, eps=eps).value
        if weak.value > found + 0.08:
            assert "second opinion" in failed(weak)
        assert "second opinion" not in failed(robust_accuracy(model, digits, attack=PGD(eps=eps)))
    assert weak.value > found + 0.08


def test_trees_and_weights_give_an_opinion():
    x, y = load_breast_cancer(return_X_y=True)
    x = StandardScaler().fit_transform(x)
    data = as_data(x[400:500], y[400:500])
    for model, name, eps in (
        (LogisticRegression(C=1e4, max_iter=5000), "LinearExact", 0.1),
        (DecisionTreeClassifier(random_state=0), "TreeAttack", 0.3),
    ):
        m = robust_accuracy(model.fit(x[:400], y[:400]), data, attack=lambda f, rows, _: rows + 0.01, eps=eps)
        check = next(check for check in m.validity if check.name == "second opinion")
        assert not check.passed
        assert check.reason.startswith(name)


def test_attacks_that_hardly_look(foolbox, net, digits):
    model = as_model(net, output="logits")
    for attack in (foolbox.attacks.LinfBasicIterativeAttack(steps=1, rel_stepsize=1e-9), Square(eps=EPS, queries=1)):
        options = {} if isinstance(attack, Square) else {"eps": EPS}
        m = robust_accuracy(model, digits, attack=attack, **options)
        assert "second opinion" in failed(m)


def test_attacks_that_look_pass(foolbox, net, digits):
    model = as_model(net, output="logits")
    for attack, options in (
        (foolbox.attacks.LinfPGD(steps=40), {"eps": 0.02}),
        (PGD(eps=0.02), {}),
        (Square(eps=0.02, queries=500), {}),
    ):
        m = robust_accuracy(model, digits, attack=attack, **options)
        assert not failed(m), attack
        assert (m > 0.5).status == "PASS"


class Rounded(nn.Module):
    """Logits in whole numbers: no gradient anywhere."""

    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def forward(self, x):
        return self.inner(x).round()


def test_hidden_gradients_are_seen_behind_another_librarys_attack(foolbox, net, digits):
    model = as_model(Rounded(net), output="logits")
    m = robust_accuracy(model, digits, attack=foolbox.attacks.LinfPGD(steps=40), eps=EPS)
    assert (m > m.lower - 0.02).status == "INVALID"
    assert "gradients" in failed(m)
    curve = robustness_curve(model, digits, foolbox.attacks.LinfPGD(steps=40), eps=[EPS / 2, EPS])
    assert all("gradients" in failed(point) for point in curve)


def decisions(net):
    def forward(x):
        with torch.no_grad():
            scores = net(torch.from_numpy(np.asarray(x, dtype=np.float32))).numpy()
        return np.eye(10)[scores.argmax(axis=1)]

    return as_model(forward, output="probabilities", name="decisions")


@pytest.mark.parametrize("attack", [Square(eps=EPS), RandomSearch(eps=EPS)], ids=["square", "random search"])
def test_scores_that_are_decisions_tell_a_search_nothing(net, digits, attack):
    model = decisions(net)
    m = robust_accuracy(model, digits, attack=attack)
    assert "second opinion" in failed(m)
    whole = robust_accuracy(model, digits, eps=EPS)
    assert not failed(whole)
    assert whole.value < m.value - 0.1
    walk = robust_accuracy(model, digits, attack=HopSkipJump(eps=EPS, steps=10))
    assert whole.value <= walk.value + 0.02  # a walk starts from the rows beside it


def test_noise_is_what_it_is(net, digits):
    m = robust_accuracy(as_model(net, output="logits"), digits, attack=RandomNoise(eps=EPS, draws=1))
    assert "second opinion" not in {check.name for check in m.validity}
    assert "a weak one" in next(check for check in m.validity if check.name == "strength").reason


def test_the_norm_of_a_curve_is_its_attacks(net, digits):
    with pytest.raises(InvalidInput, match="has its own"):
        robustness_curve(as_model(net, output="logits"), digits, PGD(), eps=[0.1], norm="l2")
    with pytest.raises(InvalidInput, match="norm got 'l3'"):
        robustness_curve(as_model(net, output="logits"), digits, PGD(), eps=[0.1], norm="l3")


def test_a_curve_by_labels_is_held_against_a_fitted_network(net, digits):
    # One-hot answers tell a search by scores nothing; a short walk leaves most rows that a fitted network breaks.
    model = as_model(net, output="logits")
    one_hot = as_model(lambda x: np.eye(10)[model.forward(x).argmax(axis=1)], output="probabilities", name="one-hot")
    curve = robustness_curve(one_hot, digits, Boundary(steps=10), eps=[EPS / 2, EPS])
    for point in curve:
        assert "second opinion" in failed(point)
        assert "Substitute" in next(check.reason for check in point.validity if check.name == "second opinion")
