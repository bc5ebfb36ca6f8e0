"""What nobody can have meant is refused before anything runs, by every attack and measure; the doubtful is told."""

from dataclasses import replace

import numpy as np
import pytest

from robust.attacks.accuracy_curve import robustness_curve
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
from robust.attacks.output_change import largest_output_change
from robust.attacks.pgd import PGD
from robust.attacks.random_search import RandomSearch
from robust.attacks.square import Square
from robust.data.live import as_data
from robust.errors import InvalidInput
from robust.models.conversion import as_model

ATTACKS = [RandomNoise, FGSM, BIM, PGD, APGD, DDN, FMN, DeepFool, Square, RandomSearch, HopSkipJump, Boundary]
BAD = [-0.1, float("nan"), float("inf"), "0.1", True, {"x0": -1}, {"x0": float("nan")}]
X = np.random.default_rng(0).uniform(-1, 1, size=(30, 2))
Y = (X.sum(axis=1) > 0).astype(int)


class Counting:
    """A linear classifier that counts its calls."""

    def __init__(self):
        self.calls = 0
        self.model = as_model(self.forward, gradients=self.gradients, output="logits", name="linear")

    def forward(self, x):
        self.calls += 1
        total = np.asarray(x, dtype=float).sum(axis=1, keepdims=True)
        return np.hstack([-total, total])

    def gradients(self, x, cotangent):
        outputs = self.forward(x)
        flow = cotangent(outputs)
        return outputs, np.repeat(flow[:, 1:] - flow[:, :1], 2, axis=1)


def questions(model, data, eps=0.1):
    """Everything that takes a budget."""
    return [
        lambda: robust_accuracy(model, data, eps=eps, strength="quick"),
        lambda: attacked_rows(model, data, eps=eps, strength="quick"),
        lambda: robustness_curve(model, data, FGSM(), eps=[eps]),
        *(lambda kind=kind: kind(eps=eps).perturb(model, data) for kind in ATTACKS),
        *(lambda kind=kind: robust_accuracy(model, data, attack=kind(eps=eps)) for kind in ATTACKS),
    ]


@pytest.mark.parametrize("eps", BAD, ids=repr)
def test_a_budget_that_is_none_is_refused_before_anything_is_asked(eps):
    counting = Counting()
    for question in questions(counting.model, (X, Y), eps):
        with pytest.raises(InvalidInput, match=r"eps.* got .*(at least 0, in the data's units|one number)"):
            question()
    assert counting.calls == 0


def test_a_budget_for_a_feature_that_is_not_there_is_refused():
    for question in questions(Counting().model, (X, Y), {"nope": 1.0}):
        with pytest.raises(InvalidInput, match=r"there is no feature 'nope'; there are x0, x1|one number for all"):
            question()


def test_rows_outside_their_bounds_are_refused_before_anything_is_asked():
    counting = Counting()
    inside = as_data(X / 2, Y, schema={"bounds": (-0.5, 0.5)})
    outside = replace(inside, x=X)
    for question in [*questions(counting.model, outside), lambda: minimal_perturbation(counting.model, outside)]:
        with pytest.raises(InvalidInput, match=r"breaks its schema: feature 'x0' is below its bound -0\.5 in 6 rows"):
            question()
    assert counting.calls == 0


def test_labels_that_the_model_does_not_know_are_refused():
    labels = np.where(np.arange(30) < 8, 2, Y)
    model = Counting().model
    for question in [*questions(model, (X, labels)), lambda: minimal_perturbation(model, (X, labels))]:
        with pytest.raises(InvalidInput, match=r"labels that linear does not know: \[2\]; its classes are \[0, 1\]"):
            question()


@pytest.mark.parametrize("eps", [1e-30, 1e-29, 9e29, 1e30])
def test_budgets_at_the_limits_of_their_size_are_asked_about(eps):
    # Self-checks ask about parts and multiples of the budget, which a budget may not have.
    for question in questions(Counting().model, (X, Y), eps):
        question()
    sum_of_two = as_model(lambda x: x.sum(axis=1), task="regression", gradients=slopes_of_sum)
    assert largest_output_change(sum_of_two, X, eps=eps).value >= 0
    assert minimal_perturbation(Counting().model, (X * 1e32, Y)).value > 1e28


def slopes_of_sum(x, cotangent):
    outputs = x.sum(axis=1)
    return outputs, np.broadcast_to(cotangent(outputs)[:, None], x.shape)


@pytest.mark.parametrize("schema", [{"bounds": (-1, 1)}, None], ids=["declared", "spanned"])
def test_a_budget_beyond_the_features_ranges_is_pointed_out(schema):
    def units(eps, norm="linf"):
        m = robust_accuracy(Counting().model, as_data(X, Y, schema=schema), attack=FGSM(eps=eps, norm=norm))
        return next(check for check in m.validity if check.name == "units")

    assert units(1.0).passed
    assert not units(25.0).passed
    assert units(25.0).bias == "none"
    assert r"eps 25 exceeds the range -" in units(25.0).reason
    assert ("as far as the data spans it" in units(25.0).reason) == (schema is None)
    # In l2 a budget may be longer than one feature is wide: both together are.
    assert units(2.5, "l2").passed
    assert not units(3.0, "l2").passed


def test_few_rows_span_no_range(linear):
    few = as_data(np.array([[0.3, 0.1], [0.4, 0.2]]), [1, 1])
    m = robust_accuracy(Counting().model, few, attack=FGSM(eps=5.0))
    assert next(check for check in m.validity if check.name == "units").passed
