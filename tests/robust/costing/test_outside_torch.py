"""Work that a module does outside torch: seen by what comes back, and told from constants."""

import numpy as np
import pytest
import torch
from torch import nn

from robust.costing.outside_torch import content, others
from robust.costing.whole_model import cost


def in_numpy(layer, x):
    return torch.from_numpy(x.detach().numpy() @ layer.weight.detach().numpy().T + layer.bias.detach().numpy())


class Half(nn.Module):
    """Linear 6 to 5 in numpy, which no operator shows (30 MACC), and 5 to 2 in torch (10 MACC)."""

    def __init__(self, function=in_numpy):
        super().__init__()
        self.hidden, self.out = nn.Linear(6, 5), nn.Linear(5, 2)
        self.function = function

    def forward(self, x):
        return self.out(self.function(self.hidden, x))


ROUTES = {
    "from_numpy": in_numpy,
    "a list": lambda layer, x: torch.tensor(in_numpy(layer, x).tolist()),
    "as_tensor, then torch": lambda layer, x: torch.relu(torch.as_tensor(in_numpy(layer, x).numpy())) + 1,
    "into a made tensor": lambda layer, x: torch.zeros(len(x), 5).copy_(in_numpy(layer, x)),
    "one number": lambda layer, x: layer(x) * torch.tensor(float((x.numpy() ** 2).sum())),
    "rectified in numpy": lambda layer, x: torch.from_numpy(np.maximum(x.numpy()[:, :5], 0)),
    "negative alone": lambda layer, x: torch.from_numpy(np.minimum(x.numpy()[:, :5], 0)),
}


@pytest.mark.parametrize("route", ROUTES.values(), ids=ROUTES)
def test_work_in_numpy_passes_no_budget(route):
    net = Half(route)
    found = cost(net, input_shape=(6,))
    (missed,) = found.uncounted
    assert (missed.name, missed.kind) == ("Half", "Half")
    assert "computed outside torch" in missed.reason
    assert [(figure < 1e6).status for figure in (found.macc, found.ram, found.rom, found.parameters)] == ["INVALID"] * 4
    assert (found.macc < 5).status != "PASS"
    assert cost(net, data=np.ones((3, 6), np.float32)).uncounted == found.uncounted


def test_the_part_that_left_torch_is_named():
    class Part(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc = nn.Linear(6, 5)

        def forward(self, x):
            return in_numpy(self.fc, x)

    found = cost(nn.Sequential(Part(), nn.Linear(5, 2)), input_shape=(6,))
    assert [(missed.name, missed.kind) for missed in found.uncounted] == [("0", "Part")]
    assert {layer.name: layer.macc for layer in found.layers} == {"0": None, "1": 10}
    alone = cost(Part(), input_shape=(6,))  # no operator ever reads the answer
    assert len(alone.uncounted) == 1
    assert np.isnan(alone.macc.value)


def test_what_is_handed_over_by_name_belongs_to_the_caller():
    class Named(Half):
        def forward(self, x):
            return self.out(input=in_numpy(self.hidden, x))

    assert [missed.name for missed in cost(Named(), input_shape=(6,)).uncounted] == ["Named"]


TABLE = torch.linspace(0, 1, 5)
CONSTANTS = {
    "a table": lambda layer, x: layer(x) + TABLE,
    "made at each call": lambda layer, x: layer(x) + torch.tensor([1.0, 2.0, 3.0, 4.0, 5.0]),
    "from numpy": lambda layer, x: layer(x) * torch.from_numpy(np.hanning(5).astype(np.float32)),
    "of the shape": lambda layer, x: layer(x) / torch.tensor(x.shape[-1]),
    "the weights": lambda layer, x: x @ torch.from_numpy(layer.weight.detach().numpy()).T,
    "one bit": lambda layer, x: layer(x) * torch.tensor(True),
    "in half precision": lambda layer, x: layer(x) * torch.tensor([2.0] * 5, dtype=torch.bfloat16),
    "a number read in torch": lambda layer, x: layer(x) / (1 + x.abs().max().item()),
}


@pytest.mark.parametrize("function", CONSTANTS.values(), ids=CONSTANTS)
def test_constants_are_no_work(function):
    found = cost(Half(function), input_shape=(6,))
    assert (found.macc.value, found.uncounted) == (40, ())
    assert (found.macc < 1e6).status == "PASS"


def test_what_a_module_keeps_from_call_to_call_is_no_work_elsewhere():
    class Streaming(nn.Module):
        def __init__(self):
            super().__init__()
            self.cell = nn.Linear(11, 5)
            self.state = torch.zeros(1, 5)
            self.table = None

        def forward(self, x):
            if self.table is None:
                self.table = torch.arange(5.0) / 5
            self.state = torch.tanh(self.cell(torch.cat([x, self.state], 1))) + self.table
            return self.state

    found = cost(Streaming(), input_shape=(6,))
    assert (found.macc.value, found.uncounted) == (55, ())


@pytest.mark.parametrize("entries", [1, 7])
def test_whole_numbers_stay_within_what_a_table_has(entries):
    class Words(nn.Module):
        def __init__(self, outside):
            super().__init__()
            self.table, self.out, self.outside = nn.Embedding(entries, 4), nn.Linear(4, 2), outside

        def forward(self, x):
            found = self.table(x).mean(1)
            return self.out(torch.from_numpy(found.numpy() * 2) if self.outside else found * torch.tensor(2.0))

    x = np.zeros((2, 3), np.int64)
    assert len(cost(Words(True), data=x).uncounted) == 1
    (only,) = cost(Words(False), data=x).uncounted or (None,)
    # With one entry there is no other input to tell a constant by.
    assert only is None if entries > 1 else "may depend on the input" in only.reason


def test_other_inputs():
    first, second = others([np.zeros((2, 3))], integer=False)
    assert first[0].shape == (2, 3)
    assert 0 <= first[0].min() < first[0].max() < 1
    assert (second[0] <= 0).all()
    assert len(np.unique(first[0])) == 6
    whole = [found[0].tolist() for found in others([np.array([[4, 2, 3]])], integer=True)]
    assert whole == [[[3, 2, 4]], [[0, 0, 0]], [[1, 1, 1]]]


@pytest.mark.filterwarnings("ignore:torch.quantize_per_tensor:UserWarning")
def test_contents_are_equal_for_equal_tensors_alone():
    x = torch.tensor([[1.0, float("nan")], [3.0, 4.0]])
    assert content(x) == content(x.clone()) == content(x.T.contiguous().T)
    assert content(x) not in [content(other) for other in (x.T, x.double(), x.reshape(4), x + 1)]
    sparse = torch.eye(3).to_sparse()
    assert content(sparse) == content(sparse.clone()) != content(2 * sparse)
    unreadable = torch.zeros(2, 2, device="meta")
    assert content(unreadable) != content(unreadable)
    scale = torch.quantize_per_tensor(torch.ones(3), 0.5, 0, torch.qint8)
    assert content(scale) == content(scale.clone())
    assert content(torch.ones(2) * 1j) == content((torch.ones(2) * -1j).conj())
