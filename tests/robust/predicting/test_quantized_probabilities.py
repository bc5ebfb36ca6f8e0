"""Softmax outputs on a grid of 8 bits: they work as they are, and what they miss of a sum of 1 is told."""

import csv
import json

import numpy as np
import onnx
import pytest
from click.testing import CliRunner
from onnx import TensorProto, helper
from scipy.special import softmax
from sklearn import metrics as sk

from robust import planning
from robust.auditing.discovery import discover
from robust.cli import cli
from robust.data.live import as_data
from robust.errors import InvalidInput
from robust.evidence import Figure, Finding
from robust.measures.all_classification import classification_metrics
from robust.measures.classification import accuracy, auc, brier, f1, log_loss, precision
from robust.measures.score_quality import average_precision, calibration_error
from robust.metrics.calibration import calibration
from robust.models.conversion import as_model
from robust.operating.choosing import choose_threshold
from robust.operating.class_thresholds import class_tables
from robust.operating.f1_search import best_f1
from robust.operating.threshold_files import write_threshold_files
from robust.operating.threshold_rates import at_threshold
from robust.predicting.cache import ArrayCache
from robust.predicting.meaning import declared_sum_tolerance, told_miss
from robust.predicting.metering import metered
from robust.predicting.predictions import interpret, predict
from robust.predicting.settings import Settings, using
from robust.quantization.degradation_paired import degradation
from robust.record.codec import load


def coarse(n=400, k=3, seed=0, scale=1 / 256, sharp=1.5):
    """Probabilities as an int8 softmax gives them, each to the nearest multiple of the scale, and labels."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, k, n)
    p = softmax(rng.normal(size=(n, k)) + sharp * np.eye(k)[y], axis=1)
    return np.clip(np.round(p / scale), 0, round(1 / scale) - 1) * scale, y


def device(**options):
    return as_model(lambda x: x, name="int8", output="probabilities", **options)


def told(m):
    return [item.text for item in m.evidence if isinstance(item, Finding) and "probabilities of int8" in item.text]


# --- one tolerance, either way ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("sign", [-1, 1])
@pytest.mark.parametrize("k", [2, 3, 10])
def test_the_limit_is_the_same_above_and_below(k, sign):
    limit = 0.01 * k
    even = np.full((4, k), 1 / k)
    near, far = even * (1 + sign * 0.99 * limit), even * (1 + sign * 1.01 * limit)
    assert declared_sum_tolerance(k) == pytest.approx(limit)
    assert interpret(device(), near, None).gap == pytest.approx(0.99 * limit)
    with pytest.raises(InvalidInput, match=rf"miss a sum of 1 by .*; {limit:.3g} and 0.01 are allowed for {k} numbers"):
        interpret(device(), far, None)


@pytest.mark.parametrize("row", [[1.05, 0.0], [-0.05, 1.0], [0.6, 0.32], [0.68, 0.4]])
def test_the_same_miss_is_refused_however_it_comes_about(row):
    with pytest.raises(InvalidInput, match=r"0.02 and 0.01 are allowed for 2 numbers a row, either way"):
        interpret(device(), np.array([row, [0.5, 0.5]]), None)


@pytest.mark.parametrize("k", [2, 3, 10, 100, 1000])
@pytest.mark.parametrize("scale", [1 / 256, 1 / 127, 0.01])
def test_what_8_bits_or_two_decimals_do_is_taken(k, scale):
    p, _ = coarse(300, k, scale=scale, sharp=4.0)
    found = interpret(device(), p, None)
    assert found.gap == pytest.approx(np.abs(p.sum(axis=1) - 1).max())
    assert found.gap <= k * scale / 2 + scale + 1e-12
    np.testing.assert_array_equal(found.probabilities, p)


def test_independent_sigmoids_are_no_distribution():
    p = np.random.default_rng(0).random((50, 1000))  # sums near 500, which no rounding could make
    with pytest.raises(InvalidInput, match=r"1 and 0.01 are allowed for 1000 numbers a row"):
        interpret(device(), p, None)


def test_sums_of_float_arithmetic_are_left_alone():
    p = softmax(np.random.default_rng(0).normal(size=(500, 7)).astype(np.float32), axis=1).astype(np.float64)
    assert 0 < np.abs(p.sum(axis=1) - 1).max() < 1e-6
    found = interpret(device(), p, None)
    assert found.distribution is found.probabilities is found.outputs
    assert told(accuracy(device(), (p, p.argmax(axis=1)))) == []
    assert told_miss(1e-3, 1e-3, "classification") is None


# --- what is told ----------------------------------------------------------------------------------------------------


def test_every_measurement_says_so():
    p, y = coarse()
    gap = np.abs(p.sum(axis=1) - 1).max()
    wanted = f"probabilities of int8 on data: rows miss a sum of 1 by up to {gap:.3g}; log-loss and Brier score are of"
    measures = (accuracy, f1, precision, log_loss, brier, auc, average_precision, calibration_error)
    alone = [measure(device(), (p, y)) for measure in measures]
    together = list(classification_metrics(device(), (p, y)))
    rates = list(at_threshold(device(), (p, y), 0.5, positive=1))
    other = as_model(lambda x: x / x.sum(axis=1, keepdims=True), name="float", output="probabilities")
    for m in (*alone, *together, *rates, best_f1(device(), (p, y), positive=1), degradation(other, device(), (p, y))):
        (text,) = told(m)
        assert text.startswith(wanted), m.name
    assert told(accuracy(other, (p, y))) == []


def test_numbers_beyond_the_range_are_told():
    p = np.array([[1.004, 0.0], [0.5, 0.5], [-0.004, 1.0]])
    (text,) = told(accuracy(device(), (p, [0, 0, 1])))
    assert "rows miss a sum of 1 by up to 0.004 and numbers miss the range 0 … 1 by up to 0.004" in text
    several = as_model(lambda x: x, name="int8", task="multilabel", output="probabilities")
    (text,) = told(brier(several, (p, np.array([[1, 0], [1, 1], [0, 1]]))))
    assert text.endswith("numbers miss the range 0 … 1 by up to 0.004; log-loss and Brier score are of numbers cut to "
                         "0 … 1, all else is of the scores as they are")  # fmt: skip


def test_a_remark_is_told_once():
    p, y = coarse(50)
    with metered() as outer:
        data = as_data(p, y)
        predict(device(), data)
        with metered() as inner:
            predict(device(), data)
    assert len(outer.findings()) == len(inner.findings()) == 1


def identity_file(path):
    """An ONNX model that gives its rows back, as if they were what it had worked out."""
    shapes = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", 3]) for name in "xy"]
    graph = helper.make_graph([helper.make_node("Identity", ["x"], ["y"])], "g", shapes[:1], shapes[1:])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), path)
    return str(path)


def test_the_commands_show_it(tmp_path, monkeypatch):
    p, y = coarse(120)
    file, data = identity_file(tmp_path / "int8.onnx"), str(tmp_path / "rows.npz")
    np.savez(data, x=p.astype(np.float32), y=y)
    gap = np.abs(p.sum(axis=1) - 1).max()
    sentence = f"probabilities of int8.onnx on rows.npz: rows miss a sum of 1 by up to {gap:.3g}"
    out = tmp_path / "testing"
    run = CliRunner().invoke(cli, ["metrics", file, "--data", data, "--output", "probabilities", "--out", str(out)])
    assert run.exit_code == 0, run.output
    assert sentence in " ".join(run.output.split())
    assert any(sentence in text for text in json.loads((out / "test_results.json").read_text())["findings"])
    with (out / "fpr_tpr_thresholds.csv").open() as stream:
        listed = {float(row["threshold"]) for row in csv.DictReader(stream)}
    assert np.unique(p).tolist() == sorted(listed)[:-1]

    kept = tuple(check for check in discover() if check.name in ("accuracy", "brier"))
    monkeypatch.setattr(planning, "discover", lambda: kept)
    monkeypatch.chdir(tmp_path)
    run = CliRunner().invoke(cli, [
        "audit", "--candidate", file, "--data", data, "--output", "probabilities", "--out", "report", "--no-cache",
    ])  # fmt: skip
    assert run.exit_code == 0, run.output
    shown = " ".join(run.output.split())
    assert shown.count(sentence) == 1
    kinds = [item.__class__.__name__ for entry in load(tmp_path / "report" / "record.json").entries
             for item in entry.measurement.evidence if sentence in getattr(item, "text", "")]  # fmt: skip
    assert kinds == ["Finding", "Finding"]
    (page,) = (tmp_path / "report").glob("*.html")
    assert f"ows miss a sum of 1 by up to {gap:.3g}" in page.read_text()


# --- what is as the device gives it ----------------------------------------------------------------------------------


def test_thresholds_are_those_of_the_device():
    p, y = coarse()
    point = choose_threshold(device(), (p[:200], y[:200]), positive=1)
    assert point.threshold in p[:200, 1]
    rates = at_threshold(device(), (p[200:], y[200:]), point)
    detected = p[200:, 1] >= point.threshold
    assert rates.tpr.value == pytest.approx(sk.recall_score(y[200:] == 1, detected))
    assert rates.precision.value == pytest.approx(sk.precision_score(y[200:] == 1, detected))
    grid = best_f1(device(), (p, y), positive=1)
    assert grid.value == pytest.approx(sk.f1_score(y == 1, p[:, 1] >= grid.threshold))
    # Of a threshold between what the device gives and the same divided by the sums only the former is right.
    fixed = 127 / 256
    assert precision(device(), (p, y), label=1, threshold=fixed).value == pytest.approx(
        sk.precision_score(y == 1, p[:, 1] >= fixed)
    )


def test_threshold_files_hold_scores_of_the_device(tmp_path):
    p, y = coarse()
    tables = class_tables(device(), (p, y))
    for (label, table), column in zip(tables.tables, p.T, strict=True):
        np.testing.assert_array_equal(table.threshold[:-1], np.unique(column))
        fpr, tpr, _ = sk.roc_curve(y == label, column, drop_intermediate=False)
        np.testing.assert_allclose((table.fpr[::-1], table.tpr[::-1]), (fpr, tpr))
    write_threshold_files(tables, tmp_path)
    with (tmp_path / "fpr_tpr_thresholds.csv").open() as stream:
        listed = [float(row["threshold"]) for row in csv.DictReader(stream)]
    assert set(listed[:-1]) == set(np.unique(p))


def test_areas_are_of_the_scores_as_given():
    p, y = coarse()
    problems = [(y == c, p[:, c]) for c in range(3)]
    assert auc(device(), (p, y)).value == pytest.approx(np.mean([sk.roc_auc_score(*one) for one in problems]))
    assert average_precision(device(), (p, y)).value == pytest.approx(
        np.mean([sk.average_precision_score(*one) for one in problems])
    )
    scaled = p / p.sum(axis=1, keepdims=True)
    assert auc(device(), (p, y)).value != auc(device(), (scaled, y)).value


def test_histograms_and_calibration_are_of_the_scores_as_given():
    p, y = coarse()
    found = classification_metrics(device(), (p, y))
    (score,) = (part for part in found["accuracy"].evidence
                if isinstance(part, Figure) and part.title.startswith("Score of the predicted"))  # fmt: skip
    top = p.max(axis=1)
    np.testing.assert_allclose(np.unique(score.columns[0].values), np.unique(top), atol=1e-5)
    assert found["calibration_error"].value == pytest.approx(calibration(top, p.argmax(axis=1) == y).error())


def test_proper_scores_are_of_distributions():
    p, y = coarse()
    scaled = p / p.sum(axis=1, keepdims=True)
    together = classification_metrics(device(), (p, y))
    assert log_loss(device(), (p, y)).value == pytest.approx(sk.log_loss(y, scaled))
    assert brier(device(), (p, y)).value == pytest.approx(sk.brier_score_loss(y, scaled))
    assert together["log_loss"].value == pytest.approx(sk.log_loss(y, scaled))
    assert together["brier"].value == pytest.approx(sk.brier_score_loss(y, scaled))


def test_some_rows_are_what_they_are_among_all():
    """Whether rows are divided is the model's, not the rows', affair."""
    p, y = coarse(300)
    whole = brier(device(), (p, y)).row_values
    scaled = p / p.sum(axis=1, keepdims=True)
    exact = np.abs(p.sum(axis=1) - 1) < 1e-12
    assert 10 < exact.sum() < 290
    np.testing.assert_allclose(whole, ((scaled - np.eye(3)[y]) ** 2).sum(axis=1))


def test_a_row_of_zeros_has_no_distribution():
    """A thousand even classes are each below half a step of 8 bits."""
    p, y = coarse(50, 1000, sharp=9.0)
    p[7] = 0.0
    y[:] = np.arange(50) * 20
    with pytest.raises(InvalidInput, match=r"int8 gives every class 0 in 1 of 50 rows, first at position 7"):
        log_loss(device(), (p, y))
    found = classification_metrics(device(), (p, y))
    assert found["accuracy"].n == 50
    assert {"log_loss", "brier"} <= {name for name, _ in found.missing}
    assert "calibration_error" in found.measurements


def test_the_cache_holds_what_the_model_gave(tmp_path):
    from sklearn.linear_model import LogisticRegression

    p, y = coarse(60)
    estimator = LogisticRegression().fit(p, y)
    estimator.coef_ = np.round(estimator.coef_, 1)
    model = as_model(estimator)
    with using(Settings(cache=ArrayCache(folder=tmp_path))):
        first = predict(model, as_data(p, y))
        log_loss(model, (p, y))
        again = predict(model, as_data(p, y))
    with using(Settings(cache=ArrayCache(folder=tmp_path))):
        later = predict(model, as_data(p, y))
    np.testing.assert_array_equal(first.outputs, estimator.predict_proba(p))
    np.testing.assert_array_equal(again.outputs, first.outputs)
    np.testing.assert_array_equal(later.outputs, first.outputs)


@pytest.mark.parametrize("scale", [1 / 256, 1 / 255, 1 / 128])
def test_a_model_of_two_classes_beside_its_float_twin(scale):
    """The float model and its build agree on what a threshold does, up to the grid."""
    rng = np.random.default_rng(1)
    y = rng.integers(0, 2, 500)
    p = softmax(rng.normal(size=(500, 2)) + np.eye(2)[y], axis=1)
    grid = np.round(p / scale) * scale
    exact, rough = (at_threshold(device(), (scores, y), 0.5).tpr.value for scores in (p, grid))
    assert rough == pytest.approx(sk.recall_score(y, grid[:, 1] >= 0.5))
    assert abs(exact - rough) < 0.02
