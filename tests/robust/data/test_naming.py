"""Names in messages."""

import numpy as np
import pytest

from robust.data.naming import check_unique, checked_names, default_names, shorten, some_rows, unknown_name
from robust.errors import InvalidInput


@pytest.mark.parametrize("shape", [(), (3,), (2, 3), (1, 8, 8)])
def test_default_names_are_as_many_as_features_and_unique(shape):
    names = default_names(shape)
    assert len(names) == len(set(names)) == int(np.prod(shape))


def test_close_matches_come_first():
    assert unknown_name("tmie", ("age", "time"), where="no") == "no 'tmie': did you mean 'time'?"
    assert unknown_name("zzz", ("age", "time"), where="no") == "no 'zzz'; there are age, time"


def test_long_lists_are_cut():
    assert shorten(list(range(60)), most=2) == "0, 1, … (60 in all)"
    assert some_rows(np.arange(20) > 4) == "rows 5, 6, 7, 8, 9, 10, 11, 12, … (15 in all) (counted from 0)"
    assert some_rows(np.array([True])) == "row 0 (counted from 0)"


def test_refused():
    with pytest.raises(InvalidInput, match="names must be texts that are not empty, got 3"):
        checked_names(["a", 3], 2)
    with pytest.raises(InvalidInput, match="columns come more than once: a, b; each must be unique"):
        check_unique(["b", "a", "a", "b", "a", "c"], "columns")
