"""Modules whose course depends on their data pass no budget; those that only seem to read it are counted."""

import builtins
import copy
import math
from math import exp

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from robust.costing.read_numbers_torch import MOST
from robust.costing.whole_model import cost
from robust.errors import ModelFault

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


def three_limits(y):
    a, b, c = y[0, 0].item(), y[0, 1].item(), y[0, 2].item()
    return not (a > 40.5 and b < -40.5 and c > 40.5)


def joined_later(y):
    a, b, c = (y[0, i].item() > 40.5 for i in range(3))
    return not (a and not b and c)


def divides(number):
    try:
        return 1 / number != 0 or True
    except ZeroDivisionError:
        return False


def logarithm(number):
    try:
        return math.log(number) < np.inf or True
    except ValueError:
        return False


class Before:
    """Decides by what it saw in the call before."""

    def __init__(self):
        self.number = 0.0

    def __call__(self, y):
        number, self.number = self.number, y.max().item()
        return not 40 < number < 41


class WindowCompiled(Early):
    """A window around a plain number, in a form that torch compiles."""

    def __init__(self):
        super().__init__(None)

    def forward(self, x):
        y = self.first(x)
        p = float(y.max())
        return self.large(x) if p > 40.5 and p < 40.6 else y


STEERED = {
    "a comparison": lambda: Early(lambda y: torch.softmax(y, 1).max() > 0.2),
    "a number": lambda: Early(lambda y: torch.softmax(y, 1).max().item() > 0.2),
    "a number between two limits": lambda: Early(lambda y: -5e5 < float(y.max()) < 5e5),
    "two numbers compared": lambda: Early(lambda y: y[0, 0].item() < y[0, 1].item()),
    "a window": lambda: Early(lambda y: not 0.3 < torch.softmax(y, 1).max().item() < 0.31),
    "a distance": lambda: Early(lambda y: not abs(y.max().item() - 40.5) < 0.2),
    "a rounded number": lambda: Early(lambda y: round(y.max().item(), 1) != 77.7),
    "three limits, one inside the other": lambda: Early(three_limits),
    "limits that are joined later": lambda: Early(joined_later),
    "a window of a plain number": lambda: Early(lambda y: not 0.3 < float(y.max()) < 0.31),
    "a window of a function": lambda: Early(lambda y: not 40 < math.exp(y.max().item()) < 40.01),
    "a window of a function by its own name": lambda: Early(lambda y: not 40 < exp(y.max().item()) < 40.01),
    "a window in numpy": lambda: Early(lambda y: not 40 < np.float32(y.max().item()) < 40.01),
    "a larger one in a window": lambda: Early(lambda y: not 40 < max(y.max().item(), 1e-6) < 40.01),
    "a sorted list": lambda: Early(lambda y: sorted([y[0, 0].item(), 40.5])[0] != 40.5),
    "a key": lambda: Early(lambda y: y.max().item() not in {40.5}),
    "a number in a text": lambda: Early(lambda y: f"{y.max().item():.1f}" != "40.5"),
    "a text": lambda: Early(lambda y: "40.5" not in str(y)),
    "a representation": lambda: Early(lambda y: "40.5" not in repr(y)),
    "a formatted tensor": lambda: Early(lambda y: f"{y.max():.1f}" != "40.5"),
    "a number that does not divide": lambda: Early(lambda y: divides(y.max().item() / 2)),
    "a number without a logarithm": lambda: Early(lambda y: logarithm(y.max().item() ** 2)),
    "a number that never has one": lambda: Early(lambda y: logarithm(-(y.max().item() ** 2))),
    "a number of a length": lambda: Early(lambda y: len(torch.arange(abs(y.max().item()) + 1)) != 40),
    "a mask of constants": lambda: Early(lambda y: len(torch.arange(9.0)[torch.arange(9.0) < y.max().item()]) != 7),
    "a number from the call before": lambda: Early(Before()),
    "compiled window": lambda: torch.jit.script(WindowCompiled()),
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


def checked(x, largest):
    if not largest < 1e30:
        raise ValueError("too large")
    return x


def moving(m, number):
    m.scale = 0.9 * getattr(m, "scale", 1.0) + 0.1 * number
    return m.scale


COUNTED = {
    "shapes": lambda m, x: m.layer(x) if x.shape[-1] > 3 and len(x) < 100 else x,
    "zeros of its shape": lambda m, x: m.layer(x) if not torch.zeros_like(x).any() else x,
    "new ones": lambda m, x: m.layer(x) if x.new_ones(3).all() else x,
    "a factor": lambda m, x: m.layer(x) / (1 + x.abs().max().item()),
    "two factors": lambda m, x: m.layer(x) * x.mean().item() + x.std().item() * 2,
    "a scale with a floor": lambda m, x: m.layer(x / max(x.abs().max().item(), 1e-6)),
    "a scale within limits": lambda m, x: m.layer(x / min(max(x.abs().max().item(), 1e-6), 6.0)) * 2,
    "a root": lambda m, x: m.layer(x / math.sqrt(x.pow(2).mean().item() + 1e-6)),
    "a guard": lambda m, x: m.layer(x / (s if (s := x.std(correction=0).item()) > 1e-6 else 1.0)),
    "a window that chooses a number": lambda m, x: m.layer(x) + (0.1 if 0.2 < x.mean().item() < 0.4 else 0.0),
    "a limit of values": lambda m, x: m.layer(x.clamp(max=x.abs().mean().item() * 3)),
    "a quantization": lambda m, x: m.layer(torch.round(x / (s := x.abs().max().item() / 127 + 1e-9)) * s),
    "a check": lambda m, x: m.layer(checked(x, x.abs().max().item())),
    "numbers in numpy": lambda m, x: m.layer(x) * (np.float32(2) * x.abs().max().item()),
    "a number of numbers": lambda m, x: m.layer(x) * sum(row.max().item() for row in x) / len(x),
    "a moving scale": lambda m, x: m.layer(x / moving(m, x.abs().max().item())),
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


def scaled(layers, floor):
    class Scaled(nn.Module):
        def __init__(self):
            super().__init__()
            self.layers = nn.ModuleList(nn.Linear(8, 8) for _ in range(layers))

        def forward(self, x):
            for layer in self.layers:
                x = layer(x / floor(x.abs().max().item()))
            return x

    return Scaled()


def test_numbers_that_are_not_compared_have_no_limit():
    for floor in (lambda number: number + 1e-6, lambda number: max(number, 1e-6)):
        found = cost(scaled(40, floor), input_shape=(8,))
        assert (found.macc.value, found.uncounted) == (40 * 64, ())


def test_more_comparisons_than_can_be_tried_are_told():
    def floor(number):
        return number if number > 1e-6 else 1.0

    assert cost(scaled(5, floor), input_shape=(8,)).uncounted == ()
    (missed,) = {item.reason for item in cost(scaled(7, floor), input_shape=(8,)).uncounted}
    assert f"more than {MOST} runs can try" in missed


def test_lengths_that_are_constants_are_counted():
    class Lengths(nn.Module):
        def __init__(self, lengths):
            super().__init__()
            self.recurrent, self.lengths = nn.GRU(5, 7, batch_first=True), lengths

        def forward(self, x):
            packed = nn.utils.rnn.pack_padded_sequence(x, self.lengths(x), batch_first=True)
            return nn.utils.rnn.pad_packed_sequence(self.recurrent(packed)[0], batch_first=True)[0]

    found = cost(Lengths(lambda x: torch.full((len(x),), x.shape[1])), input_shape=(11, 5))
    assert (found.macc.value, found.uncounted) == (11 * 3 * 7 * (5 + 7), ())
    found = cost(Lengths(lambda x: (x[:, :, 0] > -9).sum(1)), input_shape=(11, 5))
    assert any("decided in the run" in item.reason for item in found.uncounted)


def test_arithmetic_of_python_is_as_before():
    before = builtins.max, builtins.min, math.sqrt, math.isnan
    cost(Function(COUNTED["a root"]), input_shape=(8,))
    with pytest.raises(ModelFault):
        cost(Function(lambda m, x: m.layer(x * x.max().item())[:, 9]), input_shape=(8,))
    assert (builtins.max, builtins.min, math.sqrt, math.isnan) == before


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


# --- the same operators on other factors -----------------------------------------------------------------------------


class PicksKernel(nn.Module):
    """Results of one shape, by a small kernel or a large one."""

    def __init__(self):
        super().__init__()
        self.small, self.large = (nn.Parameter(torch.ones(8, 3, k, k)) for k in (3, 7))

    def forward(self, x):
        return nn.functional.conv2d(x, self.small if x.std().item() < 0.5 else self.large, padding="same")


class PicksGroups(nn.Module):
    def __init__(self):
        super().__init__()
        self.alone, self.dense = nn.Parameter(torch.ones(8, 1, 3, 3)), nn.Parameter(torch.ones(8, 8, 3, 3))

    def forward(self, x):
        if x.std().item() < 0.5:
            return nn.functional.conv2d(x, self.alone, groups=8)
        return nn.functional.conv2d(x, self.dense)


class PicksType(nn.Module):
    def forward(self, x):
        return (x.to(torch.float16 if x.mean().item() < 0.5 else torch.float64) * 2).float()


class Splits(nn.Module):
    def __init__(self, places=None):
        super().__init__()
        self.layer, self.places = nn.Linear(8, 4), places

    def forward(self, x):
        places = ((x.mean() > 0).long() * 8 + 1).reshape(1) if self.places is None else torch.tensor(self.places)
        return self.layer(torch.tensor_split(x, places, dim=1)[0])


@pytest.mark.parametrize(
    ("module", "shape"),
    [(PicksKernel(), (3, 16, 16)), (PicksGroups(), (8, 8, 8)), (PicksType(), (100,)), (Splits(), (10, 8))],
    ids=["kernel", "groups", "type", "split"],
)
@pytest.mark.parametrize("figure", ["macc", "ram"])
def test_what_is_chosen_by_a_number_is_uncounted_also_where_results_look_alike(module, shape, figure):
    found = cost(module.eval(), input_shape=shape)
    assert found.uncounted
    assert (getattr(found, figure) < 1e12).status == "INVALID"


def test_a_split_at_fixed_places_is_counted():
    found = cost(Splits([3, 6]).eval(), input_shape=(10, 8))
    assert (found.macc.value, found.uncounted) == (3 * 8 * 4, ())


class KeepsAll(nn.Module):
    """The same operators on the same shapes; a number decides which results are read again, and so live until then."""

    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(8, 8) for _ in range(6)])

    def forward(self, x):
        kept = []
        for layer in self.layers:
            x = torch.relu(layer(x))
            kept.append(x)
        small = x.mean().item() < 0.5
        for old in kept[:-1]:
            x = x + (x if small else old)
        return x


class GivesEither(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(8, 8)

    def forward(self, x):
        first = self.layer(x)
        second = first * 2
        return first if x.mean().item() < 0.5 else second


@pytest.mark.parametrize("module", [KeepsAll(), GivesEither()], ids=["reads again", "gives back"])
def test_which_tensor_a_number_picks_decides_the_memory(module):
    found = cost(module.eval(), input_shape=(1000, 8))
    assert (found.ram < 1e12).status == "INVALID"


def test_the_memory_of_sparse_tensors_is_not_known():
    class Sparse(nn.Module):
        def __init__(self):
            super().__init__()
            self.w = nn.Parameter(torch.ones(8, 4))

        def forward(self, x):
            return torch.sparse.mm(torch.relu(x[0]).to_sparse(), self.w)[None]

    assert (cost(Sparse().eval(), input_shape=(10, 8)).ram < 1e12).status == "INVALID"


class Graph(nn.Module):
    """Neighbours of each row in a sparse matrix, in the layouts that torch has."""

    def __init__(self, layout):
        super().__init__()
        near = torch.eye(20) + torch.eye(20).roll(1, 0)
        stored = {"coo": near.to_sparse, "csr": near.to_sparse_csr, "csc": near.to_sparse_csc}[layout]()
        self.register_buffer("near", stored)
        self.layer = nn.Linear(8, 4)

    def forward(self, x):
        return (self.near @ self.layer(x[0]))[None]


@pytest.mark.filterwarnings("ignore:Sparse C")  # torch's, of a layout in beta
@pytest.mark.parametrize(("layout", "places"), [("coo", 2 * 40), ("csr", 40 + 21), ("csc", 40 + 21)])
def test_sparse_tensors_are_stored_as_values_and_places(layout, places):
    found = cost(Graph(layout).eval(), input_shape=(20, 8))
    assert found.rom.value == 4 * 36 + 4 * 40 + 8 * places
    assert {(found.macc < 1e12).status, (found.ram < 1e12).status} == {"INVALID"}
