"""Tests of an even spread: equal to exact laws where these are known, and honest where rows depend on each other."""

from itertools import combinations

import numpy as np
import pytest
from scipy.stats import fisher_exact

from robust import as_data
from robust.mistakes.even_spread import even_spread


def data_of(n, **parts):
    return as_data(np.zeros((n, 1)), **parts)


def test_two_values_are_fishers_exact_test():
    owner = np.repeat([0, 1], [12, 20])
    wrong = np.zeros(32, dtype=bool)
    wrong[[0, 1, 2, 3, 4, 20]] = True
    found = even_spread(wrong, owner, data_of(32), is_group=False, seed=0)
    assert found.p == pytest.approx(fisher_exact([[5, 1], [7, 19]])[1])


def test_several_values_agree_with_all_deals():
    owner = np.repeat([0, 1, 2], [3, 4, 5])
    wrong = np.isin(np.arange(12), [0, 1, 2, 3])
    sizes = np.bincount(owner)
    expected = 4 * sizes / 12

    def statistic(rows):
        return float(((np.bincount(owner[list(rows)], minlength=3) - expected) ** 2 / sizes).sum())

    observed = statistic(np.flatnonzero(wrong))
    every = [statistic(rows) for rows in combinations(range(12), 4)]
    exact = np.mean(np.array(every) >= observed - 1e-9)
    found = even_spread(wrong, owner, data_of(12), is_group=False, seed=0)
    assert found.p == pytest.approx(exact, abs=4 * np.sqrt(exact / 9999))


def test_nothing_is_tested_where_all_rows_are_alike():
    owner = np.repeat([0, 1], 5)
    for wrong in (np.zeros(10, bool), np.ones(10, bool)):
        assert even_spread(wrong, owner, data_of(10), is_group=False, seed=0).p == 1.0


def test_the_p_value_does_not_depend_on_the_order_of_rows():
    rng = np.random.default_rng(0)
    owner, wrong = rng.integers(0, 4, 200), rng.random(200) < 0.2
    order = rng.permutation(200)
    first = even_spread(wrong, owner, data_of(200), is_group=False, seed=3)
    assert first == even_spread(wrong[order], owner[order], data_of(200), is_group=False, seed=3)


def clustered(rng, clusters=24, rows=10):
    """Groups that differ much in their error rate, each with one value of a column that has nothing to do with it."""
    rate = rng.beta(0.3, 1.2, clusters)
    groups = np.repeat(np.arange(clusters), rows)
    return rng.random(clusters * rows) < np.repeat(rate, rows), np.repeat(rng.permutation(clusters) % 3, rows), groups


def rejections(draw, runs, **parts):
    rng, count = np.random.default_rng(1), 0
    for run in range(runs):
        wrong, owner, extra = draw(rng)
        data = data_of(len(wrong), **dict.fromkeys(parts, extra))
        count += even_spread(wrong, owner, data, is_group=False, seed=run).p <= 0.05
    return count


def test_groups_that_differ_are_not_taken_for_the_column():
    runs = 60
    # Binomial with p = 0.05: more than 8 of 60 has a chance below 0.003.
    assert rejections(clustered, runs, groups=True) <= 8
    naive = sum(
        even_spread(wrong, owner, data_of(len(wrong)), is_group=False, seed=0).p <= 0.05
        for wrong, owner, _ in (clustered(np.random.default_rng(run)) for run in range(runs))
    )
    assert naive > 25  # what the groups are there for


def in_runs(rng, n=240):
    """Mistakes in long runs, against a column that lasts as long."""
    wrong = np.repeat(rng.random(n // 20) < 0.3, 20)
    owner = np.roll(np.repeat(np.arange(n // 40) % 2, 40), int(rng.integers(n)))
    return wrong, owner, np.arange(n)


def test_runs_in_time_are_not_taken_for_the_column():
    assert rejections(in_runs, 60, order=True) <= 8


@pytest.mark.slow
@pytest.mark.parametrize(("draw", "part"), [(clustered, "groups"), (in_runs, "order")])
def test_the_level_holds_over_many_runs(draw, part):
    # Binomial(1000, 0.05) is above 72 with a chance below 0.001.
    assert rejections(draw, 1000, **{part: True}) <= 72


def test_a_column_that_varies_inside_groups_is_dealt_inside_them():
    # All rows of half of the groups are wrong: inside a group nothing tells the values apart.
    groups = np.repeat(np.arange(20), 6)
    owner = np.tile([0, 1, 0, 1, 0, 1], 20)
    wrong = np.repeat(np.arange(20) < 10, 6)
    data = data_of(120, groups=groups)
    assert even_spread(wrong, owner, data, is_group=False, seed=0).p == 1.0
    # Inside every group the same value is wrong.
    caught = even_spread(owner == 1, owner, data, is_group=False, seed=0)
    assert caught.p == pytest.approx(1 / 2000)
    assert "inside each group" in caught.method


def test_mistakes_of_one_group_are_seen_where_the_column_is_the_groups():
    groups = np.repeat(np.arange(12), 10)
    data = data_of(120, groups=groups)
    assert even_spread(groups == 3, groups, data, is_group=True, seed=0).p < 0.001
