"""T10 to T14 and T16: quantized against float, regression, anomalies, own scripts, reports, advice."""

import json

import numpy as np
import pytest
from pypdf import PdfReader

from robust import InvalidInput, accuracy, anomaly_detection, as_data, as_runner, degradation, load_data, load_model
from robust.errors import UntrustedFile
from robust.filesets.advising import advice
from robust.filesets.testing_folder import write_testing
from robust.filesets.testing_reader import parse_testing

#: Without pictures, which take most of the time.
NO_PICTURES = {"analysis": {"confusion_matrix": False, "roc_curve": False, "class_histograms": False}}

#: What a report says, whatever its format; MACC and parameters are those of the model's one layer of 6 × 4.
REPORTED = (
    "Model summary",
    "parameters 24",
    "MatMul",
    "Training curves",
    "no history of its training",
    "Test metrics",
    "accuracy",
    "Recommendations",
    "larger model",
)
PICTURES = ("confusion_matrix_test", "One_vs_Rest_MultiClass_ROC_test")


@pytest.fixture
def builds(replay, rows):
    """A float model and an int8 one with the published accuracies 99.2 % and 98.8 %, on 1000 rows of two classes."""
    y = np.arange(1000) % 2
    said = [np.where(np.arange(1000) < wrong, 1 - y, y) for wrong in (8, 12)]
    return *(replay(values) for values in said), (rows(1000), y)


def test_T10_float_and_quantized_models_are_compared_in_the_published_words(builds, folder, monkeypatch):
    full, int8, data = builds
    # Both replay their answers; how a file keeps its weights is read elsewhere.
    shares = {id(full): 0.0, id(int8): 1.0}
    monkeypatch.setattr("robust.filesets.testing_folder.quantized_coverage", lambda model, data: shares[id(model)])
    asked = parse_testing(NO_PICTURES | {"test_float": True, "test_quantized": True, "compare_results": True})
    write_testing(int8, data, folder, reference=full, testing=asked)
    lines = [line.strip() for line in (folder / "float_vs_quantized.txt").read_text().splitlines()]
    assert lines[:7] == [
        "Float32 Model:",
        "Accuracy: 99.2%",
        "F1-Score: 0.992",
        "INT8 Quantized Model:",
        "Accuracy: 98.8%",
        "F1-Score: 0.988",
        "Degradation: 0.4%",
    ]
    # Percentage points, float less quantized: positive is worse. The relative drop would be 0.403 %.
    assert degradation(full, int8, data).value == pytest.approx(0.004)
    assert degradation(int8, full, data).value == pytest.approx(-0.004)


def test_T10_each_of_the_two_can_be_left_out(builds, folder):
    full, int8, data = builds
    for word, expected in (("test_quantized", 0.992), ("test_float", 0.988)):
        write_testing(int8, data, folder, reference=full, testing=parse_testing(NO_PICTURES | {word: False}))
        results = json.loads((folder / "test_results.json").read_text())
        assert results["metrics"]["accuracy"]["value"] == expected
        assert "comparison" not in results
        assert not (folder / "float_vs_quantized.txt").exists()
    with pytest.raises(InvalidInput, match="compare_results needs the float model"):
        write_testing(int8, data, folder, testing=parse_testing({"compare_results": True}))


def test_T11_regression_metrics_and_their_switches(replay, rows, folder):
    rng = np.random.default_rng(0)
    y = rng.normal(size=200)
    said = y + rng.normal(size=200) / 7
    write_testing(replay(said), (rows(200), y), folder)
    error = y - said
    expected = {
        "Mean Squared Error (MSE)": np.mean(error**2),
        "Mean Absolute Error (MAE)": np.mean(np.abs(error)),
        "R² Score": 1 - np.mean(error**2) / np.var(y),
        "Max Error": np.abs(error).max(),
    }
    lines = (folder / "regression_report.txt").read_text().splitlines()[:4]
    assert [line.split(": ")[0] for line in lines] == list(expected)
    assert [float(line.split(": ")[1]) for line in lines] == pytest.approx(list(expected.values()), rel=1e-5)
    assert (folder / "actual_vs_predicted_test.png").is_file()
    asked = parse_testing({"regression_metrics": {"r2": False, "scatter_plot": False}})
    write_testing(replay(said), (rows(200), y), folder, testing=asked)
    assert "R² Score" not in (folder / "regression_report.txt").read_text()
    assert not (folder / "actual_vs_predicted_test.png").exists()


def test_T11_a_constant_offset_is_seen_by_r2(replay, rows, folder):
    y = np.arange(50.0)
    write_testing(replay(y + 100), (rows(50), y), folder)  # its correlation with y is 1
    line = (folder / "regression_report.txt").read_text().splitlines()[2]
    assert float(line.split(": ")[1]) == pytest.approx(1 - 100**2 / np.var(y), rel=1e-5)


def two_values(mean, std, n):
    """Numbers (n,) with this mean and standard deviation."""
    return np.where(np.arange(n) % 2, mean + std, mean - std)


@pytest.fixture
def detector():
    """Reconstruction errors with the published means, spreads and rates, to two decimals.

    To two decimals alone: where 5 % of errors are 0.10 above a mean of 0.05, their standard deviation is above 0.0218.
    """
    normal = np.r_[two_values(0.0452, 0.01, 954), np.full(46, 0.1502)]
    odd = np.r_[np.full(80, 0.1), two_values(0.3717, 0.1362, 920)]
    held_out = two_values(0.05, 0.02, 400)

    def signals(errors):
        return np.sqrt(np.column_stack([errors, errors]))  # two samples each, of which zeros are reconstructed

    return np.zeros_like, (signals(np.r_[normal, odd]), np.repeat([0, 1], 1000)), signals(held_out)


def test_T12_anomaly_figures_in_the_published_words(detector, folder):
    model, test, held_out = detector
    report = anomaly_detection(model, test, normal=held_out, k=5)
    words, numbers = zip(*(line.strip().rsplit(":", 1) for line in report.text.splitlines()), strict=True)
    assert [word.split(" 0.")[0] for word in words] == [
        "Normal Data",
        "Mean reconstruction error",
        "Std reconstruction error",
        "Anomaly Data",
        "Mean reconstruction error",
        "Std reconstruction error",
        "Recommended threshold",
        "At threshold",
        "TPR",
        "FPR",
    ]
    found = [f"{float(number):.2f}" for number in numbers if number.strip()]
    assert found == ["0.05", "0.02", "0.35", "0.15", "0.15", "0.92", "0.05"]


def test_T12_folder_and_switches(detector, folder):
    model, (x, y), held_out = detector
    write_testing(model, (x, y), folder, normal=held_out)
    assert (folder / "anomaly_report.txt").read_text().startswith("Normal Data:\n  Mean reconstruction error: 0.05")
    assert (folder / "anomaly_thresholds.csv").read_text().startswith("rule,threshold,tpr,fpr,precision,recall,f1\n")
    asked = parse_testing({"anomaly_metrics": {"reconstruction_error": True, "threshold_analysis": False}})
    write_testing(model, (x, y), folder, normal=held_out, testing=asked)
    assert not (folder / "anomaly_thresholds.csv").exists()
    assert "Recommended threshold" not in (folder / "anomaly_report.txt").read_text()


def test_T13_the_custom_script_without_its_danger(folder, monkeypatch):
    import torch

    torch.manual_seed(0)
    net = torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.Dropout(0.5))
    x = np.random.default_rng(0).normal(size=(20, 4)).astype(np.float32)
    np.save("test_data.npy", x)
    with torch.no_grad():
        expected = net.eval()(torch.tensor(x)).argmax(dim=1).numpy()
    np.save("test_labels.npy", expected)
    torch.save(net.train(), "best_model.pt")  # a whole module: a pickle that can run any code
    with pytest.raises(UntrustedFile, match="trust"):
        load_model("best_model.pt")
    torch.save(net.state_dict(), "best_model.pt")
    (folder / "own_net.py").write_text(
        "import torch\ndef build():\n    return torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.Dropout(0.5))\n"
    )
    monkeypatch.syspath_prepend(folder)
    model = load_model("best_model.pt", factory="own_net:build", output="logits")
    rows, labels = load_data("test_data.npy"), np.load("test_labels.npy")
    (outputs,), _ = as_runner(model).run([rows.x])  # in evaluation mode, without gradients
    assert outputs.argmax(axis=1).tolist() == labels.tolist()
    assert accuracy(model, as_data(rows.x, labels)).value == 1.0


def test_T14_the_html_report_has_metrics_matrix_curves_and_cost(folder, run):
    import skops.io
    from sklearn.linear_model import LogisticRegression

    x = np.random.default_rng(0).normal(size=(120, 2))
    y = (x[:, 0] + x[:, 1] / 2 > 0).astype(int)
    skops.io.dump(LogisticRegression().fit(x[:60], y[:60]), "model.skops")
    np.savez("test.npz", x=x[60:], y=y[60:])
    code, _ = run("audit", "--model", "model.skops", "--data", "test.npz", "--no-cache", "--out", folder / "out")
    assert code == 0  # a report was asked for, no gates
    page = (folder / "out" / "report.html").read_text().lower()
    for words in ("confusion matrix", "roc curve", "accuracy", "macro-f1", "parameters", "logisticregression"):
        assert words in page


@pytest.mark.parametrize(("form", "name"), [("html", "report.html"), ("markdown", "report.md"), ("pdf", "report.pdf")])
def test_T14_a_report_that_is_asked_for_is_written(classifier, folder, form, name):
    rng = np.random.default_rng(0)
    data = rng.normal(size=(60, 6)).astype(np.float32), rng.integers(0, 4, 60)
    model = load_model(classifier(folder / "net.onnx"), output="probabilities")
    asked = parse_testing({"generate_report": True, "report_format": form, "error_analysis": False})
    found = write_testing(model, data, folder / "out", testing=asked)
    path = folder / "out" / name
    assert path in found.files
    if form == "pdf":
        pages = PdfReader(path).pages
        text = "\n".join(page.extract_text() for page in pages)
        assert sum(len(page.images) for page in pages) == sum(file.suffix == ".png" for file in found.files) >= 2
    else:
        text = path.read_text(encoding="utf-8").replace("\\", "")
        assert [picture for picture in PICTURES if picture not in text] == []
    assert [part for part in REPORTED if part not in text] == []
    assert name not in dict(found.skipped)


def test_T14_one_format_at_a_time(from_counts, folder):
    model, data = from_counts([[30, 4], [1, 30]], ("A", "B"))
    for form, name in (("markdown", "report.md"), ("pdf", "report.pdf"), ("html", "report.html")):
        asked = parse_testing(NO_PICTURES | {"generate_report": True, "report_format": form})
        write_testing(model, data, folder, testing=asked)
        written = {path.name for path in folder.iterdir()} & {"report.md", "report.html", "report.pdf"}
        assert written == {name}


def test_T14_other_formats_are_refused():
    with pytest.raises(InvalidInput, match="pdf, html, markdown would be right"):
        parse_testing({"report_format": "docx"})


def test_T16_low_accuracy_calls_for_better_data_features_and_training(from_counts, folder):
    model, data = from_counts([[30, 20], [20, 30]], ("A", "B"))
    said = " ".join(write_testing(model, data, folder, testing=parse_testing(NO_PICTURES)).advice)
    assert "Accuracy 0.6000 is below 0.9" in said
    for words in ("quality of the data set", "larger model", "more training epochs", "better features"):
        assert words in said
    assert json.loads((folder / "test_results.json").read_text())["advice"][0] in said


def test_T16_a_weak_class_calls_for_balance_samples_and_data(from_counts, folder):
    model, data = from_counts([[400, 0, 0], [0, 400, 0], [0, 15, 5]], ("A", "B", "C"))
    (said,) = [
        text
        for text in write_testing(model, data, folder, testing=parse_testing(NO_PICTURES)).advice
        if text.startswith("Class C is weak")
    ]
    for words in (
        "error samples",
        "balance the classes, it has 20 rows",
        "15 of its 15 mistakes are taken for B",
        "alike",
    ):
        assert words in said
    model, data = from_counts([[100, 0], [40, 60]], ("A", "B"))
    assert any(
        "more varied data" in text
        for text in write_testing(model, data, folder, testing=parse_testing(NO_PICTURES)).advice
    )


def test_T16_a_drop_by_quantization_calls_for_qat_calibration_precision_and_size(builds):
    full, _, data = builds
    y = np.asarray(data[1])
    bad = np.where(np.arange(1000) < 100, 1 - y, y)
    said = " ".join(advice(drop=degradation(full, lambda x: bad[x[:, 0].astype(int)], data)))
    for words in ("9.20 percentage points", "QAT", "calibrate with more rows", "higher precision", "larger model"):
        assert words in said
    assert advice(drop=degradation(full, full, data)) == ()
