import math

import numpy as np
import pytest

from robust.data.live import as_data
from robust.errors import InvalidInput
from robust.evidence import Finding, Flips
from robust.examples.catalogue import example_path
from robust.measurement import Measurement
from robust.models.conversion import as_model
from robust.quantization.candidate_rows import CandidateRow
from robust.quantization.coverage import Coverage
from robust.quantizers.candidate_table import CandidateTable


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
    reference = as_model(example_path("digits") / "float.onnx")
    data = as_data(np.zeros((2, 1, 8, 8)))
    usual = {"reference": reference, "metric": "accuracy", "data": data}
    return CandidateTable(rows=rows, **(usual | given))


def test_the_table_says_everything_in_a_line_a_candidate():
    found = table(row("minmax", 0.0028), row("dynamic", 0.0, weights=0.5), failed=(("torchao", "no module"),))
    lines = str(found).splitlines()
    assert lines[0].split("  ")[0] == "candidate"
    cells = ["minmax", "-", "0.0028", "-0.0100", "0.3000", "3", "1", "100", "%", "100", "%", "7,054", "B"]
    assert lines[1].split() == cells
    assert lines[2].split()[7:9] == ["50", "%"]
    assert lines[3].split() == ["(reference)", "-", "0", "%", "0", "%", "24,376", "B"]
    assert len({len(line) for line in lines[:4]}) == 1
    assert "against float.onnx, on 719 rows of data; positive is worse" in lines[4]
    assert "one-sided, each at 0.95 for its candidate by itself" in lines[4]
    assert lines[5] == "not built: torchao: no module"
    assert found.reference_rom == 24376


def test_what_is_not_known_is_a_dash():
    found = table(row("odd", 0.1, flips=False, weights=None, rom=None), findings=(Finding(text="few"),))
    assert found.table().splitlines()[1].split() == ["odd", "-", "0.1000", "-0.0100", "0.3000", *"-----"]
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
