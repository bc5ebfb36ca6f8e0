"""Brier score, calibration error and average precision."""

import numpy as np
import pytest
from sklearn import metrics as sk

from robust.data.live import as_data
from robust.errors import InvalidInput
from robust.evidence import Fact, Figure, Finding, Rows, Slices
from robust.measures.all_classification import classification_metrics
from robust.measures.classification import brier, log_loss
from robust.measures.score_quality import average_precision, calibration_error
from robust.models.conversion import as_model


def calibrated(n=500, k=3, seed=0, sharpen=1.0):
    rng = np.random.default_rng(seed)
    p = np.exp(1.5 * rng.normal(size=(n, k)))
    p /= p.sum(axis=1, keepdims=True)
    y = (p.cumsum(axis=1) < rng.random((n, 1))).sum(axis=1).clip(max=k - 1)
    sure = p**sharpen
    return sure / sure.sum(axis=1, keepdims=True), y


def identity(**options):
    return as_model(lambda x: x, name="m", output="probabilities", **options)


@pytest.mark.parametrize("k", [2, 3])
def test_brier_is_scikit_learns(k):
    p, y = calibrated(k=k)
    m = brier(identity(), (p, y))
    assert m.value == pytest.approx(sk.brier_score_loss(y, p[:, 1] if k == 2 else p))
    assert m.method == "bca-bootstrap"
    assert m.row_values.mean() == pytest.approx(m.value)
    assert m.lower < m.value < m.upper


@pytest.mark.parametrize("k", [2, 4])
def test_average_precision_is_scikit_learns(k):
    p, y = calibrated(k=k)
    m = average_precision(identity(), (p, y))
    assert m.value == pytest.approx(sk.average_precision_score(y if k == 2 else np.eye(k)[y], p[:, 1] if k == 2 else p))
    (table,) = (part for part in m.evidence if isinstance(part, Slices))
    assert len(table.slices) == (1 if k == 2 else k)
    order = np.random.default_rng(1).permutation(len(y))
    other = average_precision(identity(), (p[order], y[order]))
    assert (m.lower, m.upper) == pytest.approx((other.lower, other.upper), rel=1e-9)


def test_calibrated_passes_and_over_confident_fails():
    assert (calibration_error(identity(), calibrated(3000)) < 0.05).status == "PASS"
    assert (calibration_error(identity(), calibrated(3000, sharpen=4.0)) < 0.05).status == "FAIL"


def test_the_reliability_figure_and_what_calibration_would_show():
    p, y = calibrated(400)
    m = calibration_error(identity(), (p, y))
    facts = {part.name: part.value for part in m.evidence if isinstance(part, Fact)}
    assert 0 < facts["estimate that a calibrated model with these confidences would show"] < 0.1
    (figure,) = (part for part in m.evidence if isinstance(part, Figure))
    columns = {series.name: series.values for series in figure.columns}
    assert columns["series"][-2:] == ("calibrated", "calibrated")
    assert all(
        low <= y <= high for low, y, high in zip(*(columns[c][:-2] for c in ("lower", "y", "upper")), strict=True)
    )


def test_few_mistakes_prove_little():
    y = np.zeros(60, int)
    p = np.tile([0.999, 0.001], (60, 1))
    verdict = calibration_error(identity(), (p, y)) < 0.01
    assert verdict.status == "INCONCLUSIVE"
    perfect = average_precision(identity(), (np.eye(2)[np.arange(60) % 2], np.arange(60) % 2))
    assert perfect.value == 1
    assert (perfect > 0.99).status == "INCONCLUSIVE"


@pytest.mark.parametrize("given", [{"order": np.arange(500)}, {"groups": np.arange(500) // 5}])
@pytest.mark.parametrize("measure", [average_precision, calibration_error, brier])
def test_rows_that_depend_on_each_other(measure, given):
    p, y = calibrated()
    free, bound = measure(identity(), (p, y)), measure(identity(), as_data(p, y, **given))
    assert bound.value == pytest.approx(free.value)
    assert bound.method != free.method
    assert 0 <= bound.lower <= bound.value <= bound.upper


def test_few_groups_prove_nothing():
    p, y = calibrated(90)
    m = calibration_error(identity(), as_data(p, y, groups=np.arange(90) // 30))
    assert (m.lower, m.upper) == (0.0, 1.0)


def test_many_rows_take_the_closed_form():
    p, y = calibrated(30_000)
    m = log_loss(identity(), (p, y))
    assert m.method == "abc"
    losses = -np.log(p[np.arange(len(y)), y])
    error = losses.std(ddof=1) / np.sqrt(len(y))
    assert (m.lower, m.upper) == pytest.approx((m.value - 1.645 * error, m.value + 1.645 * error), abs=0.1 * error)


def test_what_is_refused():
    p, y = calibrated(60)
    labels = as_model(lambda x: x.argmax(axis=1), name="l")
    for measure in (brier, calibration_error, average_precision):
        with pytest.raises(InvalidInput, match="gives labels only"):
            measure(labels, (p, y))
    with pytest.raises(InvalidInput, match=r"average_precision needs rows of each class; data has none of \[2\] of m"):
        average_precision(identity(), (p, np.minimum(y, 1)))
    several = as_model(lambda x: (x > 0.3).astype(float), name="s", task="multilabel")
    for measure in (brier, calibration_error):
        with pytest.raises(InvalidInput, match="s gives labels only"):
            measure(several, (p, np.eye(3)[y]))


def test_average_precision_of_several_labels():
    rng = np.random.default_rng(0)
    y, p = rng.integers(0, 2, (90, 3)), rng.random((90, 3))
    m = average_precision(identity(task="multilabel"), (p, y))
    assert m.value == pytest.approx(sk.average_precision_score(y, p))


def test_log_loss_lists_confident_mistakes():
    p, y = calibrated(400, sharpen=3.0)
    parts = log_loss(identity(), (p, y)).evidence
    wrong = p.argmax(axis=1) != y
    (rows,) = (part for part in parts if isinstance(part, Rows) and part.what.startswith("mistakes"))
    assert rows.total == wrong.sum()
    assert set(rows.ids) <= set(np.flatnonzero(wrong))
    (finding,) = (part for part in parts if isinstance(part, Finding))
    assert finding.text.startswith(f"{(p.max(axis=1)[wrong] >= 0.9).sum()} of {wrong.sum()} mistakes are confident")


def test_confident_mistakes_have_the_scores_that_the_model_gives():
    # Rows sum to 1.03: log-loss divides by it, the evidence does not, so that a row is found again by its score.
    p, y = np.array([[0.93, 0.05, 0.05]] * 20 + [[0.05, 0.92, 0.06]] * 20), np.ones(40, dtype=int)
    found = classification_metrics(identity(), (p, y))
    for m in (log_loss(identity(), (p, y)), found["accuracy"]):
        (finding,) = (part for part in m.evidence if isinstance(part, Finding) and "confident" in part.text)
        assert finding.text.endswith("at 0.93")
        (shown,) = (part for part in m.evidence if isinstance(part, Figure) and part.title.startswith("Score of"))
        assert set(next(c for c in shown.columns if c.name == "x").values) == {0.93, 0.92}
    assert log_loss(identity(), (p, y)).value == pytest.approx(-np.mean(np.log([0.05 / 1.03, 0.92 / 1.03])))
