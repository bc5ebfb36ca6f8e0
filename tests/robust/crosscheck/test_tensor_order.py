"""Which tensor belongs to which, and where channels lie."""

import pytest

from robust.crosscheck.tensor_order import check_layout, check_position, matched, moved, opposite
from robust.errors import InvalidInput
from robust.tensors.spec import TensorSpec


def specs(*names):
    return [TensorSpec(name=name, shape=(2,), dtype="float32") for name in names]


@pytest.mark.parametrize(
    ("have", "want", "places", "told"),
    [
        ("ab", "ab", [0, 1], 0),
        ("ab", "ba", [1, 0], 1),
        ("abc", "cab", [2, 0, 1], 1),
        ("ab", "xy", [0, 1], 0),
        ("ab", "bx", [0, 1], 0),
        ("aa", "aa", [0, 1], 0),
    ],
)
def test_by_name_where_all_are_shared_else_in_order(have, want, places, told):
    found, notes = matched(specs(*have), specs(*want), what="outputs")
    assert found == places
    assert len(notes) == told


def test_other_numbers_of_tensors():
    with pytest.raises(InvalidInput, match=r"reference has 1 inputs \('a'\), the candidate 2 \('a', 'b'\)"):
        matched(specs("a"), specs("a", "b"), what="inputs")


def test_positions():
    assert check_position("o", None) is None
    assert check_position("o", "chfirst") == "channels_first"
    assert check_position("o", "channels_last") == "channels_last"
    assert opposite("channels_last") == "channels_first"
    assert opposite("channels_first") == "channels_last"
    assert opposite(None) is None
    assert moved((3, 8, 9), "channels_last") == (8, 9, 3)
    assert moved((8, 9, 3), "channels_first") == (3, 8, 9)
    assert moved((None, 3), None) == (None, 3)
    with pytest.raises(InvalidInput, match="o must be 'channels_first' or 'channels_last', got 'nhwc'"):
        check_position("o", "nhwc")


@pytest.mark.parametrize(
    ("have", "want"),
    [((1, 1, 10), (10,)), ((10,), (1, 1, 10)), ((2, 3), (6,)), ((2, 3), (2, 3)), ((), (1,)), ((4, 1, 5), (4, None))],
)
def test_layouts_that_mean_the_same(have, want):
    check_layout(have, want, what="output", option="o")


@pytest.mark.parametrize(("have", "want", "hint"), [((3, 8, 8), (8, 8, 3), True), ((2, 6), (3, 4), False)])
def test_layouts_that_a_reshape_would_scramble(have, want, hint):
    with pytest.raises(InvalidInput, match="if its channels lie elsewhere, say o" if hint else "is needed$"):
        check_layout(have, want, what="output", option="o")
