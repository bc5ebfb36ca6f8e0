"""Bounds on the worst of several outputs hold, and one output is left as it is."""

import numpy as np
import pytest

from robust.crosscheck.row_intervals import l2r_interval, row_sums
from robust.crosscheck.worst_output import WorstSizing, worst_interval
from robust.intervals.clopper_pearson import clopper_pearson
from robust.intervals.interval import RootSizing


def shares(*counts, n=200):
    return [lambda level, k=k: clopper_pearson(k, n, level=level) for k in counts]


def test_one_output_is_left_as_it_is():
    (one,) = shares(150)
    assert worst_interval([one], level=0.95, higher_is_better=True) == one(0.95)


def test_by_hand():
    one, two = shares(190, 150)
    worst = worst_interval([one, two], level=0.95, higher_is_better=True)
    assert worst.value == 0.75
    assert worst.lower == two(0.95).lower
    assert worst.upper == two(0.975).upper
    largest = worst_interval([one, two], level=0.95, higher_is_better=False)
    assert largest.value == 0.95
    assert largest.upper == one(0.95).upper
    assert largest.lower == one(0.975).lower
    assert largest.notes[-1].startswith("the worst of 2 outputs")


def test_the_outward_bound_may_be_that_of_another_output():
    few = [lambda level: clopper_pearson(19, 20, level=level), lambda level: clopper_pearson(900, 1000, level=level)]
    worst = worst_interval(few, level=0.95, higher_is_better=True)
    assert worst.value == 0.9
    assert worst.lower == clopper_pearson(19, 20, level=0.95).lower


def test_sizing_follows_the_outputs():
    sizing = WorstSizing(
        lows=(RootSizing(value=1, lower=0, upper=2, n=4), RootSizing(value=2, lower=1.5, upper=2.5, n=4)),
        highs=(RootSizing(value=1, lower=0, upper=4, n=4), RootSizing(value=2, lower=1.5, upper=2.5, n=4)),
        smallest=False,
    )
    assert sizing.at(4) == (1.5, 4.0)
    assert sizing.at(16) == (1.75, 2.5)


@pytest.mark.parametrize("higher_is_better", [True, False])
def test_both_bounds_hold_for_equal_outputs(higher_is_better):
    # The hardest case: five outputs equally good, of which chance picks the worst.
    rng = np.random.default_rng(0)
    low = high = 0
    for _ in range(400):
        found = worst_interval(shares(*rng.binomial(200, 0.8, size=5)), level=0.95, higher_is_better=higher_is_better)
        low += found.lower <= 0.8
        high += found.upper >= 0.8
    assert min(low, high) >= 0.95 * 400


def test_the_l2r_of_two_outputs():
    rng = np.random.default_rng(0)
    sums = []
    for noise in (0.1, 0.2):
        r = rng.normal(size=(50, 3))
        sums.append(row_sums(r, r + noise * rng.normal(size=(50, 3)), probabilities=False, data=None))
    one, two = (lambda level, s=s: l2r_interval(s, level=level, seed=0) for s in sums)
    worst = worst_interval([one, two], level=0.95, higher_is_better=False)
    assert worst.value == two(0.95).value
    assert one(0.95).value < worst.lower < worst.value < worst.upper == two(0.95).upper
