"""Arrays and DataFrames as data: what becomes of each type, and every refusal."""

import re
from decimal import Decimal

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from robust.data.live import as_data
from robust.errors import InvalidInput

X = np.array([[0.5, 1.0], [1.5, 2.0], [2.5, 3.0]])


def frame():
    return pd.DataFrame(
        {
            "age": [30, 40, 50],
            "bmi": [20.5, np.nan, 30.0],
            "city": ["Rom", "Bonn", "Rom"],
            "smoker": [True, False, True],
            "site": ["n", "s", "n"],
            "time": pd.to_datetime(["2020-01-03", "2020-01-01", "2020-01-02"]),
            "label": ["ill", "well", "well"],
        }
    )


def test_array_is_a_read_only_view_and_leaves_the_callers_array_writable():
    own = X.copy()
    data = as_data(own, [0, 1, 0])
    assert np.shares_memory(data.x, own)
    assert own.flags.writeable
    for array in (data.x, data.y, data.ids):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 1


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8", "i1", "u1", "i4", "i8", "u8"])
def test_array_keeps_its_type(dtype):
    assert as_data(np.ones((2, 3), dtype=dtype)).x.dtype == np.dtype(dtype)


def test_foreign_byte_order_and_long_doubles_become_native():
    big = X.astype(">f4")
    assert as_data(big).x.dtype == np.dtype("f4")
    np.testing.assert_array_equal(as_data(big).x, X.astype("f4"))
    assert as_data(X.astype(np.longdouble)).x.dtype == np.float64


def test_boolean_array_is_binary():
    data = as_data(np.array([[True, False]]))
    assert data.x.dtype == np.uint8
    assert data.schema.kinds == ("binary", "binary")
    assert data.schema.upper.tolist() == [1.0, 1.0]


def test_default_names():
    assert as_data(X).names == ("x0", "x1")
    image = as_data(np.zeros((1, 2, 3, 4)))
    assert image.names[0] == "x[0,0,0]"
    assert image.names[-1] == "x[1,2,3]"
    # Names follow C order, as `flat` does.
    x = np.arange(24.0).reshape(1, 2, 3, 4)
    j = image.names.index("x[1,0,2]")
    assert image.schema.flat(x)[0, j] == x[0, 1, 0, 2]


def test_one_row_one_column_and_sixty_columns():
    assert as_data([[1.0]], [1]).x.shape == (1, 1)
    assert as_data(np.zeros((1, 60))).schema.width == 60
    assert as_data(np.array([1.0, 2.0])).schema.shape == ()


def test_missing_values_are_allowed_in_x():
    assert np.isnan(as_data([[np.nan, 1.0]], schema={"bounds": (0, 1)}).x[0, 0])


def test_list_that_mixes_numbers_and_text_keeps_both():
    data = as_data([[1, "a"], [2.5, "b"]])
    assert data.x.tolist() == [[1.0, 0.0], [2.5, 1.0]]
    assert data.schema.categories == ((1, ("a", "b")),)


def test_pair():
    data = as_data((X, [1, 2, 3]))
    assert data.targets.tolist() == [1, 2, 3]


def test_dataset_passes_through():
    data = as_data(X)
    assert as_data(data) is data


def test_frame_types():
    data = as_data(frame(), "label", unused=["site"], slices=["site", "city"], order="time")
    assert data.names == ("age", "bmi", "city", "smoker")
    assert data.x.dtype == np.float64
    assert data.schema.kinds == ("continuous", "continuous", "categorical", "binary")
    np.testing.assert_array_equal(data.x[:, 2], [1, 0, 1])  # Bonn, Rom
    assert data.schema.categories == ((2, ("Bonn", "Rom")),)
    np.testing.assert_array_equal(data.x[:, 3], [1, 0, 1])
    assert data.targets.tolist() == ["ill", "well", "well"]
    assert [column.name for column in data.unused] == ["site"]
    assert data.slices[1].values.tolist() == ["Rom", "Bonn", "Rom"]
    day = 86_400 * 10**9
    assert (data.order - data.order.min()).tolist() == [2 * day, 0, day]
    assert data.order.dtype == np.int64


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_order_does_not_depend_on_the_resolution_or_zone_of_dates(unit):
    plain = frame()["time"]
    same = (plain.astype(f"datetime64[{unit}]"), plain.dt.tz_localize("UTC").dt.tz_convert("Asia/Tokyo"))
    for series in same:
        assert as_data(X, order=series).order.tolist() == as_data(X, order=plain).order.tolist()


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (pd.array([1, None, 3], dtype="Int64"), [1, np.nan, 3]),
        (pd.array([1.5, None, 3], dtype="Float64"), [1.5, np.nan, 3]),
        (pd.array([True, None, False], dtype="boolean"), [1, np.nan, 0]),
        (pd.array(["b", None, "a"], dtype="string"), [1, np.nan, 0]),
        (pd.array([1, None, 3], dtype="int64[pyarrow]"), [1, np.nan, 3]),
        (pd.Categorical(["b", None, "a"]), [1, np.nan, 0]),
        (pd.Categorical(["hi", "lo", "hi"], categories=["lo", "mid", "hi"], ordered=True), [2, 0, 2]),
        (pd.Categorical(["c", "a", "c"], categories=["c", "b", "a"]), [2, 0, 2]),
        (pd.Categorical([10, 20, 10]), [10, 20, 10]),
        (pd.cut([1, 5, 9], [0, 4, 10]), [0, 1, 1]),
        ([Decimal("1.5"), None, 2], [1.5, np.nan, 2]),
        ([True, None, False], [1, np.nan, 0]),
        ([None, None, None], [np.nan] * 3),
        (pd.arrays.SparseArray([0.0, 1.0, 0.0]), [0, 1, 0]),
    ],
)
def test_column_types_of_pandas(values, expected):
    data = as_data(pd.DataFrame({"a": values}))
    np.testing.assert_array_equal(data.x[:, 0], expected)


def test_categories_that_do_not_occur_keep_their_codes():
    column = pd.Categorical(["a", "c", "c"], categories=["a", "b", "c"])
    data = as_data(pd.DataFrame({"k": column}))
    assert data.schema.categories == ((0, ("a", "b", "c")),)
    assert data.x[:, 0].tolist() == [0, 2, 2]


def test_test_set_is_coded_like_the_training_set():
    train = as_data(pd.DataFrame({"city": ["Bonn", "Köln", "Rom"]}))
    test = pd.DataFrame({"city": ["Rom", "Köln"]})
    assert as_data(test).x[:, 0].tolist() == [1, 0]  # by itself the codes differ
    assert as_data(test, schema=train.schema).x[:, 0].tolist() == [2, 1]
    declared = {"city": {"categories": ["Rom", "Köln", "Bonn"]}}
    assert as_data(test, schema=declared).x[:, 0].tolist() == [0, 1]
    with pytest.raises(InvalidInput, match=r"labels that its categories do not list: Wien in row 1 "):
        as_data(pd.DataFrame({"city": ["Rom", "Wien"]}), schema=train.schema)


def test_anything_with_to_pandas():
    table = pa.table({"a": [1, 2], "b": ["u", "v"]})
    data = as_data(table, "b")
    assert data.names == ("a",)
    assert data.targets.tolist() == ["u", "v"]


def test_series_is_a_frame_of_one_column():
    assert as_data(pd.Series([1.0, 2.0], name="a")).names == ("a",)


def test_columns_of_a_frame_that_count():
    data = as_data(pd.DataFrame(X), 1)
    assert data.names == ("0",)
    assert data.targets.tolist() == [1, 2, 3]


def test_array_with_names_can_give_its_columns_parts():
    data = as_data(X, "b", names=["a", "b"])
    assert data.names == ("a",)
    assert data.targets.tolist() == [1, 2, 3]


def test_columns_by_value():
    data = as_data(
        X,
        unused={"h": [1.0, np.nan, 3.0], "when": frame()["time"]},
        slices=frame()[["city"]],
        groups=["g", "g", "h"],
        ids=["r1", "r2", "r3"],
        order=np.array([1, 2, 3], dtype="m8[s]"),
    )
    assert [column.name for column in data.unused] == ["h", "when"]
    assert data.unused[1].values.dtype == np.int64
    assert data.slices[0].values.tolist() == ["Rom", "Bonn", "Rom"]
    assert data.order.tolist() == [10**9, 2 * 10**9, 3 * 10**9]
    assert data.groups.tolist() == ["g", "g", "h"]


def test_slices_by_date_stay_readable_and_missing_text_is_empty():
    when = pd.Series(pd.to_datetime(["2020-01-01", None, "2020-01-03"]))
    data = as_data(X, slices={"when": when, "who": ["a", None, "b"]})
    assert data.slices[0].values.tolist() == ["2020-01-01T00:00:00", "", "2020-01-03T00:00:00"]
    assert data.slices[1].values.tolist() == ["a", "", "b"]


@pytest.mark.parametrize(
    ("y", "expected"),
    [
        ([0, 1, 0], [0, 1, 0]),
        ([True, False, True], [1, 0, 1]),
        (["b", "a", "b"], ["b", "a", "b"]),
        (np.array(["b", "a", "b"], dtype=object), ["b", "a", "b"]),
        ([[1.5], [2.5], [3.5]], [1.5, 2.5, 3.5]),
        ([[1, 0], [0, 1], [1, 0]], [[1, 0], [0, 1], [1, 0]]),
        (pd.Series([3, 2, 1]), [3, 2, 1]),
        (pd.Series(pd.Categorical(["b", "a", "b"])), ["b", "a", "b"]),
        (pd.DataFrame({"t": [1.0, 2.0, 3.0]}), [1, 2, 3]),
        (pd.DataFrame({"t": [1.0, 2.0, 3.0], "u": [4, 5, 6]}), [[1, 4], [2, 5], [3, 6]]),
    ],
)
def test_targets(y, expected):
    assert as_data(X, y).targets.tolist() == expected


def test_whole_float_ids_become_whole_numbers():
    assert as_data(X, ids=[3.0, 1.0, 2.0]).ids.dtype == np.int64


REFUSED = [
    ({"x": np.zeros((0, 2))}, "zero rows"),
    ({"x": pd.DataFrame({"a": []})}, "zero rows"),
    ({"x": np.zeros((2, 0))}, "rows without features"),
    ({"x": np.float64(3)}, "x is a single value"),
    ({"x": {"a": [1]}}, "x is a single value"),
    ({"x": [[1, 2], [3]]}, "x cannot be read as an array of equal rows"),
    ({"x": np.array([[object(), 1]])}, "'x0' holds objects of type object"),
    ({"x": pd.DataFrame({"a": [[1], [2]]})}, "'a' holds objects of type list"),
    ({"x": pd.DataFrame({"a": ["u", 1]})}, "'a' holds objects of type int, str"),
    ({"x": [{"a": 1}]}, "x has type object"),
    ({"x": np.array([[1j]])}, "x is complex"),
    ({"x": pd.DataFrame({"a": [1j]})}, "'a' has type complex128"),
    ({"x": np.ma.masked_array([[1.0]], mask=[[True]])}, "masked array"),
    ({"x": np.array([(1, 2.0)], dtype=[("a", int), ("b", float)])}, "structured array"),
    ({"x": [[1, np.inf], [2, 3], [-np.inf, 4]]}, r"x is infinite in rows 0, 2 .*columns x0, x1"),
    ({"x": (X, [1, 2, 3], 4)}, "got 3 members"),
    ({"x": (X, [1, 2, 3]), "y": [1, 2, 3]}, "y is given twice"),
    ({"x": frame()[["time"]]}, "input column 'time' holds dates"),
    ({"x": pd.DataFrame({"a": [2**53 + 1]})}, "beyond 2\\*\\*53"),
    ({"x": pd.DataFrame([[1, 2]], columns=["a", "a"])}, "column names come more than once: a"),
    ({"x": pd.DataFrame({"a": ["x" * 5000]})}, "text of 5000 characters in row 0"),
    ({"x": frame(), "names": ["a"]}, "names= is for inputs without names"),
    ({"x": frame()[["label"]], "y": "label"}, "no column left for x"),
    ({"y": [0, 1, np.nan]}, "y has missing labels .* row 2 "),
    ({"y": ["a", None, "b"]}, "y has missing labels .* row 1 "),
    ({"y": pd.array([1, None, 2], dtype="Int64")}, "y has missing labels .* row 1 "),
    ({"y": [0, np.inf, 1]}, "y is infinite in row 1 "),
    ({"y": [[1, 2], [np.nan, 3], [4, 5]]}, "y has missing labels .* row 1 "),
    ({"y": np.array([1j, 2, 3])}, "'y' has type complex128"),
    ({"y": [1, "a", 2]}, "'y' holds objects of type int, str"),
    ({"y": [["a", "b"]] * 3}, "y of several columns must be numbers"),
    ({"y": np.zeros((3, 2, 2))}, r"y has shape \(3, 2, 2\): \(n,\) or \(n, k\)"),
    ({"y": 3}, r"y has shape \(\)"),
    ({"y": frame()["time"]}, "y holds dates"),
    ({"y": [0, 1]}, "x has 3 rows, y has 2"),
    ({"ids": [1, 2]}, "x has 3 rows, ids has 2"),
    ({"order": [1, 2]}, "x has 3 rows, order has 2"),
    ({"groups": [1, 2, 3, 4]}, "x has 3 rows, groups has 4"),
    ({"unused": {"h": [1]}}, "x has 3 rows, column 'h' has 1"),
    ({"slices": {"h": [1]}}, "x has 3 rows, column 'h' has 1"),
    ({"ids": [1, 2, 1]}, "ids come more than once: 1;"),
    ({"ids": ["a", "b", "a"]}, "ids come more than once: a;"),
    ({"ids": [1.5, 2, 3]}, "got fractions"),
    ({"ids": ["a", None, "b"]}, "ids has missing values in row 1 "),
    ({"ids": X}, r"ids has shape \(3, 2\)"),
    ({"order": ["a", "b", "c"]}, "order holds text"),
    ({"order": [1, np.nan, 2]}, "order has missing values in row 1 "),
    (
        {"order": pd.to_datetime(pd.Series(["2020-01-01", None, "2020-01-02"]))},
        "order has missing values in row 1 ",
    ),
    ({"order": [1, np.inf, 2]}, "order is infinite in row 1 "),
    ({"order": np.array(["1000-01-01"] * 3, dtype="M8[D]")}, "outside the years 1678 to 2261"),
    ({"groups": ["a", None, "b"]}, "groups has missing values in row 1 "),
    ({"names": ["a"]}, "got 1 names for 2 features"),
    ({"names": ["a", "a"]}, "names come more than once: a"),
    ({"names": ["a", ""]}, "names must be texts that are not empty"),
    ({"names": "ab"}, "names must be a list of 2 names"),
    ({"y": "label"}, "y='label' names a column, but x is an array"),
    ({"unused": ["h"]}, "unused='h' names a column, but x is an array"),
    ({"unused": [1, 2]}, "unused must be a list of column names"),
    ({"unused": 3}, "unused must be a list of column names"),
    ({"x": frame(), "y": "labell"}, "no column 'labell': did you mean 'label'"),
    ({"x": frame(), "order": "tmie"}, "no column 'tmie': did you mean 'time'"),
    ({"x": frame(), "unused": ["sight"]}, "did you mean 'site'"),
    ({"x": frame(), "slices": ["zzz"]}, "slices: data has no column 'zzz'; there are age"),
    ({"x": frame(), "slices": ["city", "city"]}, "slices come more than once: city"),
    (
        {"schema": {"bounds": (0, 2)}},
        r"feature 'x0' is above its bound 2.0 in 1 row .*: declare other bounds or rescale",
    ),
    ({"schema": {"x0": {"kind": "integer"}}}, "feature 'x0' is integer but has fractions"),
    ({"schema": {"x9": {"kind": "integer"}}}, "the schema names a feature that is not there, 'x9'"),
    (
        {"schema": as_data(np.zeros((1, 3))).schema},
        r"the schema describes rows of shape \(3,\), the data has \(2,\)",
    ),
]


@pytest.mark.parametrize(("arguments", "message"), REFUSED, ids=range(len(REFUSED)))
def test_refused(arguments, message):
    arguments = {"x": X} | arguments
    with pytest.raises(InvalidInput, match=message):
        as_data(arguments.pop("x"), **arguments)


def test_sparse_is_refused():
    sparse = pytest.importorskip("scipy.sparse")
    with pytest.raises(InvalidInput, match=re.escape("x is sparse: pass x.toarray()")):
        as_data(sparse.csr_matrix(X))


@pytest.mark.parametrize("word", ["y", "names", "schema", "unused", "slices", "order", "groups", "ids"])
def test_finished_dataset_takes_no_overrides(word):
    with pytest.raises(InvalidInput, match=f"finished Dataset: {word} belong"):
        as_data(as_data(X), **{word: ["a", "b", "c"]})


def test_schema_of_other_features_is_refused():
    swapped = as_data(frame()[["bmi", "age"]])
    with pytest.raises(InvalidInput, match="schema's feature 0 is 'bmi', the data's is 'age'"):
        as_data(frame()[["age", "bmi"]], schema=swapped.schema)


def test_rows_of_a_series_in_another_order_are_not_paired_by_position():
    x = frame()[["age"]]
    y = pd.Series([0, 1, 1], index=[2, 0, 1])
    with pytest.raises(InvalidInput, match=re.escape("pass y.loc[x.index]")):
        as_data(x, y)
    assert as_data(x, y.loc[x.index]).targets.tolist() == [1, 1, 0]
    assert as_data(x, y.to_numpy()).targets.tolist() == [0, 1, 1]
    # Another index altogether says nothing: position decides, as everywhere in the field.
    assert as_data(x, pd.Series([0, 1, 1], index=[7, 8, 9])).targets.tolist() == [0, 1, 1]


def test_fingerprint_tells_relabelled_data_apart():
    honest, wrong = as_data(X, [0, 1, 0]), as_data(X, [0, 1, 1])
    assert honest.fingerprint != wrong.fingerprint
    assert honest.fingerprint == as_data(X.copy(), np.array([0, 1, 0])).fingerprint
