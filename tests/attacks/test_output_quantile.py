import numpy as np
import pytest
from scipy.stats import binom

from robust.attacks.output_quantile import QuantileSizing, quantile_of_rows, quantile_ranks, read_quantile
from robust.data.live import as_data
from robust.errors import InvalidInput
from robust.intervals.order_statistics import median_interval


def rows(n, **options):
    return as_data(np.zeros((n, 1)), **options)


def of(values, share, *, level=0.95, data=None):
    values = np.asarray(values, dtype=float)
    return quantile_of_rows(values, rows(len(values)) if data is None else data, share=share, level=level, seed=0)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.95, 0.99])
@pytest.mark.parametrize("n", [1, 4, 5, 37, 58, 59, 100, 337])
def test_ranks_are_those_of_their_definition(n, share):
    low = max([0] + [r for r in range(1, n + 1) if binom.cdf(r - 1, n, share) <= 1 - 0.95])
    high = min([n + 1] + [s for s in range(1, n + 1) if binom.sf(s - 1, n, share) <= 0.05])
    assert quantile_ranks(n, share, 0.95) == (low, high)


@pytest.mark.parametrize("n", [5, 11, 99])
def test_a_median_has_the_bounds_of_the_median(n):
    values = np.sort(np.random.default_rng(n).exponential(size=n))
    found, known = of(values, 0.5), median_interval(values, level=0.95)
    assert (found.value, found.lower, found.upper) == (known.value, known.lower, known.upper)


def test_the_value_is_the_smallest_that_enough_rows_do_not_exceed():
    values = np.random.default_rng(0).permutation(np.arange(1.0, 101.0))
    assert [of(values, share).value for share in (0.95, 0.951, 0.01, 1.0)] == [95.0, 96.0, 1.0, 100.0]
    assert of([3.0], 0.95).value == 3.0


def test_too_few_rows_have_no_upper_bound_and_the_largest_row_is_exact():
    few, enough = np.arange(58.0), np.arange(59.0)
    assert of(few, 0.95).upper == np.inf
    assert of(enough, 0.95).upper == 58.0
    largest = of(few, 1.0)
    assert (largest.value, largest.lower, largest.upper, largest.method) == (57.0, 57.0, 57.0, "exact")


def test_bounds_hold_as_often_as_they_say():
    rng, truth = np.random.default_rng(1), -np.log(0.1)  # the 0.9 quantile of an exponential
    found = [of(rng.exponential(size=80), 0.9) for _ in range(600)]
    assert np.mean([one.upper >= truth for one in found]) >= 0.93
    assert np.mean([one.lower <= truth for one in found]) >= 0.93


def test_dependent_rows_widen_the_bounds():
    values = np.repeat(np.random.default_rng(2).exponential(size=40), 10)
    apart, together = of(values, 0.8), of(values, 0.8, data=rows(400, groups=np.repeat(np.arange(40), 10)))
    assert together.method == "cluster-bootstrap"
    assert together.lower < apart.lower <= apart.value <= apart.upper < together.upper


def test_sizing_gives_the_bounds_back_and_narrows_with_more_rows():
    found = of(np.random.default_rng(3).exponential(size=200), 0.9)
    assert found.sizing.at(200) == (found.lower, found.upper)
    lower, upper = found.sizing.at(20_000)
    assert found.lower < lower <= found.value <= upper < found.upper
    assert found.sizing.at(10**8)[1] >= found.value
    assert isinstance(found.sizing, QuantileSizing)


def test_order_of_the_rows_changes_nothing():
    values = np.random.default_rng(4).exponential(size=70)
    assert of(values, 0.9) == of(values[::-1], 0.9)


@pytest.mark.parametrize("share", [0, -0.5, 1.5, 95, float("nan"), "0.95", True, None])
def test_other_shares_are_refused(share):
    with pytest.raises(InvalidInput, match="a number above 0 and at most 1"):
        read_quantile(share)
