import math

import numpy as np
import pytest

from robust.errors import InvalidInput
from robust.evidence import Finding, Flips
from robust.measurement import Measurement
from robust.models.conversion import as_model
from robust.quantization.coverage import Coverage
from robust.quantizers.candidate_table import CandidateRow, CandidateTable


def row(name, value, *, lower=-0.01, upper=0.3, flips=True, weights=1.0, rom=7054):
    evidence = (Flips(right_to_wrong=3, wrong_to_right=1, n=719, p=0.6, rows=(1, 2, 3)),) if flips else ()
    measured = Measurement(
        name="degradation",
        value=value,
        lower=lower,
        upper=upper,
        n=719,
        unit="share",
        higher_is_better=False,
        method="tango-corrected",
        evidence=evidence,
    )
    coverage = Coverage(weights=weights, macc=weights, layers=())
    return CandidateRow(name=name, model=as_model(lambda x: x), degradation=measured, coverage=coverage, rom=rom)


def table(*rows, **given):
    usual = {"reference": "float.onnx", "reference_rom": 24376, "metric": "accuracy", "data": "test.npz"}
    return CandidateTable(rows=rows, **(usual | given))


def test_the_table_says_everything_in_a_line_a_candidate():
    found = table(row("minmax", 0.0028), row("dynamic", 0.0, weights=0.5), failed=(("torchao", "no module"),))
    lines = str(found).splitlines()
    assert lines[0].split("  ")[0] == "candidate"
    assert lines[1].split() == ["minmax", "0.0028", "-0.0100", "0.3000", "3", "1", "100", "%", "100", "%", "7,054"]
    assert lines[2].split()[6:8] == ["50", "%"]
    assert len({len(line) for line in lines[:3]}) == 1
    assert "against float.onnx, 24,376 bytes of ROM, on 719 rows of test.npz" in lines[3]
    assert "one-sided, each at 0.95 for its candidate by itself" in lines[3]
    assert lines[4] == "not built: torchao: no module"


def test_what_is_not_known_is_no_number():
    found = table(
        row("odd", 0.1, flips=False, weights=None, rom=None), reference_rom=None, findings=(Finding(text="few"),)
    )
    assert found.table().splitlines()[1].split() == ["odd", "0.1000", "-0.0100", "0.3000", *"?????"]
    assert found.table().endswith("note: few")
    assert found["odd"].flips is None


def test_candidates_are_found_by_name_and_in_order():
    found = table(row("a", 0.1), row("b", 0.2))
    assert ([one.name for one in found], len(found), found["b"].degradation.value) == (["a", "b"], 2, 0.2)
    with pytest.raises(InvalidInput, match="no candidate 'c'; the candidates are a, b"):
        found["c"]


def test_the_figure_has_bounds_even_where_there_are_none():
    figure = table(row("a", 0.1, lower=-math.inf, upper=math.inf), row("b", 0.2)).figure
    columns = {column.name: column.values for column in figure.columns}
    assert (figure.kind, columns["y"], columns["x"]) == ("interval", ("a", "b"), (0.1, 0.2))
    assert np.isfinite([*columns["lower"], *columns["upper"]]).all()
