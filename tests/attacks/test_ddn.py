"""DDN, FMN and DeepFool beside a peer's with many more steps."""

import numpy as np
import pytest
import torch

from robust.attacks.ddn import DDN
from robust.attacks.deepfool import DeepFool
from robust.attacks.fmn import FMN
from robust.predicting.metering import metered


def norms(new, old, order):
    return np.linalg.norm((new - old).reshape(len(old), -1), ord=order, axis=1)


@pytest.mark.parametrize(
    ("attack", "peer", "order", "most"),
    [
        (DDN(), "DDNAttack", 2, 1.02),
        (DDN(steps=8), "L2FMNAttack", 2, 1.0),
        (FMN(norm="linf"), "LInfFMNAttack", np.inf, 1.01),
        (FMN(norm="l1"), "L1FMNAttack", 1, 1.0),
        (DeepFool(), "L2DeepFoolAttack", 2, 1.01),
        (DeepFool(norm="linf"), "LinfDeepFoolAttack", np.inf, 1.01),
    ],
    ids=lambda value: repr(value) if not isinstance(value, str) else value,
)
def test_no_larger_than_what_peers_find_in_a_hundred_steps(
    foolbox, digits, digits_net, digits_model, attack, peer, order, most
):
    few = digits.rows(np.arange(100))
    with metered() as meter:
        new = attack.perturb(digits_model, few)
    assert (digits_model.forward(new).argmax(axis=1) != few.y).all()
    torch.manual_seed(0)
    theirs = getattr(foolbox.attacks, peer)()
    subject = foolbox.PyTorchModel(digits_net, bounds=(0, 1), device="cpu")
    found = theirs(subject, torch.tensor(few.x), torch.tensor(few.y), epsilons=None)[0].numpy()
    other = norms(found, few.x, order)
    other[digits_model.forward(found).argmax(axis=1) == few.y] = np.inf
    assert np.median(norms(new, few.x, order)) <= most * np.median(other)
    if not isinstance(attack, DeepFool):
        assert meter.backward_rows <= (attack.steps + 1) * len(few)
