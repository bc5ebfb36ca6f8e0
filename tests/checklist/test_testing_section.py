"""T1, T2, T9 and T15: the `testing` section as it is written in configs of embedded tool chains."""

import numpy as np
import pytest

from robust import InvalidInput, load_model, rmse
from robust.filesets.testing_folder import write_testing
from robust.filesets.testing_reader import parse_testing, read_testing
from robust.quantization.coverage import quantized_coverage

#: The whole example of the published guide, its trainer's sections included.
COMPLETE = """
common:
  task_type: 'generic_timeseries_classification'
  target_device: 'F28P55'
dataset:
  dataset_name: 'dc_arc_fault_example_dsk'
data_processing_feature_extraction:
  feature_extraction_name: 'FFT1024Input_256Feature_1Frame_Full_Bandwidth'
  variables: 1
training:
  model_name: 'ArcFault_model_400_t'
  training_epochs: 30
  quantization: 2
  quantization_method: 'QAT'
  quantization_weight_bitwidth: 8
  quantization_activation_bitwidth: 8
testing:
  enable: True
  test_float: True
  test_quantized: True
  analysis:
    confusion_matrix: True
    roc_curve: True
    class_histograms: True
    error_analysis: True
    save_errors: True
    max_errors_per_class: 10
  compare_results: True
"""
PICTURES = {
    "confusion_matrix": "confusion_matrix_test.png",
    "roc_curve": "One_vs_Rest_MultiClass_ROC_test.png",
    "class_histograms": "Histogram_Class_Score_differences_test.png",
}


@pytest.fixture
def weak(from_counts):
    """Three classes, of each 20 rows right and 5 wrong."""
    return from_counts([[20, 5, 0], [0, 20, 5], [5, 0, 20]], ("A", "B", "C"))


def test_T01_enable_turns_the_tests_on_and_off(classifier, folder, run):
    net = classifier(folder / "net.onnx")
    np.savez("test.npz", x=np.random.default_rng(0).normal(size=(40, 6)).astype("f4"), y=np.arange(40) % 4)
    for word, wanted in (("False", False), ("True", True)):
        (folder / "config.yaml").write_text(f"testing:\n  enable: {word}\n  analysis: {{error_analysis: False}}\n")
        code, text = run("metrics", net, "--data", "test.npz", "--output", "probabilities", "--testing", "config.yaml")
        assert code == 0
        assert (folder / "testing" / "test_results.json").exists() is wanted
        assert ("testing is not enabled; nothing was measured" in text) is not wanted
    with pytest.raises(InvalidInput, match="not enabled"):
        write_testing(load_model(net, output="probabilities"), "test.npz", testing=parse_testing({"enable": False}))
    with pytest.raises(InvalidInput, match="true or false would be right"):
        parse_testing({"enable": "yes"})


@pytest.mark.parametrize("key", PICTURES)
def test_T02_each_analysis_has_its_own_switch(weak, folder, key):
    write_testing(*weak, folder, testing=parse_testing({"analysis": {key: False, "error_analysis": False}}))
    written = {path.name for path in folder.iterdir()}
    assert set(PICTURES.values()) - written == {PICTURES[key]}
    assert "error_samples" not in written


def test_T09_saved_errors_are_capped_and_complete(weak, folder):
    asked = parse_testing({"error_analysis": {"save_errors": True, "max_errors_per_class": 2}})
    write_testing(*weak, folder, testing=asked)
    files = sorted((folder / "error_samples").iterdir())
    assert [path.name for path in files] == [f"error_{i:03d}.csv" for i in range(1, 7)]  # 2 of each of 3 classes
    cells = [line.split(",") for line in files[0].read_text().splitlines()]
    assert cells[0] == ["part", "name", "value"]
    said = {(part, name): value for part, name, value in cells[1:]}
    assert (said["label", "true"], said["label", "predicted"]) == ("A", "B")
    assert {label: float(said["confidence", label]) for label in "ABC"} == pytest.approx(
        {"A": 0.05, "B": 0.9, "C": 0.05}
    )
    (name, value) = next((name, value) for part, name, value in cells[1:] if part == "input")
    assert (name, float(value)) == ("x0", float(said["row", "id"]))


@pytest.mark.parametrize(
    "section",
    [
        {"error_analysis": {"save_errors": False, "max_errors_per_class": 7}},
        {"analysis": {"error_analysis": True, "save_errors": False, "max_errors_per_class": 7}},
        {"analysis": {"error_analysis": {"save_errors": False, "max_errors_per_class": 7}}},
    ],
)
def test_T09_both_places_of_error_analysis_are_read(section):
    found = parse_testing(section)
    assert (found.error_analysis, found.save_errors, found.max_errors_per_class) == (True, False, 7)
    assert parse_testing({}).max_errors_per_class == 20


def test_T09_places_that_contradict_each_other_are_refused():
    with pytest.raises(InvalidInput, match="one of them would be right"):
        parse_testing({"error_analysis": {"max_errors_per_class": 7}, "analysis": {"max_errors_per_class": 8}})


def test_T15_the_complete_example_is_read_past_the_trainers_sections(folder):
    (folder / "config.yaml").write_text(COMPLETE)
    found = read_testing(folder / "config.yaml")
    assert (found.enable, found.test_float, found.test_quantized, found.compare_results) == (True,) * 4
    assert (found.save_errors, found.max_errors_per_class) == (True, 10)
    (folder / "bare.yaml").write_text(COMPLETE.partition("testing:")[0])
    with pytest.raises(InvalidInput, match="no section `testing`"):
        read_testing(folder / "bare.yaml")


def test_T15_task_and_bit_widths_come_from_model_and_file(classifier, from_counts, folder):
    int8 = load_model(classifier(folder / "int8.onnx", integer="int8"), output="probabilities")
    # What a config calls quantized is looked up in the file: here the weights are not.
    assert quantized_coverage(int8) == 0.0
    model, data = from_counts(np.diag([5, 5]), ("A", "B"))
    with pytest.raises(InvalidInput, match="rmse is a regression metric; callable is a classification model"):
        rmse(model, data)
