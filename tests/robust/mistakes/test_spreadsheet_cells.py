import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from robust.mistakes.spreadsheet_cells import csv_line, safe_cell


@pytest.mark.parametrize("cell", ["=1+1", "+cmd", "-2+3", "@SUM(A1)", "\t=1", "\r=1", " =1", "%0a", "|calc"])
def test_formulas_become_text(cell):
    assert safe_cell(cell) == f"'{cell}"


@pytest.mark.parametrize("cell", ["-0.5", "+1e-3", "-inf", "nan", "site A", "", "a=b", "7"])
def test_numbers_and_plain_text_stay(cell):
    assert safe_cell(cell) == cell


@given(st.lists(st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0")), min_size=1, max_size=5))
def test_a_line_is_read_back_cell_by_cell(cells):
    (line,) = csv.reader(io.StringIO(csv_line(cells), newline=""))
    assert line == [safe_cell(cell) for cell in cells] or (cells == [""] and line == [])
    for cell in line:
        if cell.lstrip().startswith(("=", "@")):
            pytest.fail(f"{cell!r} would be run")
