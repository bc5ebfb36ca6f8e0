"""Text as codes."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.preprocessing import OrdinalEncoder

from robust.data.columns import raw_column
from robust.data.encoding import encode, text_codes
from robust.errors import InvalidInput

LABELS = st.lists(st.text(alphabet="abcä日", max_size=3), min_size=1, max_size=8)


def column(values):
    return raw_column("a", np.array(values, dtype=object))


@given(LABELS)
def test_codes_are_those_of_scikit_learn_and_give_the_text_back(values):
    codes, labels = text_codes(column(values), None)
    expected = OrdinalEncoder().fit_transform(np.array(values, dtype=object)[:, None])[:, 0]
    np.testing.assert_array_equal(codes, expected)
    assert [labels[int(code)] for code in codes] == values
    # The order of the rows decides nothing.
    assert text_codes(column(values[::-1]), None)[1] == labels


def test_missing_text_is_nan():
    codes, labels = text_codes(column(["b", None, "a"]), None)
    np.testing.assert_array_equal(codes, [1, np.nan, 0])
    assert labels == ("a", "b")


def test_label_that_was_not_declared():
    with pytest.raises(InvalidInput, match=r"do not list: c, d in rows 1, 2 .*the categories are b, a"):
        text_codes(column(["a", "c", "d", None]), ("b", "a"))


def test_one_bit_pattern_for_missing_numbers():
    negative = raw_column("a", np.array([-np.nan, 1.0]))
    positive = raw_column("a", np.array([np.nan, 1.0]))
    assert encode([negative], known={}).x.tobytes() == encode([positive], known={}).x.tobytes()


@pytest.mark.parametrize("value", [2**53 + 1, -(2**53) - 1])
def test_whole_numbers_that_would_be_rounded(value):
    with pytest.raises(InvalidInput, match=r"'a' has whole numbers beyond 2\*\*53.* in row 1 "):
        encode([raw_column("a", np.array([0, value]))], known={})
    assert encode([raw_column("a", np.array([2**53, -(2**53)]))], known={}).x[0, 0] == 2**53
