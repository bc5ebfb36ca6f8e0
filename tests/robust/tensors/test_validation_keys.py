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


@pytest.mark.parametrize(
    ("keys", "origin"),
    [
        (("m_inputs_1", "m_outputs_1", "c_outputs_1"), "reference"),
        (("m_inputs", "m_outputs"), "reference"),
        (("c_inputs_1", "c_outputs_1"), "candidate"),
        (("m_inputs_1", "c_outputs_1"), None),
        (("x_test", "y_test"), None),
        (("inputs", "outputs"), None),
        (("a",), None),
    ],
)
def test_whose_the_outputs_are(keys, origin):
    assert by_keys(arrays(*keys), where="t.npz").origin == origin


def test_other_keys_are_all_inputs_in_the_order_of_the_file():
    note = "t.npz: no known key, every array is an input, in this order: b, a"
    assert chosen("b", "a") == (["b", "a"], None, (note,))
    assert chosen("m_inputs_x", "in_1")[:2] == (["m_inputs_x", "in_1"], None)


def test_names_of_the_models_inputs_are_matched_whatever_their_order():
    found = by_keys(arrays("b", "a"), where="t.npz", names=["a", "b"])
    assert [int(part[0]) for part in found.inputs] == [1, 0]
    assert found.notes == ("t.npz: the arrays are matched by the names of the model's inputs: a, b",)
    same = by_keys(arrays("a", "b"), where="t.npz", names=["a", "b"])
    assert ([int(part[0]) for part in same.inputs], same.notes) == ([0, 1], ())
    # Names that are not all there are no names; nor is a key that means something else.
    other = by_keys(arrays("b", "c"), where="t.npz", names=["a", "b"])
    assert ([int(part[0]) for part in other.inputs], other.guessed) == ([0, 1], True)
    known = by_keys(arrays("in_0", "inputs"), where="t.npz", names=["in_0", "inputs"])
    assert [int(part[0]) for part in known.inputs] == [1]


@pytest.mark.parametrize("keys", [("X", "Y"), ("x", "y"), ("X", "y"), ("x_train", "y_train"), ("X_test", "Y_test")])
def test_a_pair_of_a_data_set_is_not_guessed_where_the_model_says_nothing(keys):
    match = f"t.npz has the keys {', '.join(keys)}, which may be two inputs.*understood as x_test/y_test"
    with pytest.raises(InvalidInput, match=match):
        chosen(*keys)
    assert len(by_keys(arrays(*keys), where="t.npz", names=["a", "b"]).inputs) == 2


@pytest.mark.parametrize("keys", [("x", "y_train"), ("xy", "y"), ("x", "y", "z"), ("x", "X")])
def test_no_pair_of_a_data_set(keys):
    assert len(chosen(*keys)[0]) == len(keys)


@pytest.mark.parametrize("keys", [("m_inputs_0", "m_inputs_1"), ("m_inputs_1", "m_inputs_3"), ("c_inputs_2",)])
def test_numbers_start_at_one_and_have_no_gaps(keys):
    with pytest.raises(
        InvalidInput, match=f"t.npz has the keys {', '.join(keys)}: numbers 1 to {len(keys)}.*x_test/y_"
    ):
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
