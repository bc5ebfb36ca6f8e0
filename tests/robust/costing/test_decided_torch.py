"""Modules whose course depends on their data pass no budget; those that only seem to read it are counted."""

import copy

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from robust.costing.whole_model import cost

BUDGET = 1000


class Early(nn.Module):
    """Linear 8 to 4 (32 MACC), and a large branch where a function of its answer says so (8·512 + 512² + 512·4)."""

    def __init__(self, leaves):
        super().__init__()
        self.first, self.leaves = nn.Linear(8, 4), leaves
        self.large = nn.Sequential(nn.Linear(8, 512), nn.ReLU(), nn.Linear(512, 512), nn.ReLU(), nn.Linear(512, 4))

    def forward(self, x):
        y = self.first(x)
        return y if self.leaves(y) else self.large(x)


class EarlyCompiled(Early):
    """The same in a form that torch compiles."""

    def __init__(self):
        super().__init__(None)

    def forward(self, x):
        y = self.first(x)
        return y if bool(torch.softmax(y, 1).max() > 0.2) else self.large(x)


class Loop(nn.Module):
    """As many steps as the data need."""

    def __init__(self):
        super().__init__()
        self.step = nn.Linear(8, 8)

    def forward(self, x):
        i = 0
        while bool(x.abs().max() > 0.1) and i < 100:
            x, i = torch.tanh(self.step(x)) * 0.9, i + 1
        return x


class Experts(nn.Module):
    """Each row to its own expert."""

    def __init__(self):
        super().__init__()
        self.gate = nn.Linear(8, 2)
        self.experts = nn.ModuleList(nn.Linear(8, 4) for _ in range(2))

    def forward(self, x):
        chosen, out = self.gate(x).argmax(1), torch.zeros(len(x), 4)
        for i, expert in enumerate(self.experts):
            out[chosen == i] = expert(x[chosen == i])
        return out


class Function(nn.Module):
    """A function of a linear layer (8 to 8, 64 MACC) and of what it is given."""

    def __init__(self, function, **parts):
        super().__init__()
        self.function, self.layer = function, nn.Linear(8, 8)
        for name, part in parts.items():
            self.register_buffer(name, part)

    def forward(self, x):
        return self.function(self, x)


def repeated(m, x, times):
    for _ in range(times):
        x = m.layer(x)
    return x


def first_written(m, x):
    m.seen.copy_(x.abs().sum())
    return m.layer(x) if m.seen > 3 else x


STEERED = {
    "a comparison": lambda: Early(lambda y: torch.softmax(y, 1).max() > 0.2),
    "a number": lambda: Early(lambda y: torch.softmax(y, 1).max().item() > 0.2),
    "a number between two limits": lambda: Early(lambda y: -5e5 < float(y.max()) < 5e5),
    "two numbers compared": lambda: Early(lambda y: y[0, 0].item() < y[0, 1].item()),
    "no number": lambda: Early(lambda y: not np.isnan(y.max().item())),
    "equality": lambda: Early(lambda y: not torch.equal(y, y + 1)),
    "closeness": lambda: Early(lambda y: not torch.allclose(y, y + 1)),
    "membership": lambda: Early(lambda y: 7.25 not in y),
    "a list": lambda: Early(lambda y: max(y.tolist()[0]) < 1e6),
    "an array": lambda: Early(lambda y: y.numpy().max() < 1e6),
    "a lottery": lambda: Early(lambda _: torch.rand(()) < 0.999999),
    "a loop": Loop,
    "a number of steps": lambda: Function(lambda m, x: repeated(m, x, int(x.abs().sum() > 1) * 50)),
    "a whole number of steps": lambda: Function(lambda m, x: repeated(m, x, int(x.abs().sum()))),
    "experts": Experts,
    "places": lambda: Function(lambda m, x: m.layer(x[torch.nonzero(x[:, 0] > 0.5)[:, 0]])),
    "chosen": lambda: Function(lambda m, x: m.layer(torch.masked_select(x, x > 5).reshape(-1, 8))),
    "repeats": lambda: Function(lambda m, x: m.layer(x.repeat_interleave(x[:, 0].abs().long(), 0))),
    "a buffer that the input was written to": lambda: Function(first_written, seen=torch.zeros(())),
    "a buffer that the input was written to in place": lambda: Function(
        lambda m, x: m.layer(x) if m.seen.mul_(0).add_(x.sum()) > 3 else x, seen=torch.zeros(())
    ),
    "compiled branch": lambda: torch.jit.script(EarlyCompiled()),
    "compiled loop": lambda: torch.jit.script(Loop()),
    "a compiled part": lambda: nn.Sequential(nn.Linear(8, 8), torch.jit.script(Loop())),
}


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("make", STEERED.values(), ids=STEERED)
@pytest.mark.parametrize("data", [None, np.full((3, 8), 2.0, np.float32)], ids=["shape", "data"])
def test_what_the_data_decide_passes_no_budget(make, data):
    torch.manual_seed(0)
    found = cost(make(), data=data) if data is not None else cost(make(), input_shape=(8,))
    assert any("decided in the run" in item.reason for item in found.uncounted)
    for figure in (found.macc, found.ram):
        assert (figure < BUDGET).status != "PASS"
        assert (figure < 1e9).status == "INVALID"
    assert (found.rom < 1e9).status == "PASS"


def test_a_branch_is_never_nothing():
    found = cost(Loop(), data=np.zeros((1, 8), np.float32))
    assert np.isnan(found.macc.value)


COUNTED = {
    "shapes": lambda m, x: m.layer(x) if x.shape[-1] > 3 and len(x) < 100 else x,
    "zeros of its shape": lambda m, x: m.layer(x) if not torch.zeros_like(x).any() else x,
    "new ones": lambda m, x: m.layer(x) if x.new_ones(3).all() else x,
    "a factor": lambda m, x: m.layer(x) / (1 + x.abs().max().item()),
    "two factors": lambda m, x: m.layer(x) * float(x.mean()) + x.std().item() * 2,
    "a logarithm": lambda m, x: m.layer(x) * np.log1p(x.abs().max().item()),
    "a buffer": lambda m, x: m.layer(x) / m.temperature.item(),
    "a counter": lambda m, x: m.layer(x) if m.count > 0 else x,
    "a parameter": lambda m, x: m.layer(x) if m.layer.weight.abs().sum() > 0 else x,
    "one-hot": lambda m, x: m.layer(functional.one_hot(x.abs().long()[:, 0] % 8, 8).float()),
    "a causal mask": lambda m, x: m.layer(x) if torch.triu(torch.ones(3, 3)).bool().any() else x,
    "mask of values": lambda m, x: m.layer(x).masked_fill(x > 0, 0.0),
    "assignment by mask": lambda m, x: m.layer(x).index_put_((x > 0,), torch.tensor(0.0)),
    "places in a table": lambda m, x: m.layer(x)[:, x.abs().long()[0] % 8],
    "a constant mask": lambda m, x: m.layer(x)[:, torch.tensor([True] * 8)],
    "a distribution": lambda m, x: m.layer(torch.distributions.Normal(x, 1 + x.abs()).rsample()),
}


@pytest.mark.parametrize("function", COUNTED.values(), ids=COUNTED)
def test_what_the_data_do_not_decide_is_counted(function):
    net = Function(function, temperature=torch.tensor(2.0), count=torch.tensor(3))
    before = copy.deepcopy(net.state_dict())
    found = cost(net, input_shape=(8,))
    assert (found.macc.value, found.uncounted) == (64, ())
    assert (found.macc < BUDGET).status == "PASS"
    assert all(torch.equal(net.state_dict()[name], value) for name, value in before.items())


def test_numbers_that_are_tried_leave_no_trace():
    def smoothed(m, x):
        m.mean.mul_(x.abs().max().item())
        return m.layer(x)

    net = Function(smoothed, mean=torch.ones(()))
    found = cost(net, data=np.ones((1, 8), np.float32))
    assert (found.macc.value, found.uncounted, net.mean.item()) == (64, (), 1.0)


def test_checks_of_distributions_are_as_before():
    assert torch.distributions.Distribution._validate_args
    cost(nn.Linear(8, 2), input_shape=(8,))
    assert torch.distributions.Distribution._validate_args


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_lists_in_compiled_parts_are_told():
    class Listed(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            values: list[list[float]] = x.tolist()
            return x + 1 if values[0][0] > 0 else x

    (missed,) = cost(torch.jit.script(Listed()), input_shape=(8,)).uncounted
    assert missed.kind == "prim.tolist"
