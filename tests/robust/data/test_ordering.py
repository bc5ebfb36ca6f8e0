"""Time order: a permutation, by group and time, that does not depend on how rows are stored."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from robust.data.live import as_data
from robust.data.ordering import time_order
from robust.errors import InvalidInput


def test_one_series():
    found = time_order(as_data(np.zeros((3, 1)), order=[2.5, -1, 0]))
    assert found.rows.tolist() == [1, 2, 0]
    assert found.starts.tolist() == [0, 3]


def test_one_row():
    found = time_order(as_data(np.zeros((1, 1)), order=[7], groups=["g"]))
    assert found.rows.tolist() == [0]
    assert found.starts.tolist() == [0, 1]


@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.integers(-9, 9)), min_size=1, max_size=20, unique=True),
    st.randoms(use_true_random=False),
)
def test_sorted_by_group_and_time_whatever_the_storage(rows, random):
    shuffled = random.sample(rows, len(rows))
    data = as_data(np.zeros((len(rows), 1)), groups=[g for g, _ in shuffled], order=[t for _, t in shuffled])
    found = time_order(data)
    assert [shuffled[j] for j in found.rows] == sorted(rows)
    pieces = [found.rows[a:b] for a, b in zip(found.starts[:-1], found.starts[1:], strict=True)]
    assert [{shuffled[j][0] for j in piece} for piece in pieces] == [{g} for g in sorted({g for g, _ in rows})]


def test_large_times_are_compared_exactly():
    base = 2**62
    found = time_order(as_data(np.zeros((2, 1)), order=[base + 1, base]))
    assert found.rows.tolist() == [1, 0]


def test_no_order():
    with pytest.raises(InvalidInput, match="data has no order: pass order="):
        time_order(as_data(np.zeros((2, 1))))


def test_ties():
    data = as_data(np.zeros((3, 1)), order=[1, 2, 1], ids=["p", "q", "r"])
    with pytest.raises(InvalidInput, match=r"order has ties: two rows .*ids p and r\); add groups="):
        time_order(data)
    grouped = as_data(np.zeros((3, 1)), order=[1, 2, 1], groups=["u", "u", "v"])
    assert time_order(grouped).starts.tolist() == [0, 2, 3]
    with pytest.raises(InvalidInput, match="groups= must tell them apart"):
        time_order(as_data(np.zeros((3, 1)), order=[1, 2, 1], groups=["u", "u", "u"]))
