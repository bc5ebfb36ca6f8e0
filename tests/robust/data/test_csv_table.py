"""CSV as it comes: headers, headerless numbers, spreadsheets' habits, and errors that name the line."""

import re
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from robust.data import csv_table
from robust.data.loading import load_data
from robust.errors import InvalidInput
from robust.examples.catalogue import example_path


@pytest.fixture
def read(tmp_path):
    def read(content, **options):
        path = tmp_path / "t.csv"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return load_data(path, **options)

    return read


@pytest.mark.parametrize(
    "content",
    [
        "a,b,label\n1,2.5,u\n3,,v\n",
        "a,b,label\n1,2.5,u\n3,,v",
        "a,b,label\r\n1,2.5,u\r\n3,,v\r\n",
        "a,b,label\r1,2.5,u\r3,,v\r",
        "\ufeffa,b,label\n1,2.5,u\n3,,v\n",
        "a;b;label\n1;2.5;u\n3;;v\n",
        "a\tb\tlabel\n1\t2.5\tu\n3\t\tv\n",
        "sep=;\na;b;label\n1;2.5;u\n3;;v\n",
        "\ufeff# a comment, with commas\n\na,b,label\n1,2.5,u\n\n3,,v\n\n",
        '"a","b","label"\n"1","2.5","u"\n"3","","v"\n',
        "a, b ,label\n 1, 2.5 ,u\n3,nan,v\n",
        "a,b,label\n1,2.5e0,u\n+3,NA,v\n",
    ],
)
def test_one_table_in_many_guises(read, content):
    data = read(content, target="label")
    assert data.names == ("a", "b")
    np.testing.assert_array_equal(data.x, [[1, 2.5], [3, np.nan]])
    assert data.targets.tolist() == ["u", "v"]


def test_quoted_newlines_delimiters_and_quotes(read):
    data = read('"a ""x"", b",who\n1,"Smith,\nJohn"\n2,"a ""b"""\n', slices=["who"], unused=["who"])
    assert data.names == ('a "x", b',)
    assert data.slices[0].values.tolist() == ["Smith,\nJohn", 'a "b"']


def test_header_over_two_lines(read):
    assert read('"body\nmass",b\n1,2\n').names == ("body\nmass", "b")


def test_names_in_any_script(read):
    data = read("größe,年齢,label\n1,2,ä\n3,4,日本\n", target="label")
    assert data.names == ("größe", "年齢")
    assert data.targets.tolist() == ["ä", "日本"]


def test_types(read):
    data = read(
        "n,flag,city,when,label\n1,True,Rom,2020-01-02,1\n,false,,2020-01-01,0\n3,TRUE,Bonn,2020-01-03 06:00:00,1\n",
        target="label",
        order="when",
    )
    assert data.schema.kinds == ("continuous", "binary", "categorical")
    np.testing.assert_array_equal(data.x, [[1, 1, 1], [np.nan, 0, np.nan], [3, 1, 0]])
    assert data.targets.dtype == np.int64
    assert np.argsort(data.order).tolist() == [1, 0, 2]


def test_times_with_zones(read):
    data = read("a,when\n1,2020-01-01T00:00:00Z\n2,2020-01-01 01:00:00+02:00\n", order="when")
    assert (data.order[0] - data.order[1]) == 3600 * 10**9


def test_headerless_numbers_are_a_tensor(read):
    data = read("1,2,3\n4,5.5,\n")
    assert data.names == ("x0", "x1", "x2")
    assert data.x.dtype == np.float64
    np.testing.assert_array_equal(data.x, [[1, 2, 3], [4, 5.5, np.nan]])
    assert read("1,2\n3,4\n", names=["a", "b"]).names == ("a", "b")


@pytest.mark.parametrize(("rows", "columns"), [(1, 1), (1, 60), (60, 1), (3, 60)])
def test_shapes(read, rows, columns):
    x = np.arange(rows * columns).reshape(rows, columns) / 8
    text = "\n".join(",".join(map(str, row)) for row in x.tolist())
    np.testing.assert_array_equal(read(text).x, x)


def test_headerless_file_with_names_can_have_parts(read):
    data = read("1,0\n2,1\n", names=["a", "label"], target="label")
    assert data.names == ("a",)
    assert data.targets.tolist() == [0, 1]


def test_declared_type_of_a_tensor(read):
    data = read("# model=x dtype=uint8\n4.8e+01, 65\n50,255\n")
    assert data.x.dtype == np.uint8
    assert data.x.tolist() == [[48, 65], [50, 255]]
    assert read("# dtype=float32\n0.1\n").x.dtype == np.float32
    with pytest.raises(InvalidInput, match=r"line 3, column 2: 256.0 is no uint8"):
        read("# dtype=uint8\n1,2\n3,256\n")
    with pytest.raises(InvalidInput, match=r"line 2, column 1: 1.5 is no int8"):
        read("# dtype=int8\n1.5,2\n")
    with pytest.raises(InvalidInput, match="declares dtype=float80; known: float64"):
        read("# dtype=float80\n1.5,2\n")
    with pytest.raises(InvalidInput, match="declares dtype=int8 and dtype=uint8: one of them"):
        read("# dtype=int8\n# dtype=uint8\n1,2\n")
    assert read("# dtype=int8\n# dtype=int8\n1,2\n").x.dtype == np.int8


def test_a_header_of_numbers_needs_a_part_that_names_one(read):
    assert len(read("2019,2020\n1,2\n")) == 2
    data = read("2019,2020\n1,2\n", target="2020")
    assert data.names == ("2019",)


def test_labels_that_look_like_numbers(read):
    content = "size,b\n1,1\n3,2\n"
    assert read(content).x[:, 0].tolist() == [1, 3]
    data = read(content, schema={"size": {"categories": ["1", "2", "3"]}})
    assert data.x[:, 0].tolist() == [0, 2]
    again = read("size,b\n2,1\n", schema=data.schema)
    assert again.x[:, 0].tolist() == [1]


def test_mixed_codes_are_fine_where_they_only_tell_rows_apart(read):
    data = read("a,id,site\n1,7,1\n2,8b,2\n3,9,x\n", ids="id", slices=["site"], unused=["site"])
    assert data.ids.tolist() == ["7", "8b", "9"]
    assert data.slices[0].values.tolist() == ["1", "2", "x"]


def test_formulas_are_data(read):
    data = read("a,who\n1,=1+1\n2,\"=cmd|' /C calc'!A0\"\n", slices=["who"], unused=["who"])
    assert data.slices[0].values.tolist() == ["=1+1", "=cmd|' /C calc'!A0"]


REFUSED = [
    ("a,b\n1,2\n3\n", {}, "t.csv, line 3: 1 cells, the first line has 2"),
    ("a,b\n1,2\n\n3,4,5\n", {}, "t.csv, line 4: 3 cells, the first line has 2"),
    ('a,b\n"x\ny",2\n3\n', {}, "t.csv, line 4: 1 cells, the first line has 2"),
    ("# c\n1,2\n3,4\n5\n", {}, "t.csv, line 4: 1 cells"),
    ('a,b\n1,2\n"3,4\n5,6\n', {}, "t.csv, line 3: .*is a quote not closed"),
    ('"a,b\n1,2\n', {}, "t.csv.*quote not closed|t.csv has"),
    ("age,b\n1,2\n3,4\nabc,5\n", {}, "t.csv, line 4, column 'age': 'abc' is no number, as 2 other cells"),
    ('w,age\n"x\ny",2\nz,3\nz,?\n', {}, r"t.csv, line 5, column 'age': '\?' is no number"),
    ("# c\n1,2\n3,4\n5,x\n", {}, "t.csv, line 4, column 'column 2': 'x' is no number"),
    ("1,2\nx,4\ny,5\n", {}, "column 1: '1' in line 1 is a number, other cells of the column are not"),
    ("a;b\n1;2,5\n2;3\n3;4\n", {}, r"line 2, column 'b': '2,5' is no number.*decimal points"),
    ("1,5;2,5\n", {}, "decimal commas"),
    (",a,b\n0,1,2\n", {}, r"column 1 has no name.*to_csv\(index=False\)"),
    ("a,b,\n1,2,\n", {}, "column 3 has no name"),
    ("a,a\n1,2\n", {}, "column names come more than once: a"),
    ("a,b\n", {}, "a header and zero rows"),
    ("# only\n# comments\n", {}, "has no rows: nothing but comments"),
    ("\n\n", {}, "has no rows"),
    ("a,b\n1,\xff2\n".encode("latin-1"), {}, "is not text in UTF-8"),
    (b"a,b\n1,\0\n\0\0", {}, "t.csv"),
    (
        "1,2\n3,4\n",
        {"target": "label"},
        "has no header .*no column is named label: add a header, or pass names=",
    ),
    ("a,b\n1,2\n", {"names": ["u", "v"]}, "has a header; names= is for files without one"),
    ("1,2\n", {"names": ["u"]}, "got 1 names for 2 features"),
    ("a,b\n1,inf\n", {}, "x is infinite in row 0 .*columns b"),
    ("a,b\n1,1e400\n", {}, "x is infinite in row 0 .*columns b"),
    ("a,label\n1,\n2,1\n", {"target": "label"}, "y has missing labels .* row 0 "),
    ("a,when\n1,2020-01-01\n2,soon\n", {"order": "when"}, "order holds text"),
    ("a,when\n1,2020-01-01\n2,2020-01-02\n", {}, "input column 'when' holds dates"),
    ("a,id\n1,5\n2,5\n", {"ids": "id"}, "ids come more than once: 5"),
]


@pytest.mark.parametrize(("content", "options", "message"), REFUSED, ids=range(len(REFUSED)))
def test_refused(read, content, options, message):
    with pytest.raises(InvalidInput, match=message):
        read(content, **options)


def test_no_temporary_name_leaks_into_messages(read, tmp_path):
    with pytest.raises(InvalidInput, match=re.escape(str(tmp_path / "t.csv"))):
        read("a,b\n1\n")


@settings(max_examples=150, deadline=None)
@given(st.text(alphabet='ab1,;\t"\n\r# .-é\ufeff\0', max_size=40))
def test_any_text_is_read_or_refused(tmp_path_factory, content):
    path = tmp_path_factory.mktemp("any") / "t.csv"
    path.write_bytes(content.encode())
    try:
        data = load_data(path)
    except InvalidInput:
        return
    assert len(data) > 0


def test_floats_are_read_to_the_last_bit(read):
    values = np.random.default_rng(3).normal(size=500) * 10.0 ** np.random.default_rng(4).integers(-300, 300, 500)
    data = read(pd.DataFrame({"a": values}).to_csv(index=False))
    np.testing.assert_array_equal(data.x[:, 0], values)


def test_large_whole_ids_stay_exact(read):
    data = read("a,id\n1,9007199254740993\n2,18446744073709551615\n", ids="id")
    assert data.ids.tolist() == [9007199254740993, 18446744073709551615]


def test_arrow_is_given_nothing_of_python_that_its_threads_could_let_go_of(read, monkeypatch):
    # The thread that reads ahead outlives an error: to free a Python function in a program that ends is SIGABRT.
    given = []

    def spy(*arguments, **options):
        given.append(options["parse_options"])
        return opened(*arguments, **options)

    opened = csv_table.pyarrow.csv.open_csv
    monkeypatch.setattr(csv_table.pyarrow.csv, "open_csv", spy)
    with pytest.raises(InvalidInput, match="line 3: 3 cells"):
        read("a,b\n1,2\n1,2,3\n")
    assert [options.invalid_row_handler for options in given] == [None]


@pytest.mark.slow
def test_a_ragged_file_never_ends_the_command_by_a_signal(tmp_path):
    (tmp_path / "ragged.csv").write_text("a,b,c\n1,2,3\n4,5,6,7\n")
    model = example_path("digits") / "float.onnx"
    command = [
        sys.executable,
        "-P",
        "-m",
        "robust",
        "audit",
        "--no-cache",
        "--candidate",
        model,
        "--data",
        "ragged.csv",
    ]
    ended = [subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False) for _ in range(40)]
    assert {run.returncode for run in ended} == {2}
    assert {run.stderr for run in ended} == {"robust: ragged.csv, line 3: 4 cells, the first line has 3\n"}


def test_words_of_a_row_are_not_taken_for_those_of_an_error(read):
    for word in ("UTF8", "straddling", "Empty CSV"):
        with pytest.raises(InvalidInput, match=r"t.csv, line 3: 3 cells, the first line has 2$"):
            read(f"a,b\n1,2\n{word},{word},3\n")
