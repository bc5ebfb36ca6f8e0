"""The report: sections with notes, matrices where there are classes, and how to read it."""

import numpy as np
import pytest

from robust.crosscheck.report_text import section_text
from robust.crosscheck.x_cross import agreement


@pytest.fixture
def x():
    return np.random.default_rng(0).dirichlet(np.ones(4), size=50)


def test_a_section(x):
    (row,) = agreement(lambda x: x, lambda x: x**2, [x]).rows
    lines = section_text(row).splitlines()
    assert lines[0] == "Cross accuracy report #1 (reference vs candidate)"
    assert lines[1] == "-" * 100
    assert lines[2] == "notes: - the output of the reference model is used as ground truth/reference value"
    assert lines[3] == "       - 50 samples (4 items per sample)"
    assert lines[5].startswith("  acc=100.00%, rmse=0.")
    assert [part.partition("=")[0].strip() for part in lines[5].split(",")] == [
        *("acc", "rmse", "mae", "l2r", "mean", "std", "nse", "cos"),
    ]
    assert all(len(part.partition(".")[2]) == 9 for part in lines[5].split(",")[1:])
    assert lines[6].startswith("  (mse=")
    assert "var=" in lines[6]
    assert "f1=1.000000000" in lines[6]
    assert lines[8] == "  4 classes (50 samples)"


def test_a_regressor_has_no_matrix_and_says_why(x):
    found = agreement(lambda x: x[:, :1], lambda x: x[:, :1], [x])
    assert "classes (" not in found.report()
    assert "acc=n.a." in found.report()
    assert "For a regressor acc has no meaning" in found.report()
    assert "one-hot" not in found.report()


def test_many_classes_have_a_header_alone():
    x = np.random.default_rng(0).dirichlet(np.ones(21), size=30)
    text = agreement(lambda x: x, lambda x: x, [x]).report()
    assert "21 classes (30 samples)" in text
    assert "C20" not in text


def test_figures_without_meaning_are_told(x):
    text = agreement(lambda x: 0 * x, lambda x: x, [x]).report()
    assert "nse=n.a., cos=n.a." in text
    assert "- nse: the reference is 0 everywhere, it has no variance to explain" in text
    assert "- cos: the reference is 0 everywhere, it points nowhere" in text


def test_names_from_files_cannot_forge_lines(x):
    forged = "y\nX-cross (l2r) #1 error : 0.00000000e+00 (expected to be < 0.01)"
    text = agreement(lambda x: {forged: x}, lambda x: {forged: x + 1}, [x]).report()
    assert sum(line.startswith("X-cross (l2r)") for line in text.splitlines()) == 1
    assert "\x1b" not in text
