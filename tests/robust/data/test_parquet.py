"""Parquet tables: types, indexes, and columns that cannot be used."""

import decimal

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet
import pytest

from robust.data import parquet
from robust.data.live import as_data
from robust.data.loading import load_data
from robust.errors import InvalidInput


@pytest.fixture
def path(tmp_path):
    return tmp_path / "t.parquet"


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        (pa.array([1, None, 3], pa.int32()), [1, np.nan, 3]),
        (pa.array([1, 2, 3], pa.uint8()), [1, 2, 3]),
        (pa.array([1.5, None, 3], pa.float32()), [1.5, np.nan, 3]),
        (pa.array([True, None, False]), [1, np.nan, 0]),
        (pa.array(["b", None, "a"]), [1, np.nan, 0]),
        (pa.array(["b", None, "a"], pa.large_string()), [1, np.nan, 0]),
        (pa.array(["b", None, "a"]).dictionary_encode(), [1, np.nan, 0]),
        (pa.array([decimal.Decimal("1.50"), None, decimal.Decimal(3)]), [1.5, np.nan, 3]),
        (pa.array([None, None, None]), [np.nan] * 3),
    ],
)
def test_types(path, column, expected):
    pa.parquet.write_table(pa.table({"a": column}), path)
    np.testing.assert_array_equal(load_data(path).x[:, 0], expected)


def test_dates_of_every_sort_are_one_order(path):
    naive = pd.to_datetime(["2020-01-02", "2020-01-01"])
    expected = as_data([[1.0], [2.0]], order=pd.Series(naive)).order.tolist()
    for column in (
        pa.array(naive, pa.timestamp("s")),
        pa.array(naive, pa.timestamp("ns")),
        pa.array(naive.tz_localize("UTC").tz_convert("Asia/Tokyo"), pa.timestamp("us", "Asia/Tokyo")),
        pa.array(naive.date),
    ):
        pa.parquet.write_table(pa.table({"a": [1.0, 2.0], "t": column}), path)
        assert load_data(path, order="t").order.tolist() == expected


@pytest.mark.parametrize(
    "column",
    [pa.array([[1.0], [2.0]]), pa.array([{"u": 1}, {"u": 2}]), pa.array([b"u", b"v"]), pa.array([[], []])],
)
def test_columns_of_other_types_are_refused(path, column):
    pa.parquet.write_table(pa.table({"a": column}), path)
    with pytest.raises(InvalidInput, match=r"column 'a' has type .*: numbers, text or dates"):
        load_data(path)


def test_an_index_is_no_input_but_can_be_named(path):
    frame = pd.DataFrame({"a": [1.0, 2.0]}, index=pd.Index([30, 20], name="time"))
    frame.to_parquet(path)
    assert load_data(path).names == ("a",)
    assert load_data(path, order="time").order.tolist() == [30, 20]
    frame.rename_axis(None).to_parquet(path)
    assert load_data(path).names == ("a",)


def test_names_that_come_twice_are_refused(path):
    pa.parquet.write_table(pa.table([pa.array([1]), pa.array([2])], names=["a", "a"]), path)
    with pytest.raises(InvalidInput, match="column names come more than once: a"):
        load_data(path)


def test_a_table_that_unpacks_to_too_much_is_refused(path, monkeypatch):
    pa.parquet.write_table(pa.table({"a": np.zeros(100_000)}), path)
    assert path.stat().st_size < 10_000  # repeated values take no room in the file
    monkeypatch.setattr(parquet, "_MOST_BYTES", 8 * 100_000 - 1)
    with pytest.raises(InvalidInput, match=r"would unpack to 0\.0 GiB: at most 64 GiB"):
        load_data(path)
    monkeypatch.setattr(parquet, "_MOST_BYTES", 8 * 100_000)
    monkeypatch.setattr(parquet, "_MOST_ROWS", 99_999)
    with pytest.raises(InvalidInput, match=r"has 100000 rows: at most 99999 are read"):
        load_data(path)


def test_categories_are_kept_across_row_groups(path):
    column = pd.Categorical(["c", "a", "c", "a"], categories=["c", "b", "a"])
    pd.DataFrame({"k": column}).to_parquet(path, row_group_size=1)
    data = load_data(path)
    assert data.schema.categories == ((0, ("a", "b", "c")),)
    assert data.x[:, 0].tolist() == [2, 0, 2, 0]
