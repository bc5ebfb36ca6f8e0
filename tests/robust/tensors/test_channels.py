import numpy as np
import pytest

from robust.errors import InvalidInput
from robust.tensors.channels import transpose

X = np.arange(2 * 3 * 4 * 5).reshape(2, 3, 4, 5)


@pytest.mark.parametrize(("first", "last"), [("channels_first", "channels_last"), ("chfirst", "chlast")])
def test_there_and_back(first, last):
    moved = transpose(X, first)
    assert moved.shape == (2, 5, 3, 4)
    assert moved[1, 4, 2, 3] == X[1, 2, 3, 4]
    np.testing.assert_array_equal(transpose(moved, last), X)
    assert moved.flags.c_contiguous


def test_equals_the_permutation_that_frameworks_use():
    np.testing.assert_array_equal(transpose(X, "channels_first"), X.transpose(0, 3, 1, 2))
    np.testing.assert_array_equal(transpose(X, "channels_last"), X.transpose(0, 2, 3, 1))


def test_signals_move_and_rows_stay():
    assert transpose(np.zeros((7, 100, 3)), "channels_first").shape == (7, 3, 100)
    assert transpose(np.zeros((7, 3)), "channels_first").shape == (7, 3)


def test_other_words_are_refused():
    with pytest.raises(InvalidInput, match="'channels_first' or .* got 'NCHW'"):
        transpose(X, "NCHW")
