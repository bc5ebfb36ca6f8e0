import numpy as np

from robust.attacks.accuracy_under_attack import robust_accuracy
from robust.attacks.pgd import PGD
from robust.attacks.transfer import Transfer
from robust.data.live import as_data
from robust.predicting.cache import ArrayCache
from robust.predicting.metering import metered
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

    from dataclasses import replace

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
