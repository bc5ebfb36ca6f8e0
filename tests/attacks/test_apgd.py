from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from robust.attacks.apgd import APGD
from robust.attacks.pgd import PGD
from robust.attacks.target import aim
from robust.data.live import as_data
from robust.errors import InvalidInput
from robust.models.conversion import as_model
from robust.predicting.metering import metered

EPS = {"linf": 0.09, "l2": 0.5, "l1": 2.0}
HARD = {"linf": 0.15, "l2": 0.6, "l1": 2.0}
LOSSES = ["cross_entropy", "dlr", "margin", "targeted"]


def held(attack, model, data, seed=0):
    return model.forward(attack.perturb(model, data, seed=seed)).argmax(axis=1) == data.y


def small():
    return nn.Sequential(nn.Conv2d(1, 8, 3, stride=2, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(128, 10))


@pytest.fixture(scope="module")
def hardened(digits):
    """A small CNN trained on single-step rows from random starts."""
    torch.manual_seed(0)
    net, x, y = small(), torch.from_numpy(digits.x.copy()), torch.from_numpy(digits.y.copy())
    optimizer, budget = torch.optim.Adam(net.parameters(), lr=5e-3), 0.1
    for _ in range(150):
        start = (x + torch.empty_like(x).uniform_(-budget, budget)).clamp(0, 1).requires_grad_()
        (slope,) = torch.autograd.grad(nn.functional.cross_entropy(net(start), y), start)
        moved = (start.detach() + 1.25 * budget * slope.sign()).clamp(x - budget, x + budget).clamp(0, 1)
        optimizer.zero_grad()
        nn.functional.cross_entropy(net(moved), y).backward()
        optimizer.step()
    return as_model(net.eval(), output="logits", name="hardened")


@pytest.mark.parametrize("norm", ["linf", "l2", "l1"])
@pytest.mark.parametrize("which", ["plain", "hardened"])
def test_no_weaker_than_pgd_of_as_many_steps(digits, digits_model, hardened, norm, which):
    model, eps = (digits_model, EPS[norm]) if which == "plain" else (hardened, HARD[norm])
    pgd, auto = (
        [held(attack, model, digits, seed).mean() for seed in (0, 1)]
        for attack in (PGD(eps=eps, norm=norm, steps=30), APGD(eps=eps, norm=norm, steps=30))
    )
    aimed = held(APGD(eps=eps, norm=norm, steps=30, loss="targeted", targets=3), model, digits).mean()
    assert 0.05 < np.mean(pgd) < 0.97
    assert np.mean(auto) <= np.mean(pgd) + 0.015  # the spread of the starts
    assert aimed <= min(auto + pgd) + 0.005  # one row of two hundred


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("norm", ["linf", "l2", "l1"])
def test_rows_do_not_depend_on_batches_order_or_neighbours(linear, norm, loss):
    # A model whose numbers do not depend on the batch, in double precision, so that every point must be the same.
    rng = np.random.default_rng(0)
    weights, hidden = rng.normal(size=(4, 12)), rng.normal(size=(12, 6))

    def forward(x):
        inner = np.maximum(np.einsum("nd,hd->nh", x, hidden), 0)
        return np.einsum("nh,kh->nk", inner, weights)

    def gradients(x, cotangent):
        inner = np.einsum("nd,hd->nh", x, hidden)
        outputs = np.einsum("nh,kh->nk", np.maximum(inner, 0), weights)
        flow = np.einsum("nk,kh->nh", cotangent(outputs), weights) * (inner > 0)
        return outputs, np.einsum("nh,hd->nd", flow, hidden)

    x = rng.normal(size=(40, 6))
    y = forward(x).argmax(axis=1)
    data = as_data(x, y)
    attack = APGD(eps={"linf": 0.2, "l2": 0.5, "l1": 0.8}[norm], norm=norm, steps=6, loss=loss, restarts=2)
    rows = {}
    for size in (1, 64, 1000):
        model = as_model(forward, gradients=gradients, output="logits", batch_size=size)
        rows[size] = attack.perturb(model, data, seed=3)
        broken = forward(rows[size]).argmax(axis=1) != y
        assert 0.1 < broken.mean() < 0.95
    model = as_model(forward, gradients=gradients, output="logits", batch_size=64)
    for size in (64, 1000):
        assert rows[size] == pytest.approx(rows[1], abs=1e-12), size
    back = rng.permutation(40)
    assert attack.perturb(model, data.rows(back), seed=3) == pytest.approx(rows[1][back], abs=1e-12)
    assert attack.perturb(model, data.rows(back[:9]), seed=3) == pytest.approx(rows[1][back[:9]], abs=1e-12)


def test_decisions_do_not_depend_on_batches(digits, digits_net):
    few = digits.rows(np.arange(40))
    found = [
        held(APGD(eps=0.1, steps=6, restarts=2), as_model(digits_net, output="logits", batch_size=size), few)
        for size in (1, 64)
    ]
    assert np.mean(found[0] != found[1]) <= 0.005
    assert 0.05 < found[0].mean() < 0.95


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("loss", LOSSES)
def test_few_classes(linear, classes, loss):
    rng = np.random.default_rng(classes)
    weights, x = rng.normal(size=(classes, 5)), rng.normal(size=(30, 5))
    model = linear(weights)
    data = as_data(x, model.forward(x).argmax(axis=1))
    with metered() as meter:
        share = held(APGD(eps=0.3, steps=8, loss=loss), model, data).mean()
    assert 0 < share < 1
    # Fewer other classes than targets: a run for each there is, no more.
    most = classes - 1 if loss == "targeted" else 1
    assert meter.backward_rows <= most * 8 * 30


@pytest.mark.parametrize("loss", LOSSES)
def test_probabilities_are_attacked_as_their_logits_are(digits, digits_net, loss):
    few = digits.rows(np.arange(80))
    soft = as_model(nn.Sequential(digits_net, nn.Softmax(1)).double(), output="probabilities")
    logits = as_model(digits_net.double(), output="logits")
    try:
        attack = APGD(eps=0.08, steps=10, loss=loss)
        assert held(attack, soft, few).mean() == pytest.approx(held(attack, logits, few).mean(), abs=0.03)
    finally:
        digits_net.float()


def test_one_output_stands_for_two_classes(linear):
    rng = np.random.default_rng(0)
    weights, x = rng.normal(size=(1, 4)), rng.normal(size=(40, 4))
    one, two = linear(weights), linear(np.vstack([np.zeros(4), weights]))
    data = as_data(x, (x @ weights[0] > 0).astype(int))
    for loss in LOSSES:
        attack = APGD(eps=0.4, steps=6, loss=loss)
        mine = one.forward(attack.perturb(one, data))[:, 0] > 0
        assert (mine == two.forward(attack.perturb(two, data)).argmax(axis=1)).all()


def test_broken_rows_leave_and_no_later_run_of_theirs_enters(digits, digits_net):
    model = as_model(digits_net, output="logits", batch_size=64)
    with metered() as once:
        first = held(APGD(eps=0.3, steps=40), model, digits)
    with metered() as often:
        held(APGD(eps=0.3, steps=40, restarts=5), model, digits)
    assert first.mean() == 0
    assert once.backward_rows < 8 * len(digits)
    assert often.backward_rows < 1.5 * once.backward_rows


def test_more_runs_break_no_fewer(digits, digits_model):
    weak = APGD(eps=0.06, steps=5, loss="dlr")
    assert (held(replace(weak, restarts=3), digits_model, digits) <= held(weak, digits_model, digits)).all()
    aimed = APGD(eps=0.06, steps=5, loss="targeted", targets=1)
    assert (held(replace(aimed, targets=5), digits_model, digits) <= held(aimed, digits_model, digits)).all()


def test_the_nearest_class_is_the_target_and_not_the_one_with_the_next_best_score(linear):
    """z = (3, 2 + x/10, 1 + 4x) at x = 0: class 1 has the next best score and is 10 away, class 2 is ½ away."""
    model = linear([[0.0], [0.1], [4.0]], bias=[3.0, 2.0, 1.0])
    data = (np.zeros((1, 1)), [0])
    one = APGD(eps=0.6, loss="targeted", steps=2, targets=1)
    assert not held(one, model, as_data(*data)).any()
    grid = [0.4, 0.6, 11.0]
    survived = replace(one, eps=None).sweep(aim(model, as_data(*data)), grid, seed=0).survived
    assert survived[:, 0].tolist() == [True, True, False, False]


@pytest.mark.parametrize("loss", ["cross_entropy", "targeted"])
def test_a_sweep_is_monotone_and_no_weaker_than_single_runs(digits, digits_model, loss):
    few, grid, attack = digits.rows(np.arange(100)), [0.02, 0.05, 0.08, 0.12], APGD(steps=10, loss=loss, targets=3)
    survived = attack.sweep(aim(digits_model, few), grid, seed=0).survived
    assert (survived[1:] <= survived[:-1]).all()
    for k, eps in enumerate(grid):
        assert survived[k + 1].mean() <= held(attack.at(eps), digits_model, few).mean() + 0.02


def test_repr_is_the_constructor_call():
    attack = APGD(eps={"a": 1}, norm="l1", steps=7, loss="targeted", targets=3)
    assert eval(repr(attack), {"APGD": APGD}) == attack
    assert attack.gradients


def test_errors():
    with pytest.raises(InvalidInput, match="loss got 'hinge'; one of 'cross_entropy'"):
        APGD(loss="hinge")
    with pytest.raises(InvalidInput, match="targets got 0"):
        APGD(targets=0)
    with pytest.raises(InvalidInput, match="restarts got 1.5"):
        APGD(restarts=1.5)
    with pytest.raises(InvalidInput, match="norm got 'l7'"):
        APGD(norm="l7")
