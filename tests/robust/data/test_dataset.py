"""The data set itself: read-only, cut by rows, identified by content."""

import hashlib
import pickle
from dataclasses import replace

import numpy as np
import pytest

from robust.data import large
from robust.data.dataset import Column, update_digest
from robust.data.live import as_data
from robust.errors import InvalidInput


def example(**changes):
    parts = {
        "x": np.arange(8.0).reshape(4, 2),
        "y": np.array([0, 1, 1, 0]),
        "ids": np.array([10, 11, 12, 13]),
        "unused": {"h": [1.0, 2.0, 3.0, 4.0]},
        "slices": {"s": ["a", "a", "b", "b"]},
        "order": [4, 3, 2, 1],
        "groups": ["g", "g", "h", "h"],
    } | changes
    return as_data(parts.pop("x"), **parts)


def test_rows_cut_every_part():
    data = example()
    for keep in (np.array([2, 0]), np.array([True, False, True, False])):
        part = data.rows(keep)
        chosen = np.arange(4)[keep]
        np.testing.assert_array_equal(part.x, data.x[chosen])
        for name in ("y", "ids", "order", "groups"):
            assert getattr(part, name).tolist() == getattr(data, name)[chosen].tolist()
        assert part.unused[0].values.tolist() == data.unused[0].values[chosen].tolist()
        assert part.slices[0].values.tolist() == data.slices[0].values[chosen].tolist()
        assert not part.x.flags.writeable
        assert not part.slices[0].values.flags.writeable


def test_fingerprint_does_not_depend_on_the_name_and_survives_pickling():
    data = example()
    assert example(name="other").fingerprint == data.fingerprint
    assert pickle.loads(pickle.dumps(data)).fingerprint == data.fingerprint


@pytest.mark.parametrize(
    "changes",
    [
        {"x": np.arange(8.0).reshape(4, 2) + 1e-9},
        {"x": np.arange(8.0, dtype="f4").reshape(4, 2)},
        {"x": np.arange(8.0).reshape(4, 1, 2)},
        {"y": None},
        {"y": ["0", "1", "1", "0"]},
        {"ids": None},
        {"order": None},
        {"groups": None},
        {"unused": {"k": [1.0, 2.0, 3.0, 4.0]}},
        {"unused": None, "slices": {"h": [1.0, 2.0, 3.0, 4.0], "s": ["a", "a", "b", "b"]}},
        {"slices": None},
        {"names": ["a", "b"]},
        {"schema": {"bounds": (0, 9)}},
        {"schema": {"x0": {"immutable": True}}},
        {"schema": {"x0": {"kind": "integer"}}},
        {"schema": {"relations": ["x0 <= x1"]}},
    ],
)
def test_fingerprint_changes_with_everything_that_is_known(changes):
    assert example(**changes).fingerprint != example().fingerprint


def test_replace_does_not_hand_on_a_stale_fingerprint():
    data = example()
    before = data.fingerprint
    other = replace(data, y=np.array([1, 1, 1, 1]))
    assert other.fingerprint != before
    assert data.with_x(data.x + 1).fingerprint != before
    assert data.rows(np.arange(4)).fingerprint == before


def test_with_x_refuses_another_shape():
    with pytest.raises(InvalidInput, match=r"inputs of shape \(4, 3\) cannot replace those of shape \(4, 2\)"):
        example().with_x(np.zeros((4, 3)))


def test_parts_of_different_lengths_are_refused_however_they_get_there():
    with pytest.raises(InvalidInput, match="x has 4 rows, y has 3"):
        replace(example(), y=np.zeros(3))
    with pytest.raises(InvalidInput, match="x has 4 rows, column 'k' has 1"):
        replace(example(), unused=(Column(name="k", values=np.zeros(1)),))


def test_no_targets():
    with pytest.raises(InvalidInput, match="data has no targets: pass y="):
        _ = example(y=None).targets


def test_repr_names_columns():
    assert repr(example()) == "Dataset('data', x(4, 2) float64, unused=['h'], slices=['s'])"


def test_row_keys_belong_to_the_row():
    for ids in ([10, 11, 12, 13], [-1, 0, 1, 2], ["a", "b", "c", "ä"]):
        data = example(ids=ids)
        keys = data.row_keys()
        assert keys.dtype == np.uint64
        assert len(np.unique(keys)) == 4
        shuffled = data.rows(np.array([3, 1, 0, 2]))
        np.testing.assert_array_equal(shuffled.row_keys(), keys[[3, 1, 0, 2]])
    # A published constant: BLAKE2b with 8 bytes of output, of "a".
    expected = int.from_bytes(hashlib.blake2b(b"a", digest_size=8).digest(), "little")
    assert int(example(ids=["a", "b", "c", "d"]).row_keys()[0]) == expected


def digest(array):
    found = hashlib.sha256()
    update_digest(found, array)
    return found.hexdigest()


def test_a_digest_tells_shape_type_and_content_apart():
    arrays = [np.zeros(2), np.zeros((2, 1)), np.zeros(2, dtype="f4"), np.ones(2), np.array(["a", "b"])]
    arrays += [np.array(["ab", ""]), np.array(["a'", "b"])]
    assert len({digest(array) for array in arrays}) == len(arrays)
    assert digest(np.array(["a", "b"])) == digest(np.array(["a", "b"], dtype=object))
    fortran = np.asfortranarray(np.arange(6.0).reshape(2, 3))
    assert digest(fortran) == digest(np.ascontiguousarray(fortran))


@pytest.mark.parametrize(
    "array",
    [
        np.random.default_rng(0).normal(size=(50, 3, 2)),
        np.asfortranarray(np.arange(60, dtype="i2").reshape(20, 3)),
        np.arange(40, dtype=">f4").reshape(20, 2)[::2],
        np.zeros((0, 3)),
        np.zeros((3, 0)),
        np.arange(30).astype("M8[ns]"),
        np.array(["a'b", "ä", "", *(str(j) for j in range(40))]),
        np.array([], dtype=str),
        np.array([["a", "b"], ["c", "d"]]),
    ],
)
@pytest.mark.parametrize("block", [1, 64, 2**22])
def test_a_digest_by_blocks_is_that_of_all_bytes_at_once(array, block, monkeypatch):
    monkeypatch.setattr(large, "BLOCK_BYTES", block)
    text = array.dtype.kind in "OUT"
    shape = (array.shape, [str(item) for item in array.ravel()] if text else array.dtype.str)
    content = repr(shape).encode() + (b"" if text else array.tobytes())
    assert digest(array) == hashlib.sha256(content).hexdigest()
