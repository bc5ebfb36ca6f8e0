"""The smallest move inside a box against linear programs and a bisection."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

from robust.attacks.shortest_move import shortest_in_box

NORMS = ("linf", "l2", "l1")


def problem(seed):
    """Slopes over four decades, some of them 0; rooms of which some are nothing and some have no end."""
    rng = np.random.default_rng(seed)
    d = int(rng.integers(1, 9))
    slope = rng.normal(size=d) * 10 ** rng.uniform(-2, 2, d)
    slope[rng.random(d) < 0.2] = 0.0
    low, high = -rng.random(d), rng.random(d)
    low[rng.random(d) < 0.2], high[rng.random(d) < 0.2] = 0.0, 0.0
    if seed % 3 == 0:
        low[rng.random(d) < 0.5], high[rng.random(d) < 0.5] = -np.inf, np.inf
    corner = np.where(slope > 0, high, np.where(slope < 0, low, 0.0))
    most = np.sum(np.where(slope == 0, 0.0, slope * np.where(slope == 0, 0.0, corner)))
    wanted = (most if 0 < most < np.inf else 3.0) * rng.uniform(0.01, 1.0)
    return slope, wanted, low, high, corner, most


def size(move, norm):
    return np.linalg.norm(move, ord={"linf": np.inf, "l2": 2, "l1": 1}[norm])


def programmed(slope, wanted, low, high, norm):
    """The size of the smallest move: variables are its parts up and down, and for linf what bounds them."""
    d, extra = len(slope), int(norm == "linf")
    cost = np.concatenate([np.zeros(2 * d), [1.0]]) if extra else np.ones(2 * d)
    rows = [np.concatenate([-slope, slope, np.zeros(extra)])]
    rows += [np.concatenate([np.eye(2 * d)[j], [-1.0]]) for j in range(2 * d) if extra]
    limits = [(0, None if np.isinf(top) else top) for top in (*high, *-low)] + [(0, None)] * extra
    found = linprog(cost, A_ub=rows, b_ub=np.concatenate([[-wanted], np.zeros(len(rows) - 1)]), bounds=limits)
    assert found.status == 0
    return found.fun


def bisected(slope, wanted, low, high):
    """The same in l2: of all moves of a size the best are s·g, clipped."""
    short, enough = 0.0, 1e9
    for _ in range(300):
        middle = np.sqrt(short * enough) if short > 0 else enough / 2
        if slope @ np.clip(middle * slope, low, high) < wanted:
            short = middle
        else:
            enough = middle
    return np.linalg.norm(np.clip(enough * slope, low, high))


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 10**6))
@pytest.mark.parametrize("norm", NORMS)
def test_against_programs(norm, seed):
    slope, wanted, low, high, _, most = problem(seed)
    if most <= 0:
        return
    (move,) = shortest_in_box(slope[None], np.array([wanted]), low[None], high[None], norm=norm)
    assert (move >= low).all()
    assert (move <= high).all()
    assert slope @ move == pytest.approx(wanted, rel=1e-9)
    told = bisected(slope, wanted, low, high) if norm == "l2" else programmed(slope, wanted, low, high, norm)
    assert size(move, norm) == pytest.approx(told, rel=1e-6)


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 10**6))
@pytest.mark.parametrize("norm", NORMS)
def test_what_bounds_forbid_ends_in_the_corner(norm, seed):
    slope, _, low, high, corner, most = problem(3 * seed + 1)
    (move,) = shortest_in_box(slope[None], np.array([most * 1.1 + 1.0]), low[None], high[None], norm=norm)
    assert move == pytest.approx(corner)


@pytest.mark.parametrize("norm", NORMS)
def test_rows_do_not_depend_on_each_other(norm):
    rng = np.random.default_rng(0)
    slope, low, high = rng.normal(size=(20, 5)), -rng.random((20, 5)), rng.random((20, 5))
    wanted = rng.uniform(0.01, 0.3, 20)
    every = shortest_in_box(slope, wanted, low, high, norm=norm)
    for row in range(20):
        one = shortest_in_box(*(part[[row]] for part in (slope, wanted, low, high)), norm=norm)
        np.testing.assert_array_equal(one[0], every[row])
