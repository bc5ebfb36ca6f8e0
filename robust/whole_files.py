"""Files that are written whole or not at all: an interrupted run leaves no half of one behind."""

import os
import secrets
from pathlib import Path

#: What the user's umask takes away from, as with files that a program opens itself.
_MODE = 0o666


def write_whole(path: Path, content: bytes) -> None:
    """Write a file under a temporary name beside it and rename it.

    Args:
        path: Where to; folders that lack are made.
        content: All bytes.

    Raises:
        OSError: If the folder cannot be written to.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.parent / f"tmp{secrets.token_hex(8)}.tmp"
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), _MODE)
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(content)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
