"""The anomaly check as the audit runs it, and detectors that come as models."""

import numpy as np
import pytest
from sklearn.ensemble import IsolationForest

from robust.anomalies.anomaly_scores import as_detector
from robust.anomalies.checks import CHECKS, AnomalyOptions
from robust.anomalies.detecting import anomaly_detection
from robust.check import Subject
from robust.data.live import as_data
from robust.errors import InvalidInput
from robust.evidence import Figure
from robust.models.conversion import as_model

(CHECK,) = CHECKS


def zeros(x):
    return 0 * x


def rows(seed, n, spread=1.0):
    return spread * np.random.default_rng(seed).normal(size=(n, 6))


TEST = as_data(np.r_[rows(0, 300), rows(1, 100, 3.0)], np.repeat(["fine", "fault"], [300, 100]))


def subject(**changes):
    fields = {
        "model": as_model(zeros, task="regression"),
        "task": "anomaly",
        "test": TEST,
        "normal": as_data(rows(2, 400), name="normal"),
        "anomalous": ("fault",),
    }
    return Subject(**(fields | changes))


def test_code_and_needs():
    assert (CHECK.code, CHECK.name, CHECK.tasks) == ("MET051", "anomaly_detection", ("anomaly",))


@pytest.mark.parametrize("figure", ["tpr", "fpr", "auc"])
def test_the_figure_that_is_asked_for_comes_first(figure):
    found = CHECK.run(subject(), AnomalyOptions(figure=figure))
    assert found[0].name == figure
    assert {m.name for m in found} == {"tpr", "fpr", "auc", "threshold", "normal_error", "anomalous_error"}
    report = anomaly_detection(zeros, TEST, normal=rows(2, 400), anomalous="fault")
    expected = getattr(report, figure)
    assert (found[0].value, found[0].lower, found[0].upper) == (expected.value, expected.lower, expected.upper)
    assert any(isinstance(item, Figure) for m in found for item in m.evidence)


def test_rules_are_handed_on():
    lax, strict = (CHECK.run(subject(), options)[0] for options in (AnomalyOptions(k=0.0), AnomalyOptions(k=3.0)))
    assert lax.value > strict.value
    assert "mean + 3 standard deviations" in dict(strict.provenance.options)["rule"]


def test_a_threshold_from_test_rows_is_invalid():
    shared = subject(normal=TEST.rows(np.arange(300)))
    tpr = CHECK.run(shared, AnomalyOptions())[0]
    assert (tpr > 0.01).status == "INVALID"
    fpr = CHECK.run(shared, AnomalyOptions(figure="fpr"))[0]
    assert (fpr < 0.99).status == "INVALID"


def test_a_blind_detector_fails():
    blind = as_model(lambda x: np.modf(1e4 * x[:, 0])[0], task="regression")
    assert (CHECK.run(subject(model=blind), AnomalyOptions(kind="score"))[0] > 0.5).status == "FAIL"


def test_without_normal_rows_it_is_said():
    with pytest.raises(InvalidInput, match=r"no normal rows: .*normal in \[data\]"):
        CHECK.run(subject(normal=None), AnomalyOptions())


def test_an_outlier_detector_is_scored_as_a_model_too():
    forest = IsolationForest(random_state=0).fit(rows(3, 300))
    as_it_is, wrapped = (as_detector(model).forward(TEST.x) for model in (forest, as_model(forest)))
    assert np.array_equal(as_it_is, wrapped)
    assert np.array_equal(wrapped, -forest.score_samples(TEST.x))
    assert CHECK.run(subject(model=as_model(forest)), AnomalyOptions(figure="auc"))[0].value > 0.9
