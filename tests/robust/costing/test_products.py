"""Multiply-accumulates of products, against torch's own counter and by hand."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.flop_counter import FlopCounterMode

from robust.costing.products import (
    attention_macc,
    convolution_macc,
    einsum_macc,
    matrix_macc,
    recurrent_macc,
    transposed_convolution_macc,
)
from robust.errors import InvalidInput


def half_the_flops(call):
    """Multiply-accumulates as torch's counter has them: it counts two operations each."""
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        call()
    flops = counter.get_total_flops()
    assert flops % 2 == 0
    return flops // 2


@given(
    groups=st.integers(1, 3),
    channels=st.integers(1, 3),
    outputs=st.integers(1, 3),
    kernel=st.integers(1, 3),
    stride=st.integers(1, 2),
    padding=st.integers(0, 2),
    size=st.integers(5, 8),
    transposed=st.booleans(),
)
@settings(max_examples=60, deadline=None)
def test_convolutions_equal_torchs_counter(groups, channels, outputs, kernel, stride, padding, size, transposed):
    kind = torch.nn.ConvTranspose2d if transposed else torch.nn.Conv2d
    layer = kind(channels * groups, outputs * groups, kernel, stride=stride, padding=padding, groups=groups, bias=False)
    x = torch.zeros(2, channels * groups, size, size)
    with torch.no_grad():
        y = layer(x)
    ours = (
        transposed_convolution_macc(layer.weight.shape, x.shape)
        if transposed
        else convolution_macc(layer.weight.shape, y.shape)
    )
    assert ours == half_the_flops(lambda: layer(x))


def test_a_depthwise_convolution_by_hand():
    # 16 channels of 10 x 10, each with its own 3 x 3 kernel: 16 * 100 * 9.
    assert convolution_macc((16, 1, 3, 3), (1, 16, 10, 10)) == 14400


def test_matrices_by_hand():
    assert matrix_macc((2, 3, 5), 7) == 2 * 3 * 5 * 7


def test_recurrent_layers_by_hand():
    # Each of 8 steps: 4 gates of 16, each from 8 inputs and 16 states.
    assert recurrent_macc((64, 8), (64, 16), steps=8, rows=1) == 8 * 4 * 16 * (8 + 16) == 12288
    # Both directions of a GRU with three gates, for two rows.
    assert recurrent_macc((2, 12, 5), (2, 12, 4), steps=3, rows=2) == 2 * 2 * 3 * (3 * 4 * (5 + 4))


def test_attention_by_hand_and_as_two_products():
    query, key, value = (2, 4, 8, 6), (2, 4, 10, 6), (2, 4, 10, 5)
    scores = matrix_macc((2, 4, 8, 10), 6)
    assert attention_macc(query, key, value) == scores + matrix_macc((2, 4, 8, 5), 10)


EQUATIONS = {
    "matrix": ("ij,jk->ik", [(3, 4), (4, 5)], 60),
    "batched": ("bij,bjk->bik", [(2, 3, 4), (2, 4, 5)], 120),
    "inner": ("i,i->", [(7,), (7,)], 7),
    "implicit output": ("ij,jk", [(3, 4), (4, 5)], 60),
    "ellipsis": ("...ij,...jk->...ik", [(2, 6, 3, 4), (2, 6, 4, 5)], 720),
    "shared ellipsis": ("...ij,jk->...ik", [(6, 3, 4), (4, 5)], 360),
    "element by element": ("ij,ij->ij", [(3, 4), (3, 4)], 0),
    "outer": ("i,j->ij", [(3,), (4,)], 0),
    "summed away first": ("ij,k->k", [(3, 4), (5,)], 0),
    "one operand": ("ij->ji", [(3, 4)], 0),
    "chain": ("ij,jk,kl->il", [(2, 3), (3, 4), (4, 5)], 2 * 3 * 4 + 2 * 4 * 5),
}


@pytest.mark.parametrize(("equation", "shapes", "count"), EQUATIONS.values(), ids=EQUATIONS)
def test_einstein_sums_by_hand(equation, shapes, count):
    assert einsum_macc(equation, shapes) == count
    # The equation is one that numpy accepts.
    np.einsum(equation, *[np.zeros(shape) for shape in shapes])


@given(data=st.data())
@settings(max_examples=80, deadline=None)
def test_einstein_sums_of_two_equal_torchs_counter(data):
    letters = data.draw(st.lists(st.sampled_from("abcde"), min_size=2, max_size=5, unique=True))
    sizes = {letter: data.draw(st.integers(2, 4)) for letter in letters}
    left = data.draw(st.lists(st.sampled_from(letters), min_size=1, max_size=4, unique=True))
    right = data.draw(st.lists(st.sampled_from(letters), min_size=1, max_size=4, unique=True))
    output = data.draw(st.lists(st.sampled_from(sorted({*left, *right})), max_size=4, unique=True))
    equation = f"{''.join(left)},{''.join(right)}->{''.join(output)}"
    operands = [torch.zeros([sizes[letter] for letter in term]) for term in (left, right)]
    ours = einsum_macc(equation, [tuple(operand.shape) for operand in operands])
    assert ours == half_the_flops(lambda: torch.einsum(equation, *operands))


def test_equations_that_do_not_fit_are_refused():
    with pytest.raises(InvalidInput, match="has 2 operands, got 1 shapes"):
        einsum_macc("ij,jk->ik", [(2, 3)])
    with pytest.raises(InvalidInput, match=r"does not fit an operand of shape \(2, 3, 4\)"):
        einsum_macc("ij,jk->ik", [(2, 3, 4), (3, 2)])


def test_peepholes_are_used_once_a_step():
    # Three gates of 16 see the state of their own cell, in both directions.
    plain = recurrent_macc((2, 64, 8), (2, 64, 16), steps=8, rows=3)
    assert recurrent_macc((2, 64, 8), (2, 64, 16), steps=8, rows=3, peepholes=(2, 48)) == plain + 8 * 3 * 2 * 3 * 16
