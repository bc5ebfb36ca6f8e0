"""Which attacks a strength stands for, what they cost a row that holds, and that a stronger one leaves no more."""

import numpy as np
import pytest
import torch
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from torch import nn

from robust.attacks.accuracy_under_attack import robust_accuracy
from robust.attacks.rungs import plan, run_ladder
from robust.attacks.strengths import cascade, read_strength
from robust.attacks.target import aim
from robust.attacks.transfer import Transfer
from robust.attacks.tree_attack import TreeAttack
from robust.data.live import as_data
from robust.errors import InvalidInput
from robust.models.conversion import as_model
from robust.predicting.metering import metered

#: Passes of AutoAttack's standard version for a row that holds (Croce and Hein 2020, section 6): forwards and
#: backwards of APGD on the cross-entropy and towards nine classes, 100 steps from a start that is asked too, FAB
#: towards nine classes with a second forward a step, and 5,000 queries of Square.
AUTO_ATTACK = 2 * 101 + 9 * 2 * 101 + 9 * 3 * 100 + 5000


def names(target, strength, norm="linf"):
    rungs = cascade(target, eps=0.05, norm=norm, strength=strength)
    return [type(rung).__name__ + " " + getattr(rung, "loss", "") for rung in rungs]


def test_the_rungs_by_name(digits, digits_model):
    target = aim(digits_model, digits)
    assert names(target, "quick") == ["FGSM ", "APGD targeted", "PGD "]
    assert names(target, "standard") == ["FGSM ", "PGD ", "APGD margin", "APGD targeted"]
    long = ["FGSM ", "PGD ", "APGD targeted", "APGD margin"]
    assert names(target, "thorough") == [*long, "FMN ", "Square "]
    assert names(target, "thorough", "l2") == [*long, "DDN ", "Square "]
    assert names(target, "thorough", "l1") == [*long, "FMN ", "Square "]
    with pytest.raises(InvalidInput, match="strength got 'weak'; one of 'quick', 'standard', 'thorough'"):
        read_strength("weak")


def robust_net():
    """Ten classes, each row far from all boundaries, and a slope everywhere."""
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(12, 16), nn.Tanh(), nn.Linear(16, 10))
    with torch.no_grad():
        net[2].bias[0] += 100.0
    return net.eval()


@pytest.mark.parametrize("norm", ["linf", "l2", "l1"])
def test_a_row_that_holds_costs_a_fifth_of_autoattack(norm):
    x = np.random.default_rng(0).uniform(size=(6, 12)).astype(np.float32)
    target = aim(as_model(robust_net(), output="logits"), as_data(x, np.zeros(6, dtype=int)))
    ladder = plan(target, attack=None, eps=0.1, norm=norm, strength="thorough")
    with metered() as meter:
        outcome = run_ladder(ladder, target, seed=0)
    assert not outcome.broken.any()
    cost = (meter.forward_rows + meter.backward_rows) / 6
    assert 0.1 * AUTO_ATTACK < cost <= 0.2 * AUTO_ATTACK


@pytest.mark.parametrize("eps", [0.07, 0.1])
def test_a_stronger_one_leaves_no_more(digits, digits_model, eps):
    target = aim(digits_model, digits.rows(np.arange(40)))
    target = target.part(~target.wrong(target.scores(target.x), slice(None)))
    held = []
    for strength in ("quick", "standard", "thorough"):
        ladder = plan(target, attack=None, eps=eps, norm="linf", strength=strength)
        held.append((~run_ladder(ladder, target, seed=0).broken).mean())
    assert held[0] >= held[1] >= held[2]
    assert 0.05 < held[1] < 0.95


def test_a_surrogate_takes_nothing_away_from_what_is_known_of_trees():
    rng = np.random.default_rng(0)
    x = rng.random((300, 4))
    y = (x @ [2.0, -1.0, 1.0, -2.0] > 0).astype(int)
    forest = as_model(RandomForestClassifier(10, random_state=0).fit(x, y))
    twin = LogisticRegression(C=100.0).fit(x, y)
    target = aim(forest, as_data(x, y))
    alone = cascade(target, eps=0.1, norm="linf", strength="quick")
    both = cascade(target, eps=0.1, norm="linf", strength="quick", surrogate=twin)
    assert alone == (TreeAttack(eps=0.1),)
    assert both[-1:] == alone
    assert all(isinstance(rung, Transfer) for rung in both[:-1])
    assert len(both) == 4
    values = [robust_accuracy(forest, (x, y), eps=0.1, strength="quick", surrogate=one).value for one in (None, twin)]
    assert values[1] <= values[0]
