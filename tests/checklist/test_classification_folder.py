"""T3 to T8: the files of a classifier's test, and the published examples of their content."""

import csv
import json

import numpy as np
import pytest

from robust import accuracy, at_threshold, auc, choose_threshold, classification_metrics, load_runner
from robust.evidence import Figure, Finding, Rows, Slices
from robust.filesets.testing_folder import write_testing
from robust.filesets.testing_options import Testing

#: The table of thresholds of the published guide.
PUBLISHED = """threshold,tpr,fpr,precision,recall,f1
0.1,0.99,0.15,0.87,0.99,0.93
0.3,0.97,0.08,0.92,0.97,0.94
0.5,0.95,0.03,0.97,0.95,0.96
0.7,0.90,0.01,0.99,0.90,0.94
0.9,0.80,0.00,1.00,0.80,0.89"""
#: Of 1000 rows each, how many positive and negative ones reach 0.1, 0.3, 0.5, 0.7 and 0.9.
REACHED = ([990, 970, 950, 900, 800], [150, 84, 30, 10, 0])

#: Without pictures, which take most of the time.
TEXTS = Testing(confusion_matrix=False, roc_curve=False, class_histograms=False)


def items(measurement, kind):
    return [item for item in measurement.evidence if isinstance(item, kind)]


@pytest.fixture
def published(replay, rows):
    """A detector that reaches the published rates, and its rows."""
    scores, truth = [], []
    for label, counts in zip((1, 0), REACHED, strict=True):
        steps = np.diff([0, *counts[::-1], 1000])
        scores += np.repeat([0.9, 0.7, 0.5, 0.3, 0.1, 0.05], steps).tolist()
        truth += [label] * 1000
    return replay(scores, output="probabilities", classes=("normal", "fault")), (
        rows(2000),
        np.where(np.array(truth) == 1, "fault", "normal"),
    )


def test_T03_output_folder_has_the_exact_names(classifier, folder, run):
    rng = np.random.default_rng(0)
    path, x, y = classifier(folder / "net.onnx"), rng.normal(size=(60, 6)).astype(np.float32), rng.integers(0, 4, 60)
    np.savez("test.npz", x=x, y=y)
    code, text = run("metrics", path, "--data", "test.npz", "--output", "probabilities")
    assert code == 0
    place = folder / "testing"
    names = {file.relative_to(place).as_posix() for file in place.rglob("[!.]*")}
    assert names >= {
        "confusion_matrix_test.png",
        "One_vs_Rest_MultiClass_ROC_test.png",
        "Histogram_Class_Score_differences_test.png",
        "fpr_tpr_thresholds.csv",
        "classification_report.txt",
        "error_samples/error_001.csv",
        "error_samples/error_002.csv",
        "test_results.json",
    }
    assert all(file.read_bytes().startswith(b"\x89PNG") for file in place.glob("*.png"))
    results = json.loads((place / "test_results.json").read_text())
    (scores,), _ = load_runner(path).run([x])
    assert results["metrics"]["accuracy"]["value"] == pytest.approx(np.mean(scores.argmax(axis=1) == y))
    assert set(results["files"]) == names - {"error_samples"}
    assert f"({len(results['files'])} files, summary in test_results.json)" in text


def test_T04_confusion_matrix_has_actual_rows_and_names_the_asymmetry(from_counts, folder):
    counts = [[80, 20, 0], [1, 99, 0], [0, 0, 50]]
    model, data = from_counts(counts, ("A", "B", "C"))
    write_testing(model, data, folder, testing=TEXTS)
    matrix = json.loads((folder / "test_results.json").read_text())["confusion_matrix"]
    assert (matrix["rows"], matrix["columns"]) == ("actual", "predicted")
    assert matrix["counts"] == counts
    assert np.sum(matrix["counts"], axis=1).tolist() == [100, 100, 50]  # rows of each class
    (finding,) = [item.text for item in items(accuracy(model, data), Finding) if "taken for" in item.text][:1]
    assert finding.startswith("A is taken for B 20 times (0.2 of its rows), B for A 1 times")
    text = (folder / "classification_report.txt").read_text()
    assert finding in text


def test_T04_the_published_matrix_shows_no_asymmetry(from_counts):
    counts = [[95, 3, 2], [1, 97, 2], [2, 1, 97]]
    model, data = from_counts(counts, ("A", "B", "C"))
    found = accuracy(model, data)
    assert found.value == pytest.approx(289 / 300)
    assert not [item for item in items(found, Finding) if "is taken for" in item.text]  # 3 against 1 proves nothing


def test_T05_roc_is_one_against_the_rest_with_an_area_a_class(replay, rows):
    from sklearn.metrics import roc_auc_score, roc_curve

    rng = np.random.default_rng(0)
    y = rng.integers(0, 3, 300)
    scores = rng.dirichlet([1, 1, 1], 300) + 0.4 * np.eye(3)[y]
    scores /= scores.sum(axis=1, keepdims=True)
    model, data = replay(scores, output="probabilities"), (rows(300), y)
    found = auc(model, data)
    expected = [roc_auc_score(y == c, scores[:, c]) for c in range(3)]
    assert found.value == pytest.approx(np.mean(expected))
    (table,) = items(found, Slices)
    assert {part.name: part.value for part in table.slices} == pytest.approx(dict(zip("012", expected, strict=True)))
    assert [figure.kind for figure in items(found, Figure)] == ["line"]
    point = choose_threshold(model, (rows(150), y[:150]), positive=1, maximize="youden")
    fpr, tpr, thresholds = roc_curve(y[:150] == 1, scores[:150, 1], drop_intermediate=False)
    assert point.tpr - point.fpr == pytest.approx(np.max(tpr - fpr))
    assert point.threshold in thresholds


@pytest.mark.parametrize(("order", "area"), [([0.1, 0.2, 0.8, 0.9], 1.0), ([0.5, 0.5, 0.5, 0.5], 0.5)])
def test_T05_area_of_perfect_and_of_chance(replay, rows, order, area):
    assert auc(replay(order, output="probabilities"), (rows(4), [0, 0, 1, 1])).value == area


def test_T06_histograms_part_right_from_wrong_and_flag_confident_mistakes(replay, rows, folder):
    top = np.array([0.95, 0.9, 0.85, 0.99, 0.6])  # the last two are wrong, the first of them confidently
    scores = np.column_stack([top, 1 - top])
    model = replay(scores, output="probabilities", classes=("A", "B"))
    data = (rows(5), ["A", "A", "A", "B", "B"])
    found = classification_metrics(model, data)["accuracy"]
    assert [item.text for item in items(found, Finding) if "confident" in item.text] == [
        "1 of 2 mistakes are confident, with a score of 0.9 or more: the surest is row 3, B taken for A at 0.99"
    ]
    mistakes = next(item for item in items(found, Rows) if "highest score" in item.what)
    assert (mistakes.ids, mistakes.values) == ((3, 4), (0.99, 0.6))
    histograms = [item for item in items(found, Figure) if item.kind == "histogram"]
    difference = next(item for item in histograms if item.x_title == "score difference")
    columns = {column.name: column for column in difference.columns}
    drawn = sorted(zip(columns["series"].values, columns["x"].values, strict=True))
    assert drawn == [
        (word, pytest.approx(value))
        for word, value in sorted([("right", 0.9), ("right", 0.8), ("right", 0.7), ("wrong", 0.98), ("wrong", 0.2)])
    ]
    write_testing(model, data, folder)
    assert (folder / "Histogram_Class_Score_differences_test.png").stat().st_size > 1000


def test_T07_threshold_table_repeats_the_published_rows(published, folder):
    write_testing(*published, folder)
    text = (folder / "fpr_tpr_thresholds.csv").read_text()
    assert text.splitlines()[0] == PUBLISHED.splitlines()[0]
    found = {float(row["threshold"]): row for row in csv.DictReader(text.splitlines())}
    for row in csv.DictReader(PUBLISHED.splitlines()):
        ours = found[float(row["threshold"])]
        assert {key: f"{float(ours[key]):.2f}" for key in row if key != "threshold"} == {
            key: value for key, value in row.items() if key != "threshold"
        }
        assert ours["recall"] == ours["tpr"]
        p, r = float(row["precision"]), float(row["recall"])
        assert f"{2 * p * r / (p + r):.2f}" == row["f1"]  # the published rows agree with themselves
    assert "inf" not in text


def test_T07_a_threshold_is_chosen_by_priority(published):
    model, data = published
    assert choose_threshold(model, data, maximize="tpr", max_fpr=0.03).threshold == 0.5
    assert choose_threshold(model, data, maximize="specificity", min_tpr=0.9).threshold == 0.7
    rates = at_threshold(model, data, 0.7)
    assert (rates.tpr.value, rates.fpr.value) == (0.9, 0.01)


#: Counts that round to the published table of precision, recall, F1 and support.
REPORTED = [[482, 8, 10], [6, 467, 7], [6, 18, 496]]


def test_T08_classification_report_has_the_published_rows(from_counts, folder):
    model, data = from_counts(REPORTED, ("Normal", "Fault_A", "Fault_B"))
    write_testing(model, data, folder, testing=TEXTS)
    lines = [line.split() for line in (folder / "classification_report.txt").read_text().splitlines()]
    assert lines[0] == ["precision", "recall", "f1-score", "support"]
    for row in (
        ["Normal", "0.98", "0.96", "0.97", "500"],
        ["Fault_A", "0.95", "0.97", "0.96", "480"],
        ["Fault_B", "0.97", "0.95", "0.96", "520"],
        ["accuracy", "0.96", "1500"],
        ["macro", "avg", "0.96", "0.96", "0.96", "1500"],
        ["weighted", "avg", "0.96", "0.96", "0.96", "1500"],
    ):
        assert row in lines


def test_T08_the_published_averages_of_precision_contradict_each_other():
    published, support = np.array([0.98, 0.95, 0.97]), np.array([500, 480, 520])
    # Printed are 0.97 (macro) and 0.96 (weighted); of the rounded column both are 0.967 …
    assert published.mean() == pytest.approx(0.9667, abs=1e-4)
    assert published @ support / support.sum() == pytest.approx(0.9669, abs=1e-4)
    # … and of counts behind that column both are 0.963: no model has 0.97 and 0.96.
    counts = np.array(REPORTED)
    exact = np.diag(counts) / counts.sum(axis=0)
    assert exact.round(2).tolist() == published.tolist()
    assert (exact.mean().round(3), (exact @ support / support.sum()).round(3)) == (0.963, 0.964)


def test_T08_every_average_is_scikit_learns(replay, rows):
    from sklearn.metrics import classification_report

    rng = np.random.default_rng(1)
    y, said = rng.integers(0, 4, 200), rng.integers(0, 4, 200)
    found = classification_metrics(replay(said), (rows(200), y))
    assert found.text == classification_report(y, said)
