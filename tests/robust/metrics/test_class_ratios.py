"""Averages of precision, recall and F1 against scikit-learn, and their effects against a search."""

import numpy as np
import pytest
from sklearn import metrics as sk

from robust.metrics.class_ratios import averaged, class_ratios, ratio_metric
from robust.metrics.classification import f1_rows

SCORES = {"precision": sk.precision_score, "recall": sk.recall_score, "f1": sk.f1_score}
AVERAGES = ["macro", "weighted", "micro"]


def value(ratio, average, y, labels):
    return float(averaged(ratio, average)(f1_rows(y, labels).mean(axis=0, keepdims=True))[0])


@pytest.mark.parametrize("ratio", list(SCORES))
@pytest.mark.parametrize("average", AVERAGES)
@pytest.mark.parametrize("several", [False, True])
def test_scikit_learns_values(ratio, average, several):
    rng = np.random.default_rng(0)
    for _ in range(60):
        k, n = int(rng.integers(2, 6)), int(rng.integers(1, 30))
        y, labels = rng.integers(0, 2 if several else k, (2, n, k) if several else (2, n))
        wanted = SCORES[ratio](y, labels, average=average, zero_division=0)
        assert value(ratio, average, y, labels) == pytest.approx(wanted, abs=1e-12)


def test_by_hand():
    y, labels = np.array([0, 0, 0, 1, 1]), np.array([0, 0, 1, 1, 1])
    means = f1_rows(y, labels).mean(axis=0, keepdims=True)
    assert class_ratios(means, "precision")[0] == pytest.approx([1, 2 / 3])
    assert class_ratios(means, "recall")[0] == pytest.approx([2 / 3, 1])
    assert class_ratios(means, "f1")[0] == pytest.approx([4 / 5, 4 / 5])
    assert value("precision", "weighted", y, labels) == pytest.approx(0.6 * 1 + 0.4 * 2 / 3)


def test_nothing_predicted_of_a_class_is_zero():
    y, labels = np.array([0, 1]), np.array([0, 0])
    assert value("precision", "macro", y, labels) == 0.25


def test_relabelling_and_row_order_change_nothing():
    rng = np.random.default_rng(0)
    y, labels = rng.integers(0, 4, 50), rng.integers(0, 4, 50)
    order, names = rng.permutation(50), rng.permutation(4)
    for ratio in SCORES:
        for average in AVERAGES:
            one, other = value(ratio, average, y, labels), value(ratio, average, names[y][order], names[labels][order])
            assert one == pytest.approx(other, abs=1e-12)


@pytest.mark.parametrize("ratio", list(SCORES))
@pytest.mark.parametrize("average", AVERAGES)
def test_an_effect_bounds_every_change_that_a_search_finds(ratio, average):
    rng = np.random.default_rng(1)
    effect, tight = ratio_metric(ratio, average).effect, 0.0
    for _ in range(40):
        n, k = int(rng.integers(4, 40)), int(rng.integers(2, 5))
        y = rng.choice(k, size=n, p=rng.dirichlet(np.full(k, 0.7)))
        labels = np.where(rng.random(n) < rng.random(), y, rng.choice(k, size=n))
        moves, occurring = int(rng.integers(1, 4)), np.union1d(y, labels)
        bound = effect(y, labels, labels)(moves / n) * moves / n
        for _ in range(30):
            trial = labels.copy()
            trial[rng.choice(n, moves, replace=False)] = rng.choice(occurring, moves)
            found = abs(value(ratio, average, y, trial) - value(ratio, average, y, labels))
            assert found <= bound + 1e-12
            tight = max(tight, found / bound)
    assert tight > 0.3  # a bound that is never near would prove nothing


def test_names():
    assert ratio_metric("f1", "macro").name == "f1"
    assert ratio_metric("precision", "weighted").name == "precision_weighted"


@pytest.mark.parametrize("ratio", list(SCORES))
def test_class_effects_bound_what_rows_of_one_class_can_do(ratio):
    rng = np.random.default_rng(4)
    metric, tight = ratio_metric(ratio, "macro"), 0.0
    for _ in range(300):
        n, k = int(rng.integers(2, 40)), int(rng.integers(2, 5))
        y = rng.choice(k, size=n, p=rng.dirichlet(np.full(k, 0.7)))
        # A class that no label names can vanish from the average: of that no share of rows can tell.
        labels = np.where(rng.random(n) < rng.random(), y, rng.choice(np.unique(y), size=n))
        effects, before = metric.class_effects(y, labels), value(ratio, "macro", y, labels)
        for c in np.unique(y):
            own = np.flatnonzero(y == c)
            for moves in {1, (own.size + 1) // 2, own.size}:
                trial = labels.copy()
                trial[rng.choice(own, moves, replace=False)] = rng.choice(np.unique(y))
                found, bound = abs(value(ratio, "macro", y, trial) - before), effects[c] * moves / own.size
                assert found <= bound + 1e-12
                tight = max(tight, found / bound)
    assert tight > 0.9


@pytest.mark.parametrize("ratio", list(SCORES))
def test_class_effects_of_several_labels(ratio):
    rng = np.random.default_rng(5)
    metric, tight = ratio_metric(ratio, "macro"), 0.0
    for _ in range(300):
        n, k = int(rng.integers(2, 40)), int(rng.integers(1, 4))
        y = (rng.random((n, k)) < rng.random(k)).astype(int)
        labels = np.where(rng.random((n, k)) < rng.random(), y, rng.integers(0, 2, (n, k)))
        effects, before = metric.class_effects(y, labels), value(ratio, "macro", y, labels)
        for c in range(k):
            for one in (0, 1):
                own = np.flatnonzero(y[:, c] == one)
                for moves in {1, (own.size + 1) // 2, own.size} if own.size else set():
                    trial = labels.copy()
                    trial[rng.choice(own, moves, replace=False), c] = rng.integers(0, 2)
                    found, bound = abs(value(ratio, "macro", y, trial) - before), effects[c, one] * moves / own.size
                    assert found <= bound + 1e-12
                    tight = max(tight, found / bound if bound else 0.0)
    assert tight > 0.9
