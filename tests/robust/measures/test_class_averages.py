"""Precision, recall and F1 of averages, single classes and thresholds."""

from dataclasses import dataclass

import numpy as np
import pytest
from scipy.stats import binomtest
from sklearn import metrics as sk

from robust.data.live import as_data
from robust.errors import InvalidInput
from robust.evidence import Fact, Slices
from robust.measures.classification import accuracy, f1, precision, recall
from robust.models.conversion import as_model

SCORES = {precision: sk.precision_score, recall: sk.recall_score, f1: sk.f1_score}


def drawn(n=200, k=3, seed=0):
    rng = np.random.default_rng(seed)
    y = np.r_[np.arange(k), rng.integers(0, k, n - k)]
    p = np.exp(rng.normal(size=(n, k)) + 1.5 * np.eye(k)[y])
    return p / p.sum(axis=1, keepdims=True), y


def identity(**options):
    return as_model(lambda x: x, name="m", output="probabilities", **options)


@pytest.mark.parametrize("measure", list(SCORES))
@pytest.mark.parametrize("average", ["macro", "weighted", "micro"])
def test_averages(measure, average):
    p, y = drawn()
    m = measure(identity(), (p, y), average=average)
    assert m.value == pytest.approx(SCORES[measure](y, p.argmax(axis=1), average=average))
    assert m.lower < m.value < m.upper
    assert m.name == measure.__name__ + ("" if average == "macro" else f"_{average}")
    if average == "micro" or (measure is recall and average == "weighted"):
        same = accuracy(identity(), (p, y))
        assert (m.lower, m.upper, m.method) == (same.lower, same.upper, "clopper-pearson")
        np.testing.assert_array_equal(m.row_values, same.row_values)


@pytest.mark.parametrize("measure", [precision, recall])
def test_one_class_has_exact_bounds(measure):
    p, y = drawn()
    labels = p.argmax(axis=1)
    hits, among = ((y == 1) & (labels == 1)).sum(), ((labels if measure is precision else y) == 1).sum()
    wanted = binomtest(int(hits), int(among)).proportion_ci(0.9, method="exact")
    m = measure(identity(), (p, y), label=1)
    assert (m.value, m.lower, m.upper) == pytest.approx((hits / among, wanted.low, wanted.high))
    assert m.name == f"{measure.__name__} of 1"


def test_f1_of_one_class_through_the_overlap():
    p, y = drawn()
    labels = p.argmax(axis=1)
    hits, either = int(((y == 2) & (labels == 2)).sum()), int(((y == 2) | (labels == 2)).sum())
    wanted = binomtest(hits, either).proportion_ci(0.9, method="exact")
    m = f1(identity(), (p, y), label=2)
    assert m.value == pytest.approx(sk.f1_score(y, labels, average=None)[2])
    assert (m.lower, m.upper) == pytest.approx(tuple(2 * j / (1 + j) for j in (wanted.low, wanted.high)))


def seed_f1(outputs, labels, threshold):
    """F1 at a threshold with the smoothing of 1e-8, as a published notebook writes it."""
    predictions = (outputs >= threshold).astype(int)
    tp = ((predictions == 1) & (labels == 1)).sum()
    fp, fn = ((predictions == 1) & (labels == 0)).sum(), ((predictions == 0) & (labels == 1)).sum()
    p, r = tp / (tp + fp + 1e-8), tp / (tp + fn + 1e-8)
    return 2 * (p * r) / (p + r + 1e-8)


@pytest.mark.parametrize("threshold", [0.1, 0.3, 0.5, 0.8, 0.99])
def test_a_threshold_of_two_classes(threshold):
    p, y = drawn(k=2)
    p[:5, 1], p[:5, 0] = threshold, 1 - threshold  # a score that equals the threshold is a detection
    detected = p[:, 1] >= threshold
    m = f1(identity(), (p, y), threshold=threshold)
    assert m.value == pytest.approx(sk.f1_score(y, detected, zero_division=0))
    assert m.value == pytest.approx(seed_f1(p[:, 1], y, threshold), abs=1e-6)
    both = f1(identity(), (p, y), threshold=threshold, average="macro")
    assert both.value == pytest.approx(sk.f1_score(y, detected, average="macro"))
    first = recall(identity(), (p, y), threshold=threshold, label=0)
    assert first.value == pytest.approx(sk.recall_score(y == 0, p[:, 0] >= threshold))


def test_a_threshold_of_several_labels():
    rng = np.random.default_rng(0)
    y, p = rng.integers(0, 2, (80, 3)), rng.random((80, 3))
    model = identity(task="multilabel")
    for average in ("macro", "micro", "weighted"):
        m = precision(model, (p, y), threshold=0.3, average=average)
        assert m.value == pytest.approx(sk.precision_score(y, p >= 0.3, average=average))
    one = recall(model, (p, y), threshold=0.3, label=2)
    assert one.value == pytest.approx(sk.recall_score(y[:, 2], p[:, 2] >= 0.3))


@dataclass(frozen=True)
class Point:
    threshold: float
    positive: object
    shared: int

    def overlap(self, _data):
        return self.shared


def test_an_operating_point_brings_its_class_and_its_rows():
    p, y = drawn()
    clean = recall(identity(), (p, y), threshold=Point(0.2, 2, 0))
    assert clean.value == pytest.approx(sk.recall_score(y == 2, p[:, 2] >= 0.2))
    assert (clean > 0.1).status == "PASS"
    tuned = recall(identity(), (p, y), threshold=Point(0.2, 2, 7))
    verdict = tuned > 0.1
    assert verdict.status == "INVALID"
    assert "7 of 200 rows" in tuned.fault(">", "PASS")


def test_what_is_zero_by_convention_is_said():
    y = np.array([0, 0, 1, 1])
    model = as_model(lambda x: np.eye(3)[np.zeros(len(x), int)], output="probabilities")
    m = precision(model, (np.zeros((4, 1)), y))
    assert m.value == 0.25
    facts = {part.name: part.value for part in m.evidence if isinstance(part, Fact)}
    assert facts["class 1"] == "never predicted: its precision is 0 by convention"
    assert facts["class 2"] == "neither among labels nor predictions: left out of averages"
    one = precision(model, (np.zeros((4, 1)), y), label=1)
    assert (one.value, one.lower, one.upper) == (0.0, 0.0, 1.0)
    assert recall(model, (np.zeros((4, 1)), y), label=2).upper == 1.0


def test_a_slice_for_each_class():
    p, y = drawn()
    (table,) = (part for part in recall(identity(), (p, y)).evidence if isinstance(part, Slices))
    values = [part.value for part in table.slices]
    assert values == sorted(values)
    assert sorted(values) == pytest.approx(sorted(sk.recall_score(y, p.argmax(axis=1), average=None)))
    assert sum(part.n for part in table.slices) == 200


@pytest.mark.parametrize("given", [{"order": np.arange(200)}, {"groups": np.arange(200) // 4}])
def test_rows_that_depend_on_each_other(given):
    p, y = drawn()
    for measure in SCORES:
        m = measure(identity(), as_data(p, y, **given))
        assert m.method in ("block-bootstrap", "cluster-bootstrap")
        assert m.lower < m.value < m.upper
        assert measure(identity(), as_data(p, y, **given), label=1).method == m.method


def test_a_model_that_never_finds_a_class_is_caught():
    y = np.arange(100) % 2
    model = as_model(lambda x: np.zeros(len(x), int), classes=[0, 1])
    assert (recall(model, (np.zeros((100, 1)), y), label=1) > 0.5).status == "FAIL"
    assert (recall(model, (np.zeros((100, 1)), y)) > 0.7).status == "FAIL"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"average": "mean"}, "average got 'mean'; one of macro, weighted, micro"),
        ({"average": "macro", "label": 1}, "exclude each other"),
        ({"label": 9}, "label got 9; a class of m"),
        ({"label": True}, "label got True"),
        ({"threshold": float("nan")}, "threshold got nan; a finite number"),
        ({"threshold": float("inf")}, "threshold got inf"),
        ({"threshold": "high"}, "threshold got 'high'"),
        ({"threshold": 0.5}, "m has 3 classes .*: a threshold is for the score of one"),
        ({"threshold": 0.5, "average": "macro"}, "a threshold is for the score of one"),
        ({"threshold": Point(0.5, 1, 0), "label": 2}, "the threshold was chosen for 1"),
        ({"level": 1.0}, "level got 1.0"),
    ],
)
def test_what_is_refused(options, message):
    with pytest.raises(InvalidInput, match=message):
        f1(identity(), drawn(), **options)


def test_a_regression_model_is_refused():
    with pytest.raises(InvalidInput, match="f1 is a classification metric; r is a regression model"):
        precision(as_model(lambda x: x[:, 0], name="r", task="regression"), (np.ones((3, 1)), [1.0, 2.0, 3.5]))
