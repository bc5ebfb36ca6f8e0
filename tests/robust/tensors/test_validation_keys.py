import numpy as np
import pytest

from robust.errors import InvalidInput
from robust.tensors.validation_keys import by_keys

SIMPLE = [("x_test", "y_test"), ("inputs", "outputs"), ("in_0", "out_0"), ("m_inputs", "m_outputs")]


def arrays(*keys):
    """One array a key, whose number is the place of the key."""
    return {key: np.array([i]) for i, key in enumerate(keys)}


def chosen(*keys):
    found = by_keys(arrays(*keys), where="t.npz")
    read = (None if part is None else [keys[int(a[0])] for a in part] for part in (found.inputs, found.outputs))
    return (*read, found.notes)


@pytest.mark.parametrize(("x", "y"), SIMPLE)
def test_each_pair_of_one_input_and_output(x, y):
    assert chosen(y, x) == ([x], [y], ())
    assert chosen(x) == ([x], None, ())


@pytest.mark.parametrize("first", range(len(SIMPLE) - 1))
def test_earlier_pairs_come_first(first):
    (x, y), (later_x, later_y) = SIMPLE[first], SIMPLE[first + 1]
    assert chosen(later_x, later_y, x, y) == ([x], [y], (f"t.npz: not used: {later_x}, {later_y}",))
    assert chosen(later_x, later_y, x)[:2] == ([x], None)


def test_numbered_keys_go_by_number():
    keys = [f"m_inputs_{i}" for i in (2, 10, 1, 3, 4, 5, 6, 7, 8, 9)]
    assert chosen(*keys, "m_outputs_2", "m_outputs_1")[:2] == (
        [f"m_inputs_{i}" for i in range(1, 11)],
        ["m_outputs_1", "m_outputs_2"],
    )


def test_the_candidates_arrays_only_without_the_references():
    both = ("c_inputs_1", "c_outputs_1", "m_inputs_1", "m_outputs_1")
    assert chosen(*both) == (["m_inputs_1"], ["m_outputs_1"], ("t.npz: not used: c_inputs_1, c_outputs_1",))
    assert chosen("c_inputs_1", "c_outputs_1", "m_outputs_1")[:2] == (["c_inputs_1"], ["c_outputs_1"])
    assert chosen("c_outputs_1", "m_inputs_1")[:2] == (["m_inputs_1"], None)


def test_other_keys_are_all_inputs_in_the_order_of_the_file():
    assert chosen("b", "a") == (["b", "a"], None, ())
    assert chosen("m_inputs_x", "in_1") == (["m_inputs_x", "in_1"], None, ())


@pytest.mark.parametrize("keys", [("m_inputs_0", "m_inputs_1"), ("m_inputs_1", "m_inputs_3"), ("c_inputs_2",)])
def test_numbers_start_at_one_and_have_no_gaps(keys):
    with pytest.raises(InvalidInput, match=f"t.npz has the keys {', '.join(keys)}: numbers 1 to {len(keys)}"):
        chosen(*keys)


def test_two_ways_to_write_a_number():
    with pytest.raises(InvalidInput, match="numbers 1 to 2"):
        chosen("m_inputs_1", "m_inputs_01")


@pytest.mark.parametrize("key", ["y_test", "outputs", "out_0", "m_outputs", "m_outputs_1", "c_outputs_1"])
def test_outputs_without_inputs(key):
    with pytest.raises(InvalidInput, match=f"keys x, {key}, of which '{key}' is an output .* x_test/y_test, inputs/"):
        chosen("x", key)


def test_no_arrays():
    with pytest.raises(InvalidInput, match="holds no arrays"):
        chosen()
