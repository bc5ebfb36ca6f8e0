"""The store of arrays: hits, damage, folders that cannot be used, and its bound on memory."""

import numpy as np
import pytest

from robust.predicting import cache as module
from robust.predicting.cache import ArrayCache


@pytest.mark.parametrize(
    "array",
    [np.arange(6.0).reshape(2, 3), np.array([1, 2], dtype=np.int8), np.zeros((0, 3)), np.asfortranarray(np.eye(3))],
)
def test_an_entry_comes_back_from_memory_and_from_disk(tmp_path, array):
    ArrayCache(tmp_path).put("k", array.copy())
    for cache in (ArrayCache(tmp_path),) * 2:
        found = cache.get("k")
        np.testing.assert_array_equal(found, array)
        assert found.dtype == array.dtype
        assert not found.flags.writeable
    assert ArrayCache(tmp_path).get("other") is None


def test_memory_alone_keeps_nothing_for_another_cache():
    cache = ArrayCache()
    cache.put("k", np.ones(2))
    assert cache.get("k") is not None
    assert ArrayCache().get("k") is None


def _damaged(content: bytes) -> list[bytes]:
    flipped = bytearray(content)
    flipped[-1] ^= 1
    return [
        b"",
        content[:10],
        content[:-8],
        bytes(flipped),
        b"\x00" * len(content),
        b"PK\x03\x04" + content,
        content + b"x",
    ]


@pytest.mark.parametrize("kind", range(7))
def test_a_damaged_entry_is_dropped(tmp_path, kind):
    ArrayCache(tmp_path).put("k", np.arange(50.0))
    (path,) = tmp_path.iterdir()
    path.write_bytes(_damaged(path.read_bytes())[kind])
    assert ArrayCache(tmp_path).get("k") is None
    assert not path.exists()


def test_objects_are_never_written_or_read(tmp_path):
    with pytest.raises(ValueError, match="allow_pickle"):
        ArrayCache(tmp_path).put("k", np.array([{}], dtype=object))
    assert ArrayCache(tmp_path).get("k") is None


def test_a_folder_that_cannot_be_used_costs_nothing_but_time(tmp_path):
    (tmp_path / "file").write_text("")
    cache = ArrayCache(tmp_path / "file" / "below")
    cache.put("k", np.ones(3))
    assert cache.get("k") is not None
    assert ArrayCache(tmp_path / "file" / "below").get("k") is None


def test_an_interrupted_write_leaves_nothing(tmp_path, monkeypatch):
    def stop(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(module.Path, "replace", stop)
    with pytest.raises(KeyboardInterrupt):
        ArrayCache(tmp_path).put("k", np.ones(3))
    assert list(tmp_path.iterdir()) == []


def test_memory_is_bounded_and_the_least_used_go_first(monkeypatch):
    monkeypatch.setattr(module, "_MEMORY_BYTES", 3 * 80)
    cache = ArrayCache()
    for key in "abc":
        cache.put(key, np.ones(10))
    assert cache.get("a") is not None  # now b is the one unused for longest
    cache.put("d", np.ones(10))
    assert [key for key in "abcd" if cache.get(key) is not None] == ["a", "c", "d"]
    cache.put("large", np.ones(1000))
    assert [key for key in "acd" if cache.get(key) is not None] == []
