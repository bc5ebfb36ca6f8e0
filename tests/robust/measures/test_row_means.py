"""Means over rows: resampled, or in closed form where there are many."""

import time

import numpy as np
import pytest
from scipy import stats

from robust.data.live import as_data
from robust.intervals.bca import bca
from robust.intervals.resampling import SmoothOfMeans
from robust.measures.row_means import MANY_DISTINCT, MANY_ROWS, mean_interval


def rows(n, **given):
    return as_data(np.zeros((n, 1)), **given)


@pytest.mark.parametrize("shape", ["chi-square", "log-normal"])
def test_the_closed_form_agrees_with_the_bootstrap_at_its_edge(shape):
    rng = np.random.default_rng(3)
    errors = rng.chisquare(2, MANY_ROWS + 1) if shape == "chi-square" else rng.lognormal(size=MANY_ROWS + 1)
    closed = mean_interval(errors, rows(len(errors)), level=0.95, seed=0)
    ones = np.ones(len(errors), dtype=np.int64)
    resampled = bca(SmoothOfMeans(np.sort(errors), lambda means: means[:, 0]), ones, level=0.95, seed=0)
    assert (closed.method, resampled.method) == ("abc", "bca-bootstrap")
    assert closed.value == pytest.approx(resampled.value, rel=1e-12)
    width = resampled.upper - resampled.lower
    # Two thousand resamples leave some percent of the width to chance.
    assert (closed.lower, closed.upper) == pytest.approx((resampled.lower, resampled.upper), abs=0.05 * width)


def test_fewer_rows_are_resampled_and_few_values_too():
    rng = np.random.default_rng(4)
    few = rng.normal(size=MANY_ROWS)[:500]
    assert mean_interval(few, rows(500), level=0.95, seed=0).method == "bca-bootstrap"
    coarse = rng.integers(0, MANY_DISTINCT // 10, MANY_ROWS + 1).astype(float)
    assert mean_interval(coarse, rows(len(coarse)), level=0.95, seed=0).method == "bca-bootstrap"


def test_many_normal_rows_meet_students_t_and_take_no_time():
    errors = np.random.default_rng(5).normal(size=300_000)
    started = time.process_time()
    found = mean_interval(errors, rows(len(errors)), level=0.95, seed=0)
    assert time.process_time() - started < 3.0  # resampled, 15 to 20
    half = stats.t.ppf(0.95, len(errors) - 1) * errors.std(ddof=1) / np.sqrt(len(errors))
    assert (found.lower, found.upper) == pytest.approx((errors.mean() - half, errors.mean() + half), abs=0.01 * half)


def test_few_rows_that_differ_prove_no_more_than_their_number_among_many_too():
    errors = np.r_[np.zeros(49_995), [1.0] * 5]
    found = mean_interval(errors, rows(len(errors)), level=0.95, seed=0, effect=1.0)
    assert found.upper >= stats.beta.ppf(0.95, 6, 49_995)


def test_dependent_rows_keep_their_blocks_and_groups():
    errors = np.random.default_rng(6).normal(size=400)
    assert mean_interval(errors, rows(400, order=np.arange(400)), level=0.95, seed=0).method == "block-bootstrap"
    assert (
        mean_interval(errors, rows(400, groups=np.arange(400) // 8), level=0.95, seed=0).method == "cluster-bootstrap"
    )
