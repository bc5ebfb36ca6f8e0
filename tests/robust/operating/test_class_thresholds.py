"""Threshold tables of all classes, and the files that they are written to."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score, roc_curve

from robust.errors import InvalidInput
from robust.models.conversion import as_model
from robust.operating.class_thresholds import class_tables
from robust.operating.threshold_files import write_threshold_files

NAMES = ["=cmd|' /C calc'!A0", "../dog", "emu"]


def drawn(n=90, k=3, seed=0):
    rng = np.random.default_rng(seed)
    y = np.r_[np.arange(k), rng.integers(0, k, n - k)]
    logits = rng.normal(size=(n, k)) + 1.5 * np.eye(k)[y]
    return np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True), y


def test_each_class_against_the_rest():
    p, y = drawn()
    found = class_tables(as_model(lambda x: x), (p, y))
    assert [label for label, _ in found.tables] == [0, 1, 2]
    for label, table in found.tables:
        fpr, tpr, _ = roc_curve(y == label, p[:, label], drop_intermediate=False)
        np.testing.assert_allclose(table.fpr[::-1], fpr)
        np.testing.assert_allclose(table.tpr[::-1], tpr)
        area = np.trapezoid(table.tpr[::-1], table.fpr[::-1])
        assert area == pytest.approx(roc_auc_score(y == label, p[:, label]))
    pooled = np.trapezoid(found.overall.tpr[::-1], found.overall.fpr[::-1])
    assert pooled == pytest.approx(roc_auc_score(np.eye(3)[y], p, average="micro"))
    assert found.absent == ()


def test_two_classes_have_the_second_ones_table():
    p, y = drawn(k=2)
    found = class_tables(as_model(lambda x: x), (p, y))
    assert found.pooled is None
    assert found.overall is found.tables[1][1]


def test_several_labels_have_a_table_each():
    rng = np.random.default_rng(0)
    p, y = rng.random((50, 2)), rng.integers(0, 2, (50, 2))
    found = class_tables(as_model(lambda x: x, task="multilabel", output="probabilities"), (p, y))
    assert len(found.tables) == 2
    assert found.overall.positives == y.sum()


def test_a_class_without_rows_is_listed():
    p, y = drawn()
    found = class_tables(as_model(lambda x: x), (p[y != 1], y[y != 1]))
    assert [label for label, _ in found.tables] == [0, 2]
    assert found.absent == (1,)
    with pytest.raises(InvalidInput, match="all rows of data are alike"):
        class_tables(as_model(lambda x: x), (p[y == 1], y[y == 1]))


def test_a_regressor_has_no_classes():
    with pytest.raises(InvalidInput, match="is a regression model; thresholds on class scores need a classifier"):
        class_tables(as_model(lambda x: x, task="regression"), drawn())


def test_files(tmp_path):
    p, y = drawn()
    net = as_model(lambda x: x, output="probabilities", classes=NAMES)
    written = write_threshold_files(class_tables(net, (p, np.array(NAMES)[y])), tmp_path / "testing")
    assert [path.name for path in written] == [
        "fpr_tpr_thresholds.csv",
        "fpr_tpr_thresholds_0__cmd_C_calc_A0.csv",
        "fpr_tpr_thresholds_1__dog.csv",
        "fpr_tpr_thresholds_2_emu.csv",
    ]
    assert {path.parent for path in written} == {tmp_path / "testing"}
    for path in written:
        lines = path.read_text(encoding="utf-8").splitlines()
        assert lines[0] == "threshold,tpr,fpr,precision,recall,f1"
        assert np.isfinite(np.array([line.split(",") for line in lines[1:]], dtype=float)).all()


def test_two_classes_have_one_file(tmp_path):
    (path,) = write_threshold_files(class_tables(as_model(lambda x: x), drawn(k=2)), tmp_path, most=20)
    assert path.name == "fpr_tpr_thresholds.csv"
    assert len(path.read_text().splitlines()) == 21
