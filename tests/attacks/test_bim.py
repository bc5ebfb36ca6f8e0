import numpy as np
import pytest

from robust.attacks.bim import BIM
from robust.attacks.pgd import PGD
from robust.attacks.target import aim
from robust.data.live import as_data
from robust.errors import InvalidInput


@pytest.mark.parametrize("norm", ["linf", "l2", "l1"])
def test_it_is_pgd_from_the_row_itself(digits, digits_model, norm):
    few, eps = digits.rows(np.arange(30)), {"linf": 0.08, "l2": 0.6, "l1": 4.0}[norm]
    mine = BIM(eps=eps, norm=norm, steps=5).perturb(digits_model, few, seed=1)
    assert (mine == PGD(eps=eps, norm=norm, steps=5, random_start=False).perturb(digits_model, few, seed=2)).all()
    assert (mine != PGD(eps=eps, norm=norm, steps=5).perturb(digits_model, few)).any()


def test_two_steps_by_hand(linear):
    # Logits (0, a + b − 9): nothing breaks, and each step moves both features by 0.25 upwards.
    seen = []
    model = linear([[0.0, 0.0], [1.0, 1.0]], [0.0, -9.0])
    gradients = model.gradients

    def watched(x, cotangent):
        seen.append(x.copy())
        return gradients(x, cotangent)

    from dataclasses import replace

    BIM(eps=1.0, steps=3, rel_step=0.25).perturb(replace(model, gradients=watched), as_data(np.zeros((1, 2)), [0]))
    assert np.vstack(seen) == pytest.approx(np.array([[0, 0], [0.25, 0.25], [0.5, 0.5]]))


def test_a_sweep_falls(digits, digits_model):
    survived = BIM(steps=5).sweep(aim(digits_model, digits), [0.02, 0.05, 0.1], seed=0).survived
    assert (survived[1:] <= survived[:-1]).all()
    assert survived[-1].mean() < survived[1].mean()


def test_repr_and_errors():
    attack = BIM(eps={"a": 1}, norm="l1", steps=7)
    assert eval(repr(attack), {"BIM": BIM}) == attack
    assert attack.gradients
    with pytest.raises(InvalidInput, match="steps got 0"):
        BIM(steps=0)
    with pytest.raises(InvalidInput, match="norm got 'l0'"):
        BIM(norm="l0")
