"""The table's columns, order and digits, and the closing lines."""

import numpy as np
import pytest

from robust.crosscheck.summary_table import COLUMNS, figure_text, ordered, percentage_text, summary_text, verdict_lines
from robust.crosscheck.x_cross import agreement


def table(**options):
    x = np.random.default_rng(0).normal(size=(20, 3))
    two = [lambda x: (x, x[:, :1]), lambda x: (x + 0.01, 2 * x[:, :1])]
    return agreement(*two, [x], outputs=[x, x[:, :1]], **options)


def test_columns_and_order():
    lines = table().table().splitlines()
    assert lines[0] == "Evaluation report (summary)"
    assert lines[2].split() == ["Output", "acc", "rmse", "mae", "l2r", "mean", "std", "nse", "cos", "tensor"]
    assert tuple(lines[2].split()) == COLUMNS
    names = [line.split("  ")[0].strip() for line in lines[4:-1]]
    assert names == ["candidate #1", "candidate #2", "reference #1", "reference #2", "X-cross #1", "X-cross #2"]
    assert lines[1] == lines[3] == lines[-1] == "-" * len(lines[1])
    assert len(lines[1]) >= max(map(len, lines))


def test_digits():
    row = table(classifier=True).table().splitlines()[8]
    assert row.startswith("X-cross #1")
    cells = row.split()
    assert cells[2] == "100.00%"
    assert cells[3:5] == ["0.0100000", "0.0100000"]
    assert cells[6] == "-0.0100000"
    assert row.endswith("output_1, (3,), m_id=[1]")
    assert all(len(cell.partition(".")[2]) == 7 for cell in cells[3:10])


def test_regressors_have_no_accuracy():
    assert all(line.split()[2] == "n.a." for line in table().table().splitlines()[4:-1])


@pytest.mark.parametrize(
    ("share", "text"),
    [(1.0, "100.00%"), (0.999999, "99.99%"), (0.9766, "97.66%"), (0.0, "0.00%"), (None, "n.a.")],
)
def test_shares(share, text):
    assert percentage_text(share) == text


@pytest.mark.parametrize(
    ("value", "text"), [(1.0, "1.0000000"), (-1e-12, "0.0000000"), (31457280.0, "31457280.0000000"), (None, "n.a.")]
)
def test_figures(value, text):
    assert figure_text(value) == text


def test_wide_figures_keep_columns_apart():
    found = agreement(lambda x: x, lambda x: 0 * x, [np.ones((4, 2))])
    row = found.table().splitlines()[4].split()
    assert float(row[5]) == pytest.approx(np.sqrt(8) / 2**-23)


def test_closing_lines():
    found = table()
    assert verdict_lines(found.rows)[1].endswith("(expected to be < 0.01)")
    same = agreement(lambda x: x, lambda x: x, [np.ones((4, 2))])
    assert verdict_lines(same.rows) == ["X-cross (l2r) #1 error : 0.00000000e+00 (expected to be < 0.01)"]
    assert ordered(found.rows)[0].role == "candidate"


def test_nothing_to_compare():
    assert "neither a reference nor ground truth" in summary_text([])
