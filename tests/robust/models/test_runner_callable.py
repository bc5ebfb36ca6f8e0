from collections import namedtuple

import numpy as np
import pytest

from robust.errors import InvalidInput, ModelFault
from robust.models.runner import as_runner
from robust.models.runner_callable import named_outputs

X = np.random.default_rng(0).normal(size=(5, 3))
Pair = namedtuple("Pair", "scores state")


@pytest.mark.parametrize(
    ("function", "names"),
    [
        (lambda x: x, ["output"]),
        (lambda x: (x,), ["output"]),
        (lambda x: (x, x[:, 0]), ["output_1", "output_2"]),
        (lambda x: [x, x[:, 0]], ["output_1", "output_2"]),
        (lambda x: {"a": x, "b": x[:, 0]}, ["a", "b"]),
        (lambda x: Pair(x, x[:, 0]), ["scores", "state"]),
        (lambda x: x.tolist(), ["output"]),
        (lambda x: list(x), ["output"]),
        (lambda x: [float(row.sum()) for row in x], ["output"]),
    ],
)
@pytest.mark.parametrize("batch_size", [2, 256])
def test_all_the_ways_to_return(function, names, batch_size):
    outputs, specs = as_runner(function, batch_size=batch_size).run([X])
    assert [spec.name for spec in specs] == names
    wanted = function(X)
    parts = [wanted] if names == ["output"] and not isinstance(wanted, tuple) else (
        list(wanted.values()) if isinstance(wanted, dict) else list(wanted)
    )  # fmt: skip
    for got, part in zip(outputs, parts, strict=True):
        np.testing.assert_array_equal(got, np.asarray(part))


def test_types_are_kept():
    outputs, specs = as_runner(lambda x: {"a": x.astype(np.int8), "b": x > 0}).run([X])
    assert [array.dtype for array in outputs] == [np.int8, np.bool_]
    assert [spec.dtype for spec in specs] == ["int8", "bool"]


@pytest.mark.parametrize("bad", [None, {"c": 1}, (1, 2), [np.zeros(5), np.zeros(5)]])
def test_nested_and_missing_outputs(bad):
    with pytest.raises(ModelFault, match=rf"output 'b' is a {type(bad).__name__}: one array each"):
        as_runner(lambda x: {"a": x, "b": bad}).run([X])
    with pytest.raises(ModelFault, match="output 'output_2' is a"):
        as_runner(lambda x: (x, bad)).run([X])


def test_a_function_takes_one_input():
    with pytest.raises(InvalidInput, match="double: it takes one input, got 2"):
        as_runner(lambda x: x, name="double").run([X, X])


def test_as_many_rows_as_outputs():
    """Three arrays of three numbers are outputs in a list, as they are in a tuple."""
    x = np.eye(3)
    assert list(named_outputs([x[0], x[1], x[2]], rows=3, array=np.asarray)) == ["output_1", "output_2", "output_3"]
    assert list(named_outputs([x[0], x[1]], rows=2, array=np.asarray)) == ["output"]
