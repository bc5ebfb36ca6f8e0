"""Rows with a part of their own in an audit: validation rows, and the normal rows of an anomaly detector."""

import sys

import numpy as np
import pandas as pd
import pytest
import skops.io
from sklearn.linear_model import LogisticRegression
from sklearn.svm import OneClassSVM

from robust import cli, planning
from robust.auditing.discovery import discover
from robust.record.codec import load

KEPT = ("accuracy", "rmse", "nearest_training_rows", "at_threshold", "best_f1", "anomaly_detection", "flip_rate")


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A classifier with three splits; an outlier detector with normal rows and rows of both kinds."""
    folder = tmp_path_factory.mktemp("roles")
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(size=(1200, 2)), columns=["a", "b"])
    frame["y"] = (frame["a"] + frame["b"] + 0.5 * rng.normal(size=1200) > 0).astype(int)
    for i, name in enumerate(("train", "validation", "test")):
        frame[400 * i : 400 * (i + 1)].to_csv(folder / f"{name}.csv", index=False)
    skops.io.dump(LogisticRegression().fit(frame[["a", "b"]][:400].to_numpy(), frame["y"][:400]), folder / "c.skops")
    rows = pd.DataFrame(rng.normal(size=(600, 2)), columns=["a", "b"])
    skops.io.dump(OneClassSVM(nu=0.1).fit(rows[:200].to_numpy()), folder / "d.skops")
    rows[200:400].to_csv(folder / "normal.csv", index=False)
    rows["y"] = ["fine"] * 500 + ["fault"] * 100
    rows.loc[500:, ["a", "b"]] *= 6.0
    rows[400:].to_csv(folder / "mixed.csv", index=False)
    return folder


@pytest.fixture
def audit(files, tmp_path, monkeypatch):
    """Run the audit with some checks; gives exit code and record."""
    import robust.report.html

    monkeypatch.chdir(tmp_path)
    kept = tuple(check for check in discover() if check.name in KEPT)
    monkeypatch.setattr(planning, "discover", lambda: kept)
    monkeypatch.setattr(robust.report.html, "render_html", lambda record, cache: "<html></html>")

    def call(candidate, data, *arguments):
        known = ["audit", "--candidate", files / candidate, "--data", files / data, "--target", "y", "--no-cache"]
        monkeypatch.setattr(sys, "argv", ["robust", *map(str, [*known, *arguments])])
        with pytest.raises(SystemExit) as stop:
            cli.main()
        path = tmp_path / "robust-report" / "record.json"
        return stop.value.code or 0, load(path) if path.is_file() else None

    return call


def reasons(record):
    return {item.name: item.reason for item in record.skipped}


def names(record):
    return {entry.name for entry in record.entries}


def test_without_the_roles_the_checks_say_what_they_would_need(audit):
    code, record = audit("c.skops", "test.csv")
    assert code == 0
    told = reasons(record)
    assert "--validation, or validation in [data]" in told["at_threshold"]
    assert "--normal, or normal in [data]" in told["anomaly_detection"]
    assert "--train, or train in [data]" in told["nearest_training_rows"]
    assert told["best_f1"] == "runs only where a gate asks for it"
    assert not any(item.failed for item in record.skipped)


def test_a_threshold_from_validation_rows_is_judged_on_test_rows(audit, files):
    gates = ("--gate", "at_threshold >= 75%", "--gate", "best_f1 > 50%")
    code, record = audit(
        "c.skops", "test.csv", "--validation", files / "validation.csv", "--train", files / "train.csv", *gates
    )
    assert code == 0
    assert {"at_threshold", "best_f1", "nearest_training_rows", "flip_rate"} <= names(record)
    assert [part.role for part in record.data] == ["test", "train", "validation"]
    shown = [entry.measurement.name for entry in record.entries if entry.name == "at_threshold"]
    assert shown == ["f1", "tpr", "fpr", "precision"]


def test_a_threshold_from_the_test_rows_is_invalid(audit, files):
    code, record = audit("c.skops", "test.csv", "--validation", files / "test.csv", "--gate", "at_threshold >= 75%")
    assert code == 4
    (gate,) = [entry.gate for entry in record.entries if entry.gate is not None]
    assert (gate.status, "400 of 400 rows" in gate.reason) == ("INVALID", True)


def test_normal_rows_make_it_an_audit_of_an_anomaly_detector(audit, files):
    normal = ("--normal", files / "normal.csv", "--anomalous", "fault")
    code, record = audit("d.skops", "mixed.csv", *normal, "--gate", "anomaly_detection > 60%")
    assert (code, record.task) == (0, "anomaly")
    assert names(record) == {"anomaly_detection"}
    told = reasons(record)
    assert told["accuracy"].startswith("for classifiers")
    assert told["rmse"] == "for regression models alone"
    assert told["flip_rate"] == "for classifiers and regression models alone"
    assert [part.role for part in record.data] == ["test", "normal"]


def test_anomalies_without_normal_rows_are_a_usage_error(audit):
    assert audit("d.skops", "mixed.csv", "--anomalous", "fault") == (2, None)
