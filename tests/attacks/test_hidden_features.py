"""Features that the gradient cannot see are found; features that have nothing to tell are no fault."""

import numpy as np
import pytest
import torch
from torch import nn

from robust.attacks.accuracy_curve import robustness_curve
from robust.attacks.accuracy_under_attack import robust_accuracy
from robust.attacks.fgsm import FGSM
from robust.attacks.gradient_checks import features_seen
from robust.attacks.hidden_features import hidden_features
from robust.attacks.pgd import PGD
from robust.attacks.probe import probed
from robust.attacks.target import aim
from robust.attacks.transfer import Transfer
from robust.data.live import as_data
from robust.models.conversion import as_model

WIDTH, EPS = 60, 0.03
KIND = {"task": "classification", "output": "logits", "classes": [0, 1]}


def weights_and_rows():
    """A line through rows in the unit cube, whose first feature barely varies and outweighs all others."""
    rng = np.random.default_rng(0)
    x, w = rng.random((400, WIDTH)).astype(np.float32), rng.normal(size=WIDTH).astype(np.float32)
    w[0] = 3 * np.abs((x[:, 1:] - 0.5) @ w[1:]).max()
    x[:, 0] = 0.5 + (rng.random(400) - 0.5) * 0.02
    return x, w, ((x - 0.5) @ w > 0).astype(int)


class Line(nn.Module):
    """A line through what `hide` makes of all features but the first."""

    def __init__(self, w, hide):
        super().__init__()
        self.w, self.hide = torch.tensor(w), hide

    def forward(self, x):
        z = (torch.cat([x[:, :1], self.hide(x[:, 1:])], dim=1) - 0.5) @ self.w
        return torch.stack([torch.zeros_like(z), z], dim=1)


HIDES = {
    "bucketized": lambda x: torch.bucketize(x.contiguous(), torch.linspace(0, 1, 257)).float() / 256,
    "rounded": lambda x: torch.round(x * 100) / 100,
    "detached": lambda x: x.detach(),
}


def blind(model, data, *attacks):
    return hidden_features(attacks[0], probed(aim(model, data), seed=0), list(attacks), seed=0)


@pytest.mark.parametrize("name", HIDES)
def test_a_pass_of_a_model_that_hides_most_features_is_invalid(name):
    x, w, y = weights_and_rows()
    # The first feature may move too little to matter; the others decide, and their gradient is zero.
    data = as_data(x, y, schema={"bounds": (0, 1)})
    eps = {feature: 1e-4 if k == 0 else EPS for k, feature in enumerate(data.schema.names)}
    hides = as_model(Line(w, HIDES[name]).eval(), **KIND)
    for attack in (PGD(eps=eps, steps=10), FGSM(eps=eps)):
        m = robust_accuracy(hides, data, attack=attack)
        assert (m > m.value - 0.2).status == "INVALID"
        found = {check.name: check for check in m.validity}["hidden features"]
        assert found.reason.startswith("59 features have no gradient on any row, and scores of 100% of the rows")
        assert found.bias == "raises"
        # A twin with gradients finds what was hidden.
        smooth = as_model(Line(w, lambda x: x).eval(), **KIND)
        assert robust_accuracy(hides, data, attack=Transfer(attack=attack, surrogate=smooth)).value < m.value - 0.1
        assert all(check.passed for check in robust_accuracy(smooth, data, attack=attack).validity)
    (point,) = robustness_curve(hides, data, FGSM(), eps=[EPS])
    assert not {check.name: check for check in point.validity}["hidden features"].passed


def test_only_features_that_may_move_are_asked_about():
    x, w, y = weights_and_rows()
    hides = as_model(Line(w, HIDES["detached"]).eval(), **KIND)
    rules = {f"x{k}": {"bounds": (0, 1), "immutable": k > 2} for k in range(WIDTH)}
    data = as_data(x, y, schema=rules)
    few, none = PGD(eps=EPS), PGD(eps={"x0": EPS, "x2": 0.0})
    assert blind(hides, data, few, none) == [(2, 1.0), (0, 0.0)]


def test_idle_features_are_no_fault(linear):
    # The second weight is zero: no gradient, and nothing to see.
    data = as_data(np.ones((20, 2)), np.ones(20, dtype=int))
    assert blind(linear([[0.0, 0.0], [1.0, 0.0]]), data, PGD(eps=0.5)) == [(1, 0.0)]
    check = features_seen(1, 0.0)
    assert check.passed
    assert not features_seen(1, 0.06).passed


class Corner(nn.Module):
    """The largest of each four pixels: a tie of constant pixels hands its gradient to one of them."""

    def __init__(self):
        super().__init__()
        self.line = nn.Linear(16, 10)

    def forward(self, x):
        return self.line(nn.functional.max_pool2d(x, 2).flatten(1))


def test_a_gradient_that_wakes_beside_the_rows_is_not_hidden(fit, digits):
    pooled = as_model(fit(Corner, digits.x, digits.y), output="logits")
    idle = fit(lambda: nn.Sequential(nn.Flatten(), nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10)), digits.x, digits.y)
    with torch.no_grad():
        # A unit for the constant first pixel alone, which is asleep at every row.
        idle[1].weight[:, 0] = 0.0
        idle[1].weight[0] = 0.0
        idle[1].weight[0, 0], idle[1].bias[0] = 5.0, -0.01
    for model in (pooled, as_model(idle.eval(), output="logits")):
        target = aim(model, digits)
        first = target.gradient(target.x, slice(None))[1]
        asleep = ~first.any(axis=0)
        moved = target.x + np.where(asleep, 0.1, 0.0).astype(np.float32)
        # Without a gradient on any row, and yet scores follow them.
        assert asleep.any()
        assert np.mean(np.any(target.scores(moved) != target.scores(target.x), axis=1)) > 0.05
        ((_, share),) = blind(model, digits, PGD(eps=0.1))
        assert share == 0
        m = robust_accuracy(model, digits, attack=PGD(eps=0.1, steps=10))
        assert {check.name: check for check in m.validity}["hidden features"].passed


def test_noise_does_not_depend_on_the_batch():
    x, w, y = weights_and_rows()
    data = as_data(x, y, schema={"bounds": (0, 1)})
    found = {
        tuple(
            blind(
                as_model(Line(w, lambda x: torch.round(4 * x) / 4).eval(), batch_size=size, **KIND),
                data,
                PGD(eps=0.001),
            )
        )
        for size in (7, 32, 256)
    }
    assert len(found) == 1
    ((_, share),) = found.pop()
    assert 0 < share < 1
