import numpy as np
import pytest
from sklearn.metrics import f1_score

from robust.errors import InvalidInput
from robust.intervals.resampling import (
    FastJackknife,
    SmoothOfMeans,
    distinct,
    estimate,
    evaluate,
    influence,
    leave_one_out,
)


def root_mean_square(values):
    return SmoothOfMeans(values**2, lambda means: np.sqrt(means[:, 0]))


def test_a_smooth_function_of_means_is_that_of_the_repeated_rows():
    values = np.random.default_rng(0).normal(size=(6, 2))
    weights = np.array([[1.0, 2, 3, 4, 0, 1], [1, 1, 1, 1, 1, 1]])
    ratio = SmoothOfMeans(values**2, lambda means: means[:, 0] / means[:, 1])
    for row, got in zip(weights.astype(int), ratio(weights), strict=True):
        means = (np.repeat(values, row, axis=0) ** 2).mean(axis=0)
        assert got == pytest.approx(means[0] / means[1])


@pytest.mark.parametrize("counts", [np.ones(7), np.array([3.0, 1, 2, 1, 5, 1, 4])])
def test_the_fast_jackknife_is_the_slow_one(counts):
    fast = root_mean_square(np.random.default_rng(1).normal(size=7))
    assert isinstance(fast, FastJackknife)
    slow = leave_one_out(lambda weights: fast(weights), counts)
    assert leave_one_out(fast, counts) == pytest.approx(slow, rel=1e-12)


def test_the_influence_on_a_mean_is_the_deviation():
    values, counts = np.array([1.0, 2.0, 6.0]), np.array([2.0, 1.0, 1.0])
    mean = SmoothOfMeans(values, lambda means: means[:, 0])
    assert influence(mean, counts) == pytest.approx(values - 2.5)
    assert counts @ influence(mean, counts) == pytest.approx(0.0, abs=1e-12)


def test_a_row_without_which_there_is_no_figure_has_no_influence():
    def share_of_first(weights):
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(weights[:, 0] > 0, weights[:, 1] / weights[:, 0], np.nan)

    assert influence(share_of_first, np.array([1.0, 3.0, 2.0]))[0] == 0.0
    assert influence(lambda weights: np.full(len(weights), np.nan), np.ones(3)).tolist() == [0.0, 0.0, 0.0]


def test_macro_f1_by_weights_of_distinct_rows_is_scikit_learns():
    rng = np.random.default_rng(2)
    y, predicted = rng.integers(0, 3, 200), rng.integers(0, 3, 200)
    rows, counts = distinct(np.stack([y, predicted], axis=1))
    assert counts.sum() == 200
    assert len(rows) <= 9

    def macro(means):
        return (2 * means[:, 0::2] / means[:, 1::2]).mean(axis=1)

    cells = [((rows == c).all(axis=1), (rows == c).sum(axis=1)) for c in range(3)]
    statistic = SmoothOfMeans(np.concatenate([np.stack(pair, axis=1) for pair in cells], axis=1), macro)
    assert estimate(statistic, counts.astype(float)) == pytest.approx(f1_score(y, predicted, average="macro"))


@pytest.mark.parametrize("columns", [1, 3])
def test_distinct_rows_are_numpys(columns):
    table = np.random.default_rng(3).integers(0, 4, size=(500, columns)).astype(float)
    table = table[:, 0] if columns == 1 else table
    rows, counts = distinct(table)
    expected, times = np.unique(table, axis=0, return_counts=True)
    assert np.array_equal(rows, expected)
    assert np.array_equal(counts, times)


def test_distinct_rows_do_not_depend_on_the_order():
    table = np.random.default_rng(4).normal(size=(50, 2))
    assert np.array_equal(distinct(table)[0], distinct(table[::-1])[0])


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.zeros((0, 2)), r"values got shape \(0, 2\)"),
        (np.zeros((2, 0)), r"values got shape \(2, 0\)"),
        (np.zeros((2, 2, 2)), r"values got shape \(2, 2, 2\)"),
        (np.array([1.0, np.nan]), "values got a NaN"),
    ],
)
def test_bad_values(values, message):
    with pytest.raises(InvalidInput, match=message):
        SmoothOfMeans(values, lambda means: means[:, 0])


def test_a_statistic_is_held_to_its_contract():
    with pytest.raises(InvalidInput, match=r"statistic returned shape \(1,\); one a weighting, \(2,\)"):
        evaluate(lambda weights: np.zeros(1), np.ones((2, 3)))
    with pytest.raises(InvalidInput, match="statistic got nan on the rows themselves"):
        estimate(lambda weights: np.full(len(weights), np.nan), np.ones(3))
    with pytest.raises(InvalidInput, match=r"values got shape \(\)"):
        distinct(np.float64(1.0))
