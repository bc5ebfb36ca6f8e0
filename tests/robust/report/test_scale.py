from collections.abc import Callable

import pytest
from msgspec import structs

from robust.record.shape import Entry
from robust.report.scale import scale

MakeEntry = Callable[..., Entry]


def test_positions_by_hand(make_entry: MakeEntry) -> None:
    # 0.0 .. 0.02 spans the line from 6 % to 94 %: 0.01 lies in its middle.
    found = scale(make_entry(status="FAIL", value=0.015, lower=0.0, upper=0.02))
    assert found is not None
    assert (found.lower, found.upper, found.value, found.limit) == (6.0, 94.0, 72.0, 50.0)
    assert found.good == (0.0, 50.0)
    assert found.words == "value 0.0150, lower bound 0.0000, upper bound 0.0200; the gate asks for < 0.01"


@pytest.mark.parametrize(
    ("operator", "good"),
    [
        ("<", (0.0, 50.0)),
        ("<=", (0.0, 50.0)),
        (">", (50.0, 100.0)),
        (">=", (50.0, 100.0)),
        ("==", None),
        ("!=", None),
    ],
)
def test_the_passing_side_follows_the_operator(
    make_entry: MakeEntry, operator: str, good: tuple[float, float] | None
) -> None:
    entry = make_entry(status="FAIL", value=0.015, lower=0.0, upper=0.02)
    assert entry.gate is not None
    found = scale(structs.replace(entry, gate=structs.replace(entry.gate, operator=operator)))
    assert found is not None
    assert found.good == good


def test_missing_bounds_reach_the_ends(make_entry: MakeEntry) -> None:
    found = scale(make_entry(lower=None, upper=None))
    assert found is not None
    assert (found.lower, found.upper, found.open_below, found.open_above) == (0.0, 100.0, True, True)
    assert "lower bound none" in found.words


def test_an_exact_value_stands_alone(make_entry: MakeEntry) -> None:
    found = scale(make_entry(value=5.0, lower=5.0, upper=5.0, method="exact", unit="bytes"))
    assert found is not None
    assert (found.value, found.words) == (50.0, "value 5 bytes")


def test_no_value_no_line(make_entry: MakeEntry) -> None:
    assert scale(make_entry(value=None, lower=None, upper=None)) is None


def test_every_mark_stays_on_the_line(make_entry: MakeEntry) -> None:
    for value, lower, upper in [(1e308, -1e308, 1e308), (0.0, 0.0, 0.0), (-3.0, -4.0, -2.0)]:
        found = scale(make_entry(status="PASS", value=value, lower=lower, upper=upper))
        assert found is not None
        assert all(0 <= at <= 100 for at in (found.value, found.lower, found.upper, found.limit or 0))
