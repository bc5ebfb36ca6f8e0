"""Files left on disk: the same data, the same refusals, and nothing left behind."""

import errno
import os
import pickle
import shutil
import struct
import sys
import tempfile
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from robust.data import csv_table, large, spool
from robust.data.large import chosen_positions, is_mapped
from robust.data.live import as_data
from robust.data.loading import load_data
from robust.data.schema import build_schema
from robust.errors import InvalidInput

N = 500


@pytest.fixture
def on_disk(monkeypatch):
    """Call it, and nothing is small any more."""

    def shrink():
        monkeypatch.setattr(large, "SPOOL_ABOVE", 64)
        monkeypatch.setattr(large, "BLOCK_BYTES", 1000)

    return shrink


def frame():
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"a": rng.normal(size=N), "b": rng.integers(0, 9, N), "c": rng.integers(0, 2, N) == 1})
    table["city"] = rng.choice(["Rom", "Bonn", "Oslo", 'ä, "x"'], N)
    table["gap"] = np.where(rng.random(N) < 0.1, np.nan, rng.normal(size=N))
    table["when"] = pd.date_range("2020-01-01", periods=N, freq="h").astype("datetime64[us]")
    table["site"] = rng.choice(["n", "s"], N)
    table["row"] = [f"r{j}" for j in range(N)]
    table["label"] = rng.choice(["cat", "dog"], N)
    return table


TABLE = {"target": "label", "ids": "row", "order": "when", "slices": ["site", "city"], "unused": ["site"]}
X = np.random.default_rng(1).normal(size=(N, 4, 3)).astype("f4")
Y = np.arange(N) % 3


def tensor_csv(path):
    path.write_text("# dtype=int16\n" + "\n".join(",".join(map(str, row)) for row in (X * 100).astype(int)[:, :, 0]))


FILES = {
    "stored.npz": (lambda path: np.savez(path, x=X, y=Y, ids=np.arange(N)[::-1]), {}),
    "packed.npz": (lambda path: np.savez_compressed(path, x=X, y=Y, names=[f"n{j}" for j in range(12)]), {}),
    "flags.npz": (lambda path: np.savez_compressed(path, x=X > 0, y=Y), {}),
    "c.npy": (lambda path: np.save(path, X), {}),
    "fortran.npy": (lambda path: np.save(path, np.asfortranarray(X)), {}),
    "big-endian.npy": (lambda path: np.save(path, X.astype(">f4")), {}),
    "long.npy": (lambda path: np.save(path, X.astype(np.longdouble)), {}),
    "flags.npy": (lambda path: np.save(path, X > 0), {}),
    "t.csv": (lambda path: frame().to_csv(path, index=False), TABLE),
    "tensor.csv": (tensor_csv, {}),
    "t.parquet": (lambda path: frame().to_parquet(path, row_group_size=70), TABLE),
    "indexed.parquet": (lambda path: frame().set_index("when").to_parquet(path), TABLE),
    "categories.parquet": (lambda path: frame().astype({"city": "category"}).to_parquet(path), TABLE),
}


@pytest.mark.parametrize("name", FILES)
def test_data_on_disk_are_the_same_data(tmp_path, on_disk, name):
    write, how = FILES[name]
    write(tmp_path / name)
    expected = load_data(tmp_path / name, **how)
    assert not is_mapped(expected.x)
    on_disk()
    found = load_data(tmp_path / name, **how)
    assert is_mapped(found.x)
    assert not found.x.flags.writeable
    assert found.x.dtype == expected.x.dtype
    np.testing.assert_array_equal(found.x, expected.x)
    assert found.fingerprint == expected.fingerprint  # x, y, ids, order, columns and schema, bit for bit
    assert pickle.loads(pickle.dumps(found)).fingerprint == expected.fingerprint


def test_only_what_is_large_is_mapped(tmp_path, monkeypatch):
    monkeypatch.setattr(large, "SPOOL_ABOVE", 32_000)
    for save in (np.savez, np.savez_compressed):
        save(tmp_path / "t.npz", x=np.zeros((1000, 3)), y=np.zeros(1000))
        data = load_data(tmp_path / "t.npz")
        assert (is_mapped(data.x), is_mapped(data.y)) == (False, False)
    for save in (np.savez, np.savez_compressed):
        save(tmp_path / "t.npz", x=np.zeros((large.SPOOL_ABOVE // 24 + 1, 3)), y=np.zeros(large.SPOOL_ABOVE // 24 + 1))
        data = load_data(tmp_path / "t.npz")
        assert (is_mapped(data.x), is_mapped(data.y)) == (True, False)
        assert not data.x.any()


@pytest.mark.parametrize("name", ["stored.npz", "packed.npz", "t.csv", "t.parquet", "flags.npy"])
@pytest.mark.skipif(os.name != "posix", reason="elsewhere an open file has a name")
def test_nothing_stays_behind(tmp_path, on_disk, monkeypatch, name):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "spool"))
    (tmp_path / "spool").mkdir()
    write, how = FILES[name]
    write(tmp_path / name)
    on_disk()
    data = load_data(tmp_path / name, **how)
    assert list((tmp_path / "spool").iterdir()) == []
    kept = data.fingerprint
    if sys.platform.startswith("linux"):
        del data
        before = len(list(Path("/proc/self/fd").iterdir()))
        for _ in range(5):
            assert load_data(tmp_path / name, **how).fingerprint == kept
        assert len(list(Path("/proc/self/fd").iterdir())) <= before


def test_a_file_that_is_removed_lives_as_long_as_the_data(tmp_path, on_disk):
    np.save(tmp_path / "t.npy", X)
    on_disk()
    data = load_data(tmp_path / "t.npy")
    (tmp_path / "t.npy").unlink()
    np.testing.assert_array_equal(data.x, X)


# --- refusals -----------------------------------------------------------------------------------------------


def flipped(path, content):
    stored = bytearray(path.read_bytes())
    stored[stored.index(content) + 5] ^= 1
    path.write_bytes(stored)


def changed_value(path):
    np.savez(path, x=X, y=Y)
    flipped(path, X.tobytes()[:50])


def changed_packed(path):
    np.savez_compressed(path, x=X, y=Y)
    stored = bytearray(path.read_bytes())
    stored[2000] ^= 1
    path.write_bytes(stored)


def cut(save):
    def write(path):
        save(path, X) if path.suffix == ".npy" else save(path, x=X, y=Y)
        path.write_bytes(path.read_bytes()[:-3000])

    return write


def short_member(path):
    """An archive whose directory and header declare more than the member holds."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("x.npy", "w") as stream:
        np.lib.format.write_array_header_1_0(stream, {"descr": "<f8", "fortran_order": False, "shape": (N, 2)})
        stream.write(bytes(8 * N))
    content = bytearray(path.read_bytes())
    entry = content.index(b"PK\x01\x02")
    (size,) = struct.unpack_from("<I", content, entry + 24)
    struct.pack_into("<I", content, entry + 24, size + 8 * N)
    path.write_bytes(content)


def edited(column, row, value):
    def write(path):
        table = frame().astype({column: object})
        table.loc[row, column] = value
        table.to_csv(path, index=False)

    return write


def infinite(path):
    x = X.copy()
    x[[3, 400], 1, 2] = np.inf, -np.inf
    np.save(path, x)


def beyond_tensor(path):
    tensor_csv(path)
    lines = path.read_text().splitlines()
    for row, j in ((300, 1), (200, 3)):
        cells = lines[row].split(",")
        cells[j] = "40000"
        lines[row] = ",".join(cells)
    path.write_text("\n".join(lines))


REFUSED = [
    ("t.npz", changed_value, {}, "Bad CRC-32"),
    ("t.npz", changed_packed, {}, "is damaged or not an archive"),
    ("t.npz", cut(np.savez), {}, "is damaged or not an archive"),
    ("t.npz", short_member, {}, rf"it ends after {8 * N} of {16 * N} bytes|Bad CRC|damaged"),
    ("t.npy", cut(np.save), {}, r"its header declares \(500, 4, 3\) float32 = 24000 bytes, 21000 are there"),
    ("t.npy", infinite, {}, r"x is infinite in rows 3, 400 \(counted from 0\), columns x\[1,2\]"),
    ("t.npy", lambda path: np.save(path, X), {"schema": {"bounds": (-1, 9)}}, r"below its bound -1.0 in \d+ rows"),
    ("t.npy", lambda path: np.save(path, X), {"schema": {"x[0,0]": {"kind": "integer"}}}, "but has fractions"),
    ("t.csv", edited("a", 321, "oops"), TABLE, r"t.csv, line 323, column 'a': 'oops' is no number"),
    ("t.csv", edited("a", 321, np.inf), TABLE, r"x is infinite in row 321 \(counted from 0\), columns a"),
    ("t.csv", edited("label", 7, None), TABLE, "y has missing labels .* in row 7"),
    ("t.csv", edited("row", 7, "r3"), TABLE, "ids come more than once: r3"),
    ("t.csv", edited("b", 4, 2**60), TABLE, r"'b' has whole numbers beyond 2\*\*53"),
    ("t.csv", edited("city", 4, "Paris"), TABLE | {"schema": {"city": {"categories": ["Rom", "Bonn", "Oslo"]}}},
     r"has labels that its categories do not list: Paris, ä, \"x\" in rows"),
    ("tensor.csv", beyond_tensor, {}, r"line 201, column 4: 40000.0 is no int16"),
    ("t.parquet", lambda path: frame().to_parquet(path), {"target": "lable"}, "did you mean 'label'"),
    ("t.parquet", lambda path: frame().to_parquet(path), {"target": "label"}, "input column 'when' holds dates"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "write", "how", "message"), REFUSED, ids=range(len(REFUSED)))
def test_what_is_refused_in_memory_is_refused_on_disk_in_the_same_words(tmp_path, on_disk, name, write, how, message):
    write(tmp_path / name)
    with pytest.raises(InvalidInput, match=message) as first:
        load_data(tmp_path / name, **how)
    on_disk()
    with pytest.raises(InvalidInput) as second:
        load_data(tmp_path / name, **how)
    assert str(second.value) == str(first.value)


def test_damage_in_a_column_is_found_when_it_is_read(tmp_path, on_disk):
    path = tmp_path / "t.parquet"
    frame().to_parquet(path, compression="zstd", row_group_size=100)
    content = bytearray(path.read_bytes())
    content[100 : len(content) // 2] = bytes(len(content) // 2 - 100)
    path.write_bytes(content)
    on_disk()
    with pytest.raises(InvalidInput, match=r"t.parquet is damaged or not a Parquet table"):
        load_data(path, **TABLE)


def test_ragged_rows_are_named_by_their_line(tmp_path, on_disk):
    frame().to_csv(tmp_path / "t.csv", index=False)
    with (tmp_path / "t.csv").open("a") as stream:
        stream.write("1,2\n")
    on_disk()
    with pytest.raises(InvalidInput, match=r"line 502: 2 cells, the first line has 9"):
        load_data(tmp_path / "t.csv", **TABLE)


# --- room ---------------------------------------------------------------------------------------------------


def test_too_little_room_is_said_before_anything_is_written(tmp_path, on_disk, monkeypatch):
    np.savez_compressed(tmp_path / "t.npz", x=X)
    on_disk()
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(spool.shutil, "disk_usage", lambda _: usage._replace(free=20_000))
    with pytest.raises(
        InvalidInput, match=r"needs a temporary file: .* GiB are needed in .*; let TMPDIR name a folder"
    ):
        load_data(tmp_path / "t.npz")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
@pytest.mark.parametrize("name", ["packed.npz", "t.csv", "t.parquet", "big-endian.npy"])
def test_a_disk_that_fills_up_is_told_from_damage(tmp_path, on_disk, monkeypatch, name):
    write, how = FILES[name]
    write(tmp_path / name)
    on_disk()

    def always_full(prefix, buffering):
        return Path("/dev/full").open("r+b", buffering=buffering)

    monkeypatch.setattr(spool.tempfile, "TemporaryFile", always_full)
    with pytest.raises(InvalidInput, match=r"large data needs a temporary file: .*No space left") as raised:
        load_data(tmp_path / name, **how)
    assert raised.value.__cause__.errno == errno.ENOSPC


def test_a_folder_that_cannot_be_written_to_is_said(tmp_path, on_disk, monkeypatch):
    np.savez_compressed(tmp_path / "t.npz", x=X)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "missing"))
    on_disk()
    with pytest.raises(InvalidInput, match="large data needs a temporary file: .*missing"):
        load_data(tmp_path / "t.npz")


def test_memory_that_is_short_is_not_called_damage(tmp_path, monkeypatch):
    np.save(tmp_path / "t.npy", X)

    def short(*_):
        raise MemoryError

    monkeypatch.setattr("robust.data.npz.read_content", short)
    with pytest.raises(InvalidInput, match=r"t.npy does not fit into the memory that is left"):
        load_data(tmp_path / "t.npy")


# --- rows ---------------------------------------------------------------------------------------------------


def test_rows_of_a_map_copy_what_they_must(tmp_path, on_disk):
    np.savez(tmp_path / "t.npz", x=X, y=Y)
    on_disk()
    data = load_data(tmp_path / "t.npz")
    rng = np.random.default_rng(0)
    for keep in (np.arange(100, 300), Y == 1, rng.permutation(N), np.array([-1, 5, 5]), np.ones(N, dtype=bool)):
        part = data.rows(keep)
        np.testing.assert_array_equal(part.x, X[keep])
        assert part.y.tolist() == Y[keep].tolist()
        assert is_mapped(part.x)
        assert part.fingerprint == as_data(X, Y).rows(keep).fingerprint
    assert np.shares_memory(data.rows(np.arange(100, 300)).x, data.x)
    large.SPOOL_ABOVE = 2 * X[0].nbytes
    assert [is_mapped(data.rows(np.arange(0, 2 * k, 2)).x) for k in (2, 3)] == [False, True]
    with pytest.raises(IndexError):
        data.rows(np.array([N]))
    assert data.rows(np.zeros(0, dtype=int)).x.shape == (0, 4, 3)


@given(st.lists(st.integers(-8, 7), max_size=12))
def test_chosen_positions_choose_the_same_rows(keep):
    x = np.arange(8)
    np.testing.assert_array_equal(x[chosen_positions(np.array(keep, dtype=int), 8)], x[np.array(keep, dtype=int)])


def test_live_maps_of_the_user_are_seen_through(tmp_path, on_disk):
    np.save(tmp_path / "t.npy", X.astype(">f4"))
    on_disk()
    data = as_data(np.load(tmp_path / "t.npy", mmap_mode="r"), Y)
    assert is_mapped(data.x)
    assert data.fingerprint == as_data(X, Y).fingerprint


# --- checks by blocks ---------------------------------------------------------------------------------------


@settings(max_examples=40)
@given(seed=st.integers(0, 2**16), block=st.sampled_from([1, 40, 100, 2**22]))
def test_violations_do_not_depend_on_blocks(seed, block):
    rng = np.random.default_rng(seed)
    x = rng.integers(-2, 3, size=(rng.integers(1, 40), 5)).astype(float)
    x[rng.random(x.shape) < 0.1] = np.nan
    x[rng.random(x.shape) < 0.05] += 0.5
    spec = {
        "a": {"kind": "integer", "bounds": (-1, 1)},
        "b": {"kind": "binary"},
        "c": {"one_hot": "g"},
        "d": {"one_hot": "g"},
        "relations": ["a <= e", "e = a + b"],
    }
    schema = build_schema(spec, names=tuple("abcde"), shape=(5,))
    with pytest.MonkeyPatch.context() as patch:
        expected = schema.violations(x)
        patch.setattr(large, "BLOCK_BYTES", block)
        assert schema.violations(x) == expected


# --- csv ----------------------------------------------------------------------------------------------------


def test_a_record_longer_than_a_block_is_read_in_larger_blocks(tmp_path, monkeypatch):
    path = tmp_path / "t.csv"
    long = "x" * 3000
    path.write_text("a,b\n1,s\n" + f"2,{long}\n" * 50)
    expected = load_data(path).fingerprint
    for name in ("_LEAST_BLOCK", "_RESERVED"):
        monkeypatch.setattr(csv_table, name, 64)
    assert load_data(path).fingerprint == expected
    monkeypatch.setattr(csv_table, "_MOST_BLOCK", 1000)
    with pytest.raises(InvalidInput, match="straddling"):
        load_data(path)


def test_lines_longer_than_pythons_limit_of_a_cell(tmp_path):
    width = 4000
    path = tmp_path / "t.csv"
    path.write_text("\n".join(",".join([f"{row}." + 40 * "0"] * width) for row in range(3)))
    np.testing.assert_array_equal(load_data(path).x, np.arange(3)[:, None] * np.ones(width))


def test_text_is_shared_between_rows(tmp_path):
    from robust.data.arrow_column import arrow_column

    column = pa.chunked_array([["u", None, "v"], [], ["v", "u"]], pa.string())
    values = arrow_column("a", column).values
    assert values.tolist() == ["u", None, "v", "v", "u"]
    assert values[2] is values[3]
    assert arrow_column("a", pa.chunked_array([], pa.string())).values.tolist() == []
