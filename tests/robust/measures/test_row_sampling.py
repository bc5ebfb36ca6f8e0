import numpy as np
import pytest

from robust.data.live import as_data
from robust.intervals.long_run import long_run_variance
from robust.measures.row_sampling import sampling_of

RNG = np.random.default_rng(0)
VALUES = RNG.normal(size=60)
INFLUENCE = VALUES - VALUES.mean()
X = np.zeros((60, 1))


def test_independent_rows_give_the_textbook_error():
    error, freedom = sampling_of(as_data(X)).error(INFLUENCE)
    assert error == pytest.approx(VALUES.std(ddof=1) / np.sqrt(60))
    assert freedom == 59


def test_groups_of_one_row_are_independent_rows():
    grouped = sampling_of(as_data(X, groups=np.arange(60)))
    assert grouped.error(INFLUENCE) == pytest.approx(sampling_of(as_data(X)).error(INFLUENCE))
    assert grouped.method == "cluster-robust"


def test_groups_agree_with_statsmodels():
    import statsmodels.api as sm

    groups = np.repeat(np.arange(12), 5)
    fit = sm.OLS(VALUES, np.ones(60)).fit(cov_type="cluster", cov_kwds={"groups": groups})
    # statsmodels also counts the one parameter: (n − 1)/(n − k) is 1 for a mean alone.
    assert sampling_of(as_data(X, groups=groups)).error(INFLUENCE)[0] == pytest.approx(float(fit.bse[0]))


def test_time_goes_by_the_order_and_not_by_the_rows():
    order = RNG.permutation(60)
    error, freedom = sampling_of(as_data(X, order=order)).error(INFLUENCE)
    variance, expected = long_run_variance(INFLUENCE[np.argsort(order)])
    assert (error, freedom) == (pytest.approx(np.sqrt(variance)), expected)


def test_fewer_than_ten_groups_prove_nothing():
    assert not sampling_of(as_data(X, groups=np.arange(60) % 9)).provable
    assert sampling_of(as_data(X, groups=np.arange(60) % 10)).provable


@pytest.mark.parametrize("given", [{}, {"groups": np.repeat(np.arange(20), 3)}, {"order": np.arange(60)[::-1]}])
def test_taking_rows_is_the_sampling_of_these_rows(given):
    keep = RNG.random(60) < 0.7
    cut = {name: values[keep] for name, values in given.items()}
    taken = sampling_of(as_data(X, **given)).take(keep)
    assert taken.error(INFLUENCE[keep]) == sampling_of(as_data(X[keep], **cut)).error(INFLUENCE[keep])
