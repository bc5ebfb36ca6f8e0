"""Nested outputs: each tensor once, and others in their place in the same form."""

from collections import OrderedDict, namedtuple

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence

from robust.layers.layer_error import layer_errors
from robust.layers.nested_torch import distinct_tensors, first_tensor, tensors, with_others

Pair = namedtuple("Pair", ["a", "b"])
A, B, C = (torch.full((2,), float(i)) for i in range(3))


@pytest.mark.parametrize(
    ("output", "wanted"),
    [
        (A, [A]),
        ((A, (B, C)), [A, B, C]),
        ([A, {"x": B, "y": [C, 3, None]}], [A, B, C]),
        ((A, B, A), [A, B]),
        (("text", None), []),
        (torch.max(torch.eye(2), 1), None),
    ],
)
def test_distinct_tensors(output, wanted):
    found = distinct_tensors(output)
    wanted = list(output) if wanted is None else wanted
    assert len(found) == len(wanted)
    assert all(one is other for one, other in zip(found, wanted, strict=True))
    assert first_tensor(output) is (wanted[0] if wanted else None)


@pytest.mark.parametrize(
    "output", [(A, (B, C)), [A, [B, C]], Pair(A, Pair(B, C)), OrderedDict(a=A, rest=(B, C)), {"a": [A, B], "c": C}]
)
def test_others_take_their_place_in_the_same_form(output):
    new = torch.full((2,), 9.0)
    made = with_others(output, {id(B): new})
    assert type(made) is type(output)
    assert [one.tolist() for one in tensors(made)] == [[0.0, 0.0], [9.0, 9.0], [2.0, 2.0]]
    assert [one.tolist() for one in tensors(output)][1] == [1.0, 1.0]  # the caller's is as it was
    assert with_others("text", {}) == "text"


def test_a_packed_sequence_is_one_tensor():
    packed = pack_padded_sequence(torch.ones(3, 2, 1), torch.tensor([2, 2, 1]), batch_first=True)
    assert [one.shape for one in distinct_tensors((packed, (A, B)))] == [(5, 1), (2,), (2,)]
    made = with_others((packed, A), {id(packed.data): 2 * packed.data})[0]
    assert made.data.unique().tolist() == [2.0]
    assert made.batch_sizes.tolist() == [3, 2]


def test_a_tensor_that_is_given_twice_is_replaced_in_both_places():
    new = torch.full((2,), 9.0)
    first, rest = with_others((A, {"again": A}), {id(A): new})
    assert first is rest["again"] is new


class Forked(nn.Module):
    """Gives a dictionary, a named tuple inside it, one tensor twice, and places."""

    def __init__(self, scale=1.0):
        super().__init__()
        self.scale = scale

    def forward(self, x):
        best = torch.max(x, 1, keepdim=True)
        return {"twice": Pair(x, x * self.scale), "more": [best.values * self.scale, best.indices, x]}


class Net(nn.Module):
    def __init__(self, scale=1.0):
        super().__init__()
        self.first, self.fork, self.head = nn.Linear(4, 4), Forked(scale), nn.Linear(4, 3)

    def forward(self, x):
        given = self.fork(self.first(x))
        scaled, (best, places, same) = given["twice"].b, given["more"]
        return self.head(torch.tanh(scaled) + best + same + places)


def test_a_layer_s_own_forms_are_handed_on():
    torch.manual_seed(0)
    net, other = Net().eval(), Net(1.5).eval()
    other.load_state_dict(net.state_dict())
    found = layer_errors(net, other, np.random.default_rng(0).normal(size=(40, 4)).astype(np.float32))
    exact = {row.label: row.own_sqnr == float("inf") for row in found.rows}
    assert exact == {
        "first (Linear)": True,
        "fork (Forked)": True,
        "fork (Forked output 2)": False,
        "fork (Forked output 3)": False,
        "head (Linear)": True,
    }
    # Places of maxima are whole numbers that stand for none: told, not compared.
    assert [one.layer for one in found.unmatched] == ["fork (Forked output 4)"]
    assert "holds no numbers" in found.unmatched[0].reason
