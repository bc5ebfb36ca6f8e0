"""Kernels of classification metrics against scikit-learn, and their effects against a search for worse rows."""

import math
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from robust.metrics.classification import (
    ACCURACY,
    CLIP,
    F1,
    LOG_LOSS,
    accuracy_rows,
    f1_class_effects,
    f1_effect,
    f1_rows,
    log_loss_rows,
    macro_f1,
)


@st.composite
def labelled(draw, most_classes=5):
    """Labels and predictions; some classes occur in one of them, or in neither."""
    n, k = draw(st.integers(1, 40)), draw(st.integers(2, most_classes))
    labels = st.lists(st.integers(0, k - 1), min_size=n, max_size=n)
    return np.array(draw(labels)), np.array(draw(labels))


def f1_of(y, labels, weights=None):
    rows = f1_rows(y, labels)
    means = np.average(rows, axis=0, weights=weights)[None]
    return float(macro_f1(means)[0])


@settings(max_examples=200, deadline=None)
@given(labelled())
def test_accuracy_and_macro_f1_are_scikit_learns(case):
    y, labels = case
    assert accuracy_rows(y, labels).mean() == pytest.approx(sk.accuracy_score(y, labels), abs=1e-15)
    expected = sk.f1_score(y, labels, average="macro", zero_division=0.0)
    assert f1_of(y, labels) == pytest.approx(expected, abs=1e-12)


@settings(max_examples=200, deadline=None)
@given(labelled(), st.integers(0, 2**32 - 1))
def test_log_loss_is_scikit_learns(case, seed):
    y, _ = case
    k = 5
    rng = np.random.default_rng(seed)
    # Some rows are certain, and some of those wrong: that is where clipping matters.
    p = rng.dirichlet(np.full(k, 0.05), size=len(y))
    p[: len(y) // 3] = np.eye(k)[rng.integers(0, k, len(y) // 3)]
    p /= p.sum(axis=1, keepdims=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # sums that miss 1 in the last bits
        expected = sk.log_loss(y, p, labels=np.arange(k))
    assert log_loss_rows(y, p).mean() == pytest.approx(expected, rel=1e-9, abs=1e-12)


def test_by_hand():
    y, labels = np.array([0, 0, 0, 1]), np.array([0, 0, 1, 1])
    assert accuracy_rows(y, labels).ravel().tolist() == [1, 1, 0, 1]
    assert f1_of(y, labels) == pytest.approx((4 / 5 + 2 / 3) / 2)  # 2·2/(2+3) and 2·1/(2+1)
    p = np.array([[0.5, 0.5], [0.25, 0.75]])
    assert log_loss_rows(np.array([0, 1]), p).ravel() == pytest.approx([math.log(2), math.log(4 / 3)])


def test_a_sure_mistake_costs_no_more_than_the_clip():
    loss = log_loss_rows(np.array([0]), np.array([[0.0, 1.0]]))[0, 0]
    assert loss == pytest.approx(-math.log(CLIP), rel=1e-9)
    assert LOG_LOSS.effect(np.array([0]), np.array([[0.0, 1.0]]), None)(0.1) == pytest.approx(loss, rel=1e-9)
    assert math.copysign(1, log_loss_rows(np.array([1]), np.array([[0.0, 1.0]]))[0, 0]) == 1  # 0, not −0


def test_relabelling_and_row_order_change_nothing():
    rng = np.random.default_rng(0)
    y, labels = rng.integers(0, 4, 50), rng.integers(0, 4, 50)
    order, names = rng.permutation(50), rng.permutation(4)
    assert f1_of(names[y][order], names[labels][order]) == pytest.approx(f1_of(y, labels), abs=1e-12)


def test_a_resample_leaves_out_classes_that_it_lacks():
    y, labels = np.array([0, 0, 1, 2]), np.array([0, 1, 1, 2])
    weights = np.array([2.0, 1.0, 1.0, 0.0])
    repeated = np.repeat(np.arange(4), weights.astype(int))
    expected = sk.f1_score(y[repeated], labels[repeated], average="macro")
    assert f1_of(y, labels, weights) == pytest.approx(expected)


def greedy_change(y, labels, moves, sign):
    """Change the predictions that move macro-F1 most, one after the other, among the classes that occur."""
    start, now, occurring = f1_of(y, labels), labels.copy(), np.union1d(y, labels)
    free = np.ones(len(y), dtype=bool)
    best = 0.0
    for _ in range(moves):
        found = []
        for i in np.flatnonzero(free):
            for c in occurring[occurring != now[i]]:
                trial = now.copy()
                trial[i] = c
                found.append((sign * (f1_of(y, trial) - start), i, c))
        if not found:
            break
        change, i, c = max(found)
        now[i], free[i] = c, False
        best = max(best, change)
    return best


@pytest.mark.parametrize("seed", range(12))
def test_f1_effect_bounds_every_change_that_a_search_finds(seed):
    rng = np.random.default_rng(seed)
    tight = 0.0
    for _ in range(4):
        n, k = int(rng.integers(4, 40)), int(rng.integers(2, 5))
        y = rng.choice(k, size=n, p=rng.dirichlet(np.full(k, 0.7)))
        labels = np.where(rng.random(n) < rng.random(), y, rng.choice(k, size=n))
        moves = int(rng.integers(1, 4))
        found = max(greedy_change(y, labels, moves, sign) for sign in (1, -1))
        occurring = np.union1d(y, labels)
        for _ in range(20):
            trial = labels.copy()
            trial[rng.choice(n, moves, replace=False)] = rng.choice(occurring, moves)
            found = max(found, abs(f1_of(y, trial) - f1_of(y, labels)))
        bound = f1_effect(y, labels, labels)(moves / n) * moves / n
        assert found <= bound + 1e-12
        tight = max(tight, found / bound)
    assert tight > 0.1  # a bound that is never near would prove nothing


@settings(max_examples=100, deadline=None)
@given(labelled(), st.floats(0.01, 1.0), st.floats(0.001, 1.0))
def test_f1_effect_of_a_share_holds_for_smaller_ones(case, share, part):
    # What `needed_n` relies on: with more rows the share that may differ shrinks, the rate may not rise.
    y, labels = case
    assert f1_effect(y, labels, labels)(share * part) <= f1_effect(y, labels, labels)(share) * (1 + 1e-9)


def test_f1_effect_of_a_rare_class_is_not_that_of_a_common_one():
    y = np.r_[np.zeros(98, int), 1, 1]
    assert f1_effect(y, y, y)(0.01) > 20  # one row of two in the rare class costs a sixth of macro-F1


@settings(max_examples=200, deadline=None)
@given(labelled(), st.integers(0, 2**32 - 1))
def test_f1_class_effects_bound_what_rows_of_one_class_can_do(case, seed):
    y, labels = case
    rng = np.random.default_rng(seed)
    effects, occurring = f1_class_effects(y, labels), np.union1d(y, labels)
    for c in np.unique(y):
        own = np.flatnonzero(y == c)
        for moves in {1, (own.size + 1) // 2, own.size}:
            trial = labels.copy()
            trial[rng.choice(own, moves, replace=False)] = rng.choice(occurring)
            # A class that no label names can vanish from the average: of that no share of rows can tell.
            if np.isin(labels, y).all():
                assert abs(f1_of(y, trial) - f1_of(y, labels)) <= effects[c] * moves / own.size + 1e-12


def test_directions_and_defaults():
    assert (ACCURACY.higher_is_better, F1.higher_is_better, LOG_LOSS.higher_is_better) == (True, True, False)
    assert (ACCURACY.relative, F1.relative, LOG_LOSS.relative) == (False, False, True)
    y = np.array([0, 1])
    assert ACCURACY.effect(y, y, y)(0.5) == 1.0
