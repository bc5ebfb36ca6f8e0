"""What a data file really holds, by its first bytes: so that nothing unexpected is parsed."""

import os
import pickletools
from pathlib import Path

from robust.errors import InvalidInput

_FORMATS = ".npz, .npy, .csv and .parquet are read"
_OTHER = f"save it as one of those that are read: {_FORMATS}"
# First bytes of formats that turn up under a data file's name: what it is, the suffix that fits, what to do.
_MAGIC = (
    (
        b"PK\x03\x04",
        "a zip archive",
        ".npz",
        "rename it to .npz if it is one; save an Excel workbook as .csv",
    ),
    (b"PK\x05\x06", "an empty zip archive", ".npz", _OTHER),
    (b"\x93NUMPY", "a numpy array", ".npy", "rename it to .npy"),
    (b"PAR1", "a Parquet table", ".parquet", "rename it to .parquet"),
    (b"\x1f\x8b", "gzip-compressed data", None, "unpack it"),
    (b"ARROW1", "an Arrow file", None, _OTHER),
    (b"\x89HDF", "an HDF5 file", None, _OTHER),
    (b"SQLite format 3", "an SQLite database", None, _OTHER),
    (b"\xff\xfe", "text in UTF-16", None, "save it as CSV UTF-8"),
    (b"\xfe\xff", "text in UTF-16", None, "save it as CSV UTF-8"),
)
_PICKLE = frozenset(range(2, 6))  # protocols with a header


def check_content(path: Path, *, known: tuple[str, ...]) -> None:
    """Refuse a path that is no file of the format that its suffix names.

    Args:
        path: The file.
        known: Suffixes that are read.

    Raises:
        InvalidInput: If it is missing, no file, unreadable, empty, of an unknown suffix, a pickle, or of a
            format that the suffix does not name.
    """
    if path.is_dir():
        raise InvalidInput(f"{path} is a directory: a data file would be right ({_FORMATS})")
    if path.exists() and not path.is_file():
        raise InvalidInput(f"{path} is no regular file: a data file would be right ({_FORMATS})")
    try:
        with path.open("rb") as stream:
            head = stream.read(64)
    except FileNotFoundError as error:
        raise InvalidInput(f"{path} does not exist") from error
    except (OSError, ValueError) as error:
        raise InvalidInput(f"{path} cannot be read: {error}") from error
    suffix = path.suffix.lower()
    if looks_pickled(path, head) or suffix in (".pkl", ".pickle", ".joblib"):
        raise pickled(path)
    if suffix not in known:
        raise InvalidInput(f"{path} has the unknown suffix {path.suffix!r}; {_FORMATS}")
    if not head:
        raise InvalidInput(f"{path} is empty: a file with at least one row would be right")
    for magic, what, fitting, advice in _MAGIC:
        if head.startswith(magic) and suffix != fitting:
            raise InvalidInput(f"{path} is {what}, not what {suffix} says: {advice}")


def pickled(path: Path) -> InvalidInput:
    """The error for a pickle, whatever its name."""
    return InvalidInput(f"{path} is a pickle, which could run code: pickles are never loaded as data; {_FORMATS}")


def unreadable(path: Path, what: str, error: Exception) -> InvalidInput:
    """One error for all the ways in which a file can fail to be read."""
    if isinstance(error, MemoryError):
        return InvalidInput(f"{path} does not fit into the memory that is left: {error or 'no more could be had'}")
    return InvalidInput(f"{path} is damaged or not {what}: {error}")


def looks_pickled(path: Path, head: bytes) -> bool:
    """Whether a file is a pickle: by its mark, or because its codes can be read to the end.

    Args:
        path: The file; reading its codes executes none of them.
        head: Its first bytes.
    """
    if len(head) > 1 and head[0] == 0x80 and head[1] in _PICKLE:
        return True
    with path.open("rb") as stream:
        size = stream.seek(0, os.SEEK_END)
        if size == 0:
            return False
        stream.seek(-1, os.SEEK_END)
        if stream.read(1) != b".":  # the code that ends every pickle
            return False
        stream.seek(0)
        try:
            codes = sum(1 for _ in pickletools.genops(stream))
        except (ValueError, EOFError, IndexError, OverflowError):
            return False
        return codes > 1 and stream.tell() == size
