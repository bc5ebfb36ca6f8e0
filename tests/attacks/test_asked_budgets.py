import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from robust.attacks.asked_budgets import AskedBudgets


def walked(grid, margins):
    """Ask until nothing is open: the answers, and which budgets were asked."""
    asked = AskedBudgets.of(grid, margins[:, 0])
    count = np.zeros(margins.shape, dtype=int)
    rows, places = asked.next(np.arange(len(margins)))
    while len(rows):
        count[rows, places] += 1
        told = margins[rows, places]
        asked.tell(rows, places, told, ~(np.nan_to_num(told, nan=1.0) > 0))
        rows, places = asked.next(rows)
    assert count.max(initial=0) <= 1
    return asked.survived(), count


def every(margins):
    """What asking about all budgets tells."""
    return np.logical_and.accumulate(np.nan_to_num(margins, nan=1.0) > 0, axis=1)[:, 1:]


@given(st.integers(0, 2**32), st.integers(1, 12), st.booleans())
def test_margins_that_only_fall_are_told_exactly(seed, budgets, even):
    rng = np.random.default_rng(seed)
    grid = np.arange(1, budgets + 1) / 10 if even else np.sort(rng.exponential(size=budgets))
    falls = rng.exponential(size=(20, budgets)) * rng.choice([0.01, 0.3, 3.0], size=(20, 1))
    margins = np.column_stack([np.ones(20), 1.0 - np.cumsum(falls, axis=1)])
    found, _ = walked(grid, margins)
    assert (found == every(margins)).all()


@given(st.integers(0, 2**32), st.integers(1, 12))
def test_only_dips_of_margins_that_fall_slowly_are_passed_over(seed, budgets):
    rng = np.random.default_rng(seed)
    margins = np.column_stack([np.ones(20), rng.normal(0.5, 1.0, size=(20, budgets))])
    found, count = walked(np.arange(1.0, budgets + 1), margins)
    exact = every(margins)
    assert (found | ~exact).all()
    for row in np.flatnonzero((found != exact).any(axis=1)):
        seen = np.flatnonzero(count[row])
        seen = np.concatenate([[0], seen])
        dip = np.flatnonzero(margins[row] <= 0)[0]
        assert dip not in seen
        first, second = margins[row, seen[seen < dip].max()], margins[row, seen[seen > dip].min()]
        assert first > second >= first - second


def test_a_margin_that_does_not_fall_is_asked_everywhere():
    # High at places 0, 1, 5, 9, as of a wave whose length is four budgets; and rising.
    wave = np.where(np.isin(np.arange(11), [0, 1, 5, 9]), 1.0, -1.0)
    rising = np.where(np.arange(11) == 7, -1.0, np.arange(11.0) + 1)
    found, _ = walked(np.arange(1.0, 11.0), np.array([wave, rising, np.zeros(11)]))
    assert found[0].tolist() == [True] + [False] * 9
    assert found[1].tolist() == [True] * 6 + [False] * 4


def test_margins_that_nobody_knows_are_asked_everywhere():
    margins = np.full((3, 9), np.nan)
    margins[1, 4], margins[2, 0] = -1.0, 5.0
    found, count = walked(np.arange(1.0, 9.0), margins)
    assert (found == every(margins)).all()
    assert count[0, 1:].all()
    assert count[1].tolist() == [0, 1, 1, 1, 1, 0, 0, 0, 0]


def test_far_from_a_mistake_few_are_asked():
    margins = np.linspace(5.0, 4.0, 11)[None]
    found, count = walked(np.arange(1.0, 11.0), margins)
    assert found.all()
    assert np.flatnonzero(count[0]).tolist() == [1, 5, 9, 10]
