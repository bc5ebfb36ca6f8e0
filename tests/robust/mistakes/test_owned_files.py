import pytest

from robust import InvalidInput
from robust.mistakes.owned_files import RECORD, OwnedFiles


def written(folder, **files):
    own = OwnedFiles(folder)
    for name, content in files.items():
        own.put(name, content)
    return own


def left(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.name != RECORD)


def test_a_run_clears_away_what_the_one_before_wrote(tmp_path):
    written(tmp_path, a=b"1", b=b"2").clear()
    second = OwnedFiles(tmp_path)
    second.put("b", b"3")
    second.put("in/c", b"4")
    second.clear()
    assert left(tmp_path) == ["b", "in", "in/c"]
    OwnedFiles(tmp_path).clear(inside="in/")
    assert left(tmp_path) == ["b", "in"]
    OwnedFiles(tmp_path).clear()
    assert left(tmp_path) == ["in"]


def test_an_interrupted_run_leaves_nothing_behind_that_is_not_known(tmp_path):
    written(tmp_path, a=b"1").clear()
    written(tmp_path, a=b"2", b=b"3")  # never cleared: interrupted
    again = written(tmp_path, a=b"4")
    again.clear()
    assert left(tmp_path) == ["a"]


def test_files_of_others_are_neither_written_over_nor_removed(tmp_path):
    own = written(tmp_path, a=b"1", b=b"2")
    own.clear()
    (tmp_path / "a").write_bytes(b"changed")
    (tmp_path / "c").write_bytes(b"2")  # the content of one of ours under another name
    later = OwnedFiles(tmp_path)
    with pytest.raises(InvalidInput, match=r"holds 'a', 'c', which no earlier run wrote or somebody changed since"):
        later.claim(["a", "b", "c", "d"])
    with pytest.raises(InvalidInput, match="holds 'c'"):
        later.put("c", b"5")
    later.clear()
    assert left(tmp_path) == ["a", "c"]


def test_a_name_given_up_is_somebodys_from_then_on(tmp_path):
    written(tmp_path, a=b"1").clear()
    OwnedFiles(tmp_path).clear()
    (tmp_path / "a").write_bytes(b"1")
    OwnedFiles(tmp_path).clear()
    assert left(tmp_path) == ["a"]


def test_links_are_followed_by_nobody(tmp_path):
    target = tmp_path / "target"
    target.write_bytes(b"1")
    folder = tmp_path / "out"
    written(folder, a=b"1").clear()
    (folder / "a").unlink()
    (folder / "a").symlink_to(target)
    OwnedFiles(folder).clear()
    assert (folder / "a").is_symlink()
    with pytest.raises(InvalidInput, match="holds 'a'"):
        OwnedFiles(folder).claim(["a"])


@pytest.mark.parametrize("record", [b"\xff\xfe", b"no hash", b""])
def test_a_damaged_record_knows_nothing(tmp_path, record):
    (tmp_path / "a").write_bytes(b"1")
    (tmp_path / RECORD).write_bytes(record)
    OwnedFiles(tmp_path).clear()
    assert left(tmp_path) == ["a"]


def test_a_folder_that_lacks_is_no_fault(tmp_path):
    OwnedFiles(tmp_path / "none").clear()
    assert not (tmp_path / "none").exists()
