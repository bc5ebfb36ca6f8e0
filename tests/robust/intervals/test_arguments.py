import numpy as np
import pytest

from robust.errors import InvalidInput
from robust.intervals.arguments import check_column, check_finite, check_level, check_whole


@pytest.mark.parametrize("level", [0.5, 1.0, 0.0, -1.0, 95, float("nan"), True, "0.95", None])
def test_a_level_lies_strictly_between_one_half_and_one(level):
    with pytest.raises(InvalidInput, match=r"level got .*strictly between 0\.5 and 1"):
        check_level(level)


def test_numpy_numbers_are_numbers():
    assert check_level(np.float32(0.75)) == 0.75
    assert check_whole("n", np.int64(3), least=1) == 3
    assert check_finite("x", np.float64(2.5)) == 2.5


@pytest.mark.parametrize("number", [0, -1, 1.5, True, "3", float("nan")])
def test_a_count_is_whole_and_large_enough(number):
    with pytest.raises(InvalidInput, match=r"rows got .* at least 1 would be right"):
        check_whole("rows", number, least=1)


@pytest.mark.parametrize("number", [float("nan"), float("inf"), True, "1"])
def test_a_number_is_finite(number):
    with pytest.raises(InvalidInput, match=r"limit got .* a finite number would be right"):
        check_finite("limit", number)


@pytest.mark.parametrize(
    ("values", "length", "message"),
    [
        (np.zeros((2, 2)), None, "loss got shape .2, 2.; one value a row"),
        (np.zeros(0), None, "loss got shape .0,."),
        (np.zeros(3), 4, "loss got 3 rows; 4 rows"),
        (np.array(["a"]), None, "loss got dtype <U1; numbers"),
        (np.array([1.0, np.nan]), None, "loss got nan in row 1"),
    ],
)
def test_a_column_is_one_finite_number_a_row(values, length, message):
    with pytest.raises(InvalidInput, match=message):
        check_column("loss", values, length=length)


def test_a_column_of_bools_becomes_zeros_and_ones():
    assert check_column("right", np.array([True, False])).tolist() == [1.0, 0.0]
