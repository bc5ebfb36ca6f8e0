"""What is kept between runs, and everything that makes a kept result worthless."""

import numpy as np
import pytest
from msgspec import structs

from robust.auditing import keeping
from robust.auditing.discovery import discover, find_check
from robust.auditing.host import describe_host
from robust.auditing.keeping import Results, Store, noise_key, result_key, tree_identity
from robust.check import Subject
from robust.data.live import as_data
from robust.models.base import Model
from robust.predicting.settings import Settings, using
from robust.record.shape import Noise

HOST = describe_host()
CHECK = find_check(discover(), "accuracy")
OPTIONS = CHECK.options
X = np.arange(12.0).reshape(6, 2)


def model(identity="abc", **options):
    return Model(name=options.pop("name", "m"), framework="torch", forward=len, identity=lambda: identity, **options)


def subject(**changes):
    fields = {"model": model(), "task": "regression", "test": as_data(X, np.arange(6.0))}
    return Subject(**(fields | changes))


def key(check=CHECK, options=OPTIONS, host=HOST, **changes):
    return result_key(check, options, subject(**changes), host)


def test_the_same_question_has_the_same_key():
    assert key() == key()
    assert len(key()) == 64


@pytest.mark.parametrize(
    "changes",
    [
        {"check": find_check(discover(), "f1")},
        {"options": "other"},
        {"host": structs.replace(HOST, packages=(("numpy", "0"),))},
        {"host": structs.replace(HOST, cpu_features=("none",))},
        {"model": model("other")},
        {"model": model(name="n")},
        {"model": model(output="logits")},
        {"model": model(classes=(1, 0))},
        {"model": model(batch_size=7)},
        {"reference": model()},
        {"surrogate": model()},
        {"task": "classification"},
        {"test": as_data(X + 1, np.arange(6.0))},
        {"test": as_data(X, np.arange(6.0) + 1)},
        {"test": as_data(X, np.arange(6.0), name="other")},
        {"test": as_data(X, np.arange(6.0), order=np.arange(6))},
        {"test": as_data(X, np.arange(6.0), schema={"bounds": (-99, 99)})},
        {"train": as_data(X, np.arange(6.0))},
        {"validation": as_data(X, np.arange(6.0))},
        {"normal": as_data(X, np.arange(6.0))},
        {"anomalous": ("fault",)},
        {"level": 0.9},
        {"seed": 1},
    ],
)
def test_another_question_has_another(changes):
    assert key(**changes) != key()


def test_a_reference_is_not_taken_for_a_surrogate():
    assert key(reference=model("r")) != key(surrogate=model("r"))


def test_validation_rows_are_not_taken_for_training_rows():
    rows = as_data(X, np.arange(6.0))
    assert len({key(train=rows), key(validation=rows), key(normal=rows)}) == 3


def test_shards_and_code_count_too(monkeypatch):
    before = key()
    with using(Settings(shards=2)):
        assert key() != before
    monkeypatch.setattr(keeping, "code_identity", lambda: "newer")
    assert key() != before


def test_a_model_that_cannot_be_hashed_is_never_kept():
    assert key(model=model(None)) is None
    assert key(reference=model(None)) is None
    assert noise_key(model(None), subject(), HOST) is None


def test_code_is_told_by_name_size_and_time(tmp_path):
    (tmp_path / "a.py").write_text("1")
    (tmp_path / "below").mkdir()
    (tmp_path / "below" / "b.py").write_text("1")
    first = tree_identity((tmp_path,))
    (tmp_path / "notes.txt").write_text("no code")
    assert tree_identity((tmp_path,)) == first
    (tmp_path / "below" / "b.py").write_text("22")
    second = tree_identity((tmp_path,))
    assert second != first
    (tmp_path / "c.py").write_text("")
    assert tree_identity((tmp_path,)) != second


NOISE = Noise(rows=3, decisions_changed=0, largest_difference=0.5)


def test_an_entry_comes_back(tmp_path):
    Store(tmp_path / "new").put("k", NOISE)
    assert Store(tmp_path / "new").get("k", Noise) == NOISE
    assert Store(tmp_path).get("k", Noise) is None
    assert [path.suffix for path in (tmp_path / "new").iterdir()] == [".json"]


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe\x00", b"[]", b'{"rows": "many"}', b"null"])
def test_a_damaged_entry_counts_as_missing(tmp_path, content):
    (tmp_path / "k.json").write_bytes(content)
    assert Store(tmp_path).get("k", Noise) is None
    assert Store(tmp_path).get("k", Results) in (None, ())  # an empty list is a list of results


def test_without_a_folder_or_a_key_nothing_is_kept(tmp_path):
    for store, name in ((Store(None), "k"), (Store(tmp_path), None)):
        store.put(name, NOISE)
        assert store.get(name, Noise) is None
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_used_is_no_error(tmp_path):
    (tmp_path / "file").write_text("")
    store = Store(tmp_path / "file" / "below")
    store.put("k", NOISE)
    assert store.get("k", Noise) is None


def test_an_interrupted_write_leaves_nothing(tmp_path, monkeypatch):
    def stop(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(keeping.Path, "replace", stop)
    with pytest.raises(KeyboardInterrupt):
        Store(tmp_path).put("k", NOISE)
    assert list(tmp_path.iterdir()) == []
