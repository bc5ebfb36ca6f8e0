"""Rows that two data sets share, told by content."""

import numpy as np
import pytest

from robust.data.live import as_data
from robust.measures.row_contents import other_rows, row_contents


def normal(n, d=3, seed=0):
    return np.random.default_rng(seed).normal(size=(n, d))


def test_one_shared_row_is_found():
    x, other = normal(500), normal(300, seed=1)
    contents = row_contents(as_data(x))
    assert contents.shared(as_data(other)) == 0
    other[17] = x[400]
    assert contents.shared(as_data(other)) == 1
    assert contents.shared(as_data(x[::-1].copy())) == 500
    assert contents.shared(as_data(x[:3])) == 3
    assert contents.rows == 500


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int16])
def test_types_zeros_and_missing_values_compare_by_value(dtype):
    x = np.arange(40, dtype=dtype).reshape(10, 4)
    again = x.astype(np.float64)
    again[again == 0] = -0.0
    assert row_contents(as_data(x)).shared(as_data(again)) == 10
    if dtype != np.int16:
        x[0, 0] = np.nan
        again[0, 0] = -np.nan
        assert row_contents(as_data(x)).shared(as_data(again)) == 10


def test_labels_and_ids_do_not_matter_and_shapes_do():
    x = normal(20)
    one = row_contents(as_data(x, np.zeros(20, int)))
    assert one.shared(as_data(x, np.ones(20, int), ids=[f"r{i}" for i in range(20)])) == 20
    assert one.shared(as_data(normal(20, d=4))) == 0


@pytest.mark.parametrize("seed", range(5))
def test_rows_of_few_values_repeat_by_chance(seed):
    rng = np.random.default_rng(seed)
    old, new = rng.integers(0, 2, (400, 4)), rng.integers(0, 2, (300, 4))
    assert np.isin(new @ [1, 2, 4, 8], old @ [1, 2, 4, 8]).all()
    assert row_contents(as_data(old)).shared(as_data(new)) == 0
    # The same rows are the same rows, however often each repeats.
    assert row_contents(as_data(old)).shared(as_data(rng.permutation(old))) == 400


@pytest.mark.parametrize("seed", range(5))
def test_leaks_beyond_chance_are_found_among_repeats(seed):
    rng = np.random.default_rng(seed)
    old, new = rng.integers(0, 40, (500, 3)), rng.integers(0, 40, (500, 3))  # 64,000 values: few repeats by chance
    assert row_contents(as_data(old)).shared(as_data(new)) == 0
    new[:250] = old[:250]
    assert row_contents(as_data(old)).shared(as_data(new)) >= 250


def test_the_check_says_which_way_it_flatters():
    data = as_data(normal(5), name="test")
    good = other_rows(0, data, what="val", higher_is_better=True)
    assert good.passed
    assert "chosen on val" in good.reason
    for up, bias in ((True, "raises"), (False, "lowers")):
        bad = other_rows(2, data, what="val", higher_is_better=up)
        assert (bad.passed, bad.bias) == (False, bias)
        assert bad.reason.startswith("2 of 5 rows of test are among those of val")
