from robust.predicting.cache import ArrayCache
from robust.predicting.settings import Settings, using
from robust.quantizers.kept_artefacts import artefact_store, kept


def counting(content=b"bytes"):
    calls = []

    def make():
        calls.append(content)
        return content

    return make, calls


def test_an_artefact_is_made_once_and_any_other_part_misses(tmp_path):
    make, calls = counting()
    store = artefact_store(tmp_path)
    for parts in (("a", 1), ("a", 1), ("a", 2), ("b", 1)):
        assert kept(store, parts, make) == b"bytes"
    assert len(calls) == 3
    assert kept(artefact_store(tmp_path), ("a", 1), make) == b"bytes"  # another process
    assert len(calls) == 3


def test_without_a_content_hash_nothing_is_kept(tmp_path):
    make, calls = counting()
    for _ in range(2):
        kept(artefact_store(tmp_path), None, make)
    assert len(calls) == 2
    assert not list(tmp_path.iterdir())


def test_a_damaged_entry_is_made_again(tmp_path):
    make, calls = counting(bytes(range(100)))
    kept(artefact_store(tmp_path), ("a",), make)
    (path,) = tmp_path.iterdir()
    content = bytearray(path.read_bytes())
    content[-5] ^= 1
    path.write_bytes(bytes(content))
    assert kept(artefact_store(tmp_path), ("a",), make) == bytes(range(100))
    assert len(calls) == 2


def test_another_version_of_a_library_misses(tmp_path, monkeypatch):
    make, calls = counting()
    kept(artefact_store(tmp_path), ("a",), make)
    monkeypatch.setattr("robust.quantizers.kept_artefacts.version", lambda name: "9.9")
    kept(artefact_store(tmp_path), ("a",), make)
    assert len(calls) == 2


def test_by_default_artefacts_are_kept_with_the_predictions():
    store = ArrayCache()
    with using(Settings(cache=store)):
        assert artefact_store(None) is store
