import sys
import unicodedata
from collections.abc import Callable
from typing import get_args

import pytest
from msgspec import structs

from robust.evidence import SelfCheck
from robust.record.shape import Entry
from robust.report.wording import (
    MARKS,
    NO_GATE,
    STATUSES,
    bias_words,
    decider_words,
    direction_words,
    family_words,
    level_words,
    method_words,
    printable,
    row_words,
    settled_by,
    unit_words,
)
from robust.verdict import Status


def test_every_status_has_words_and_a_mark_of_its_own() -> None:
    assert set(STATUSES) == set(get_args(Status))
    assert set(MARKS) == {*get_args(Status), NO_GATE}
    assert len(set(MARKS.values())) == len(MARKS)


def test_no_character_that_steers_a_terminal_or_turns_text_around_is_left() -> None:
    # All blocks that hold such characters: the first planes, surrogates, private use, tags.
    ranges = (
        range(0x3100),
        range(0xD7F0, 0xE010),
        range(0xFE00, 0x10020),
        range(0xE0000, 0xE0200),
        (sys.maxunicode,),
    )
    shown = printable("".join(chr(code) for codes in ranges for code in codes))
    assert not {unicodedata.category(letter) for letter in shown} & {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"}
    shown.encode("utf-8")  # a lone surrogate would not


def test_text_that_is_fine_stays() -> None:
    text = "Größe 日本 – “a” → b <i>&amp;"
    assert printable(text) == text


def test_lines_become_one() -> None:
    assert printable("a\n\tb\r\nc") == "a b c"


def test_unknown_methods_units_and_families_are_named() -> None:
    assert method_words("a-new-method") == "a-new-method"
    assert unit_words("ms") == "ms"
    assert unit_words("share") == ""
    assert family_words("PRV001") == ("PRV", "")
    assert family_words("ATK009")[0] == "Attacks"


@pytest.mark.parametrize(
    ("higher", "words"),
    [(True, "higher is better"), (False, "lower is better"), (None, "neither direction is better")],
)
def test_direction(higher: bool | None, words: str) -> None:
    assert direction_words(higher) == words


def test_level_says_what_the_two_bounds_are_together() -> None:
    assert level_words(0.99) == "each bound one-sided 99%, together a two-sided 98% interval"


def test_bias_says_which_way() -> None:
    check = SelfCheck(name="masked gradients", passed=False, reason="", bias="raises")
    assert "too high" in bias_words(check)
    assert "too low" in bias_words(structs.replace(check, bias="lowers"))


def test_decider(make_entry: Callable[..., Entry]) -> None:
    entry = make_entry(status="FAIL")
    assert entry.gate is not None
    assert decider_words(entry.gate, entry.measurement) == "95% upper bound"
    by_value = structs.replace(entry.gate, decided_by="value")
    assert decider_words(by_value, entry.measurement) == "value, interval ignored"
    assert decider_words(by_value, structs.replace(entry.measurement, method="exact")) == "exact value"


@pytest.mark.parametrize(
    ("value", "needed", "words"),
    [
        (0.007, 13014, "13014 rows would settle it, as PASS if the observed rates hold"),
        (0.018, 500, "500 rows would settle it, as FAIL if the observed rates hold"),
        (0.01, None, "no number of rows settles it"),
    ],
)
def test_what_would_settle_an_inconclusive_gate(
    make_entry: Callable[..., Entry], value: float, needed: int | None, words: str
) -> None:
    entry = make_entry(status="INCONCLUSIVE", value=value, needed_n=needed)
    assert entry.gate is not None
    assert settled_by(entry.gate, entry.measurement) == words
    mirrored = structs.replace(entry.gate, operator=">")
    assert ("PASS" in settled_by(mirrored, entry.measurement)) == ("FAIL" in words)


def test_without_a_sizing_it_is_not_known_what_would_settle(make_entry: Callable[..., Entry]) -> None:
    entry = make_entry(status="INCONCLUSIVE")
    assert entry.gate is not None
    assert "not known" in settled_by(entry.gate, structs.replace(entry.measurement, sizing=None))


@pytest.mark.parametrize("status", ["PASS", "FAIL", "INVALID"])
def test_other_gates_need_no_rows(make_entry: Callable[..., Entry], status: Status) -> None:
    entry = make_entry(status=status, needed_n=5)
    assert entry.gate is not None
    assert settled_by(entry.gate, entry.measurement) == ""


def test_row_ids_with_and_without_numbers() -> None:
    assert row_words((3, "b\x1b[2J")) == "3, b\\x1b[2J"
    assert row_words((3, 4), (0.5, 1e-9)) == "3 (0.5), 4 (1e-09)"
