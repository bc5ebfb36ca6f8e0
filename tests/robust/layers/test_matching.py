"""Pairs of layers: by name, by place, and what is left with the reason."""

import numpy as np
import pytest

from robust.layers.blocks import ENTRY, Block, Point
from robust.layers.matching import Unmatched, matched

W = np.ones((3, 2))


def block(name, kind="Conv", end=None, aliases=(), **options):
    return Block(name=name, kind=kind, end=end or f"{name}_end", aliases=aliases, **options)


def ends(pairs):
    return [(pair.reference.end, pair.candidate.end, pair.how) for pair in pairs]


def test_the_end_s_name_counts_more_than_one_before_it():
    old = [block("a", end="relu", aliases=("relu", "conv")), block("b", end="other", aliases=("other",))]
    new = [block("p", end="one", aliases=("conv",)), block("q", end="two", aliases=("relu",))]
    pairs, left = matched(old, new)
    assert ends(pairs) == [("relu", "two", "tensor name")]
    assert [one.layer for one in left] == ["b (Conv)", "p (Conv)"]


def test_a_module_s_name_where_tensors_have_none():
    pairs, left = matched([block("0", "Conv2d")], [block("0", "QLinearConv", aliases=("x",))])
    assert [pair.how for pair in pairs] == ["module name"]
    assert left == ()


def test_names_that_several_have_tell_nothing():
    pairs, left = matched([block("a", end="1"), block("a", end="2")], [block("a", end="3")])
    assert pairs == ()
    assert len(left) == 3


def test_the_place_of_weighted_layers_as_a_last_resort():
    old = [block("a", weight=W), block("b", "Gemm", weight=W)]
    new = [block("p", weight=W), block("q", "MatMul", weight=W)]
    pairs, _ = matched(old, new)
    assert [pair.how for pair in pairs] == ["order", "order"]
    for other in (new[:1], [*new[:1], block("q", "MatMul", weight=np.ones((4, 2)))], new[::-1]):
        assert matched(old, other)[0] == ()
    # One name that tells something: the others are left, they were given other names for a reason.
    named = [block("a", weight=W), block("q", "MatMul", weight=W)]
    assert ends(matched(old, named)[0]) == [("a_end", "a_end", "module name")]


def test_layers_without_weights_by_what_they_read():
    old = [block("c", end="c"), block("pool_1", "MaxPool2d", end="p", feeds=("c",))]
    new = [block("c", end="k"), block("node_7", "MaxPool", end="q", feeds=("k",))]
    assert ends(matched(old, new)[0])[1] == ("p", "q", "order")
    # Two poolings of the same layer cannot be told apart.
    twice = [*old, block("pool_2", "MaxPool2d", end="p2", feeds=("c",))]
    pairs, left = matched(twice, [*new, block("node_8", "MaxPool", end="q2", feeds=("k",))])
    assert len(pairs) == 1
    assert len(left) == 4
    rows = [block("pool", "MaxPool", end="p", feeds=(ENTRY,))], [block("other", "MaxPool", end="q", feeds=(ENTRY,))]
    assert len(matched(*rows)[0]) == 1


def test_weighted_layers_by_what_they_read_and_their_module_or_weights():
    old = [
        block("c", "Conv2d", end="c1", weight=W, feeds=(ENTRY,)),
        block("c (call 2)", "Conv2d", end="c2", weight=W, feeds=("c1",)),
    ]
    new = [block("c", end="x", weight=W, feeds=(ENTRY,)), block("c", end="y", weight=W, feeds=("x",))]
    assert ends(matched(old, new)[0]) == [("c1", "x", "order"), ("c2", "y", "order")]
    both = [block("c", end="x", weight=W, feeds=(ENTRY,)), block("c", end="y", weight=W, feeds=(ENTRY,))]
    beside = [block("head", "Linear", weight=W)]
    pairs, left = matched([*old, *beside], [*both, *beside])
    assert len(pairs) == 1  # which call is which is not known
    assert left[0].reason == "the candidate has 2 layers of this module, and nothing tells that one is the same"
    # Where no name tells the module, weights that point the same way do.
    other = np.where(np.arange(6).reshape(3, 2) % 2, 1.0, -1.0)
    named = [block("head", "Linear", end="h", weight=W), block("ws.0", "linear", end="w", weight=W, feeds=(ENTRY,))]
    for weight, own, found in ((2 * W, False, True), (other, False, False), (2 * W, True, False)):
        file = [
            block("head", "Gemm", end="g", weight=W),
            block("node_1", "MatMul", end="m", weight=weight, feeds=(ENTRY,), named=own),
        ]
        assert (("w", "m", "order") in ends(matched(named, file)[0])) is found


def test_one_operator_of_a_recurrent_module_is_not_taken_for_the_module():
    old = [block("l", "LSTM", end="l#1", feeds=(ENTRY,))]
    first, second = block("l", "LSTM", end="one", feeds=(ENTRY,)), block("l", "LSTM", end="two", feeds=("one",))
    assert matched(old, [first, second])[0] == ()
    assert matched(old, [block("LSTM_3", "LSTM", end="one", feeds=(ENTRY,), named=False)])[0] == ()
    again = block("l (call 2)", "LSTM", end="l#2", feeds=("l#1",))
    assert ends(matched([*old, again], [first, second])[0]) == [("l#1", "one", "order"), ("l#2", "two", "order")]


def test_tensors_of_one_layer_are_told_apart():
    old = [block("l", "LSTM", end="l#1", part=0), block("l", "LSTM", end="l#1[1]", part=1)]
    new = [block("l", "LSTM", end="Y_h", part=1), block("l", "DynamicQuantizeLSTM", end="Y", part=0)]
    assert ends(matched(old, new)[0]) == [("l#1", "Y", "module name"), ("l#1[1]", "Y_h", "module name")]
    assert matched(old[:1], new[:1])[0] == ()


def test_weights_tell_layers_whose_names_have_moved():
    rng = np.random.default_rng(0)
    weights = [rng.normal(size=(4, 6)) for _ in range(3)]
    old = [block(str(i), end=f"old {i}", weight=one) for i, one in enumerate(weights)]
    new = [block(str(i + 1), end=f"new {i}", weight=one + 0.01) for i, one in enumerate(weights)]
    assert ends(matched(old, new)[0]) == [(f"old {i}", f"new {i}", "weights") for i in range(3)]
    # A layer with other weights keeps its name where no other has its own.
    broken = [new[0], block("1", end="new 1", weight=rng.normal(size=(4, 6))), new[2]]
    found = ends(matched(old, [broken[1], new[2]])[0])
    assert found == [("old 1", "new 1", "module name"), ("old 2", "new 2", "weights")]
    # Two layers with the same weights are not told apart by them.
    twins = [block("p", end="1", weight=weights[0]), block("q", end="2", weight=weights[0])]
    assert matched([*old[:1], old[1]], [*twins, block("1", end="3", weight=weights[1])])[0][0].how == "module name"


def test_a_sum_that_a_layer_took_up_is_no_layer_that_is_missing():
    rng = np.random.default_rng(0)
    weight, bias, moved = rng.normal(size=(4, 6)), np.ones(4), np.full(4, 3.0)
    conv = block(
        "a", end="conv", aliases=("conv",), weight=weight, shift=bias, points=(Point(end="sum", level=1, shift=moved),)
    )
    total = block("node_3", "Add", end="sum", aliases=("sum",), feeds=("conv",), named=False)
    built = block("a", "QLinearConv", end="sum", aliases=("sum",), weight=weight, shift=moved)
    pairs, left = matched([conv, total], [built])
    assert ends(pairs) == [("sum", "sum", "module name")]
    assert left == ()
    pairs, left = matched([conv, total], [block("a", end="sum", aliases=("sum",), weight=weight, shift=bias)])
    assert ends(pairs) == [("conv", "sum", "module name")]


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        (
            {"activations": ("relu",)},
            {},
            "followed by relu in the reference, not in the candidate",
        ),
        (
            {"activations": ("sigmoid",)},
            {"integers": True},
            "followed by sigmoid in the reference, not in the candidate",
        ),
        ({}, {"activations": ("tanh",)}, "followed by tanh in the candidate, not in the reference"),
        ({"weight": W}, {"weight": W.T}, "its weights have shape (3, 2) in the reference, (2, 3) in the candidate"),
        ({}, {"kind": "Gemm"}, "a Conv in the reference, a Gemm in the candidate"),
    ],
)
def test_one_name_that_means_two_things(old, new, reason):
    pairs, left = matched([block("a", **old)], [block("a", **new)])
    assert pairs == ()
    assert left == (Unmatched(layer="a (Conv)", model="reference", reason=reason),)


@pytest.mark.parametrize("activation", ["relu", "clip(0.0, 6.0)"])
def test_a_quantizer_s_range_can_stand_for_an_activation(activation):
    pairs, _ = matched([block("a", activations=(activation,))], [block("a", integers=True)])
    assert len(pairs) == 1
    assert len(matched([block("a", integers=True)], [block("a", activations=(activation,))])[0]) == 1
