import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from robust.attacks.accuracy_under_attack import robust_accuracy
from robust.attacks.base import adversarial_rows
from robust.attacks.hop_skip_jump import HopSkipJump
from robust.attacks.keeping import Progress, by_blocks, followed
from robust.attacks.minimal_rows import minimal_perturbation
from robust.attacks.noise import RandomNoise
from robust.attacks.pgd import PGD
from robust.attacks.target import aim
from robust.attacks.transfer import Transfer
from robust.data.live import as_data
from robust.models.conversion import as_model
from robust.predicting.cache import ArrayCache
from robust.predicting.metering import metered
from robust.predicting.notices import heard
from robust.predicting.settings import Settings, using


def watched(model):
    calls = []
    forward, gradients = model.forward, model.gradients

    def counted(x):
        calls.append(len(x))
        return forward(x)

    def counted_gradients(x, cotangent):
        calls.append(len(x))
        return gradients(x, cotangent)

    return replace(model, forward=counted, gradients=counted_gradients), calls


def test_a_second_run_asks_nothing_and_reports_the_same_cost(digits, digits_model, tmp_path):
    few = digits.rows(np.arange(64))
    model, calls = watched(digits_model)
    with using(Settings(cache=ArrayCache(folder=tmp_path))):
        first = robust_accuracy(model, few, eps=0.05)
        made = len(calls)
    with using(Settings(cache=ArrayCache(folder=tmp_path))):
        second = robust_accuracy(model, few, eps=0.05)
    assert made > 0
    assert len(calls) == made
    for field in ("value", "evidence", "validity"):
        assert getattr(first, field) == getattr(second, field)
    assert first.provenance.cost.forward_rows == second.provenance.cost.forward_rows
    assert first.provenance.cost.backward_rows == second.provenance.cost.backward_rows > 0


def test_whatever_changes_the_rows_changes_the_key(digits, digits_model):
    few = digits.rows(np.arange(20))
    stays = as_data(few.x, few.y, schema={"bounds": (0, 1), "x[0,0,2]": {"immutable": True}})
    model, calls = watched(digits_model)
    with using(Settings(cache=ArrayCache())):
        for attack, data, seed in (
            (PGD(eps=0.05, steps=3), few, 0),
            (PGD(eps=0.06, steps=3), few, 0),
            (PGD(eps=0.05, steps=3, norm="l2"), few, 0),
            (PGD(eps=0.05, steps=3), few, 1),
            (PGD(eps=0.05, steps=3), stays, 0),
            (PGD(eps=0.05, steps=3), few.rows(np.arange(19)), 0),
        ):
            before = len(calls)
            attack.perturb(model, data, seed=seed)
            made = len(calls)
            assert made > before
            with metered() as meter:
                again = attack.perturb(model, data, seed=seed)
            assert len(calls) == made
            assert meter.backward_rows > 0
            assert not again.flags.writeable


def test_a_callable_is_never_kept(linear):
    model, calls = watched(linear([[0.0], [1.0]]))
    data = as_data(np.array([[0.3]]), [1])
    attack = PGD(eps=0.1, steps=2)
    attack.perturb(model, data)
    made = len(calls)
    attack.perturb(model, data)
    assert len(calls) == 2 * made
    assert Transfer(attack=attack, surrogate=model).identity() is None


# --- interrupted runs ---------------------------------------------------------------------------------------


class Stops:
    """A model that is interrupted in some call, and counts them."""

    def __init__(self, model, at=None):
        self.calls, self.at = 0, at
        self.inner = model
        self.model = replace(model, forward=self.forward, gradients=self.gradients)

    def count(self):
        self.calls += 1
        if self.calls == self.at:
            raise KeyboardInterrupt

    def forward(self, x):
        self.count()
        return self.inner.forward(x)

    def gradients(self, x, cotangent):
        self.count()
        return self.inner.gradients(x, cotangent)


@pytest.fixture(scope="module")
def many():
    """700 rows, blocks of 256; a network of two inputs."""
    torch.manual_seed(0)
    net = torch.nn.Sequential(torch.nn.Linear(2, 8), torch.nn.ReLU(), torch.nn.Linear(8, 2)).eval()
    x = np.random.default_rng(0).uniform(-1, 1, size=(700, 2)).astype(np.float32)
    with torch.no_grad():
        y = net(torch.tensor(x)).argmax(dim=1).numpy()
    return as_model(net, output="logits", batch_size=64, name="net"), as_data(x, y, schema={"bounds": (-1, 1)})


QUESTIONS = {
    "pgd": lambda model, data: robust_accuracy(model, data, attack=PGD(eps=0.05, steps=5)),
    "noise": lambda model, data: robust_accuracy(model, data, attack=RandomNoise(eps=0.05, draws=20)),
    "cascade": lambda model, data: robust_accuracy(model, data, eps=0.05, strength="quick"),
    "minimal": lambda model, data: minimal_perturbation(model, data),
}


@pytest.mark.parametrize("name", QUESTIONS)
def test_an_interrupted_run_goes_on_where_it_was(many, tmp_path, name):
    model, data = many
    whole = Stops(model)
    with using(Settings(cache=ArrayCache())):
        reference = QUESTIONS[name](whole.model, data)
    for share in (0.3, 0.6, 0.9):
        folder = tmp_path / str(share)
        stopped, second = Stops(model, at=int(share * whole.calls)), Stops(model)
        said = []
        with (
            using(Settings(cache=ArrayCache(folder=folder))),
            heard(said.append),
            pytest.raises(KeyboardInterrupt) as caught,
        ):
            QUESTIONS[name](stopped.model, data)
        assert said == caught.value.__notes__
        assert share < 0.5 or re.match(
            rf"kept in {folder}: finished rows, \d+ of \w+.*; asked again, it goes on from there", said[0]
        )
        with using(Settings(cache=ArrayCache(folder=folder))):
            found = QUESTIONS[name](second.model, data)
        np.testing.assert_array_equal(found.value, reference.value)
        np.testing.assert_array_equal(found.row_values, reference.row_values)
        assert found.evidence == reference.evidence
        assert found.validity == reference.validity
        assert found.provenance.cost.backward_rows == reference.provenance.cost.backward_rows
        # What was made in vain is a block at most.
        assert second.calls < whole.calls
        assert second.calls <= (1.0 - share) * whole.calls + 0.35 * whole.calls


def test_who_interrupts_is_told_what_is_kept(many, tmp_path):
    model, data = many
    attack = PGD(eps=0.05, steps=5)
    whole = Stops(model)
    with using(Settings(cache=ArrayCache())), followed() as progress:
        adversarial_rows(attack, aim(whole.model, data), seed=0)
    assert progress.rows == {"PGD": 700}
    stopped = Stops(model, at=int(0.6 * whole.calls))
    with using(Settings(cache=ArrayCache(folder=tmp_path))), followed() as progress, pytest.raises(KeyboardInterrupt):
        adversarial_rows(attack, aim(stopped.model, data), seed=0)
    assert progress.rows == {"PGD": 256}
    words = "finished rows, 256 of PGD; asked again, it goes on from there"
    assert progress.words(Path(".robust/cache")) == f"kept in .robust/cache: {words}"
    assert progress.words(None) == f"kept in memory alone: {words}"


def test_what_is_said_where_nothing_is_kept(linear, many):
    assert Progress().words(None) == "nothing is kept: no search had finished any rows"
    with followed() as progress:
        PGD(eps=0.1, steps=2).perturb(linear([[0.0], [1.0]]), as_data(np.array([[0.3]]), [1]))
    assert progress.words(None).startswith("nothing is kept: the content of a function is not known")
    stopped = Stops(many[0], at=1)
    with using(Settings(cache=ArrayCache())), pytest.raises(KeyboardInterrupt) as caught:
        robust_accuracy(stopped.model, many[1], attack=PGD(eps=0.05, steps=5))
    assert caught.value.__notes__ == ["nothing is kept: no search had finished any rows"]


def test_blocks_change_nothing(many):
    model, data = many
    attack = PGD(eps=0.05, steps=5)
    with using(Settings(cache=ArrayCache())):
        target = aim(model, data)
        blocks = adversarial_rows(attack, target, seed=0)
        nameless = replace(target, caller=replace(target.caller, identity=None))
        np.testing.assert_array_equal(blocks, adversarial_rows(attack, nameless, seed=0))
        seen = []
        by_blocks(target, "x", run=lambda part: seen.append(len(part)) or part.x)
        assert seen == [256, 256, 188]
    # Who starts from other rows sees all of them.
    assert not HopSkipJump(eps=1.0).alone
    assert not Transfer(attack=HopSkipJump(eps=1.0), surrogate=model).alone
    assert Transfer(attack=attack, surrogate=model).alone


def test_patient_searches_are_not_taken_for_others(many):
    # Both ask about the same rows with the same attack: one stops at the first broken point, one at the worst.
    model, data = many
    with using(Settings(cache=ArrayCache())):
        target = aim(model, data.rows(np.arange(30)))
        first = adversarial_rows(PGD(eps=0.5, steps=5), target, seed=0)
        patient = adversarial_rows(PGD(eps=0.5, steps=5), replace(target, patient=True), seed=0)
    assert (first != patient).any()
