"""All metrics at once are the metrics one by one."""

import numpy as np
import pytest

from robust import as_model, degradation
from robust.data.live import as_data
from robust.errors import InvalidInput
from robust.evidence import Figure, Finding, Rows, Slices
from robust.measures.all_classification import classification_metrics
from robust.measures.classification import accuracy, auc, brier, f1, log_loss, precision, recall
from robust.measures.score_quality import average_precision, calibration_error

SINGLE = [accuracy, precision, recall, f1, log_loss, brier, calibration_error, auc, average_precision]


def drawn(n=240, k=3, seed=0):
    rng = np.random.default_rng(seed)
    y = np.r_[np.arange(k), rng.integers(0, k, n - k)]
    p = np.exp(2 * rng.normal(size=(n, k)) + 2 * np.eye(k)[y])
    return p / p.sum(axis=1, keepdims=True), y


def identity(**options):
    return as_model(lambda x: x, name="m", output="probabilities", **options)


@pytest.mark.parametrize("k", [2, 3])
@pytest.mark.parametrize("given", [{}, {"order": np.arange(240)}, {"groups": np.arange(240) // 4}])
def test_at_once_is_one_by_one(k, given):
    p, y = drawn(k=k)
    data = as_data(p, y, **given)
    found = classification_metrics(identity(), data, seed=3)
    for measure in SINGLE:
        one, other = measure(identity(), data, seed=3), found[measure.__name__]
        for field in ("value", "lower", "upper", "method", "n", "unit", "higher_is_better", "name"):
            assert getattr(one, field) == getattr(other, field), (measure.__name__, field)
    assert found["f1_weighted"].value == f1(identity(), data, average="weighted").value
    assert found.missing == ()
    assert found["accuracy"].provenance.cost.forward_rows == 240


def test_evidence():
    p, y = drawn()
    found = classification_metrics(identity(), (p, y))
    parts = found["accuracy"].evidence
    titles = {part.title for part in parts if isinstance(part, Figure)}
    assert titles == {
        "Confusion matrix",
        "Score of the predicted class",
        "Lead of the predicted class over the second",
    }
    wrong = p.argmax(axis=1) != y
    rows = next(part for part in parts if isinstance(part, Rows) and part.what.startswith("mistakes"))
    assert rows.total == wrong.sum()
    assert rows.values == pytest.approx(np.sort(p.max(axis=1)[wrong])[::-1][:10], abs=1e-4)
    sure = int((p.max(axis=1)[wrong] >= 0.9).sum())
    assert sure > 0
    texts = [part.text for part in parts if isinstance(part, Finding)]
    assert any(text.startswith(f"{sure} of {wrong.sum()} mistakes are confident") for text in texts)
    (areas,) = (part for part in found["auc"].evidence if isinstance(part, Slices))
    assert np.mean([part.value for part in areas.slices]) == pytest.approx(found["auc"].value)
    for name in ("auc", "average_precision"):
        (curve,) = (part for part in found[name].evidence if isinstance(part, Figure))
        numbers = [value for series in curve.columns if series.name != "series" for value in series.values]
        assert np.isfinite(numbers).all()  # no infinite threshold finds its way in
        assert min(numbers) >= 0
        assert max(numbers) <= 1


def test_labels_alone():
    p, y = drawn()
    found = classification_metrics(as_model(lambda x: x.argmax(axis=1), name="l"), (p, y))
    assert [m.name for m in found] == ["accuracy", "precision", "recall", "f1", "f1_weighted"]
    assert len(found.missing) == 5
    with pytest.raises(InvalidInput, match="auc was not measured: l gives labels only"):
        found["auc"]


def test_several_labels():
    rng = np.random.default_rng(0)
    y, p = rng.integers(0, 2, (90, 3)), rng.random((90, 3))
    model = identity(task="multilabel")
    found = classification_metrics(model, (p, y))
    assert found.missing == ()
    for measure in (accuracy, precision, recall, f1, log_loss, brier, calibration_error, auc, average_precision):
        one = measure(model, (p, y))
        assert (one.value, one.lower, one.upper) == pytest.approx(
            (found[one.name].value, found[one.name].lower, found[one.name].upper)
        )
    assert "micro avg" in found.text
    assert "samples avg" in found.text


def test_a_class_without_rows_is_named():
    p, y = drawn()
    found = classification_metrics(identity(classes=["a", "b", "c"]), (p, np.array(["a", "b"])[np.minimum(y, 1)]))
    assert found.missing[0] == ("auc", "no rows of ['c'], or none of others")
    assert {m.name for m in found} & {"auc", "average_precision"} == set()


@pytest.mark.parametrize("metric", ["precision", "recall", "brier"])
def test_two_models_are_compared_by_them(metric):
    p, y = drawn(400)
    worse = as_model(lambda x: 0.3 * x + 0.7 * x[:, [1, 2, 0]], name="w", output="probabilities")
    assert (degradation(identity(), worse, (p, y), metric=metric) < 0.01).status == "FAIL"
    assert degradation(identity(), identity(), (p, y), metric=metric).value == 0


@pytest.mark.parametrize("metric", ["average_precision", "calibration_error"])
def test_two_models_are_not_compared_by_what_has_no_paired_bound(metric):
    with pytest.raises(InvalidInput, match=f"no valid bound is known for the change of {metric}"):
        degradation(identity(), identity(), drawn(), metric=metric)


def test_many_rows_agree_with_few():
    # The closed forms of many rows and the resampling of few tell the same of the same rows, told often.
    p, y = drawn(6000, seed=1)
    few = classification_metrics(identity(), (p, y))
    many = classification_metrics(identity(), (np.tile(p, (4, 1)), np.tile(y, 4)))
    for name in ("log_loss", "brier", "f1", "auc", "average_precision"):
        one, other = few[name], many[name]
        assert other.value == pytest.approx(one.value, rel=1e-12)
        assert other.upper - other.lower == pytest.approx((one.upper - one.lower) / 2, rel=0.08)
    assert many["log_loss"].method == "abc"


@pytest.mark.parametrize("level", [0.5, 1.0, 95])
def test_level_is_checked(level):
    with pytest.raises(InvalidInput, match="level got"):
        classification_metrics(identity(), drawn(), level=level)
