import dataclasses
import pickle
from dataclasses import dataclass

import pytest

from robust.errors import InvalidInput
from robust.intervals.clopper_pearson import clopper_pearson
from robust.intervals.interval import Interval, RootSizing, UnboundedSizing, needed_n
from robust.intervals.tango import tango


def interval(**changes):
    sizing = RootSizing(value=0.5, lower=0.4, upper=0.7, n=100)
    fields = {
        "value": 0.5,
        "lower": 0.4,
        "upper": 0.7,
        "level": 0.95,
        "n": 100,
        "method": "m",
        "sizing": sizing,
    }
    return Interval(**(fields | changes))


def test_it_is_frozen_and_survives_pickling():
    one = interval()
    assert pickle.loads(pickle.dumps(one)) == one
    with pytest.raises(dataclasses.FrozenInstanceError):
        one.value = 0.0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"lower": 0.6}, r"bounds got 0\.6 \.\. 0\.7 around 0\.5"),
        ({"upper": 0.4}, r"bounds got"),
        ({"upper": float("nan")}, r"bounds got 0\.4 \.\. nan"),
        ({"value": float("nan")}, "value got nan"),
        ({"value": float("inf")}, "value got inf"),
        ({"n": 0}, "n got 0"),
        ({"level": 0.5}, r"level got 0\.5"),
        ({"level": float("nan")}, "level got nan"),
    ],
)
def test_what_no_method_may_produce_is_refused(changes, message):
    with pytest.raises(InvalidInput, match=message):
        interval(**changes)


def test_half_widths_shrink_with_the_root_of_n():
    assert RootSizing(value=1.0, lower=0.0, upper=3.0, n=100).at(400) == (0.5, 2.0)


@pytest.mark.parametrize(("limit", "rows"), [(0.01, 361), (0.02, 180), (0.005, 725)])
@pytest.mark.parametrize("n", [1, 60, 128, 361, 5_000])
def test_rows_without_a_flip_that_settle_a_limit_whatever_was_measured(limit, rows, n):
    sizing = tango(0, 0, n, level=0.95).sizing
    assert needed_n(sizing, limit=limit, settles="below", n=n) == rows
    assert tango(0, 0, rows, level=0.95).upper < limit <= tango(0, 0, rows - 1, level=0.95).upper


def test_proportion_with_every_row_right():
    # 0.05^(1/n) > 0.99 from n = 299 on.
    sizing = clopper_pearson(50, 50, level=0.95).sizing
    assert needed_n(sizing, limit=0.99, settles="above", n=50) == 299


def test_the_answer_is_the_boundary_of_the_bound():
    sizing = tango(26, 12, 2000, level=0.95).sizing
    found = needed_n(sizing, limit=0.01, settles="below", n=2000)
    assert found is not None
    assert sizing.at(found)[1] < 0.01 <= sizing.at(found - 1)[1]


@pytest.mark.parametrize("settles", ["below", "above"])
def test_no_n_settles_a_limit_that_is_the_value(settles):
    sizing = tango(26, 12, 2000, level=0.95).sizing
    assert needed_n(sizing, limit=0.007, settles=settles, n=2000) is None


def test_no_n_settles_the_wrong_side_or_a_limit_out_of_reach():
    sizing = RootSizing(value=0.5, lower=0.4, upper=0.6, n=100)
    assert needed_n(sizing, limit=0.4, settles="below", n=100) is None
    assert needed_n(sizing, limit=0.5001, settles="below", n=100, n_max=10**6) is None
    assert needed_n(sizing, limit=0.5001, settles="below", n=100, n_max=10**9) == 100_000_001
    assert needed_n(UnboundedSizing(), limit=1.0, settles="below", n=10) is None


@dataclass(frozen=True)
class Sawtooth:
    """An upper bound that comes back above the limit between 200 and 999 rows."""

    def at(self, n):
        return 0.0, 1.0 if n < 100 or 200 <= n < 1000 else 0.1


def test_a_bound_that_is_not_monotone_settles_only_where_it_stays():
    assert needed_n(Sawtooth(), limit=0.5, settles="below", n=50) == 1000


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"limit": float("inf")}, "limit got inf"),
        ({"settles": "beside"}, "settles got 'beside'; 'below' or 'above'"),
        ({"n": 0}, "n got 0"),
        ({"n": 10, "n_max": 5}, "n_max got 5"),
    ],
)
def test_bad_input(changes, message):
    arguments = {"limit": 0.5, "settles": "below", "n": 10} | changes
    with pytest.raises(InvalidInput, match=message):
        needed_n(UnboundedSizing(), **arguments)
