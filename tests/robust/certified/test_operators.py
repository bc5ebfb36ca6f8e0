import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from robust.certified.network import Builder
from robust.certified.operators import Convolution, Dense, Windows, scattered
from robust.certified.windows import adaptive_windows, sliding_windows


@settings(max_examples=40, deadline=None)
@given(
    st.integers(0, 10**6),
    st.integers(1, 2),
    st.integers(1, 3),
    st.integers(1, 2),
    st.integers(0, 2),
    st.sampled_from([1, 2]),
)
def test_convolution_is_that_of_torch_and_its_transpose_is_adjoint(seed, stride, taps, dilation, padding, groups):
    rng = np.random.default_rng(seed)
    weight, offset = rng.normal(size=(4, 4 // groups, taps, 2)), rng.normal(size=4)
    kernel = Convolution(
        weight,
        offset,
        (4, 7, 6),
        (stride, 1),
        ((padding, padding), (1, 1)),
        (dilation, 1),
        groups,
    )
    z = rng.normal(size=(3, 4 * 7 * 6))
    wanted = functional.conv2d(
        torch.from_numpy(z).reshape(3, 4, 7, 6),
        torch.from_numpy(weight),
        torch.from_numpy(offset),
        stride=(stride, 1),
        padding=(padding, 1),
        dilation=(dilation, 1),
        groups=groups,
    )
    assert kernel.out == tuple(wanted.shape[1:])
    np.testing.assert_allclose(kernel.linear(z) + kernel.bias, wanted.reshape(3, -1).numpy(), atol=1e-12)
    a = rng.normal(size=(2, int(np.prod(kernel.out))))
    np.testing.assert_allclose(a @ kernel.linear(z).T, kernel.transposed(a) @ z.T, atol=1e-10)
    matrix = kernel.transposed(np.eye(a.shape[1]))
    for power, expected in ((0, matrix), (1, np.abs(matrix)), (2, matrix**2)):
        np.testing.assert_allclose(kernel.linear(z, power=power), z @ expected.T, atol=1e-10)


def test_a_large_convolution_stays_one_and_a_small_one_becomes_a_matrix():
    rng = np.random.default_rng(0)
    for size, kind in ((6, Dense), (40, Convolution)):
        builder = Builder((2, size, size))
        node = builder.convolution(
            0, rng.normal(size=(3, 2, 3, 3)), None, stride=[1, 1], padding=[(1, 1)] * 2, dilation=[1, 1], groups=1
        )
        assert type(builder.nodes[node].operator) is kind
        assert builder.nodes[node].operator.terms == 18


@pytest.mark.parametrize(
    ("kernel", "stride", "padding", "dilation", "ceil"),
    [(2, 2, 0, 1, False), (3, 2, 1, 1, False), (2, 1, 1, 2, False), (3, 2, 1, 1, True), (2, 3, 0, 1, True)],
)
def test_windows_are_those_of_torch(kernel, stride, padding, dilation, ceil):
    z = np.random.default_rng(0).normal(size=(2, 3, 7, 8))
    index, out = sliding_windows(
        (3, 7, 8),
        kernel=[kernel] * 2,
        stride=[stride] * 2,
        padding=[(padding, padding)] * 2,
        dilation=[dilation] * 2,
        ceil=ceil,
    )
    wanted = functional.max_pool2d(torch.from_numpy(z), kernel, stride, padding, dilation, ceil)
    assert out == tuple(wanted.shape[1:])
    filled = np.concatenate([z.reshape(2, -1), np.full((2, 1), -np.inf)], axis=1)
    np.testing.assert_array_equal(filled[:, index].max(axis=2), wanted.reshape(2, -1).numpy())


def test_adaptive_windows_are_those_of_torch():
    z = np.random.default_rng(0).normal(size=(2, 3, 7, 5))
    index, out = adaptive_windows((3, 7, 5), [3, None])
    weight = (index >= 0) / (index >= 0).sum(axis=1, keepdims=True)
    pool = Windows(index, weight, 105)
    wanted = functional.adaptive_avg_pool2d(torch.from_numpy(z), (3, None))
    assert out == tuple(wanted.shape[1:])
    np.testing.assert_allclose(pool.linear(z.reshape(2, -1)), wanted.reshape(2, -1).numpy(), atol=1e-12)
    a = np.random.default_rng(1).normal(size=(2, len(index)))
    np.testing.assert_allclose(a @ pool.linear(z.reshape(2, -1)).T, pool.transposed(a) @ z.reshape(2, -1).T, atol=1e-12)


def test_scattered_adds_where_windows_overlap():
    index = np.array([[0, 1], [0, 2], [-1, 2]])
    values = np.arange(6.0).reshape(1, 3, 2)
    np.testing.assert_array_equal(scattered(values, index, 3), [[0 + 2, 1, 3 + 5]])
