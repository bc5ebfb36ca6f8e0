"""Files as data: each format, what a file must not be, and that nothing in it is ever executed."""

import contextlib
import gzip
import os
import pickle
import re
import zipfile

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from robust.data.live import as_data
from robust.data.loading import load_data
from robust.errors import InvalidInput

SUFFIXES = (".npz", ".npy", ".csv", ".parquet")
TABLE = pd.DataFrame({"a": [1.5, 2.5, np.nan], "site": ["n", "s", "n"], "label": [0, 1, 1]})


def write(folder, suffix):
    path = folder / f"data{suffix}"
    if suffix == ".npz":
        np.savez(path, x=np.arange(6.0).reshape(3, 2), y=np.array([0, 1, 1]))
    elif suffix == ".npy":
        np.save(path, np.arange(6.0).reshape(3, 2))
    elif suffix == ".csv":
        TABLE.to_csv(path, index=False)
    else:
        TABLE.to_parquet(path)
    return path


class Canary:
    """A pickle that leaves a trace if it is ever loaded."""

    def __init__(self, trace):
        self.trace = trace

    def __reduce__(self):
        return os.mkdir, (str(self.trace),)


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_a_pickle_under_any_name_is_refused_and_does_not_run(tmp_path, suffix, protocol):
    trace, path = tmp_path / "trace", tmp_path / f"data{suffix}"
    path.write_bytes(pickle.dumps(Canary(trace), protocol=protocol))
    with pytest.raises(InvalidInput, match=r"pickles are never loaded as data; \.npz, \.npy, \.csv and \.parquet"):
        load_data(path)
    assert not trace.exists()


@pytest.mark.parametrize("name", ["d.pkl", "d.pickle", "d.joblib", "d.pt"])
def test_a_pickle_under_its_own_name(tmp_path, name):
    (tmp_path / name).write_bytes(pickle.dumps([1]))
    with pytest.raises(InvalidInput, match="pickles are never loaded as data"):
        load_data(tmp_path / name)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_pickle_without_a_mark_does_not_run_either(tmp_path, suffix):
    trace, path = tmp_path / "trace", tmp_path / f"data{suffix}"
    path.write_bytes(pickle.dumps(Canary(trace), protocol=0))
    with pytest.raises(InvalidInput, match="pickles are never loaded as data"):
        load_data(path)
    assert not trace.exists()


def test_the_canary_works(tmp_path):
    pickle.loads(pickle.dumps(Canary(tmp_path / "trace")))
    assert (tmp_path / "trace").exists()


@pytest.mark.parametrize("suffix", [".npz", ".npy"])
def test_python_objects_inside_numpy_files_are_refused_and_do_not_run(tmp_path, suffix):
    trace, path = tmp_path / "trace", tmp_path / f"data{suffix}"
    hostile = np.array([Canary(trace), None], dtype=object)
    np.savez(path, x=hostile) if suffix == ".npz" else np.save(path, hostile, allow_pickle=True)
    with pytest.raises(InvalidInput, match="holds Python objects, which only a pickle can store"):
        load_data(path)
    assert not trace.exists()


def test_an_archive_of_pickles_is_refused(tmp_path):
    path = tmp_path / "net.npz"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps(Canary(tmp_path / "trace")))
    with pytest.raises(InvalidInput, match="pickles are never loaded as data"):
        load_data(path)
    assert not (tmp_path / "trace").exists()


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_missing_directory_and_empty(tmp_path, suffix):
    path = tmp_path / f"data{suffix}"
    with pytest.raises(InvalidInput, match=re.escape(f"{path} does not exist")):
        load_data(path)
    path.touch()
    with pytest.raises(InvalidInput, match=re.escape(f"{path} is empty")):
        load_data(path)
    path.unlink()
    path.mkdir()
    with pytest.raises(InvalidInput, match=re.escape(f"{path} is a directory")):
        load_data(path)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_garbage_and_truncation(tmp_path, suffix):
    path = tmp_path / f"data{suffix}"
    noise = np.random.default_rng(0).integers(0, 256, 2000, dtype=np.uint8).tobytes()
    path.write_bytes(noise)
    with pytest.raises(InvalidInput, match=re.escape(str(path))):
        load_data(path)
    whole = write(tmp_path, suffix).read_bytes()
    if suffix == ".csv":
        whole = b"a,site,label\n1.5,n,0\n2.5,s"
        cuts = (len(whole),)
    else:
        cuts = (1, 7, 20, len(whole) // 2, len(whole) - 1)
    for cut in cuts:
        path.write_bytes(whole[:cut])
        with pytest.raises(InvalidInput, match=re.escape(str(path))):
            load_data(path, target=None if suffix in (".npz", ".npy") else "label")


@pytest.mark.parametrize("suffix", [".npz", ".npy", ".parquet"])
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_a_damaged_byte_is_an_error_or_harmless_never_a_crash(tmp_path_factory, suffix, data):
    folder = tmp_path_factory.mktemp("damaged")
    content = bytearray(write(folder, suffix).read_bytes())
    at = data.draw(st.integers(0, len(content) - 1))
    content[at] ^= data.draw(st.integers(1, 255))
    path = folder / f"data{suffix}"
    path.write_bytes(content)
    with contextlib.suppress(InvalidInput):
        assert load_data(path).x.size > 0


@pytest.mark.parametrize("written", SUFFIXES)
@pytest.mark.parametrize("named", SUFFIXES)
def test_a_format_under_another_name_is_told_apart(tmp_path, written, named):
    if written == named:
        return
    source = write(tmp_path, written)
    path = tmp_path / f"other{named}"
    path.write_bytes(source.read_bytes())
    with pytest.raises(InvalidInput, match=re.escape(str(path))) as caught:
        load_data(path)
    if written != ".csv":
        assert f"rename it to {written}" in str(caught.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (gzip.compress(b"a,b\n1,2\n", mtime=0), "gzip-compressed data, not what .csv says: unpack it"),
        ("a,b\n1,2\n".encode("utf-16"), "text in UTF-16, not what .csv says: save it as CSV UTF-8"),
        (b"\x89HDF\r\n\x1a\n", "an HDF5 file"),
        (b"SQLite format 3\x00", "an SQLite database"),
    ],
)
def test_other_formats_are_named(tmp_path, content, message):
    path = tmp_path / "t.csv"
    path.write_bytes(content)
    with pytest.raises(InvalidInput, match=re.escape(message)):
        load_data(path)


def test_unknown_suffix(tmp_path):
    for name in ("d.xlsx", "d", "d.feather"):
        (tmp_path / name).write_bytes(b"1,2")
        with pytest.raises(InvalidInput, match=r"unknown suffix .*; \.npz, \.npy, \.csv and \.parquet are read"):
            load_data(tmp_path / name)


def test_no_regular_file(tmp_path):
    os.mkfifo(tmp_path / "pipe.csv")
    with pytest.raises(InvalidInput, match="no regular file"):
        load_data(tmp_path / "pipe.csv")


def test_suffix_in_capitals_and_path_as_text(tmp_path):
    path = tmp_path / "DATA.CSV"
    TABLE.to_csv(path, index=False)
    assert load_data(str(path), target="label").name == "DATA.CSV"
    assert load_data(path, target="label", name="held out").name == "held out"


def test_as_data_takes_a_path(tmp_path):
    path = write(tmp_path, ".csv")
    data = as_data(path, "label", slices=["site"])
    assert data.fingerprint == load_data(path, target="label", slices=["site"]).fingerprint
    assert data.name == "data.csv"
    with pytest.raises(InvalidInput, match="y must be the name of a column"):
        as_data(path, [0, 1, 1])


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_table_with_all_parts(tmp_path, suffix):
    frame = pd.DataFrame(
        {
            "age": [30, 40, 50],
            "time": pd.to_datetime(["2020-01-03", "2020-01-01 12:00", "2020-01-02"], format="ISO8601"),
            "patient": ["p", "q", "q"],
            "row": [7, 8, 9],
            "humid": [0.1, np.nan, 0.3],
            "label": ["ill", "well", "well"],
        }
    )
    path = tmp_path / f"t{suffix}"
    frame.to_csv(path, index=False) if suffix == ".csv" else frame.to_parquet(path)
    parts = {"order": "time", "groups": "patient", "ids": "row", "unused": ["humid"], "slices": ["patient"]}
    data = load_data(path, target="label", **parts)
    assert data.names == ("age",)
    assert data.ids.tolist() == [7, 8, 9]
    assert data.groups.tolist() == ["p", "q", "q"]
    assert data.fingerprint == as_data(frame, "label", **parts).fingerprint
    with pytest.raises(InvalidInput, match=r"y: t\..* has no column 'lable': did you mean 'label'"):
        load_data(path, target="lable")
    with pytest.raises(InvalidInput, match="target must be the name of a column or key, got 5"):
        load_data(path, target=5)


def test_zero_rows(tmp_path):
    empty = TABLE.iloc[:0]
    empty.to_parquet(tmp_path / "t.parquet")
    empty.to_csv(tmp_path / "t.csv", index=False)
    np.savez(tmp_path / "t.npz", x=np.zeros((0, 2)))
    np.save(tmp_path / "t.npy", np.zeros((0, 2)))
    for suffix in SUFFIXES:
        with pytest.raises(InvalidInput, match="zero rows"):
            load_data(tmp_path / f"t{suffix}")


def test_files_stay_as_they_are_and_data_is_read_only(tmp_path):
    for suffix in SUFFIXES:
        path = write(tmp_path, suffix)
        before = path.read_bytes()
        data = load_data(path)
        assert not data.x.flags.writeable
        assert path.read_bytes() == before
