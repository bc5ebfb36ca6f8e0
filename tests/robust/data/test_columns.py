"""Columns of any type as one of few."""

import datetime
from decimal import Decimal

import numpy as np
import pytest

from robust.data.columns import nanoseconds, raw_column
from robust.errors import InvalidInput

UTC = datetime.UTC
TOKYO = datetime.timezone(datetime.timedelta(hours=9))


def objects(*values):
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return array


@pytest.mark.parametrize(
    ("values", "kind", "expected"),
    [
        (objects(1, 2), "i", [1, 2]),
        (objects(1, np.int8(2)), "i", [1, 2]),
        (objects(2**63, 1), "u", [2**63, 1]),
        (objects(1, 2.5), "f", [1, 2.5]),
        (objects(1, None), "f", [1, np.nan]),
        (objects(Decimal("0.5"), float("nan")), "f", [0.5, np.nan]),
        (objects(np.float32(0.5), 1), "f", [0.5, 1]),
        (objects(True, False), "b", [True, False]),
        (objects(np.True_, None), "f", [1, np.nan]),
        (objects(None, None), "f", [np.nan, np.nan]),
    ],
)
def test_objects(values, kind, expected):
    column = raw_column("a", values)
    assert column.values.dtype.kind == kind
    np.testing.assert_array_equal(column.values, expected)
    np.testing.assert_array_equal(column.missing, [value != value for value in expected])


def test_text_keeps_none():
    column = raw_column("a", objects("u", None, np.str_("v")))
    assert column.is_text
    assert column.values.tolist() == ["u", None, "v"]
    assert column.missing.tolist() == [False, True, False]


def test_python_dates_and_times_in_any_zone():
    same = objects(
        datetime.datetime(2020, 1, 2, 9, tzinfo=TOKYO),
        datetime.datetime(2020, 1, 2, tzinfo=UTC),
        datetime.datetime(2020, 1, 2),
        datetime.date(2020, 1, 2),
        np.datetime64("2020-01-02"),
        None,
    )
    column = raw_column("a", same)
    assert len(np.unique(column.values[:5])) == 1
    assert column.missing.tolist() == [False] * 5 + [True]


def test_nanoseconds_do_not_wrap_around():
    good = np.array(["1678-01-01", "2261-12-31", "NaT"], dtype="M8[D]")
    assert nanoseconds("t", good).astype("M8[D]").tolist() == good.tolist()
    for beyond in ("1600-01-01", "2300-01-01"):
        with pytest.raises(InvalidInput, match="'t' has times outside the years 1678 to 2261 in row 1 "):
            nanoseconds("t", np.array(["2000-01-01", beyond], dtype="M8[D]"))
    assert np.isnat(nanoseconds("t", np.array(["NaT"], dtype="M8"))).all()


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.array([1j]), "'a' has type complex128: numbers, text or dates"),
        (np.array([b"u"]), r"'a' has type \|S1: numbers, text or dates"),
        (objects(1, "u"), "'a' holds objects of type int, str"),
        (objects(True, 1), "'a' holds objects of type bool, int"),
        (objects([1]), "'a' holds objects of type list"),
        (objects(2**64), "'a' has whole numbers beyond 64 bits"),
        (objects("u" * 4097), "'a' has a text of 4097 characters in row 0"),
    ],
)
def test_refused(values, message):
    with pytest.raises(InvalidInput, match=message):
        raw_column("a", values)
