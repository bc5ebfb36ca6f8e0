from collections.abc import Callable

import pytest

from robust.record.shape import Entry, Record, Skipped
from robust.report.sentence import answer, tally, verdict_sentence

MakeEntry = Callable[..., Entry]
MakeRecord = Callable[..., Record]
GATED = Skipped(code="BAS001", name="gain", title="gain", reason="needs train", gated=True)
UNGATED = Skipped(code="BAS001", name="gain", title="gain", reason="needs train")


def test_all_pass(make_record: MakeRecord, make_entry: MakeEntry) -> None:
    record = make_record(make_entry(status="PASS"), make_entry(status="PASS"), make_entry(), skipped=(UNGATED,))
    assert verdict_sentence(record) == "May it ship? Yes: both gates pass."
    assert answer(record) == "yes"
    assert verdict_sentence(make_record(make_entry(status="PASS"))) == "May it ship? Yes: the only gate passes."


def test_counts_and_names(full_record: Record) -> None:
    assert verdict_sentence(full_record) == (
        "May it ship? No: 1 of 5 gates fails (degradation), 1 passes, 1 is inconclusive (degradation_f1), "
        "1 is invalid (robust_accuracy), 1 could not be measured (gain)."
    )
    assert tally(full_record).total == 5


@pytest.mark.parametrize(
    ("status", "words"), [("FAIL", "fails"), ("INCONCLUSIVE", "is inconclusive"), ("INVALID", "is invalid")]
)
def test_a_single_gate_is_the_only_one(make_record: MakeRecord, make_entry: MakeEntry, status: str, words: str) -> None:
    assert f": the only gate {words} (degradation)." in verdict_sentence(make_record(make_entry(status=status)))
    assert ": the only gate could not be measured (gain)." in verdict_sentence(make_record(skipped=(GATED,)))


def test_one_inconclusive(make_record: MakeRecord, make_entry: MakeEntry) -> None:
    passing = [make_entry(status="PASS") for _ in range(3)]
    record = make_record(*passing, make_entry(status="INCONCLUSIVE"))
    assert verdict_sentence(record) == ("May it ship? Not settled: 3 of 4 gates pass, 1 is inconclusive (degradation).")


@pytest.mark.parametrize("status", ["INCONCLUSIVE", "INVALID"])
def test_an_unsettled_gate_is_no_yes(make_record: MakeRecord, make_entry: MakeEntry, status: str) -> None:
    assert answer(make_record(make_entry(status="PASS"), make_entry(status=status))) == "open"


def test_a_gate_that_could_not_be_measured_is_no_yes(make_record: MakeRecord, make_entry: MakeEntry) -> None:
    record = make_record(make_entry(status="PASS"), skipped=(GATED,))
    assert answer(record) == "open"
    assert "1 could not be measured (gain)" in verdict_sentence(record)


def test_an_interrupted_audit_is_no_yes(make_record: MakeRecord, make_entry: MakeEntry) -> None:
    record = make_record(make_entry(status="PASS"), interrupted=True)
    assert answer(record) == "open"
    assert "interrupted" in verdict_sentence(record)
    assert verdict_sentence(make_record(interrupted=True)).startswith("May it ship? Not settled")


def test_no_gate_is_no_yes(make_record: MakeRecord, make_entry: MakeEntry) -> None:
    record = make_record(make_entry())
    assert (answer(record), "Yes" in verdict_sentence(record)) == ("none", False)
    wanted = make_record(make_entry(), exit_code=5)
    assert (answer(wanted), "none was evaluated" in verdict_sentence(wanted)) == ("open", True)


def test_a_failure_outweighs_the_rest(make_record: MakeRecord, make_entry: MakeEntry) -> None:
    statuses = ["PASS", "INCONCLUSIVE", "INVALID", "FAIL"]
    for order in (statuses, statuses[::-1]):
        assert answer(make_record(*[make_entry(status=status) for status in order])) == "no"


def test_deciding_by_value_is_said(make_record: MakeRecord, make_entry: MakeEntry) -> None:
    assert "intervals ignored" in verdict_sentence(make_record(make_entry(status="PASS"), decide="value"))


def test_names_from_data_cannot_steer_a_terminal(make_record: MakeRecord, make_entry: MakeEntry) -> None:
    assert "\x1b" not in verdict_sentence(make_record(make_entry(status="FAIL", name="\x1b[31m")))
