"""Rates at a given threshold: scikit-learn's values, exact bounds, and thresholds that were chosen on the test."""

import numpy as np
import pytest
from scipy.stats import binomtest
from sklearn import metrics as sk

from robust.data.live import as_data
from robust.errors import InvalidInput
from robust.evidence import Fact, Figure
from robust.measures.classification import f1, precision, recall
from robust.models.conversion import as_model
from robust.operating.choosing import choose_threshold
from robust.operating.class_thresholds import class_tables
from robust.operating.threshold_rates import at_threshold

NET = as_model(lambda x: x[:, 0], name="net", output="probabilities")


def drawn(n=400, seed=0, sharp=1.0):
    rng = np.random.default_rng(seed)
    y = (rng.random(n) < 0.4).astype(int)
    return (1 / (1 + np.exp(-(rng.normal(size=n) + sharp * (2 * y - 1)))))[:, None], y


def test_values_and_bounds():
    x, y = drawn()
    rates = at_threshold(NET, (x, y), 0.6)
    detected = x[:, 0] >= 0.6
    assert rates.tpr.value == pytest.approx(sk.recall_score(y, detected))
    assert rates.fpr.value == pytest.approx(1 - sk.recall_score(y, detected, pos_label=0))
    assert rates.precision.value == pytest.approx(sk.precision_score(y, detected))
    assert rates.f1.value == pytest.approx(sk.f1_score(y, detected))
    for m, among in ((rates.tpr, y == 1), (rates.fpr, y == 0), (rates.precision, detected)):
        hits = (y[among] if m is rates.precision else detected[among]).sum()
        oracle = binomtest(int(hits), int(among.sum())).proportion_ci(0.9, method="exact")
        assert (m.lower, m.upper, m.n) == pytest.approx((oracle.low, oracle.high, among.sum()))
        assert m.method == "clopper-pearson"
    assert [m.name for m in rates] == ["tpr", "fpr", "precision", "f1"]
    assert [m.higher_is_better for m in rates] == [True, False, True, True]
    assert rates.tpr.provenance.cost.forward_rows == 400


def test_a_score_at_the_threshold_is_detected():
    x, y = np.array([[0.3], [0.5], [0.5], [0.7]]), np.array([0, 0, 1, 1])
    rates = at_threshold(NET, (x, y), 0.5)
    assert [m.value for m in rates] == pytest.approx([1.0, 0.5, 2 / 3, 0.8])


def test_nothing_detected_proves_nothing_about_precision():
    x, y = drawn(50)
    rates = at_threshold(NET, (x, y), 1.0)
    assert [m.value for m in rates] == [0, 0, 0, 0]
    assert (rates.precision.lower, rates.precision.upper) == (0, 1)
    assert (rates.precision > 0.5).status == "INCONCLUSIVE"
    assert (rates.tpr > 0.5).status == "FAIL"
    assert any("nothing is proved" in str(part.value) for part in rates.precision.evidence if isinstance(part, Fact))


def test_a_threshold_from_other_rows_is_judged():
    point = choose_threshold(NET, drawn(600, seed=1), max_fpr=0.1)
    rates = at_threshold(NET, drawn(600, seed=2), point)
    assert rates.threshold == point.threshold
    assert all(check.passed for m in rates for check in m.validity)
    assert (rates.tpr > 0.2).status == "PASS"
    assert (rates.fpr < 0.2).status == "PASS"


@pytest.mark.parametrize("shared", [1, 600])
def test_a_threshold_from_the_tested_rows_is_invalid(shared):
    x, y = drawn(600, seed=1, sharp=2.0)
    point = choose_threshold(NET, (x, y))
    other, labels = drawn(600, seed=2, sharp=2.0)
    other[:shared], labels[:shared] = x[:shared], y[:shared]
    rates = at_threshold(NET, as_data(other, labels, name="test"), point)
    assert (rates.f1 > 0.5).status == "INVALID"
    assert (rates.tpr > 0.5).status == "INVALID"
    assert (rates.precision > 0.5).status == "INVALID"
    assert (rates.fpr < 0.5).status == "INVALID"
    # What is bad although it is flattered is bad.
    assert (rates.f1 > 0.999).status == "FAIL"
    assert (rates.fpr < 0.001).status == "FAIL"
    assert f"{shared} of 600 rows of test are among those of data" in (rates.f1 > 0.5).reason


def test_a_useless_model_fails():
    x, y = drawn(600, seed=3, sharp=0.0)
    rates = at_threshold(NET, (x, y), 0.5)
    assert (rates.tpr > 0.8).status == "FAIL"
    assert (rates.fpr < 0.2).status == "FAIL"


@pytest.mark.parametrize("given", [{"order": np.arange(400)}, {"groups": np.arange(400) // 5}])
def test_rows_that_depend_on_each_other(given):
    x, y = drawn()
    free, bound = at_threshold(NET, (x, y), 0.5), at_threshold(NET, as_data(x, y, **given), 0.5)
    for one, other in zip(free, bound, strict=True):
        assert other.value == pytest.approx(one.value)
        assert other.method == ("block-bootstrap" if "order" in given else "cluster-bootstrap")
        assert 0 <= other.lower < other.value < other.upper <= 1


def test_row_order_and_batch_size_do_not_matter():
    x, y = drawn()
    order = np.random.default_rng(0).permutation(400)
    small = as_model(lambda x: x[:, 0], output="probabilities", batch_size=7)
    for one, other in zip(at_threshold(NET, (x, y), 0.4), at_threshold(small, (x[order], y[order]), 0.4), strict=True):
        assert (one.value, one.lower, one.upper) == (other.value, other.lower, other.upper)


def test_figures_mark_the_point():
    rates = at_threshold(NET, drawn(), 0.5)
    (roc,) = (part for part in rates.tpr.evidence if isinstance(part, Figure))
    assert roc.rules[0][:2] == ("x", rates.fpr.value)
    assert roc.rules[1][:2] == ("y", rates.tpr.value)
    x, y = (series.values for series in roc.columns)
    assert (x[0], y[0], x[-1], y[-1]) == (0, 0, 1, 1)
    (trade,) = (part for part in rates.f1.evidence if isinstance(part, Figure))
    assert set(trade.columns[2].values) == {"precision", "recall", "F1"}


@pytest.mark.parametrize(("threshold", "detects"), [(1.5, "no row"), (50, "no row"), (-0.2, "every row")])
def test_a_threshold_that_no_score_can_reach_is_refused(threshold, detects):
    message = f"threshold got {threshold:g}, which detects {detects}: scores are probabilities"
    logits = as_model(lambda x: np.hstack([-x, x]), output="logits")
    several = as_model(lambda x: np.hstack([x, x]), task="multilabel", output="probabilities")
    x, y = drawn(60)
    for model, targets, given in ((NET, y, {}), (logits, y, {}), (several, np.stack([y, 1 - y], 1), {"positive": 0})):
        with pytest.raises(InvalidInput, match=message):
            at_threshold(model, (x, targets), threshold, **given)
    for measure in (precision, recall, f1):
        with pytest.raises(InvalidInput, match=message):
            measure(NET, (x, y), threshold=threshold)


def test_the_ends_of_the_range_are_thresholds():
    x, y = drawn(60)
    everything, nothing = at_threshold(NET, (x, y), 0), at_threshold(NET, (x, y), 1)
    assert (everything.tpr.value, everything.fpr.value) == (1, 1)
    assert (nothing.tpr.value, nothing.fpr.value) == (0, 0)
    assert recall(NET, (x, y), label=1, threshold=0).value == 1


def test_every_line_of_a_threshold_table_is_a_threshold():
    """Also the last, above the largest score, and scores of a coarse model beyond 1."""
    y = np.array([0, 1, 0, 1])
    x = np.array([[0.0], [1.0], [0.5], [1.004]])
    table = class_tables(NET, (x, y)).overall
    assert table.threshold[-1] > 1.004
    for row, threshold in enumerate(table.threshold):
        rates = at_threshold(NET, (x, y), float(threshold))
        assert (rates.tpr.value, rates.fpr.value) == (table.tpr[row], table.fpr[row])
    best = choose_threshold(NET, (x, y), maximize="tpr", max_fpr=0.0)
    assert at_threshold(NET, (x[::-1] - 0.01, y[::-1]), best).threshold == best.threshold


@pytest.mark.parametrize("threshold", [np.nan, np.inf, "0.5", True, None])
def test_a_threshold_is_a_finite_number(threshold):
    with pytest.raises(InvalidInput, match="threshold got"):
        at_threshold(NET, drawn(30), threshold)


def test_the_class_of_a_point_is_its_own():
    point = choose_threshold(NET, drawn(60))
    with pytest.raises(InvalidInput, match="positive got 0; the operating point detects 1"):
        at_threshold(NET, drawn(60, seed=1), point, positive=0)
    assert at_threshold(NET, drawn(60, seed=1), point, positive=1).positive == 1
    flipped = at_threshold(NET, drawn(60, seed=1), 0.5, positive=0)
    assert flipped.positive == 0
