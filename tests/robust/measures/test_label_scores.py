"""Brier score and calibration error where a row can have several labels."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit
from sklearn import metrics as sk

from robust.data.live import as_data
from robust.errors import InvalidInput
from robust.evidence import Figure
from robust.measures.classification import brier
from robust.measures.score_quality import calibration_error
from robust.models.conversion import as_model


def net(**options):
    return as_model(lambda x: x, name="m", task="multilabel", output="probabilities", **options)


def drawn(n=400, k=4, seed=0, sharpen=1.0, shared=1.0):
    """Labels that are as likely as said, and that a shared cause makes depend on each other within a row."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(n, k)) + shared * rng.normal(size=(n, 1))
    p = expit(logits)
    # One uniform number a row for all of its labels: they are as dependent as labels of these probabilities can be.
    draws = np.where(rng.random((n, 1)) < 0.7, rng.random((n, 1)), rng.random((n, k)))
    return expit(sharpen * logits), (draws < p).astype(int)


def test_by_hand():
    p, y = np.array([[0.9, 0.2], [0.6, 0.5]]), np.array([[1, 1], [0, 0]])
    assert brier(net(), (p, y)).value == pytest.approx((0.01 + 0.64 + 0.36 + 0.25) / 4)
    assert brier(net(), (p, y)).row_values == pytest.approx([0.65 / 2, 0.61 / 2])
    # Confidences .9 (right), .8 (wrong), .6 (wrong) and .5 (wrong: from 0.5 on a label is predicted), each its own bin.
    assert calibration_error(net(), (p, y)).value == pytest.approx((0.1 + 0.8 + 0.6 + 0.5) / 4)


@settings(max_examples=40, deadline=None)
@given(st.integers(2, 4), st.integers(2, 25), st.integers(0, 2**32 - 1))
def test_each_label_is_a_class_of_two(k, n, seed):
    rng = np.random.default_rng(seed)
    p, y = rng.integers(0, 9, (n, k)) / 8, rng.integers(0, 2, (n, k))
    binary = [sk.brier_score_loss(y[:, j], p[:, j], pos_label=1) for j in range(k)]
    assert brier(net(), (p, y)).value == pytest.approx(np.mean(binary))
    # The bins of the pooled answers, counted one by one.
    told = np.where(p >= 0.5, p, 1 - p).ravel()
    right = ((p >= 0.5) == y).ravel()
    edges = np.linspace(0, 1, 16)
    total = 0.0
    for low, high in pairwise(edges):
        inside = (told > low + 1e-12) & (told <= high + 1e-12)
        total += abs(right[inside].sum() - told[inside].sum())
    assert calibration_error(net(), (p, y)).value == pytest.approx(total / told.size)


def test_pooled_answers_of_one_label_a_row():
    """The same numbers as two classes, a row an answer."""
    p, y = drawn(300)
    flat = as_model(lambda x: x[:, 0], output="probabilities")
    pooled = (p.reshape(-1, 1), y.ravel())
    # The confidence of two classes ties at 0.5, which does not occur here.
    assert calibration_error(net(), (p, y)).value == pytest.approx(calibration_error(flat, pooled).value)
    assert brier(net(), (p, y)).value == pytest.approx(brier(flat, pooled).value)


@pytest.mark.parametrize("measure", [brier, calibration_error])
def test_order_of_rows_and_labels_does_not_matter(measure):
    p, y = drawn(120)
    rng = np.random.default_rng(1)
    rows, labels = rng.permutation(120), rng.permutation(4)
    one, other = measure(net(), (p, y)), measure(net(), (p[rows][:, labels], y[rows][:, labels]))
    assert (one.value, one.lower, one.upper) == pytest.approx((other.value, other.lower, other.upper), rel=1e-9)


def test_calibrated_passes_and_over_confident_fails():
    assert (calibration_error(net(), drawn(4000)) < 0.06).status == "PASS"
    assert (calibration_error(net(), drawn(4000, sharpen=4.0)) < 0.06).status == "FAIL"
    assert (brier(net(), drawn(4000)) < 0.25).status == "PASS"
    p, y = drawn(4000)
    assert (brier(net(), (1 - p, y)) < 0.25).status == "FAIL"


def test_a_label_of_each_row_that_is_always_wrong_is_seen():
    """One broken column among four."""
    p, y = drawn(2000)
    p[:, 2] = 0.99
    y[:, 2] = 0
    assert (calibration_error(net(), (p, y)) < 0.1).status == "FAIL"
    assert brier(net(), (p, y)).value > 0.9**2 / 4


@pytest.mark.parametrize("given", [{"order": np.arange(400)}, {"groups": np.arange(400) // 8}])
@pytest.mark.parametrize("measure", [brier, calibration_error])
def test_rows_that_depend_on_each_other(measure, given):
    p, y = drawn()
    free, bound = measure(net(), (p, y)), measure(net(), as_data(p, y, **given))
    assert bound.value == pytest.approx(free.value)
    assert bound.method != free.method
    assert 0 <= bound.lower <= bound.value <= bound.upper <= 1


def test_rows_repeated_as_groups_prove_no_more():
    p, y = drawn(100)
    groups = np.repeat(np.arange(100), 5)
    one = calibration_error(net(), (p, y))
    many = calibration_error(net(), as_data(np.repeat(p, 5, 0), np.repeat(y, 5, 0), groups=groups))
    assert (many.value, many.upper) == pytest.approx((one.value, one.upper))


def test_few_mistakes_prove_little():
    p, y = np.full((60, 3), 0.001), np.zeros((60, 3), int)
    assert (calibration_error(net(), (p, y)) < 0.01).status == "INCONCLUSIVE"
    assert (brier(net(), (p, y)) < 0.01).status == "INCONCLUSIVE"


def test_the_reliability_figure_counts_answers():
    p, y = drawn(100)
    (figure,) = (part for part in calibration_error(net(), (p, y)).evidence if isinstance(part, Figure))
    assert figure.note.startswith("answers a bin: ")
    assert sum(int(word) for word in figure.note.removeprefix("answers a bin: ").split(", ")) == 400


def test_targets_must_fit():
    p, y = drawn(30)
    for measure in (brier, calibration_error):
        with pytest.raises(InvalidInput, match=r"targets of a multi-label model got shape \(30, 3\)"):
            measure(net(), (p, y[:, :3]))


def misses(trials, n, sharpen):
    """Shares of samples whose upper and lower bounds miss the truth, labels of a row as dependent as they can be."""
    p, _ = drawn(200_000, seed=99, sharpen=sharpen)
    q, _ = drawn(200_000, seed=99)  # how likely the labels are
    confident = np.where(p >= 0.5, p, 1 - p)
    right = np.where(p >= 0.5, q, 1 - q)
    bins = np.clip(np.ceil(confident * 15).astype(int) - 1, 0, 14).ravel()
    truth = np.abs(np.bincount(bins, weights=(right - confident).ravel(), minlength=15)).sum() / bins.size
    found = [calibration_error(net(), drawn(n, seed=seed, sharpen=sharpen)) for seed in range(trials)]
    return np.mean([m.upper < truth for m in found]), np.mean([m.lower > truth for m in found])


@pytest.mark.parametrize("sharpen", [1.0, 2.0])
def test_bounds_hold_for_labels_that_depend_on_each_other(sharpen):
    above, below = misses(120, 200, sharpen)
    assert above <= 0.10
    assert below <= 0.10


@pytest.mark.slow
@pytest.mark.parametrize("n", [60, 200, 1000])
@pytest.mark.parametrize("sharpen", [0.5, 1.0, 2.0])
def test_bounds_hold_in_long_simulations(sharpen, n):
    above, below = misses(1000, n, sharpen)
    assert above <= 0.065
    assert below <= 0.065
