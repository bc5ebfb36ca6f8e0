"""The worked example of quantization-aware training in the docs."""

import re
from pathlib import Path

import pytest

from robust.costing.whole_model import cost
from robust.quantization.coverage import coverage_by_layer
from robust.quantization.degradation_paired import degradation

PAGE = Path(__file__).parents[3] / "docs" / "qat.md"


def blocks():
    return re.findall(r"^```python slow\n(.*?)^```", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)


def test_the_page_has_code_that_compiles_and_uses_nothing_that_is_being_removed():
    code = "\n".join(blocks())
    assert len(blocks()) == 3
    compile(code, str(PAGE), "exec")
    assert not re.search(r"torch\.ao\b", code)
    assert "prepare_qat_pt2e" in code


@pytest.mark.slow
@pytest.mark.filterwarnings("default")  # of torch and torchao, as whoever follows the page sees them
def test_the_page_runs_and_both_candidates_are_the_same_model(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = {"__name__": "docs"}
    for code in blocks():
        exec(compile(code, str(PAGE), "exec"), names)
    live, file, test = names["qat_model"], names["file"], names["test"]
    assert degradation(live, file, test) < 0.01
    assert degradation(names["float_model"], file, test, quantized=True) < 0.01
    for model in (live, file):
        found = coverage_by_layer(model, data=test)
        assert (found.weights, found.macc, found.simulated) == (1, 1, False)
    assert cost(file).rom < 8_000
