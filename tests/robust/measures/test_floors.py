"""What few differing rows can prove, at this number of rows and at others."""

import math

import pytest

from robust.intervals.clopper_pearson import clopper_pearson_bounds
from robust.intervals.exact import exact
from robust.intervals.interval import Interval, RootSizing, needed_n
from robust.intervals.vacuous import never_vacuous
from robust.measures.floors import floored


def rising(share):
    """An effect that grows with the share, as that of macro-F1 does."""
    return 1.0 + 10 * share


def test_the_effect_is_taken_at_the_share_that_may_differ():
    share = clopper_pearson_bounds(0, 60, 0.95)[1]
    found = floored(exact(0.0, 60), differing=0, units=60, rate=rising, level=0.95)
    assert found.upper == pytest.approx(share * rising(share))
    assert found.lower == -found.upper


@pytest.mark.parametrize(("differing", "counted"), [(0, 0), (9, 9), (10, 0), (60, 0)])
def test_ten_rows_that_differ_need_no_floor_unless_none_varies(differing, counted):
    share = clopper_pearson_bounds(counted, 60, 0.95)[1]
    found = floored(exact(0.0, 60), differing=differing, units=60, rate=rising, level=0.95)
    assert found.upper == pytest.approx(share * rising(share))


def test_enough_rows_stay_as_they_are():
    sizing = RootSizing(value=0.0, lower=-0.01, upper=0.01, n=60)
    interval = Interval(value=0.0, lower=-0.01, upper=0.01, level=0.95, n=60, method="m", sizing=sizing)
    assert floored(interval, differing=10, units=60, rate=rising, level=0.95) is interval


def test_a_constant_effect_is_never_vacuous():
    one = floored(exact(0.0, 60), differing=2, units=60, rate=lambda _: 2.0, level=0.95)
    other = never_vacuous(exact(0.0, 60), differing=2, units=60, effect=2.0, level=0.95)
    assert (one.lower, one.upper) == (other.lower, other.upper)
    for n in (60, 61, 100, 1000):
        assert one.sizing.at(n) == pytest.approx(other.sizing.at(n))


def test_bounds_at_other_numbers_of_rows_are_those_that_would_be_measured_there():
    found = floored(exact(0.0, 60), differing=0, units=60, rate=rising, level=0.95)
    for n in (60, 70, 100, 600, 6000, 60000):
        share = clopper_pearson_bounds(0, n, 0.95)[1]
        there = share * rising(share)
        # Rates are kept at a grid of shares: never too small, at most a step too large, and no finer than 0.1 %.
        assert there <= found.sizing.at(n)[1] * (1 + 1e-12)
        assert found.sizing.at(n)[1] <= share * rising(share / 0.85) * 1.001
    assert found.sizing.at(30)[1] == math.inf


def test_needed_n_settles_and_is_the_smallest_but_for_the_grid():
    found = floored(exact(0.0, 60), differing=0, units=60, rate=rising, level=0.95)
    n = needed_n(found.sizing, limit=0.01, settles="below", n=60)

    def upper(rows):
        return floored(exact(0.0, rows), differing=0, units=rows, rate=rising, level=0.95).upper

    assert upper(n) < 0.01
    assert upper(int(n * 0.98)) > 0.01


def test_stretch_is_the_share_of_rows_that_units_can_hold():
    share = clopper_pearson_bounds(0, 60, 0.95)[1]
    found = floored(exact(0.0, 240), differing=0, units=60, rate=rising, level=0.95, stretch=3.0, unit="groups")
    assert found.upper == pytest.approx(3 * share * rising(3 * share))
    assert "0 of 60 groups differ" in found.notes[0]


def test_no_bound_on_one_row_is_no_bound():
    found = floored(exact(0.0, 60), differing=0, units=60, rate=lambda _: None, level=0.95)
    assert (found.lower, found.upper) == (-math.inf, math.inf)
    assert found.sizing.at(10**6) == (-math.inf, math.inf)
