"""Where a candidate is written: a file of its own, never one that is read."""

from pathlib import Path
from typing import Any

from robust.errors import InvalidInput


def writable_path(out: str | Path, *, model: Any, calibration: Any = None, data: Any = None) -> Path:
    """The path to write a candidate to, refused before any work is done.

    Args:
        out: The path, which ends in .onnx.
        model: The float model; it and what follows are compared with `out` where they are paths.
        calibration: The calibration rows.
        data: The rows that the candidate is judged on.

    Returns:
        The path.

    Raises:
        InvalidInput: If it ends otherwise, or is a file that is read, also by another way there.
    """
    path = Path(out)
    if path.suffix.lower() != ".onnx":
        raise InvalidInput(f"out={str(out)!r} must end in .onnx, by which the file is recognised")
    if path.is_dir():
        raise InvalidInput(f"out={str(out)!r} is a folder: the path of a file would be right")
    for source, what in ((model, "the float model"), (calibration, "the calibration rows"), (data, "the data")):
        if isinstance(source, str | Path) and _same_file(path, source):
            raise overwrites(path, what)
    return path


def overwrites(path: Path, what: str) -> InvalidInput:
    """The refusal of a path that something is read from.

    Args:
        path: The path.
        what: What it holds.
    """
    return InvalidInput(f"out={str(path)!r} is {what}, which would be lost: another name would be right")


def _same_file(path: Path, other: str | Path) -> bool:
    """Whether two paths lead to one file, through links too."""
    try:
        return path.samefile(other) or path.resolve() == Path(other).resolve()
    except (OSError, ValueError):
        return False  # one of them is not there, or is no path at all, such as the name of a data set
