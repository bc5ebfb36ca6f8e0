"""numpy archives: which keys mean what, and sizes that are not believed."""

import struct
import zipfile

import numpy as np
import pytest

from robust.data.loading import load_data
from robust.errors import InvalidInput

X = np.arange(12, dtype="f4").reshape(3, 2, 2)
Y = np.array([0, 1, 1])


def archive(folder, **arrays):
    path = folder / "t.npz"
    np.savez_compressed(path, **arrays)
    return path


@pytest.mark.parametrize(
    ("x", "y"),
    [("x", "y"), ("X", "Y"), ("X", "y"), ("x_test", "y_test"), ("X_test", "y_test"), ("inputs", "outputs")],
)
def test_keys_that_are_understood(tmp_path, x, y):
    data = load_data(archive(tmp_path, **{x: X, y: Y}))
    assert data.x.dtype == np.float32
    np.testing.assert_array_equal(data.x, X)
    assert data.targets.tolist() == [0, 1, 1]


def test_inputs_alone(tmp_path):
    assert load_data(archive(tmp_path, x=X)).y is None


def test_parts_by_their_keys(tmp_path):
    path = archive(
        tmp_path,
        x=np.arange(6.0).reshape(3, 2),
        y=Y,
        ids=np.array(["a", "b", "c"]),
        order=np.array(["2020-01-02", "2020-01-01", "2020-01-03"], dtype="M8[D]"),
        groups=np.array([1, 1, 2]),
        names=np.array(["width", "height"]),
        humid=np.array([0.1, 0.2, 0.3]),
        site=np.array(["n", "s", "n"]),
    )
    data = load_data(path, unused=["humid"], slices=["site"])
    assert data.names == ("width", "height")
    assert data.ids.tolist() == ["a", "b", "c"]
    assert np.argsort(data.order).tolist() == [1, 0, 2]
    assert data.groups.tolist() == [1, 1, 2]
    assert data.unused[0].values.tolist() == [0.1, 0.2, 0.3]
    assert data.slices[0].values.tolist() == ["n", "s", "n"]
    assert load_data(path, ids=[4, 5, 6], names=["u", "v"]).names == ("u", "v")


def test_target_names_the_key_and_its_partner(tmp_path):
    path = archive(tmp_path, x_train=X[:2], y_train=Y[:2], x_test=X, y_test=Y, other=Y[::-1])
    assert len(load_data(path)) == 3
    assert len(load_data(path, target="y_train")) == 2
    assert load_data(path, target="other").targets.tolist() == [1, 1, 0]
    with pytest.raises(InvalidInput, match="has no key 'y_tets': did you mean 'y_test'"):
        load_data(path, target="y_tets")


def test_arrays_in_fortran_order(tmp_path):
    np.testing.assert_array_equal(load_data(archive(tmp_path, x=np.asfortranarray(X))).x, X)
    np.save(tmp_path / "t.npy", np.asfortranarray(X))
    np.testing.assert_array_equal(load_data(tmp_path / "t.npy").x, X)


def test_keys_that_are_not_understood(tmp_path):
    with pytest.raises(
        InvalidInput, match=r"has the keys pictures, tags; inputs and targets are understood as x/y, X/y"
    ):
        load_data(archive(tmp_path, pictures=X, tags=Y))


def test_npy_has_no_targets(tmp_path):
    np.save(tmp_path / "t.npy", X)
    assert load_data(tmp_path / "t.npy").y is None
    with pytest.raises(InvalidInput, match="names a column, but x is an array"):
        load_data(tmp_path / "t.npy", target="y")


def test_text_in_an_archive_is_a_table(tmp_path):
    with pytest.raises(InvalidInput, match="x has type <U1 and shape"):
        load_data(archive(tmp_path, x=np.array([["a"], ["b"]])))


def test_a_member_that_is_no_array(tmp_path):
    path = archive(tmp_path, x=X)
    with zipfile.ZipFile(path, "a") as opened:
        opened.writestr("notes.txt", "hello")
    with pytest.raises(InvalidInput, match=r"holds 'notes.txt', which is no array"):
        load_data(path)


def declare(shape, dtype="<f8"):
    """A .npy header that declares a shape, and eight bytes of content."""
    header = repr({"descr": dtype, "fortran_order": False, "shape": shape}).encode()
    header += b" " * (-(len(header) + 11) % 64) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + b"\0" * 8


@pytest.mark.parametrize("suffix", [".npy", ".npz"])
def test_a_shape_that_is_not_there_is_refused_before_memory_is_taken(tmp_path, suffix):
    path = tmp_path / f"t{suffix}"
    content = declare((10**12, 10**3))
    if suffix == ".npy":
        path.write_bytes(content)
    else:
        with zipfile.ZipFile(path, "w") as opened:
            opened.writestr("x.npy", content)
    with pytest.raises(InvalidInput, match=r"is damaged: its header declares .* 8 are there"):
        load_data(path)


def bomb(path, size):
    """An archive whose directory declares `size` bytes for a small member."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as opened:
        opened.writestr("x.npy", declare((1,)))
    content = bytearray(path.read_bytes())
    entry = content.index(b"PK\x01\x02")
    content[entry + 24 : entry + 28] = struct.pack("<I", size)
    path.write_bytes(content)


def test_a_bomb_is_refused_before_it_is_unpacked(tmp_path):
    path = tmp_path / "t.npz"
    bomb(path, 2**30 + 1)
    with pytest.raises(InvalidInput, match=r"would unpack to 1\.0 GiB \(\d+ times its size\)"):
        load_data(path)


def test_many_members_count_together(tmp_path):
    path = tmp_path / "t.npz"
    with zipfile.ZipFile(path, "w") as opened:
        for j in range(3):
            opened.writestr(f"x{j}.npy", declare((1,)))
    content = bytearray(path.read_bytes())
    at = -1
    for _ in range(3):
        at = content.index(b"PK\x01\x02", at + 1)
        content[at + 24 : at + 28] = struct.pack("<I", 2**32 - 2)
    path.write_bytes(content)
    with pytest.raises(InvalidInput, match=r"would unpack to 12\.0 GiB .*: at most 64 GiB"):
        load_data(path)


def test_ordinary_compression_is_no_bomb(tmp_path):
    data = load_data(archive(tmp_path, x=np.zeros((2000, 500))))
    assert data.x.shape == (2000, 500)


def test_an_archive_with_a_password(tmp_path):
    path = archive(tmp_path, x=X)
    content = bytearray(path.read_bytes())
    for mark, at in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        content[content.index(mark) + at] |= 1
    path.write_bytes(content)
    with pytest.raises(InvalidInput, match=r"damaged or not an archive of arrays.*password"):
        load_data(path)


def test_a_changed_value_is_found_by_its_checksum(tmp_path):
    path = tmp_path / "t.npz"
    np.savez(path, x=X)
    content = bytearray(path.read_bytes())
    content[content.index(X.tobytes()) + 5] ^= 1
    path.write_bytes(content)
    with pytest.raises(InvalidInput, match="damaged or not an archive of arrays: Bad CRC-32"):
        load_data(path)
