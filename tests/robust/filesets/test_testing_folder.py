"""The `testing/` folder: exact names, contents that agree with scikit-learn, nothing left of earlier runs."""

import csv
import json
import math
import struct
from dataclasses import replace

import numpy as np
import pytest
from sklearn import metrics as sk

from robust import InvalidInput, as_data, as_model, load_data, load_model
from robust.filesets.testing_folder import write_testing
from robust.filesets.testing_options import AnomalyParts, RegressionParts, Testing

SCORES = as_model(lambda x: x, output="probabilities", task="classification")
#: Pictures are what takes time: left out where they are not the subject.
PLAIN = {"confusion_matrix": False, "roc_curve": False, "class_histograms": False}
QUIET = Testing(**PLAIN, error_analysis=False)
EXACT = {
    "confusion_matrix_test.png",
    "One_vs_Rest_MultiClass_ROC_test.png",
    "Histogram_Class_Score_differences_test.png",
    "fpr_tpr_thresholds.csv",
    "classification_report.txt",
    "error_samples",
    "test_results.json",
}


def probabilities(n, k, seed=0, skill=1.5):
    rng = np.random.default_rng(seed)
    y = np.r_[np.arange(k), rng.integers(0, k, n - k)]
    z = rng.normal(size=(n, k))
    z[np.arange(n), y] += skill
    p = np.exp(z)
    return p / p.sum(axis=1, keepdims=True), y


def size_of(path):
    content = path.read_bytes()
    assert content.startswith(b"\x89PNG\r\n\x1a\n")
    return struct.unpack(">II", content[16:24])


def results(folder):
    return json.loads((folder / "test_results.json").read_text(encoding="utf-8"))


def read_csv(path):
    with path.open(newline="") as stream:
        return list(csv.reader(stream))


@pytest.fixture(scope="module")
def three(tmp_path_factory):
    p, y = probabilities(300, 3)
    data = as_data(p, y, slices={"site": np.repeat(["a", "b"], 150)})
    folder = tmp_path_factory.mktemp("three") / "testing"
    return write_testing(SCORES, data, folder, train=probabilities(100, 3, seed=1)), p, y


def test_the_files_have_their_exact_names(three):
    done, _, _ = three
    names = {path.name for path in done.folder.iterdir()}
    assert names >= EXACT
    assert {f"fpr_tpr_thresholds_{i}_{i}.csv" for i in range(3)} <= names
    samples = sorted(path.name for path in (done.folder / "error_samples").iterdir())
    assert samples == [f"error_{i:03d}.csv" for i in range(1, len(samples) + 1)]
    assert samples
    assert {path.relative_to(done.folder).as_posix() for path in done.files} == set(results(done.folder)["files"])


def test_the_pictures_are_pictures_of_a_readable_size(three):
    done, _, _ = three
    for name in sorted(EXACT):
        if name.endswith(".png"):
            width, height = size_of(done.folder / name)
            assert 500 < width < 4000
            assert 300 < height < 4000


def test_thresholds_are_those_of_the_pooled_problem(three):
    done, p, y = three
    lines = (done.folder / "fpr_tpr_thresholds.csv").read_text().splitlines()
    assert lines[0] == "threshold,tpr,fpr,precision,recall,f1"
    truth = (y[:, None] == np.arange(3)).ravel()
    for line in lines[1::97]:
        t, tpr, fpr, precision, recall, f1 = map(float, line.split(","))
        assert math.isfinite(t)
        called = p.ravel() >= t
        assert recall == tpr == pytest.approx(sk.recall_score(truth, called))
        assert fpr == pytest.approx((called & ~truth).sum() / (~truth).sum())
        assert precision == pytest.approx(sk.precision_score(truth, called, zero_division=0))
        assert f1 == pytest.approx(sk.f1_score(truth, called, zero_division=0))


def test_the_report_is_that_of_scikit_learn(three):
    done, p, y = three
    text = (done.folder / "classification_report.txt").read_text(encoding="utf-8")
    assert text.startswith(sk.classification_report(y, p.argmax(axis=1)).rstrip("\n"))
    assert "accuracy 0." in text


def test_the_summary_agrees_with_scikit_learn_and_is_sorted(three):
    done, p, y = three
    found = results(done.folder)
    assert (found["format"], found["version"], found["task"]) == ("robust-testing", 1, "classification")
    assert found["confusion_matrix"]["counts"] == sk.confusion_matrix(y, p.argmax(axis=1)).tolist()
    assert found["metrics"]["accuracy"]["value"] == pytest.approx(sk.accuracy_score(y, p.argmax(axis=1)))
    for c, entry in enumerate(found["classes"]):
        assert entry["auc"] == pytest.approx(sk.roc_auc_score(y == c, p[:, c]))
        assert entry["support"] == int((y == c).sum())
    assert {"error_groups", "label_errors", "nearest_training_rows", "advice"} <= set(found)
    assert done.json == json.dumps(found, sort_keys=True, indent=2, ensure_ascii=False) + "\n"


def test_two_runs_write_the_same_bytes(tmp_path, three):
    done, p, y = three
    data = as_data(p, y, slices={"site": np.repeat(["a", "b"], 150)})
    again = write_testing(SCORES, data, tmp_path, train=probabilities(100, 3, seed=1))
    assert again.json == done.json
    for path in again.files:
        assert path.read_bytes() == (done.folder / path.relative_to(tmp_path)).read_bytes(), path.name


def test_two_classes_have_one_table_and_the_second_is_positive(tmp_path):
    p, y = probabilities(120, 2)
    write_testing(SCORES, (p, y), tmp_path, testing=replace(QUIET, roc_curve=True))
    assert [path.name for path in tmp_path.glob("fpr_tpr*")] == ["fpr_tpr_thresholds.csv"]
    rows = np.array(read_csv(tmp_path / "fpr_tpr_thresholds.csv")[1:], dtype=float)
    area = np.trapezoid(rows[::-1, 1], rows[::-1, 2])
    assert area == pytest.approx(sk.roc_auc_score(y, p[:, 1]))


@pytest.mark.parametrize("k", [2, 24])
def test_pictures_grow_with_the_classes(tmp_path, k):
    p, y = probabilities(400, k, skill=3.0)
    testing = Testing(error_analysis=False, class_histograms=False, roc_curve=False)
    write_testing(SCORES, (p, y), tmp_path, testing=testing)
    width, height = size_of(tmp_path / "confusion_matrix_test.png")
    # Each class has at least 28 units of height, at two pixels a unit.
    assert height >= 2 * 28 * k
    assert width >= 2 * 30 * k


def test_only_what_is_asked_for_is_written_and_the_rest_is_cleared_away(tmp_path):
    p, y = probabilities(60, 3)
    write_testing(SCORES, (p, y), tmp_path)
    (tmp_path / "notes.txt").write_text("mine")
    testing = Testing(roc_curve=False, class_histograms=False, error_analysis=False)
    write_testing(SCORES, (p, y), tmp_path, testing=testing)
    names = {path.name for path in tmp_path.glob("[!.]*") if path.is_file()}
    assert names == {"confusion_matrix_test.png", "classification_report.txt", "test_results.json", "notes.txt"}


def test_files_that_no_run_wrote_stay(tmp_path):
    p, y = probabilities(60, 3, skill=0.5)
    samples = tmp_path / "error_samples"
    samples.mkdir()
    own = {"report.html": "an audit", "regression_report.txt": "mine", "fpr_tpr_thresholds_7_owl.csv": "mine"}
    for name, content in own.items():
        (tmp_path / name).write_text(content)
    (samples / "error_900.csv").write_text("mine")
    quiet = Testing(**PLAIN)
    assert len(write_testing(SCORES, (p, y), tmp_path, testing=quiet).files) > 5
    assert (samples / "error_001.csv").exists()
    write_testing(SCORES, (p, y), tmp_path, testing=Testing(**PLAIN, save_errors=False))
    assert {name: (tmp_path / name).read_text() for name in own} == own
    assert [path.name for path in samples.iterdir()] == ["error_900.csv"]


@pytest.mark.parametrize(
    ("name", "testing"),
    [
        ("test_results.json", QUIET),
        ("classification_report.txt", QUIET),
        ("report.html", replace(QUIET, generate_report=True)),
        ("error_samples/error_002.csv", Testing(**PLAIN)),
        ("label_errors.csv", Testing(**PLAIN)),
        ("fpr_tpr_thresholds_1_1.csv", Testing(confusion_matrix=False, class_histograms=False, error_analysis=False)),
    ],
)
def test_a_file_of_somebody_else_is_not_written_over(tmp_path, name, testing):
    p, y = probabilities(60, 3, skill=0.5)
    other = tmp_path / name
    other.parent.mkdir(exist_ok=True)
    other.write_text("mine")
    with pytest.raises(InvalidInput, match=rf"holds '{name}', which no earlier run wrote"):
        write_testing(SCORES, (p, y), tmp_path, testing=testing)
    assert other.read_text() == "mine"
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [other]


def test_regression_and_anomaly_files_are_not_written_over(tmp_path):
    (tmp_path / "residuals_test.png").write_text("mine")
    with pytest.raises(InvalidInput, match=r"holds 'residuals_test\.png'"):
        write_testing(as_model(lambda x: x[:, 0], task="regression"), (np.ones((9, 1)), np.arange(9.0)), tmp_path)
    (tmp_path / "anomaly_report.txt").write_text("mine")
    with pytest.raises(InvalidInput, match=r"holds 'anomaly_report\.txt'"):
        write_testing(lambda x: x, (np.ones((9, 1)), np.arange(9) % 2), tmp_path, normal=np.ones((9, 1)))


def test_a_file_that_was_changed_since_is_somebodys(tmp_path):
    p, y = probabilities(60, 3)
    write_testing(SCORES, (p, y), tmp_path, testing=QUIET)
    write_testing(SCORES, (p, y), tmp_path, testing=QUIET)
    report = tmp_path / "classification_report.txt"
    report.write_text(report.read_text() + "checked by me")
    with pytest.raises(InvalidInput, match="somebody changed since"):
        write_testing(SCORES, (p, y), tmp_path, testing=QUIET)
    # One that this run does not write is left where it is.
    write_testing(as_model(lambda x: x[:, 0], task="regression"), (p, y * 1.0), tmp_path)
    assert report.read_text().endswith("checked by me")
    assert not (tmp_path / "fpr_tpr_thresholds.csv").exists()


def test_the_cap_of_error_samples(tmp_path):
    p, y = probabilities(200, 2, skill=0.0)
    write_testing(SCORES, (p, y), tmp_path, testing=Testing(**PLAIN, max_errors_per_class=3))
    assert len(list((tmp_path / "error_samples").iterdir())) == 6
    write_testing(SCORES, (p, y), tmp_path / "none", testing=Testing(**PLAIN, save_errors=False))
    assert not (tmp_path / "none" / "error_samples").exists()


def test_labels_alone_leave_out_what_needs_scores_and_say_so(tmp_path):
    done = write_testing(lambda x: (x[:, 0] > 0).astype(int), (np.array([[1.0], [-1.0]] * 10), [0, 1] * 10), tmp_path)
    assert {name for name, _ in done.skipped} >= {
        "One_vs_Rest_MultiClass_ROC_test.png",
        "fpr_tpr_thresholds.csv",
        "Histogram_Class_Score_differences_test.png",
        "label_errors.csv",
    }
    assert all("labels only" in reason for name, reason in done.skipped if name.endswith(("ROC_test.png", "ds.csv")))
    assert results(tmp_path)["not_written"] == dict(done.skipped)


def test_a_quantized_model_is_compared_in_percentage_points(tmp_path):
    p, y = probabilities(500, 3)
    worse = p.copy()
    worse[:20] = np.roll(worse[:20], 1, axis=1)
    worse_model = as_model(lambda x: x[:, 3:], output="probabilities", task="classification", name="int8")
    float_model = as_model(lambda x: x[:, :3], output="probabilities", task="classification", name="float")
    write_testing(worse_model, (np.hstack([p, worse]), y), tmp_path, testing=QUIET, reference=float_model)
    a, b = sk.accuracy_score(y, p.argmax(1)), sk.accuracy_score(y, worse.argmax(1))
    f, g = (sk.f1_score(y, part.argmax(1), average="macro") for part in (p, worse))
    lines = (tmp_path / "float_vs_quantized.txt").read_text(encoding="utf-8").splitlines()
    assert lines[:7] == [
        "Float Model:",
        f"  Accuracy: {100 * a:.1f}%",
        f"  F1-Score: {f:.3f}",
        "Candidate Model:",
        f"  Accuracy: {100 * b:.1f}%",
        f"  F1-Score: {g:.3f}",
        f"Degradation: {100 * (a - b):.1f}%",
    ]
    assert results(tmp_path)["comparison"]["degradation"]["value"] == pytest.approx(a - b)


@pytest.mark.parametrize(
    ("candidate", "title"),
    [("int8.onnx", "INT8 Quantized Model:"), ("other.onnx", "Candidate Model (no quantized weights):")],
)
def test_only_quantized_weights_are_called_so(tmp_path, candidate, title):
    from robust.examples.catalogue import example_path

    digits = example_path("digits")
    full = load_model(digits / "float.onnx")
    (tmp_path / "other.onnx").write_bytes((digits / "float.onnx").read_bytes())
    judged = load_model((tmp_path if candidate == "other.onnx" else digits) / candidate)
    data = load_data(digits / "test.npz").rows(np.arange(60))
    write_testing(judged, data, tmp_path / "out", testing=QUIET, reference=full)
    lines = (tmp_path / "out" / "float_vs_quantized.txt").read_text().splitlines()
    assert (lines[0], lines[3]) == ("Float32 Model:", title)


@pytest.mark.parametrize(
    ("testing", "reference", "match"),
    [
        (Testing(enable=False), None, "not enabled"),
        (Testing(compare_results=True), None, "compare_results needs the float model"),
        (Testing(compare_results=True, test_float=False), SCORES, "needs both test_float and test_quantized"),
        (Testing(test_float=False, test_quantized=False), SCORES, "both off"),
    ],
)
def test_options_that_contradict_each_other_are_refused(tmp_path, testing, reference, match):
    with pytest.raises(InvalidInput, match=match):
        write_testing(SCORES, probabilities(30, 2), tmp_path, testing=testing, reference=reference)


def test_either_model_may_be_judged_alone(tmp_path):
    p, y = probabilities(60, 2)
    float_model = as_model(lambda x: x, output="probabilities", name="float")
    quantized = as_model(lambda x: x[:, ::-1], output="probabilities", name="int8")
    for one, name in (("test_quantized", "float"), ("test_float", "int8")):
        testing = replace(QUIET, **{one: False})
        write_testing(quantized, (p, y), tmp_path, testing=testing, reference=float_model)
        found = results(tmp_path)
        assert found["model"]["name"] == name
        assert "comparison" not in found


def test_an_operating_point_comes_from_validation_rows(tmp_path):
    p, y = probabilities(200, 2)
    done = write_testing(SCORES, (p, y), tmp_path, testing=QUIET, validation=probabilities(150, 2, seed=5))
    point = results(tmp_path)["operating_point"]
    called = p[:, 1] >= point["threshold"]
    assert point["reached"]["tpr"]["value"] == pytest.approx(sk.recall_score(y, called))
    assert "operating point" in done.text
    same = write_testing(SCORES, (p, y), tmp_path, testing=QUIET, validation=(p, y))
    assert "among those of" in same.text
    three, held_out = probabilities(60, 3), probabilities(60, 3, seed=2)
    several = write_testing(SCORES, three, tmp_path, testing=QUIET, validation=held_out)
    assert "name the one that is detected" in dict(several.skipped)["operating point"]


def test_several_labels_a_row(tmp_path):
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, (80, 3))
    p = np.clip(0.5 + 0.3 * (y - 0.5) + rng.normal(size=y.shape) * 0.3, 0, 1)
    model = as_model(lambda x: x, task="multilabel", output="probabilities", classes=("rain", "wind", "fog"))
    done = write_testing(model, (p, y), tmp_path)
    assert (tmp_path / "fpr_tpr_thresholds_1_wind.csv").is_file()
    assert "confusion_matrix_test.png" in dict(done.skipped)
    assert results(tmp_path)["task"] == "multilabel"


def test_regression(tmp_path):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(80, 1))
    y = x[:, 0] + rng.normal(size=80) * 0.2
    model = as_model(lambda x: x[:, 0], task="regression")
    done = write_testing(model, (x, y), tmp_path)
    assert {path.name for path in tmp_path.glob("[!.]*")} == {
        "actual_vs_predicted_test.png", "residuals_test.png", "regression_report.txt", "test_results.json",
    }  # fmt: skip
    lines = done.text.splitlines()
    assert lines[0] == f"Mean Squared Error (MSE): {sk.mean_squared_error(y, x[:, 0]):.6g}"
    assert lines[1] == f"Mean Absolute Error (MAE): {sk.mean_absolute_error(y, x[:, 0]):.6g}"
    assert lines[2] == f"R² Score: {sk.r2_score(y, x[:, 0]):.6g}"
    assert lines[3] == f"Max Error: {sk.max_error(y, x[:, 0]):.6g}"
    parts = RegressionParts(mse=False, scatter_plot=False)
    part = write_testing(model, (x, y), tmp_path, testing=Testing(regression_metrics=parts))
    assert part.text.startswith("Mean Absolute")
    assert not list(tmp_path.glob("*.png"))
    constant = write_testing(model, (x, np.ones(80)), tmp_path)
    assert "R² Score: undefined" in constant.text


def test_regression_with_several_outputs_shows_each(tmp_path):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(80, 2))
    y = x + rng.normal(size=(80, 2)) * [0.01, 2.0]
    done = write_testing(as_model(lambda x: x, task="regression"), (x, y), tmp_path)
    lines = (tmp_path / "regression_report.txt").read_text(encoding="utf-8").splitlines()
    for j, held in enumerate(results(tmp_path)["outputs"]):
        own = {
            "mse": sk.mean_squared_error(y[:, j], x[:, j]),
            "mae": sk.mean_absolute_error(y[:, j], x[:, j]),
            "r2": sk.r2_score(y[:, j], x[:, j]),
            "max_error": sk.max_error(y[:, j], x[:, j]),
        }
        assert held["output"] == j + 1
        assert {name: held["metrics"][name] for name in own} == pytest.approx(own)
        assert f"output {j + 1} of 2: " + ", ".join(f"{name} {value:.6g}" for name, value in own.items()) in lines
    assert "output 2 of 2" in done.text
    write_testing(as_model(lambda x: x[:, 0], task="regression"), (x, y[:, 0]), tmp_path)
    assert "outputs" not in results(tmp_path)


def test_what_has_no_part_in_a_test_is_told(tmp_path):
    rng = np.random.default_rng(0)
    x, site = rng.normal(size=(80, 1)), np.repeat(["a", "b"], 40)
    model = as_model(lambda x: x[:, 0], task="regression")
    y = x[:, 0] + 0.1 * rng.normal(size=80)
    done = write_testing(model, as_data(x, y, slices={"site": site}), tmp_path, train=(x, y), validation=(x, y))
    told = dict(done.skipped)
    assert set(told) == {"nearest_training_rows.csv", "operating point", "error_groups_test.png"}
    assert told["operating point"] == (
        "validation rows are for a threshold on the score of a class, and this is a regression model"
    )
    assert results(tmp_path)["not_written"] == told
    odd = (np.arange(80) % 4 == 0).astype(int)
    two = np.hstack([x, x])
    given = {"train": (two, y), "validation": (two, odd), "reference": model}
    done = write_testing(lambda x: 0 * x, (two + 9 * odd[:, None], odd), tmp_path, normal=two[:60] * 0.9, **given)
    told = dict(done.skipped)
    assert set(told) == {"nearest_training_rows.csv", "operating point", "float_vs_quantized.txt"}
    assert all(why.endswith("and this is an anomaly detector") for why in told.values())
    nothing = write_testing(model, (x, y), tmp_path)
    assert nothing.skipped == ()


def test_a_positive_class_needs_validation_rows(tmp_path):
    with pytest.raises(InvalidInput, match="positive got 1, the class of a threshold, which validation rows choose"):
        write_testing(SCORES, probabilities(40, 2), tmp_path, positive=1)


def test_anomaly_detection(tmp_path):
    rng = np.random.default_rng(0)
    held_out, test = rng.normal(size=(200, 2)), rng.normal(size=(100, 2))
    test[:40] += 4
    y = np.r_[np.ones(40, int), np.zeros(60, int)]
    done = write_testing(lambda x: 0.5 * x, (test, y), tmp_path, normal=held_out)
    assert {"anomaly_scores_test.png", "anomaly_report.txt", "fpr_tpr_thresholds.csv", "anomaly_ROC_test.png"} <= {
        path.name for path in done.files
    }
    error = ((0.5 * test) ** 2).mean(axis=1)
    assert done.text.startswith(f"Normal Data:\n  Mean reconstruction error: {error[40:].mean():.4g}")
    assert (tmp_path / "fpr_tpr_thresholds.csv").read_text().startswith("threshold,tpr,fpr,precision,recall,f1\n")
    assert results(tmp_path)["task"] == "anomaly detection"
    parts = AnomalyParts(reconstruction_error=False)
    part = write_testing(
        lambda x: 0.5 * x, (test, y), tmp_path, normal=held_out, testing=Testing(anomaly_metrics=parts)
    )
    assert part.text.startswith("Recommended threshold:")
    assert not (tmp_path / "anomaly_scores_test.png").exists()


def test_a_folder_that_is_a_file_is_refused(tmp_path):
    (tmp_path / "testing").write_text("")
    with pytest.raises(InvalidInput, match="cannot be written to"):
        write_testing(SCORES, probabilities(30, 2), tmp_path / "testing")
