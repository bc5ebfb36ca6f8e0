"""The `testing` section: every form that documents show, and everything that must be refused."""

import pytest

from robust import InvalidInput
from robust.filesets.testing_options import AnomalyParts, RegressionParts, Testing
from robust.filesets.testing_reader import parse_testing, read_testing

COMPLETE = """
common:
  task_type: 'generic_timeseries_classification'
  target_device: 'F28P55'
dataset:
  dataset_name: 'dc_arc_fault_example_dsk'
training:
  quantization: 2
  quantization_method: 'QAT'
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


def read(tmp_path, text, name="config.yaml"):
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_testing(path)


def test_a_complete_configuration(tmp_path):
    assert read(tmp_path, COMPLETE) == Testing(max_errors_per_class=10, compare_results=True)


def test_the_same_as_toml(tmp_path):
    text = """
[testing]
compare_results = true
[testing.analysis]
roc_curve = false
[testing.error_analysis]
max_errors_per_class = 10
save_errors = false
"""
    expected = Testing(compare_results=True, roc_curve=False, max_errors_per_class=10, save_errors=False)
    assert read(tmp_path, text, "a.toml") == expected


@pytest.mark.parametrize(
    ("section", "expected"),
    [
        ({}, Testing()),
        (None, Testing()),
        ({"enable": False}, Testing(enable=False)),
        ({"analysis": {"error_analysis": False}}, Testing(error_analysis=False)),
        ({"error_analysis": False}, Testing(error_analysis=False)),
        ({"error_analysis": {"save_errors": True, "max_errors_per_class": 20}}, Testing()),
        ({"analysis": {"error_analysis": {"max_errors_per_class": 3}}}, Testing(max_errors_per_class=3)),
        ({"analysis": {"compare_results": False}}, Testing(compare_results=False)),
        ({"save_errors": False, "analysis": {"save_errors": False}}, Testing(save_errors=False)),
        ({"regression_metrics": {"mse": False}}, Testing(regression_metrics=RegressionParts(mse=False))),
        (
            {"regression_metrics": False},
            Testing(regression_metrics=RegressionParts(mse=False, mae=False, r2=False, scatter_plot=False)),
        ),
        (
            {"anomaly_metrics": {"threshold_analysis": False}},
            Testing(anomaly_metrics=AnomalyParts(threshold_analysis=False)),
        ),
        ({"generate_report": True, "report_format": "pdf"}, Testing(generate_report=True, report_format="pdf")),
    ],
)
def test_all_forms(section, expected):
    assert parse_testing(section) == expected


@pytest.mark.parametrize(
    ("section", "match"),
    [
        ({"analysis": {"roc_curves": True}}, r"roc_curves.*roc_curve.*known: confusion_matrix, roc_curve"),
        ({"test_flaot": True}, "test_flaot"),
        ({1: True}, "no option"),
        ({"analysis": [1]}, r"testing.analysis must be a table"),
        ({"enable": "yes"}, "testing.enable got 'yes'; true or false"),
        ({"enable": 1}, "testing.enable got 1"),
        ({"analysis": {"max_errors_per_class": 0}}, "max_errors_per_class got 0"),
        ({"max_errors_per_class": True}, "max_errors_per_class got True"),
        (
            {"max_errors_per_class": 10, "analysis": {"max_errors_per_class": 20}},
            r"testing.max_errors_per_class says 10 and testing.analysis.max_errors_per_class says 20",
        ),
        ({"error_analysis": False, "save_errors": True}, "errors are saved by the error analysis"),
        ({"error_analysis": {"save_error": True}}, "save_error"),
        ({"regression_metrics": {"rmse": True}}, "known: mse, mae, r2, scatter_plot"),
        ({"report_format": "docx"}, "one of pdf, html, markdown"),
        ("all", "must be a table"),
    ],
)
def test_what_is_not_understood_is_refused(section, match):
    with pytest.raises(InvalidInput, match=match):
        parse_testing(section)


BOMB = "a: &a [x, x]\n" + "".join(f"{c}: &{c} [*{p}, *{p}]\n" for p, c in zip("abcdefgh", "bcdefghi", strict=True))


@pytest.mark.parametrize(
    ("text", "name", "match"),
    [
        ("testing: {enable: &x True, test_float: *x}", "a.yaml", r"line 1: references \(\*x\)"),
        (BOMB + "testing: {}", "a.yaml", "references"),
        ("testing: !!python/object/apply:os.system ['true']", "a.yaml", "no YAML of plain data"),
        ("testing: {enable: True, enable: False}", "a.yml", "enable comes twice"),
        ("testing: [", "a.yaml", "no YAML of plain data"),
        ("--- {testing: {}}\n--- {}\n", "a.yaml", "no YAML of plain data"),
        ("testing: " + "[" * 50_000, "a.yaml", "more than 20 tables in each other"),
        ("training: {}", "a.yaml", r"no section `testing`; it has \['training'\]"),
        ("", "a.yaml", "no section `testing`"),
        ("testing = ", "a.toml", "is no TOML"),
        (b"testing: \xff", "a.yaml", "no UTF-8"),
        ("{}", "a.json", ".yaml, .yml or .toml would be right"),
        ("#" * (2**17 + 1), "a.yaml", "more than 131072 bytes"),
        ("testing = " + "[" * 50_000, "a.toml", "is no TOML"),
    ],
)
def test_hostile_and_broken_files_are_refused(tmp_path, text, name, match):
    with pytest.raises(InvalidInput, match=match):
        read(tmp_path, text, name)


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(InvalidInput, match="cannot be read"):
        read_testing(tmp_path / "no.yaml")
