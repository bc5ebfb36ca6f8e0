"""An audit, and the files of a test, of a scikit-learn model that gives several labels a row."""

import json

import numpy as np
import pytest
import skops.io
from click.testing import CliRunner
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.multiclass import OneVsRestClassifier

from robust import planning
from robust.auditing.discovery import discover
from robust.cli import cli
from robust.errors import InvalidInput
from robust.models.conversion import as_model
from robust.sensitivity import dependence_range

WANTED = ("accuracy", "f1", "log_loss", "brier", "calibration_error", "auc", "degradation", "rmse")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("labels")
    rng = np.random.default_rng(0)
    x = rng.normal(size=(600, 4))
    y = (x @ rng.normal(size=(4, 3)) + 0.6 * rng.normal(size=(600, 3)) > 0.2).astype(int)
    linear = OneVsRestClassifier(LogisticRegression()).fit(x[:300], y[:300])
    skops.io.dump(linear, path / "linear.skops")
    skops.io.dump(RandomForestClassifier(8, max_depth=3, random_state=0).fit(x[:300], y[:300]), path / "forest.skops")
    np.savez(path / "test.npz", x=x[300:], y=y[300:])
    return path


def test_an_audit(folder, tmp_path, monkeypatch):
    kept = tuple(check for check in discover() if check.name in WANTED)
    monkeypatch.setattr(planning, "discover", lambda: kept)
    monkeypatch.chdir(tmp_path)
    run = CliRunner().invoke(cli, [
        "audit", "--candidate", str(folder / "forest.skops"), "--reference", str(folder / "linear.skops"),
        "--data", str(folder / "test.npz"), "--out", "report", "--no-cache",
        "--gate", "brier < 0.25", "--gate", "calibration_error < 30%", "--gate", "degradation < 40%",
    ])  # fmt: skip
    assert run.exit_code == 0, run.output
    record = json.loads((tmp_path / "report" / "record.json").read_text())
    assert {entry["name"] for entry in record["entries"]} == set(WANTED) - {"rmse"}
    assert "for regression models alone" in " ".join(run.output.split())


def test_the_files_of_a_test(folder, tmp_path):
    run = CliRunner().invoke(cli, [
        "metrics", str(folder / "forest.skops"), "--data", str(folder / "test.npz"), "--out", str(tmp_path / "t"),
    ])  # fmt: skip
    assert run.exit_code == 0, run.output
    assert "samples avg" in (tmp_path / "t" / "classification_report.txt").read_text()
    results = json.loads((tmp_path / "t" / "test_results.json").read_text())
    assert results["task"] == "multilabel"
    assert results["not_measured"] == {}
    assert {"brier", "calibration_error"} <= set(results["metrics"])


def test_sensitivity_takes_one_label_at_a_time():
    x = np.random.default_rng(0).normal(size=(50, 3))
    model = as_model(lambda x: 1 / (1 + np.exp(-x)), name="m", task="multilabel", output="probabilities")
    with pytest.raises(InvalidInput, match="m gives several labels a row; sensitivity is asked of one at a time"):
        dependence_range(model, (x, (x > 0).astype(int)))
