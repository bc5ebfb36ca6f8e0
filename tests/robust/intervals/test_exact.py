import pickle

import pytest

from robust.errors import InvalidInput
from robust.intervals.exact import exact
from robust.intervals.interval import needed_n


def test_no_width_at_any_n():
    parameters = exact(1_234, 7)
    assert (parameters.lower, parameters.value, parameters.upper) == (1234.0, 1234.0, 1234.0)
    assert (parameters.n, parameters.level, parameters.method) == (7, 1.0, "exact")
    assert pickle.loads(pickle.dumps(parameters)).sizing.at(10**6) == (1234.0, 1234.0)


def test_one_unit_settles_a_limit_that_is_not_the_value():
    sizing = exact(5.0, 3).sizing
    assert needed_n(sizing, limit=6.0, settles="below", n=3) == 1
    assert needed_n(sizing, limit=5.0, settles="below", n=3) is None


@pytest.mark.parametrize(("value", "n", "message"), [(float("nan"), 1, "value got nan"), (1.0, 0, "n got 0")])
def test_bad_input(value, n, message):
    with pytest.raises(InvalidInput, match=message):
        exact(value, n)
