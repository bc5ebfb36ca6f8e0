"""The AUC against scikit-learn; weights against repeated rows."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from robust.intervals.delong import delong
from robust.metrics.ranking import AUC, WeightedAuc


@st.composite
def scored(draw):
    """Classes, each at least once, and scores with many ties."""
    k = draw(st.integers(2, 4))
    n = draw(st.integers(k, 40))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    y = np.r_[np.arange(k), rng.integers(0, k, n - k)]
    p = rng.dirichlet(np.ones(k), size=n)
    if draw(st.booleans()):
        p = np.round(p, 1) + 1e-9
        p /= p.sum(axis=1, keepdims=True)
    return y, p


def expected_auc(y, p, weights=None):
    if p.shape[1] == 2:
        return roc_auc_score(y, p[:, 1], sample_weight=weights)
    each = [roc_auc_score(y == c, p[:, c], sample_weight=weights) for c in range(p.shape[1])]
    return float(np.mean(each))


@settings(max_examples=200, deadline=None)
@given(scored())
def test_auc_is_scikit_learns(case):
    y, p = case
    found = WeightedAuc(y, p)(np.ones((1, len(y))))[0]
    assert found == pytest.approx(expected_auc(y, p), abs=1e-12)
    if p.shape[1] > 2:
        assert found == pytest.approx(roc_auc_score(y, p, multi_class="ovr", average="macro"), abs=1e-12)


@settings(max_examples=100, deadline=None)
@given(scored(), st.integers(0, 2**32 - 1))
def test_whole_weights_are_repeated_rows(case, seed):
    y, p = case
    k = p.shape[1]
    weights = np.random.default_rng(seed).integers(0, 4, len(y))
    weights[:k] += 1  # each class keeps a row
    rows = np.repeat(np.arange(len(y)), weights)
    by_weight = WeightedAuc(y, p)(weights[None].astype(float))[0]
    by_rows = WeightedAuc(y[rows], p[rows])(np.ones((1, len(rows))))[0]
    assert by_weight == pytest.approx(by_rows, abs=1e-12)
    assert by_weight == pytest.approx(expected_auc(y, p, weights), abs=1e-12)


def test_by_hand_ties_count_half():
    # Pairs (positive, negative): (.8 > .1), (.8 > .5), (.5 > .1), (.5 = .5): 3.5 of 4.
    p = np.array([0.1, 0.5, 0.5, 0.8])
    y = np.array([0, 0, 1, 1])
    assert WeightedAuc(y, np.c_[1 - p, p])(np.ones((1, 4)))[0] == 3.5 / 4


def test_a_batch_of_weights_is_each_of_them():
    rng = np.random.default_rng(0)
    y, p = np.arange(30) % 3, rng.dirichlet(np.ones(3), 30)
    weights = rng.integers(1, 5, (7, 30)).astype(float)
    metric = WeightedAuc(y, p)
    assert metric(weights) == pytest.approx([metric(row[None])[0] for row in weights])


def test_no_figure_without_a_class():
    y, p = np.array([0, 0, 1]), np.full((3, 2), 0.5)
    assert np.isnan(WeightedAuc(y, p)(np.array([[1.0, 1.0, 0.0]]))).all()


def test_agrees_with_the_components_that_its_interval_rests_on():
    rng = np.random.default_rng(1)
    y, p = np.arange(60) % 4, np.round(rng.dirichlet(np.ones(4), 60), 2)
    assert WeightedAuc(y, p)(np.ones((1, 60)))[0] == pytest.approx(delong(y, p, level=0.95).interval.value)


@pytest.mark.parametrize("k", [2, 3])
@pytest.mark.parametrize("seed", range(5))
def test_effect_bounds_what_new_scores_of_some_rows_can_do(k, seed):
    rng = np.random.default_rng(seed)
    n = 24
    y = np.r_[np.arange(k), rng.choice(k, n - k, p=rng.dirichlet(np.ones(k)))]
    p = rng.dirichlet(np.ones(k), n)
    start = WeightedAuc(y, p)(np.ones((1, n)))[0]
    worst = 0.0
    for rows in ([i] for i in range(n)):
        for column in range(k):
            trial = p.copy()
            trial[rows] = 0.0
            trial[rows, column] = 1.0
            worst = max(worst, abs(WeightedAuc(y, trial)(np.ones((1, n)))[0] - start))
    bound = AUC.effect(y, p, p)(1 / n) / n
    assert 0.2 * bound < worst <= bound + 1e-12


def test_effect_has_no_bound_without_a_class():
    assert AUC.effect(np.array([0, 0]), np.full((2, 2), 0.5), None)(0.5) is None
