"""Differences of mean areas of several labels a row: DeLong's, label by label and together."""

import numpy as np
import pytest
from scipy.stats import norm
from sklearn.metrics import roc_auc_score

from robust.errors import InvalidInput
from robust.intervals.delong import delong_paired
from robust.intervals.delong_grouped import delong_paired_grouped
from robust.intervals.delong_labels import delong_paired_labels, delong_paired_labels_grouped, label_components


def drawn(n=300, k=3, seed=0, noise=0.8, shared=0.0):
    """Labels and the scores of two models, the second noisier; `shared` of the noise is one number a row."""
    rng = np.random.default_rng(seed)
    y = (rng.random((n, k)) < np.linspace(0.2, 0.6, k)).astype(int)
    y[:2], y[2:4] = 1, 0
    first = rng.normal(size=(n, k)) + 2.0 * y
    change = shared * rng.normal(size=(n, 1)) + (1 - shared) * rng.normal(size=(n, k))
    return y, first, first + noise * change


def test_the_value_is_scikit_learns():
    y, a, b = drawn()
    wanted = roc_auc_score(y, a, average="macro") - roc_auc_score(y, b, average="macro")
    assert delong_paired_labels(y, a, b, level=0.95).interval.value == pytest.approx(wanted)
    groups = np.arange(300) // 3
    assert delong_paired_labels_grouped(y, a, b, groups, level=0.95).value == pytest.approx(wanted)


def test_the_variance_is_that_of_the_mean_over_labels():
    """By the covariances of DeLong's components between labels, from their definition."""
    y, a, b = drawn(n=60)
    n, k = y.shape
    parts = np.zeros((n, k))
    for c in range(k):
        positive = y[:, c] == 1
        for sign, scores in ((1.0, a[:, c]), (-1.0, b[:, c])):
            wins = (scores[positive][:, None] > scores[~positive]) + 0.5 * (
                scores[positive][:, None] == scores[~positive]
            )
            for rows, placed in ((positive, wins.mean(axis=1)), (~positive, wins.mean(axis=0))):
                m = rows.sum()
                parts[rows, c] += sign * (placed - wins.mean()) / m * np.sqrt(m / (m - 1))
    wanted = (parts.T @ parts).sum() / k**2
    assert delong_paired_labels(y, a, b, level=0.95).variance == pytest.approx(wanted)


def test_equal_labels_are_one():
    y, a, b = drawn(k=1)
    one = delong_paired(y[:, 0], a[:, 0], b[:, 0], level=0.95)
    three = delong_paired_labels(*(np.repeat(part, 3, axis=1) for part in (y, a, b)), level=0.95)
    assert (three.interval.value, three.interval.lower, three.interval.upper) == pytest.approx(
        (one.interval.value, one.interval.lower, one.interval.upper)
    )
    assert three.variance == pytest.approx(one.variance)
    np.testing.assert_allclose(three.influence, one.influence)
    groups = np.arange(300) % 40
    by_group = delong_paired_grouped(y[:, 0], a[:, 0], b[:, 0], groups, level=0.95)
    many = delong_paired_labels_grouped(*(np.repeat(part, 3, axis=1) for part in (y, a, b)), groups, level=0.95)
    assert (many.lower, many.upper) == pytest.approx((by_group.lower, by_group.upper))


def test_order_of_rows_labels_and_scale_do_not_matter():
    y, a, b = drawn()
    rng = np.random.default_rng(1)
    rows, labels = rng.permutation(300), rng.permutation(3)
    one = delong_paired_labels(y, a, b, level=0.95).interval
    moved = (part[rows][:, labels] for part in (y, np.exp(a), b * 7 - 3))
    other = delong_paired_labels(*moved, level=0.95).interval
    assert (one.value, one.lower, one.upper) == pytest.approx((other.value, other.lower, other.upper))
    back = delong_paired_labels(y, b, a, level=0.95).interval
    assert (back.value, back.lower, back.upper) == pytest.approx((-one.value, -one.upper, -one.lower))


def test_rows_of_their_own_are_groups():
    y, a, b = drawn()
    one = delong_paired_labels(y, a, b, level=0.95).interval
    many = delong_paired_labels_grouped(y, a, b, np.arange(300), level=0.95)
    assert (many.lower, many.upper) == pytest.approx((one.lower, one.upper), rel=0.05)
    repeated = (np.repeat(part, 4, axis=0) for part in (y, a, b))
    same = delong_paired_labels_grouped(*repeated, np.repeat(np.arange(300), 4), level=0.95)
    assert (same.lower, same.upper) == pytest.approx((many.lower, many.upper), rel=1e-6)


def test_equal_models_have_no_width():
    y, a, _ = drawn()
    found = delong_paired_labels(y, a, a, level=0.95)
    assert (found.interval.lower, found.interval.upper, found.variance, found.carrying) == (0, 0, 0, 0)
    assert found.effect == pytest.approx(np.mean([300 / min(side, 300 - side) for side in y.sum(axis=0)]))


def test_a_single_row_proves_nothing():
    y, a, b = drawn()
    y[:, 1] = 0
    y[5, 1] = 1
    found = delong_paired_labels(y, a, b, level=0.95).interval
    assert (found.lower, found.upper) == (-np.inf, np.inf)
    assert "a label has, or lacks, a single row" in found.notes[0]
    few = delong_paired_labels_grouped(y, a, b, np.arange(300), level=0.95)
    assert few.upper == np.inf
    assert "in 1 clusters: fewer than 10 prove nothing" in few.notes[0]


def test_a_model_that_loses_a_label_is_seen():
    y, a, _ = drawn(800)
    b = a.copy()
    b[:, 1] = np.random.default_rng(5).normal(size=800)
    assert delong_paired_labels(y, a, b, level=0.95).interval.lower > 0.1


@pytest.mark.parametrize(
    ("y", "a", "message"),
    [
        (np.zeros(4), np.zeros((4, 2)), r"y got shape \(4,\) and scores \(4, 2\); \(rows, labels\) for both"),
        (np.zeros((4, 2)), np.zeros((4, 3)), r"\(4, 2\) and scores \(4, 3\)"),
        (np.ones((4, 2), int), np.zeros((4, 2)), "no row of class"),
    ],
)
def test_what_does_not_fit_is_named(y, a, message):
    with pytest.raises(InvalidInput, match=message):
        label_components(y, a)
    with pytest.raises(InvalidInput, match=message):
        delong_paired_labels(y, a, a, level=0.95)
    with pytest.raises(InvalidInput, match=message):
        delong_paired_labels_grouped(y, a, a, np.arange(4), level=0.95)


def test_groups_and_level_are_checked():
    y, a, b = drawn(40)
    with pytest.raises(InvalidInput, match="groups got 39 rows of 40"):
        delong_paired_labels_grouped(y, a, b, np.arange(39), level=0.95)
    with pytest.raises(InvalidInput, match="level"):
        delong_paired_labels(y, a, b, level=0.4)


def misses(trials, n, shared, noise):
    """Shares of samples whose bounds exclude the true difference of normal scores."""
    # Score of the positive less that of the negative rows: mean 2, variance 2, or with the noise of both rows added.
    spread = noise**2 * (shared**2 + (1 - shared) ** 2)
    truth = norm.cdf(2 / np.sqrt(2)) - norm.cdf(2 / np.sqrt(2 * (1 + spread)))
    found = [
        delong_paired_labels(*drawn(n, seed=seed, noise=noise, shared=shared), level=0.95) for seed in range(trials)
    ]
    return np.mean([e.interval.upper < truth for e in found]), np.mean([e.interval.lower > truth for e in found])


@pytest.mark.parametrize("shared", [0.0, 0.9])
def test_bounds_hold(shared):
    assert max(misses(150, 200, shared, 0.8)) <= 0.10


@pytest.mark.slow
@pytest.mark.parametrize("noise", [0.4, 1.0])
@pytest.mark.parametrize("n", [100, 400])
@pytest.mark.parametrize("shared", [0.0, 0.5, 1.0])
def test_bounds_hold_in_long_simulations(shared, n, noise):
    assert max(misses(1500, n, shared, noise)) <= 0.065
