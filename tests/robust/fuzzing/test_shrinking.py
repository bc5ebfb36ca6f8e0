"""Shrinking: what is left fails, nothing simpler that was promised does, and the same seed shrinks alike."""

import numpy as np
import pytest

from robust import as_data
from robust.fuzzing.domain import domain_of
from robust.fuzzing.shrinking import shrunk

RNG = np.random.default_rng(0)
UNIT = domain_of(as_data(RNG.random((20, 30)), schema={"bounds": (0, 1)}))


def test_needed_cells_alone_are_left():
    rows = RNG.random((40, 30)) * 0.4 + 0.6

    def fails(x):
        return bool(((x[:, 3] > 0.5) & (x[:, 17] > 0.5) & (x[:, 29] > 0.5)).any())

    found = shrunk(rows, UNIT, fails, seed=0)
    assert np.argwhere(found).tolist() == [[0, 3], [0, 17], [0, 29]]
    assert found.max() == found[found > 0].min() == 1.0


def test_a_value_between_needs_few_digits():
    rows = np.full((1, 30), 0.123456789)
    found = shrunk(rows, UNIT, lambda x: bool(((x > 0.1) & (x < 0.2)).any()), seed=0)
    assert np.count_nonzero(found) == 1
    assert found.max() == 0.12


def test_rows_that_need_each_other_stay():
    rows = RNG.random((64, 30))
    found = shrunk(rows, UNIT, lambda x: len(x) >= 5, seed=0)
    assert found.tolist() == np.zeros((5, 30)).tolist()


def test_groups_stay_groups_and_relations_hold():
    x = np.column_stack([RNG.random((30, 2)), np.zeros(30), np.eye(3)[RNG.integers(0, 3, 30)]])
    x[:, 2] = x[:, 0] + x[:, 1]
    names = ["a", "b", "total", "red", "green", "blue"]
    schema = {"relations": ["total = a + b"], **{name: {"one_hot": "colour"} for name in names[3:]}}
    data = as_data(x, names=names, schema=schema | {name: {"bounds": (0, 2)} for name in names[:3]})
    domain = domain_of(data)
    seen = []

    def fails(rows):
        if not domain.obeyed(rows).all():
            return False
        seen.append(rows)
        return bool((rows[:, 5] == 1).any())

    found = shrunk(x, domain, fails, seed=0)
    assert found.tolist() == [[0, 0, 0, 0, 0, 1]]
    assert len(seen) > 1


def test_what_does_not_fail_is_given_back():
    rows = RNG.random((3, 30))
    assert shrunk(rows, UNIT, lambda x: False, seed=0) is rows


def test_a_failure_that_comes_and_goes_is_no_error():
    turns = iter([True, False] * 10_000)
    rows = RNG.random((9, 30))
    found = shrunk(rows, UNIT, lambda x: next(turns), seed=0)
    assert len(found) <= 9


@pytest.mark.parametrize("seed", [0, 1])
def test_the_same_seed_shrinks_alike(seed):
    rows = RNG.random((12, 30))

    def fails(x):
        return bool((x.sum(axis=1) > 3.5).any())

    one, other = (shrunk(rows, UNIT, fails, seed=seed) for _ in range(2))
    assert np.array_equal(one, other)
    assert fails(one)
    assert np.count_nonzero(one) == 4
    assert len(one) == 1
