import io
from collections.abc import Callable
from typing import Literal

import pytest
from rich.console import Console

from robust.evidence import Finding
from robust.record.shape import Entry, Record, Skipped
from robust.report.console import render_table

MakeEntry = Callable[..., Entry]
MakeRecord = Callable[..., Record]


def _printed(record: Record, width: int, *, terminal: bool = False) -> str:
    colours: Literal["truecolor", "auto"] = "truecolor" if terminal else "auto"
    console = Console(width=width, file=io.StringIO(), force_terminal=terminal, color_system=colours)
    console.print(*render_table(record, console.width), sep="\n")
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def _unfolded(text: str) -> str:
    """Without line ends and spaces: folded text reads as before."""
    return "".join(text.split())


@pytest.mark.parametrize("width", [80, 120])
def test_the_table(full_record: Record, width: int) -> None:
    lines = _printed(full_record, width).splitlines()
    assert max(map(len, lines)) <= width
    for column in ("code", "measure", "value", "bounds", "n", "gate", "verdict"):
        assert column in lines[0]
    row = next(line for line in lines if line.startswith("QNT001"))
    for cell in ("degradation", "0.0183", "0.0155 .. 0.0212", "10000", "< 0.01", "FAIL"):
        assert cell in row
    assert next(line for line in lines if line.startswith("RES001")).rstrip().endswith("—")
    for status in ("PASS", "FAIL", "INCONCLUSIVE", "INVALID"):
        assert any(line.rstrip().endswith(status) for line in lines)


@pytest.mark.parametrize("width", [80, 120])
def test_gates_that_did_not_pass_say_why(full_record: Record, width: int) -> None:
    text = " ".join(_printed(full_record, width).split())
    assert "FAIL degradation: 0.0183, required < 0.01; 95% upper bound 0.0212, n=10000 the reason of fail" in text
    assert "INVALID robust_accuracy" in text
    assert "the reason of invalid" in text
    assert "the reason of inconclusive; 13014 rows would settle it, as FAIL if the observed rates hold" in text
    assert "the reason of pass" not in text


def test_findings_what_did_not_run_and_the_verdict_last(full_record: Record) -> None:
    text = _printed(full_record, 120)
    assert "findings\n  Trucks lose eight times as much as the rest." in text
    assert "\nfailed\n  BAS001 gain: the model raised (gate gain depends on it)" in text
    assert "\nnot run\n  SEN001 flips: needs a sweep" in text
    assert text.strip().splitlines()[-2].startswith("May it ship? No: 1 of 5 gates fails")


def test_equal_reasons_stand_once(make_record: MakeRecord) -> None:
    missing = [("MET001", "accuracy", True), ("MET001", "strict", True), ("MET002", "f1", False)]
    skipped = tuple(
        Skipped(code=code, name=name, title=code.lower(), reason="no", gated=gated) for code, name, gated in missing
    )
    other = Skipped(code="RES001", name="r", title="res", reason="needs an order")
    text = _printed(make_record(skipped=(*skipped[:2], other, skipped[2])), 120)
    assert "  MET001 met001, MET002 met002: no (gates accuracy, strict depend on it)\n  RES001 res: needs" in text
    assert "failed" not in text


@pytest.mark.parametrize("width", [66, 72, 80, 100])
def test_words_and_numbers_are_not_split(make_record: MakeRecord, make_entry: MakeEntry, width: int) -> None:
    name = "unused_feature_correlation"
    record = make_record(
        make_entry("RES002", status="INCONCLUSIVE", name=name, unit="correlation", lower=-0.123456789),
        make_entry("MET001", status="PASS", name="gain over linear regression", unit="relative"),
    )
    lines = _printed(record, width).split("\n\n")[0].splitlines()
    assert max(map(len, lines)) <= width
    words = " ".join(lines).split()
    for word in ("unused_", "feature_", "correlation", "regression", "INCONCLUSIVE", "-0.1235", "0.0212"):
        assert any(word in found for found in words), word
    assert "correlat" not in words


@pytest.mark.parametrize("width", [30, 40, 60, 80, 99, 100, 250])
def test_nothing_is_cut(make_record: MakeRecord, make_entry: MakeEntry, width: int) -> None:
    name = "a_measure_with_a_name_that_is_longer_than_any_terminal_would_like_it_to_be_" * 2
    record = make_record(
        make_entry(status="FAIL", name=name, value=1234567.25, lower=None, upper=2234567.5, unit="target"),
        skipped=(Skipped(code="SEN001", name="x", title="t", reason="r" * 300),),
    )
    text = _printed(record, width)
    assert max(map(len, text.splitlines())) <= width
    assert "…" not in text
    assert "r" * 300 in _unfolded(text)
    if width >= 60:
        assert "1,234,567" in text
        assert "no bound" in text
        assert "a_measure" in text


def test_markup_and_control_characters_from_data_are_shown_not_obeyed(
    make_record: MakeRecord, make_entry: MakeEntry
) -> None:
    evil = "[bold red]x[/bold red]\x1b]0;owned\x07"
    record = make_record(
        make_entry(status="FAIL", name=evil, evidence=(Finding(text=evil),)),
        skipped=(Skipped(code=evil, name=evil, title=evil, reason=evil),),
    )
    text = _printed(record, 200)
    assert "\x1b" not in text
    assert "\x07" not in text
    assert text.count("[bold red]x[/bold red]") >= 4


def test_plain_without_a_terminal_coloured_with_one(full_record: Record) -> None:
    assert "\x1b[" not in _printed(full_record, 100)
    assert "\x1b[" in _printed(full_record, 100, terminal=True)


def test_a_record_of_nothing(make_record: MakeRecord) -> None:
    assert _printed(make_record(), 80).strip().startswith("No gate was set")
