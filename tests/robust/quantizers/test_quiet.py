import logging

import pytest

from robust.quantizers.quiet import quiet


def test_nothing_is_printed_and_warnings_are_kept(capsys):
    with quiet("own") as heard:
        print("progress")
        logging.getLogger("library").warning("odd %s", "tensor")
        logging.getLogger("own").warning("not heard")
        logging.info("a root call, which configures logging where nobody has")
    assert heard == ["odd tensor"]
    assert capsys.readouterr() == ("", "")


def test_logging_is_as_before_also_after_an_error():
    root, own = logging.getLogger(), logging.getLogger("own")
    before = (list(root.handlers), root.level, own.level)
    with pytest.raises(ValueError, match="broken"), quiet("own"):
        raise ValueError("broken")
    assert (list(root.handlers), root.level, own.level) == before
