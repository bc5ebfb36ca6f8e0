import copy

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from robust.attacks.fgsm import FGSM
from robust.attacks.noise import RandomNoise
from robust.attacks.target import aim
from robust.data.live import as_data
from robust.errors import InvalidInput
from robust.models.conversion import as_model
from robust.predicting.metering import metered


def test_one_step_by_hand(linear):
    # Logits (0, 2a − b): the loss of class 1 rises along (−2, 1).
    model, data = linear([[0.0, 0.0], [2.0, -1.0]]), as_data(np.array([[1.0, 1.0]]), [1])
    assert FGSM(eps=0.1).perturb(model, data)[0] == pytest.approx([0.9, 1.1])
    expected = 1 + 0.1 * np.array([-2, 1]) / np.sqrt(5)
    assert FGSM(eps=0.1, norm="l2").perturb(model, data)[0] == pytest.approx(expected)
    assert FGSM(eps={"x1": 0.3}).perturb(model, data)[0] == pytest.approx([1.0, 1.3])


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from(["linf", "l2"]))
def test_closed_form_on_linear_models(linear, seed, norm):
    # The distance of x to the plane w·x + b = 0 is |w·x + b| over the dual norm of w.
    rng = np.random.default_rng(seed)
    weights, bias, x = rng.normal(size=(1, 6)), rng.normal(), rng.normal(size=(8, 6))
    model = linear(np.vstack([np.zeros((1, 6)), weights]), [0.0, bias])
    y = model.forward(x).argmax(axis=1)
    dual = np.abs(weights).sum() if norm == "linf" else np.linalg.norm(weights)
    exact = np.abs(x @ weights[0] + bias) / dual
    for row in range(8):
        data = as_data(x[row : row + 1], y[row : row + 1])
        for factor, breaks in ((0.999, False), (1.001, True)):
            new = FGSM(eps=float(factor * exact[row]), norm=norm).perturb(model, data)
            assert (model.forward(new).argmax() != y[row]) == breaks


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_the_same_rows_as_foolbox(foolbox, digits_net, digits, norm):
    net = copy.deepcopy(digits_net).double()  # in single precision foolbox's loss saturates, ours does not
    x, y = digits.x.astype(np.float64), digits.y.copy()
    peer = foolbox.PyTorchModel(net, bounds=(0, 1), device="cpu")
    attack = foolbox.attacks.LinfFastGradientAttack() if norm == "linf" else foolbox.attacks.L2FastGradientAttack()
    eps = 0.1 if norm == "linf" else 1.0
    theirs = attack(peer, torch.from_numpy(x), torch.from_numpy(y), epsilons=eps)[1].numpy()
    data = as_data(x, y, schema={"bounds": (0, 1)})
    ours = FGSM(eps=eps, norm=norm).perturb(as_model(net, output="logits"), data)
    right = net(torch.from_numpy(x)).argmax(1).numpy() == y
    assert right.sum() > 190
    assert np.abs(ours - theirs)[right].max() < 1e-6


def test_a_row_that_single_precision_is_sure_of_still_has_a_gradient(digits, fit):
    from torch import nn

    net = fit(lambda: nn.Sequential(nn.Flatten(), nn.Linear(64, 10)), digits.x, digits.y)
    with torch.no_grad():
        net[1].weight.mul_(200)
        net[1].bias.mul_(200)
    for model in (as_model(net, output="logits"), as_model(nn.Sequential(net, nn.Softmax(1)), output="probabilities")):
        gradient = aim(model, digits).gradient(digits.schema.flat(digits.x), slice(None))[1]
        if model.output == "logits":
            assert gradient.any(axis=1).all()
        else:
            assert 0 < gradient.any(axis=1).mean() < 1  # what rounds to exactly 0 and 1 is gone


def test_one_gradient_serves_a_whole_curve(digits, digits_model):
    grid = [0.01, 0.02, 0.03, 0.05, 0.07, 0.1, 0.15, 0.2, 0.3, 0.4]
    with metered() as meter:
        survived = FGSM().sweep(aim(digits_model, digits), grid, seed=0).survived
    assert meter.backward_rows == len(digits)
    assert meter.forward_rows <= 11 * len(digits) + 32
    broken = np.zeros(len(digits), dtype=bool)
    for k, eps in enumerate(grid):
        new = FGSM(eps=eps).perturb(digits_model, digits)
        broken |= digits_model.forward(new).argmax(axis=1) != digits.y
        assert (survived[k + 1] == ~broken).mean() > 0.99


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_beats_random_noise(digits, digits_model, norm):
    eps = 0.1 if norm == "linf" else 0.8

    def broken(attack):
        return np.mean(digits_model.forward(attack.perturb(digits_model, digits)).argmax(axis=1) != digits.y)

    assert broken(FGSM(eps=eps, norm=norm)) > 3 * broken(RandomNoise(eps=eps, norm=norm, draws=50))


def test_rows_that_are_wrong_stay(linear):
    data = as_data(np.array([[1.0], [1.0]]), [1, 0])
    assert FGSM(eps=0.5).perturb(linear([[0.0], [1.0]]), data).tolist() == [[0.5], [1.0]]


def test_errors(linear):
    model, rows = linear([[0.0], [1.0]]), np.ones((2, 1))
    with pytest.raises(InvalidInput, match=r"gives no gradients.*Transfer"):
        FGSM(eps=0.1).perturb(as_model(lambda x: x, output="logits", name="f"), (np.ones((2, 2)), [0, 0]))
    with pytest.raises(InvalidInput, match=r"FGSM.*is a template"):
        FGSM().perturb(model, (rows, [1, 1]))
    with pytest.raises(InvalidInput, match="no targets"):
        FGSM(eps=0.1).perturb(model, rows)
    with pytest.raises(InvalidInput, match="labels that linear does not know"):
        FGSM(eps=0.1).perturb(model, (rows, [1, 5]))
    with pytest.raises(InvalidInput, match="needs a classifier"):
        FGSM(eps=0.1).perturb(as_model(lambda x: x[:, 0], task="regression"), (rows, [0.5, 1.5]))
