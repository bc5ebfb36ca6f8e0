"""Threshold tables: values by hand, scikit-learn's curves, ties, invariances, errors, speed."""

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from robust.errors import InvalidInput
from robust.measures.score_thresholds import threshold_table

COLUMNS = ("threshold", "tpr", "fpr", "precision", "recall", "f1")


def rows(table):
    return np.column_stack([getattr(table, name) for name in COLUMNS])


def test_by_hand():
    table = threshold_table(np.array([0, 1, 0, 1, 1]), np.array([0.2, 0.2, 0.5, 0.7, 0.9]))
    expected = [
        (0.2, 1, 1, 3 / 5, 1, 6 / 8),
        (0.5, 2 / 3, 1 / 2, 2 / 3, 2 / 3, 4 / 6),
        (0.7, 2 / 3, 0, 1, 2 / 3, 4 / 5),
        (0.9, 1 / 3, 0, 1, 1 / 3, 2 / 4),
        (np.nextafter(0.9, 1), 0, 0, 0, 0, 0),
    ]
    np.testing.assert_allclose(rows(table), expected, rtol=0, atol=1e-15)
    assert table.threshold[-1] > 0.9


@st.composite
def scored(draw):
    n = draw(st.integers(2, 30))
    scores = draw(st.lists(st.integers(-4, 12), min_size=n, max_size=n))
    truth = draw(st.lists(st.booleans(), min_size=n, max_size=n).filter(lambda found: len(set(found)) == 2))
    return np.array(truth), np.array(scores) / 8


@settings(max_examples=50, deadline=None)
@given(scored())
def test_every_row_is_scikit_learns(case):
    truth, scores = case
    table = threshold_table(truth, scores)
    assert np.isfinite(table.threshold).all()
    assert (np.diff(table.threshold) > 0).all()
    for row in rows(table):
        detected = scores >= row[0]
        expected = (
            sk.recall_score(truth, detected),
            (detected & ~truth).sum() / (~truth).sum(),
            sk.precision_score(truth, detected, zero_division=0),
            sk.recall_score(truth, detected),
            sk.f1_score(truth, detected, zero_division=0),
        )
        np.testing.assert_allclose(row[1:], expected, atol=1e-15)
    # The whole curve: scikit-learn's starts at an infinite threshold, which never comes here.
    fpr, tpr, thresholds = sk.roc_curve(truth, scores, drop_intermediate=False)
    assert np.isinf(thresholds[0])
    np.testing.assert_allclose(table.fpr[::-1], fpr)
    np.testing.assert_allclose(table.tpr[::-1], tpr)
    np.testing.assert_array_equal(table.threshold[::-1][1:], thresholds[1:])


@settings(max_examples=100, deadline=None)
@given(scored(), st.lists(st.floats(-2, 3), min_size=1, max_size=8))
def test_at_any_threshold(case, thresholds):
    truth, scores = case
    found = threshold_table(truth, scores).at(np.array(thresholds))
    np.testing.assert_array_equal(found.threshold, np.sort(thresholds))
    for threshold, detected, alarms in zip(found.threshold, found.detected, found.alarms, strict=True):
        assert detected == (truth & (scores >= threshold)).sum()
        assert alarms == (~truth & (scores >= threshold)).sum()


def test_row_order_and_rising_transformations_do_not_matter():
    rng = np.random.default_rng(0)
    truth, scores = rng.random(200) < 0.3, rng.normal(size=200).round(1)
    one, order = threshold_table(truth, scores), rng.permutation(200)
    np.testing.assert_array_equal(rows(one), rows(threshold_table(truth[order], scores[order])))
    np.testing.assert_array_equal(rows(one)[:, 1:], rows(threshold_table(truth, np.exp(scores)))[:, 1:])


@pytest.mark.parametrize(
    ("scores", "area"), [([0.1, 0.2, 0.8, 0.9], 1.0), ([0.5] * 4, 0.5), ([0.9, 0.8, 0.2, 0.1], 0.0)]
)
def test_the_area_of_a_perfect_score_of_one_that_says_nothing_and_of_one_upside_down(scores, area):
    table = threshold_table(np.array([0, 0, 1, 1]), np.array(scores))
    assert np.trapezoid(table.tpr[::-1], table.fpr[::-1]) == area


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_the_empty_threshold_survives_a_cast_to_the_scores_type(dtype):
    scores = np.array([0.25, 0.75], dtype=dtype)
    last = threshold_table([False, True], scores).threshold[-1]
    assert scores.max() < dtype(last)
    assert np.isfinite(last)


@pytest.mark.parametrize("scores", [np.array([0, 255], dtype=np.uint8), np.array([False, True]), np.array([-3, 9])])
def test_whole_scores(scores):
    table = threshold_table([False, True], scores)
    assert table.threshold.tolist() == [float(scores[0]), float(scores[1]), float(scores[1]) + 1]
    assert table.tpr.tolist() == [1, 1, 0]


def test_the_worked_threshold_file_is_consistent():
    # Rows of a published example, two decimals each: f1 is the harmonic mean of precision and recall.
    example = """0.1,0.99,0.15,0.87,0.99,0.93
0.3,0.97,0.08,0.92,0.97,0.94
0.5,0.95,0.03,0.97,0.95,0.96
0.7,0.90,0.01,0.99,0.90,0.94
0.9,0.80,0.00,1.00,0.80,0.89"""
    table = np.array([line.split(",") for line in example.splitlines()], dtype=float)
    np.testing.assert_array_equal(table[:, 1], table[:, 4])
    harmonic = 2 * table[:, 3] * table[:, 4] / (table[:, 3] + table[:, 4])
    np.testing.assert_allclose(harmonic, table[:, 5], atol=0.005 + 1e-12)
    # 100 rows of each kind give the same columns, up to their rounding: precision from tpr and fpr as well.
    for threshold, tpr, fpr, precision, _, f1 in table:
        scores = np.concatenate([np.where(np.arange(100) < round(100 * rate), threshold, 0.0) for rate in (tpr, fpr)])
        here = threshold_table(np.arange(200) < 100, scores).at([threshold])
        assert (here.tpr[0], here.fpr[0]) == (tpr, fpr)
        assert here.precision[0] == pytest.approx(precision, abs=0.0051)
        assert here.f1[0] == pytest.approx(f1, abs=0.0075)  # the example took it from rounded columns


@pytest.mark.parametrize(
    ("truth", "scores", "message"),
    [
        ([True, True], [0.1, 0.2], "all 2 rows are positive: a threshold needs rows of both kinds"),
        ([0, 0, 0], [0.1, 0.2, 0.3], "all 3 rows are negative"),
        ([0, 2], [0.1, 0.2], r"truth got int64 \[0, 2\]; bools, or 0 and 1"),
        (["a", "b"], [0.1, 0.2], "truth got <U1"),
        ([[0, 1]], [0.1, 0.2], r"truth got shape \(1, 2\); one label a row"),
        ([], [], r"truth got shape \(0,\)"),
        ([0, 1], [0.1], r"scores got shape \(1,\) for 2 rows"),
        ([0, 1], [0.1, np.nan], "scores got nan at position 1; finite"),
        ([0, 1], [np.inf, 0.0], "scores got inf at position 0"),
        ([0, 1], ["a", "b"], "scores got dtype <U1; numbers"),
        ([0, 1], [0.0, np.finfo(float).max], "above which there is no finite threshold"),
    ],
)
def test_what_is_no_table_is_refused(truth, scores, message):
    with pytest.raises(InvalidInput, match=message):
        threshold_table(np.array(truth), np.array(scores))


@pytest.mark.parametrize("thresholds", [[np.nan], [np.inf], [], [[0.1]]])
def test_thresholds_that_are_asked_must_be_finite(thresholds):
    with pytest.raises(InvalidInput, match="thresholds got"):
        threshold_table([False, True], [0.0, 1.0]).at(np.array(thresholds))


@pytest.mark.slow
def test_a_million_scores_in_a_second():
    rng = np.random.default_rng(1)
    truth, scores = rng.random(10**6) < 0.1, rng.normal(size=10**6)
    start = time.process_time()  # what other work on this machine takes does not count
    table = threshold_table(truth, scores)
    _ = table.f1, table.precision
    assert len(table) == 10**6 + 1
    assert time.process_time() - start < 1.0
