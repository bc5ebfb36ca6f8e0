"""Keys of rows: the count is that of the contents, and most data sets need no contents."""

import numpy as np
import pytest

from robust.bitwidths import row_keys as keys_of_rows
from robust.bitwidths.row_keys import row_keys, shared_rows
from robust.data.live import as_data
from robust.measures.row_contents import row_contents

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.uint8])
@pytest.mark.parametrize("shared", [0, 1, 40])
def test_the_count_is_that_of_the_contents(dtype, shared):
    x = (255 * RNG.random((300, 3, 7))).astype(dtype)
    one, other = as_data(x[:150]), as_data(np.concatenate([x[150:], x[:shared]]))
    assert shared_rows(one, other) == row_contents(one).shared(other) == shared


def test_rows_of_few_values_share_some_by_chance():
    x = RNG.integers(0, 2, size=(400, 4)).astype(np.float32)
    one, other = as_data(x[:200]), as_data(x[200:])
    assert np.isin(row_keys(other), row_keys(one)).all()
    assert shared_rows(one, other) == row_contents(one).shared(other)


def test_equal_numbers_have_equal_keys():
    x = np.array([[0.0, 1.0, 7.0], [np.nan, 2.0, 3.0]])
    signed = np.array([[-0.0, 1.0, 7.0], [-np.nan, 2.0, 3.0]])
    assert np.array_equal(row_keys(as_data(x)), row_keys(as_data(signed)))
    assert np.array_equal(row_keys(as_data(x[:1])), row_keys(as_data(x[:1].astype(np.int16))))


def test_other_rows_have_other_keys():
    """Small whole numbers, whose words differ in their upper bits alone."""
    grid = np.array(np.meshgrid(*[np.arange(8.0)] * 4)).reshape(4, -1).T
    assert len(np.unique(row_keys(as_data(grid)))) == 8**4


def test_contents_are_not_looked_at_where_keys_are_apart(monkeypatch):
    monkeypatch.setattr(keys_of_rows, "row_contents", None)
    x = RNG.normal(size=(3000, 5))
    assert shared_rows(as_data(x[:1000]), as_data(x[1000:])) == 0
