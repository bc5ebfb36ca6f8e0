import os
import stat

import pytest

from robust.whole_files import write_whole


@pytest.mark.parametrize("mask", [0o022, 0o027, 0o077])
def test_the_mode_is_that_of_other_files(tmp_path, mask):
    before = os.umask(mask)
    try:
        write_whole(tmp_path / "new" / "whole.bin", b"whole")
        (tmp_path / "plain.bin").write_bytes(b"plain")
    finally:
        os.umask(before)
    modes = [stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "new" / "whole.bin", tmp_path / "plain.bin")]
    assert modes[0] == modes[1] == 0o666 & ~mask


def test_a_file_is_replaced_whole_or_left_as_it_was(tmp_path, monkeypatch):
    path = tmp_path / "kept.bin"
    write_whole(path, b"old")
    write_whole(path, b"new")
    assert path.read_bytes() == b"new"

    def fails(*arguments):
        raise OSError("disk full")

    monkeypatch.setattr("pathlib.Path.replace", fails)
    with pytest.raises(OSError, match="disk full"):
        write_whole(path, b"third")
    assert [entry.name for entry in tmp_path.iterdir()] == ["kept.bin"]
    assert path.read_bytes() == b"new"
