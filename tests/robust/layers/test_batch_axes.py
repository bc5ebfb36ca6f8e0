"""The axis that holds the rows, told from two calls."""

import numpy as np

from robust.errors import ModelFault
from robust.layers.batch_axes import batch_axes, rows_back, rows_first


def held(x):
    """Points with the rows first, second and third, spread over an axis, gone, and in two axes."""
    n = len(x)
    return {
        "first": np.zeros((n, 3)),
        "time": np.arange(5 * n * 4).reshape(5, n, 4),
        "directions": np.zeros((5, 1, n, 4)),
        "mixed": np.zeros((5 * n, 4)),
        "none": np.zeros((2, 3)),
        "square": np.zeros((1, n, n)),
    }


def test_the_axis_that_grows_with_the_rows():
    assert batch_axes(held, np.ones((1, 7))) == {"time": 1, "directions": 2}


def test_a_model_that_takes_one_number_of_rows_tells_nothing():
    def fixed(x):
        raise ModelFault("the batch is 1")

    assert batch_axes(fixed, np.ones((1, 7))) == {}


def test_there_and_back():
    axes, values = {"time": 1, "directions": 2}, held(np.ones((6, 7)))
    moved = rows_first(values, axes)
    assert moved["time"].shape == (6, 5, 4)
    assert moved["directions"].shape == (6, 5, 1, 4)
    assert moved["time"][2, 3, 1] == values["time"][3, 2, 1]
    for end, array in rows_back(moved, axes).items():
        np.testing.assert_array_equal(array, values[end])
