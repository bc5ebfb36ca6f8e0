import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from robust.errors import InvalidInput
from robust.tensors.csv_tensor import MOST_ITEMS, MOST_SAMPLES, csv_tensor, read_csv_tensor

DTYPES = (
    "bool",
    "int8",
    "uint8",
    "int16",
    "uint16",
    "int32",
    "uint32",
    "int64",
    "uint64",
    "float16",
    "float32",
    "float64",
)


@pytest.fixture
def written(tmp_path):
    def write(text):
        path = tmp_path / "x.csv"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write


def test_the_two_examples_of_the_format(written):
    """A float file without a tag, and a uint8 file that mixes both ways to write a whole number."""
    floats = written("# Example of csv file (32-b float number)\n# comment line\n-1.076007485389709473e+00,6.27,3.9\n")
    x, notes = read_csv_tensor(floats)
    assert (x.dtype, x.shape, notes) == (np.float32, (1, 3), ())
    assert x[0, 0] == np.float32(-1.076007485389709473e00)
    bytes_ = written(
        "# Example of csv file (uint8 number)\n# dtype=uint8\n50, 65, 71, 71\n"
        "4.800000000000000000e+01,6.700000000000000000e+01,7.300000000000000000e+01,6.700000000000000000e+01\n"
    )
    x, _ = read_csv_tensor(bytes_)
    assert x.dtype == np.uint8
    assert x.tolist() == [[50, 65, 71, 71], [48, 67, 73, 67]]


def test_equals_numpys_reader(written):
    x = np.random.default_rng(0).normal(size=(20, 7)).astype(np.float32)
    path = written("")
    np.savetxt(path, x, delimiter=",", header="made by numpy")
    found, _ = read_csv_tensor(path)
    np.testing.assert_array_equal(found, np.loadtxt(path, delimiter=",", dtype=np.float32))
    np.testing.assert_array_equal(found, x)


@pytest.mark.parametrize("place", range(1, 8))
def test_the_tag_is_read_in_the_first_five_comments_alone(written, place):
    comments = [f"# comment {i}" for i in range(1, 8)]
    comments[place - 1] = "# the type is dtype=int8, so be it"
    x, notes = read_csv_tensor(written("\n".join([*comments, "1,2", ""])))
    assert x.dtype == (np.int8 if place <= 5 else np.float32)
    assert bool(notes) is (place > 5)


@pytest.mark.parametrize("lines", [["1,2", "# dtype=int8", "3,4"], ["1,2", "3,4", "# dtype=int8"]])
def test_a_tag_behind_samples_counts_for_all_of_them(written, lines):
    x, notes = read_csv_tensor(written("\n".join([*lines, ""])))
    assert (x.dtype, x.tolist(), notes) == (np.int8, [[1, 2], [3, 4]], ())
    with pytest.raises(InvalidInput, match=r"line 1, column 2: '200' is no int8"):
        read_csv_tensor(written("1,200\n# dtype=int8\n3,4\n"))


def test_two_tags_must_say_the_same(written):
    with pytest.raises(InvalidInput, match="dtype=int8 in line 1 and dtype=uint8 in line 3: one type"):
        read_csv_tensor(written("# dtype=int8\n1,2\n# dtype=uint8\n"))
    x, _ = read_csv_tensor(written("# dtype=int8\n# again, dtype=int8\n1,2\n"))
    assert x.dtype == np.int8


def test_short_integers_are_parsed_as_float32(written):
    """254.99999999 is 255 in float32, which the format parses in."""
    assert read_csv_tensor(written("# dtype=uint8\n254.99999999\n"))[0].tolist() == [[255]]
    with pytest.raises(InvalidInput, match=r"line 2, column 1: '254.999' is no uint8"):
        read_csv_tensor(written("# dtype=uint8\n254.999\n"))


@pytest.mark.parametrize("cell", ["256", "-1", "0.5", "1e9", "nan", "inf"])
def test_numbers_that_the_type_does_not_have(written, cell):
    with pytest.raises(InvalidInput, match=rf"x.csv, line 4, column 2: '{cell}' is no uint8, as the file says"):
        read_csv_tensor(written(f"# dtype=uint8\n1,2\n\n3,{cell}\n"))


@pytest.mark.parametrize(
    ("dtype", "cell"),
    [
        ("int8", "128"), ("int64", "9223372036854775808"), ("int64", "9.3e18"), ("uint64", "-1"), ("bool", "2"),
        ("float16", "1e6"), ("float32", "1e39"), ("int32", "2147483648"),
    ],
)  # fmt: skip
def test_ends_of_types(written, dtype, cell):
    with pytest.raises(InvalidInput, match=f"is no {dtype}"):
        read_csv_tensor(written(f"# dtype={dtype}\n0,{cell}\n"))


@pytest.mark.parametrize("cell", ["abc", "1_0", "", "0x10", "1.2.3", "١_"])
def test_text_is_named_by_line_and_column(written, cell):
    with pytest.raises(InvalidInput, match=r"x.csv, line 3, column 2: '.*' is no number"):
        read_csv_tensor(written(f"# comment\n1,2,3\n4,{cell},6\n"))


def test_a_header_is_text(written):
    with pytest.raises(InvalidInput, match="line 1, column 1: 'width' is no number; .* no header"):
        read_csv_tensor(written("width,height\n1,2\n"))


def test_ragged_rows_are_named_by_line(written):
    with pytest.raises(InvalidInput, match=r"x.csv, line 4: 2 numbers, the first sample has 3"):
        read_csv_tensor(written("# c\n1,2,3\n4,5,6\n7,8\n"))


@pytest.mark.parametrize("text", ["# nothing\n", "\n\n", "#"])
def test_no_samples(written, text):
    with pytest.raises(InvalidInput, match="holds no samples"):
        read_csv_tensor(written(text))


def test_unknown_tags_and_encodings(written):
    with pytest.raises(InvalidInput, match="line 2: dtype=object is not known"):
        read_csv_tensor(written("# a\n# dtype=object\n1\n"))
    with pytest.raises(InvalidInput, match="not text in UTF-8"):
        read_csv_tensor(written("1,2\n".encode("utf-16-le") + b"\xff\xfe"))


@pytest.mark.parametrize("text", ["\ufeff# dtype=int8\n1,2\n", "# dtype=int8\r\n1,2\r\n", "# dtype = int8\n1,2"])
def test_byte_order_marks_and_line_ends(written, text):
    x, _ = read_csv_tensor(written(text))
    assert (x.dtype, x.tolist()) == (np.int8, [[1, 2]])


def test_samples_longer_than_a_cell_reader_allows(written):
    """A whole image a line: 150,528 numbers."""
    x = np.random.default_rng(0).random((2, 150_528), dtype=np.float32)
    found, _ = read_csv_tensor(written(csv_tensor(x, everything=True)))
    np.testing.assert_array_equal(found, x)


@pytest.mark.parametrize("dtype", DTYPES)
def test_there_and_back(written, dtype):
    @given(st.data())
    @settings(max_examples=25, deadline=None)
    def check(data):
        elements = {"allow_nan": False, "allow_infinity": False} if dtype.startswith("float") else {}
        x = data.draw(arrays(dtype, st.tuples(st.integers(1, 4), st.integers(1, 3)), elements=elements or None))
        found, notes = read_csv_tensor(written(csv_tensor(x, everything=False)))
        assert found.dtype == x.dtype
        assert found.tobytes() == x.tobytes()  # negative zero too
        assert notes == ()

    check()


def test_limits_of_what_is_written(written):
    x = np.arange(200 * 4).reshape(200, 2, 2).astype(np.int16)
    text = csv_tensor(x, everything=False)
    found, _ = read_csv_tensor(written(text))
    np.testing.assert_array_equal(found, x[:MOST_SAMPLES].reshape(MOST_SAMPLES, 4))
    assert b"# the first 128 of 200 samples\n" in text
    found, _ = read_csv_tensor(written(csv_tensor(x, everything=True)))
    np.testing.assert_array_equal(found, x.reshape(200, 4))
    assert csv_tensor(np.zeros((2, MOST_ITEMS)), everything=False) == b""
    assert csv_tensor(np.zeros((2, MOST_ITEMS - 1)), everything=False) != b""
