"""Bounds of X-cross figures: values, few rows, dependent rows, and coverage by simulation."""

import math

import numpy as np
import pytest

from robust.crosscheck.row_intervals import RootOf, cos_interval, l2r_interval, rmse_interval, row_sums
from robust.crosscheck.tensor_metrics import tensor_metrics
from robust.data.live import as_data
from robust.errors import InvalidInput
from robust.intervals.clopper_pearson import clopper_pearson_bounds
from robust.intervals.interval import RootSizing, needed_n

INTERVALS = {"l2r": l2r_interval, "rmse": rmse_interval, "cos": cos_interval}
LIMITS = {"l2r": 0.01, "rmse": 0.01, "cos": 0.99}


def pair(n, seed=0, k=5, noise=0.2):
    """Rows of unlike size, whose errors grow with it: what makes the ratio hard."""
    rng = np.random.default_rng(seed)
    size = np.exp(0.5 * rng.normal(size=(n, 1)))
    r = size * rng.normal(size=(n, k))
    return r, r + noise * size * rng.normal(size=(n, k)) * rng.exponential(size=(n, 1))


def sums(r, p, data=None, probabilities=False):
    return row_sums(r, p, probabilities=probabilities, data=data)


def bounds(name, r, p, level=0.95, **options):
    interval = INTERVALS[name](sums(r, p, **options), level=level, seed=0)
    return interval.lower, interval.value, interval.upper


@pytest.mark.parametrize("name", INTERVALS)
@pytest.mark.parametrize("given", [None, "order", "groups"])
def test_the_value_is_the_tables(name, given):
    r, p = pair(60)
    labels = {"order": np.arange(60), "groups": np.arange(60) // 3}
    data = None if given is None else as_data(r, **{given: labels[given]})
    lower, value, upper = bounds(name, r, p, data=data)
    assert value == pytest.approx(getattr(tensor_metrics(r, p, classes=False), name), rel=1e-9)
    assert lower < value < upper
    method = {None: "bca-bootstrap", "order": "block-bootstrap", "groups": "cluster-bootstrap"}[given]
    assert INTERVALS[name](sums(r, p, data), level=0.95, seed=0).method == method


@pytest.mark.parametrize("name", INTERVALS)
def test_independent_rows_in_another_order_have_the_same_bounds(name):
    r, p = pair(40)
    order = np.random.default_rng(1).permutation(40)
    assert bounds(name, r[order], p[order]) == pytest.approx(bounds(name, r, p), rel=1e-9)
    assert bounds(name, r, p, data=as_data(r)) == bounds(name, r, p)


@pytest.mark.parametrize("name", INTERVALS)
@pytest.mark.parametrize("noise", [0.0, 1e-7])
@pytest.mark.parametrize("n", [1, 10, 60])
def test_rows_that_agree_but_for_rounding_prove_nothing(name, noise, n):
    r, p = pair(n, noise=noise)
    lower, value, upper = bounds(name, r, p)
    limit = LIMITS[name]
    assert (value > limit) if name == "cos" else (value < limit)
    assert (lower < limit) if name == "cos" else (upper > limit)


@pytest.mark.parametrize("name", INTERVALS)
def test_enough_rows_that_agree_settle_it_and_the_number_is_told(name):
    r = np.random.default_rng(0).uniform(0.5, 1.0, size=(200, 3))
    interval = INTERVALS[name](sums(r, r), level=0.95, seed=0)
    settles = "above" if name == "cos" else "below"
    needed = needed_n(interval.sizing, limit=LIMITS[name], settles=settles, n=200)
    assert needed > 200
    # One row of each kind, as often as it takes: the same bound is reached.
    copies = np.concatenate([r] * math.ceil(1.02 * needed / 200))
    lower, _, upper = bounds(name, copies, copies)
    assert lower > LIMITS[name] if name == "cos" else upper < LIMITS[name]


def test_the_floor_by_hand():
    # Probabilities, all (1, 0): b = P² = 1, D² = 2, q = 0; l2r² is at most s·2/(1 − s), s the bound on 0 of 100.
    r = np.tile([1.0, 0.0], (100, 1))
    s = 1 - 0.05 ** (1 / 100)
    lower, value, upper = bounds("l2r", r, r, probabilities=True)
    assert (lower, value) == (0.0, 0.0)
    assert upper == pytest.approx(math.sqrt(2 * s / (1 - s)), rel=1e-6)


def test_a_few_rows_that_differ_leave_room_for_more():
    r = np.random.default_rng(0).uniform(0.5, 1.0, size=(100, 3))
    p = r.copy()
    p[:4] = 1.5 - p[:4]
    lower, value, upper = bounds("l2r", r, p)
    share = clopper_pearson_bounds(4, 100, 0.95)[1]
    span = np.ptp(np.concatenate([r, p]), axis=0)
    size, largest = (p**2).sum(axis=1).mean(), (p**2).sum(axis=1).max()
    floor = share * (span @ span + value**2 * largest) / (size - share * largest)
    assert lower == 0.0
    assert upper >= math.sqrt(floor) * (1 - 1e-9)
    assert value < upper


def test_rows_that_differ_all_alike_do_not_vary():
    r, p = np.tile([1.0, 2.0], (30, 1)), np.tile([1.0, 2.5], (30, 1))
    for name in INTERVALS:
        lower, value, upper = bounds(name, r, p)
        assert lower < value < upper


def test_the_floor_holds_where_a_rare_row_goes_wrong():
    # Half a percent of rows is far off; samples that hold none of them must not prove that none is.
    rng = np.random.default_rng(3)
    truth, missed = math.sqrt(0.005 * 2), 0
    for _ in range(200):
        r = np.eye(2)[rng.integers(0, 2, 100)]
        wrong = rng.random(100) < 0.005
        p = np.where(wrong[:, None], 1 - r, r * (1 - 1e-9))
        missed += bounds("l2r", r, p, probabilities=True)[2] < truth
    assert missed <= 0.05 * 200


def test_a_zero_prediction_has_a_value_and_no_bound():
    _, value, upper = bounds("l2r", np.ones((4, 2)), np.zeros((4, 2)))
    assert value == pytest.approx(tensor_metrics(np.ones((4, 2)), np.zeros((4, 2)), classes=False).l2r, rel=1e-6)
    assert upper == math.inf
    with pytest.raises(InvalidInput, match="0 everywhere"):
        cos_interval(sums(np.ones((4, 2)), np.zeros((4, 2))), level=0.95, seed=0)


def test_cos_stays_in_its_range():
    r, p = pair(12, noise=5.0)
    lower, _, upper = bounds("cos", r, p)
    assert -1 <= lower <= upper <= 1
    lower, value, _ = bounds("cos", r, -r)
    assert lower == value == -1.0


@pytest.mark.parametrize("scale", [1e-2, 1e6])
def test_scale_changes_the_rmse_alone(scale):
    # Not by 1e-9: there the formula's ε rules the denominator of l2r.
    r, p = pair(30)
    for name in INTERVALS:
        factor = scale if name == "rmse" else 1.0
        before = tuple(factor * bound for bound in bounds(name, r, p))
        assert bounds(name, scale * r, scale * p) == pytest.approx(before, rel=1e-4)


def test_roots_of_bounds():
    assert RootOf(square=RootSizing(value=4.0, lower=0.0, upper=9.0, n=4)).at(4) == (0.0, 3.0)
    assert RootOf(square=RootSizing(value=1.0, lower=-3.0, upper=2.0, n=4)).at(4) == (0.0, math.sqrt(2))


# --- coverage -------------------------------------------------------------------------------------------------


def softmax(n, seed):
    """Class probabilities, and those of logits that were disturbed."""
    rng = np.random.default_rng(seed)
    z = 2 * rng.normal(size=(n, 4))

    def probabilities(z):
        e = np.exp(z - z.max(axis=1, keepdims=True))
        return e / e.sum(axis=1, keepdims=True)

    return probabilities(z), probabilities(z + 0.1 * rng.normal(size=z.shape))


def regression(n, seed):
    """Outputs of unlike size, with errors of one size."""
    rng = np.random.default_rng(seed)
    r = np.exp(0.3 * rng.normal(size=(n, 1))) * rng.normal(size=(n, 5))
    return r, r + 0.05 * rng.normal(size=(n, 5))


def heavy(n, seed):
    """Errors of which a few rows hold most."""
    return pair(n, seed)


def coverage(name, population, n, times):
    """Shares of samples whose lower bound, and whose upper bound, holds."""
    truth = getattr(tensor_metrics(*population(400_000, 123), classes=False), name)
    found = [bounds(name, *population(n, 1000 + i)) for i in range(times)]
    return np.mean([low <= truth for low, _, _ in found]), np.mean([truth <= high for _, _, high in found])


@pytest.mark.parametrize("name", INTERVALS)
def test_bounds_hold_in_a_small_sample_of_the_simulation(name):
    # 95 % less three standard errors of 80 samples.
    below, above = coverage(name, softmax, 50, 80)
    assert min(below, above) >= 0.95 - 3 * math.sqrt(0.95 * 0.05 / 80)


@pytest.mark.slow
@pytest.mark.parametrize("name", INTERVALS)
@pytest.mark.parametrize("population", [softmax, regression])
@pytest.mark.parametrize("n", [30, 100, 400])
def test_bounds_hold(name, population, n):
    below, above = coverage(name, population, n, 600)
    assert min(below, above) >= 0.92


@pytest.mark.slow
@pytest.mark.parametrize("name", INTERVALS)
def test_errors_that_lie_in_few_rows_cost_coverage_as_documented(name):
    below, above = coverage(name, heavy, 200, 600)
    assert 0.80 <= min(below, above) <= 0.94
