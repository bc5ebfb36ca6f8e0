import numpy as np
import pytest
import torch
from sklearn.ensemble import RandomForestRegressor
from sklearn.linear_model import LinearRegression
from torch import nn

from robust.attacks.output_change import largest_output_change
from robust.attacks.output_least import minimal_perturbation_for_change
from robust.attacks.output_plateaus import FromEdges, edge_slopes, flat_at
from robust.attacks.output_rungs import pushed_rows
from robust.attacks.output_target import aim_outputs
from robust.data.live import as_data
from robust.errors import InvalidInput
from robust.models.conversion import as_model

RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 6)).astype(np.float32)
Y = np.sin(2 * X[:, 0]) + X[:, 1] * X[:, 2]


class Net(nn.Module):
    """A small network between something done to its input and something done to its output."""

    def __init__(self, before=lambda x: x, after=lambda z: z, layer=nn.ReLU, seed=0):
        super().__init__()
        torch.manual_seed(seed)
        self.body = nn.Sequential(nn.Linear(6, 32), layer(), nn.Linear(32, 32), layer(), nn.Linear(32, 1))
        self.before, self.after = before, after

    def forward(self, x):
        return self.after(self.body(self.before(x)))


class Straight(torch.autograd.Function):
    """A value whose gradient is that of another: reversed."""

    @staticmethod
    def forward(ctx, x):
        return x.clone()

    @staticmethod
    def backward(ctx, flow):
        return -flow


def fitted(net, steps=150):
    x, y = torch.tensor(X), torch.tensor(Y[:, None])
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-2)
    for _ in range(steps):
        optimizer.zero_grad()
        nn.functional.mse_loss(net(x), y).backward()
        optimizer.step()
    return net.eval()


MASKED = {
    "quantized input": {"before": lambda x: torch.floor(x * 4) / 4},
    "rounded output": {"after": lambda z: torch.round(z * 50) / 50},
    "steps": {"after": lambda z: torch.sign(z - 0.05)},
    "saturated": {"after": lambda z: 100 * torch.sigmoid(2000 * (z - 0.05))},
    "half detached": {"before": lambda x: torch.cat([x[:, :3], x[:, 3:].detach()], dim=1)},
    "reversed": {"before": Straight.apply},
}


@pytest.mark.parametrize("kind", MASKED)
def test_a_pass_of_a_model_that_hides_its_gradients_is_invalid(kind):
    model = as_model(Net(**MASKED[kind]).eval(), task="regression")
    m = largest_output_change(model, X, eps=0.1, strength="quick", quantile=0.9)
    assert (m < 1e6).status == "INVALID"
    assert any(not check.passed and check.bias == "lowers" for check in m.validity)
    if m.lower > 0:
        assert (m < m.lower / 2).status == "FAIL"  # what was found stands


@pytest.mark.parametrize("kind", ["quantized input"])
def test_so_is_one_on_the_smallest_perturbation(kind):
    model = as_model(Net(**MASKED[kind]).eval(), task="regression")
    m = minimal_perturbation_for_change(model, X[:25], change=0.05)
    assert (m > 1e-9).status == "INVALID"
    assert any(not check.passed and check.bias == "raises" for check in m.validity)


HONEST = {
    "relu": lambda: fitted(Net()),
    "overfit relu": lambda: fitted(Net(seed=1), 800),
    "tanh": lambda: fitted(Net(layer=nn.Tanh)),
    "sigmoid": lambda: fitted(Net(layer=nn.Sigmoid)),
    "gelu": lambda: fitted(Net(layer=nn.GELU)),
    "rectified": lambda: _with(fitted(Net()), torch.relu),
    "clipped": lambda: _with(fitted(Net()), lambda z: z.clamp(-0.5, 0.5)),
    "linear": lambda: LinearRegression().fit(X, Y),
    "forest": lambda: RandomForestRegressor(10, random_state=0).fit(X, Y),
    "function": lambda: as_model(lambda x: np.sin(3 * x[:, 0]) * x[:, 1], task="regression"),
    "constant": lambda: as_model(lambda x: np.zeros(len(x)), task="regression"),
}


def _with(net, after):
    net.after = after
    return net


def passes(kind, eps, norm, rows):
    model = HONEST[kind]()
    model = as_model(model, task="regression") if isinstance(model, nn.Module) else model
    m = largest_output_change(model, X[:rows], eps=eps, norm=norm, quantile=1)
    assert [check for check in m.validity if not check.passed and check.bias != "none"] == []
    assert (m < 1e6).status == "PASS"


@pytest.mark.parametrize("kind", ["relu", "rectified", "clipped", "linear", "constant"])
def test_a_pass_of_an_honest_model_is_one(kind):
    passes(kind, 1.0, "linf", 20)


@pytest.mark.slow
@pytest.mark.parametrize("kind", HONEST)
@pytest.mark.parametrize(("eps", "norm"), [(0.05, "linf"), (0.5, "linf"), (0.5, "l2"), (0.5, "l1")])
def test_a_pass_of_an_honest_model_is_one_at_every_budget(kind, eps, norm):
    passes(kind, eps, norm, 60 if kind != "forest" else 8)


def test_edges_lead_rows_off_their_plateau():
    weights = np.array([3.0, 4.0])

    def gradients(x, cotangent):
        z = x @ weights
        outputs = np.maximum(z, 0.0)[:, None]
        return outputs, (cotangent(outputs) * (z > 0)[:, None]) * weights

    model = as_model(lambda x: np.maximum(x @ weights, 0.0), gradients=gradients, task="regression", name="rectified")
    x = np.array([[-0.05, 0.0], [-0.1, -0.1], [-2.0, -2.0], [1.0, 1.0]])
    target = aim_outputs(model, as_data(x), output=None).target(0, 1.0)
    assert flat_at(target, target.x).tolist() == [True, True, True, False]
    rows, edges, slopes = edge_slopes(target, seed=0)
    assert rows.tolist() == [0, 1, 2]
    assert edges @ weights == pytest.approx(np.zeros(3), abs=1e-3)
    assert slopes == pytest.approx(np.tile(weights, (3, 1)))
    change = pushed_rows(FromEdges(eps=0.5), target, seed=0)[1]
    assert change == pytest.approx([3.35, 2.8, 0.0, 0.0], abs=1e-9)  # a row with a gradient is left to others


def test_a_model_with_random_answers_is_refused():
    from robust.errors import ModelFault

    state = np.random.default_rng(0)
    model = as_model(lambda x: x[:, 0] + state.normal(size=len(x)), task="regression", name="dice")
    with pytest.raises(ModelFault, match="dice is not deterministic"):
        largest_output_change(model, X, eps=0.1)


def test_edges_are_asked_of_outputs_alone():
    from robust.attacks.base import adversarial_rows
    from robust.attacks.target import aim

    classes = as_model(lambda x: np.c_[x[:, 0], -x[:, 0]], output="logits")
    with pytest.raises(InvalidInput, match="no regression"):
        adversarial_rows(FromEdges(eps=1), aim(classes, as_data(X, (X[:, 0] < 0).astype(int))), seed=0)
