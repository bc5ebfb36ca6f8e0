import math
from collections.abc import Callable

import pytest
from msgspec import structs

from robust.record.shape import Entry
from robust.report.numbers import Shown, brief, grouped, places, short, signed, written


@pytest.mark.parametrize(
    ("unit", "numbers", "expected"),
    [
        ("share", [0.5], 4),
        ("share", [1.0, 0.0], 4),
        ("share", [0.01, 0.0100004], 7),
        ("target", [1234.5, 2.0], 0),
        ("target", [0.0012345], 6),
        ("target", [0.0, 0.0], 0),
        ("bytes", [1024.0, 2048.0], 0),
        ("share", [0.5, None, math.inf], 4),
        ("target", [], 0),
        ("target", [7.975e-07, 7.963e-07, 9.1e-07], -3),
        ("target", [7.976e-07, 7.9761e-07], -5),
        ("nats", [3e-05, 0.0], -3),
        ("target", [7.975e-07, 0.5], 4),
    ],
)
def test_places_by_unit(unit: str, numbers: list[float | None], expected: int) -> None:
    assert places(unit, numbers) == expected


def test_numbers_that_differ_look_different_unless_that_is_not_asked() -> None:
    close = [0.1, 0.1 + 1e-9]
    assert len({written(number, places("share", close)) for number in close}) == 2
    assert places("share", close, apart=False) == 4


def test_a_negative_zero_is_no_drop() -> None:
    assert written(-0.0, 4) == written(-1e-9, 4) == "0.0000"
    assert written(-0.0001, 4) == "-0.0001"


@pytest.mark.parametrize("number", [None, math.inf, -math.inf, math.nan])
def test_what_is_no_number_is_said_in_words(number: float | None) -> None:
    assert written(number, 4) == "no bound"
    assert brief(number) == "not a number"


def test_large_and_small_numbers_stay_readable() -> None:
    assert written(1e20, 4) == "1e+20"
    assert written(1234567.0, 0) == "1,234,567"
    assert brief(1e-300) == "1e-300"
    assert short(1e-7) == "1e-07"
    assert signed(0.0, 2) == "+0.00"


def test_an_entry_is_written_with_one_number_of_decimals(make_entry: Callable[..., Entry]) -> None:
    shown = Shown(make_entry(status="FAIL", value=0.010004, lower=0.002, upper=0.0212))
    assert (shown.value, shown.lower, shown.upper, shown.bound) == (
        "0.010004",
        "0.002000",
        "0.021200",
        "0.021200",
    )
    assert (shown.limit, shown.margin, shown.bounds) == ("< 0.01", "-0.011200", "0.002000 .. 0.021200")


def test_missing_bounds_and_exact_values(make_entry: Callable[..., Entry]) -> None:
    assert Shown(make_entry(lower=None)).bounds == "no bound .. 0.0212"
    assert Shown(make_entry(method="exact")).bounds == "exact"
    assert Shown(make_entry(value=None, lower=None, upper=None)).value == "not a number"


def test_tiny_numbers_have_three_digits_and_a_power_of_ten(make_entry: Callable[..., Entry]) -> None:
    shown = Shown(make_entry(unit="target", value=7.975e-07, lower=7.963e-07, upper=9.1e-07))
    assert (shown.value, shown.bounds) == ("7.97e-07", "7.96e-07 .. 9.10e-07")
    shown = Shown(make_entry(unit="target", value=2e-05, lower=-0.0, upper=None))
    assert shown.bounds == "0 .. no bound"


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (84224.0, "84,224"),
        (-84224.5, "-84,224.5"),
        (1958.0, "1958"),
        (9999.5, "9999.5"),
        (1e20, "1e+20"),
        (None, "not a number"),
    ],
)
def test_thousands_stand_apart_from_ten_thousand_on(number: float | None, text: str) -> None:
    assert grouped(number) == text


def test_what_has_no_end_is_told_from_what_is_not_proved(make_entry: Callable[..., Entry]) -> None:
    entry = make_entry(value=None, lower=None, upper=None, status="PASS")
    endless = structs.replace(
        entry,
        measurement=structs.replace(entry.measurement, infinities={"value": 1, "lower": 1}),
        gate=structs.replace(entry.gate, decided_by="lower", operator=">", bound=None, margin=None),
    )
    shown = Shown(endless)
    assert (shown.value, shown.bounds, shown.bound, shown.margin) == ("∞", "∞ .. no bound", "∞", "+∞")
    plain = Shown(entry)
    assert (plain.value, plain.bounds, plain.bound) == ("not a number", "no bound .. no bound", "no bound")
