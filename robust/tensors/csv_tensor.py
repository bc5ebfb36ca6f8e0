"""Tensors as text: one flattened sample a line, numbers between commas, the type in a comment."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

import numpy as np

from robust.errors import InvalidInput
from robust.types import AnyArray, FloatArray

#: Samples and numbers a sample that are written unless all are asked for.
MOST_SAMPLES, MOST_ITEMS = 128, 512
_TAG = re.compile(r"\bdtype\s*=\s*(\w+)")
_TAGGED_COMMENTS = 5
_TYPES = (
    *("float32", "float16", "float64", "bool"),
    *("int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64"),
)
# Of these, all integers are numbers of float32 too; wider ones are read as whole numbers where they are written so.
_SHORT = ("bool", "int8", "uint8", "int16", "uint16")


def read_csv_tensor(path: Path) -> tuple[AnyArray, tuple[str, ...]]:
    """Read samples, one a line.

    Args:
        path: UTF-8; lines that begin with `#` are comments, one of the first five of them, wherever it stands, may say
            `dtype=uint8` for the whole file.

    Returns:
        (n, items) of the tagged type, float32 without a tag; and notes.

    Raises:
        InvalidInput: With file, line and column: on lines of different lengths, on what is no number, on numbers
            that the tagged type does not have, on two tags that say different types.
    """
    samples: list[AnyArray] = []
    width = 0
    try:
        with path.open(encoding="utf-8-sig", newline=None) as stream:
            tag, notes = _tagged(path, stream)
            stream.seek(0)
            for number, line in _lines(stream):
                if line.startswith("#"):
                    continue
                cells = line.split(",")
                width = width or len(cells)
                if len(cells) != width:
                    raise InvalidInput(
                        f"{path}, line {number}: {len(cells)} numbers, the first sample has {width}; one flattened "
                        "sample a line would be right"
                    )
                samples.append(_sample(path, number, cells, tag or "float32"))
    except UnicodeDecodeError as error:
        raise InvalidInput(f"{path} is not text in UTF-8: save it as CSV UTF-8") from error
    if not samples:
        raise InvalidInput(f"{path} holds no samples: one flattened sample a line would be right")
    return np.stack(samples), notes


def csv_tensor(array: AnyArray, *, everything: bool) -> bytes:
    r"""Write samples, one a line, so that reading them gives the same numbers.

    Args:
        array: (n, …) of numbers.
        everything: Whether to write more than 128 samples, and samples of 512 numbers and more.

    Returns:
        The file; the first 128 samples, and nothing at all where samples are too long, unless `everything`.

    >>> csv_tensor(np.array([[1, 2], [3, 4]], dtype=np.uint8), everything=False)
    b'# dtype=uint8\n1,2\n3,4\n'
    """
    flat = array.reshape(len(array), -1)
    if not everything and flat.shape[1] >= MOST_ITEMS:
        return b""
    kept = flat if everything else flat[:MOST_SAMPLES]
    head = [f"# dtype={array.dtype.name}"]
    if len(kept) < len(flat):
        head.append(f"# the first {len(kept)} of {len(flat)} samples")
    kind = array.dtype.kind
    # Python writes the shortest text that reads back as the same float64; float32 numbers need 9 digits.
    write = repr if array.dtype.itemsize == 8 else "{:.9g}".format
    rows = (kept.astype(np.uint8) if kind == "b" else kept).tolist()
    lines = [",".join(map(write if kind == "f" else str, row)) for row in rows]
    return "\n".join([*head, *lines, ""]).encode()


def _lines(stream: TextIO) -> Iterator[tuple[int, str]]:
    """Lines that are not blank, with their numbers from 1."""
    for number, line in enumerate(stream, start=1):
        stripped = line.strip()
        if stripped:
            yield number, stripped


def _tagged(path: Path, stream: TextIO) -> tuple[str | None, tuple[str, ...]]:
    """The type that the first five comments say, and a note on a later one that is not read."""
    tags: dict[str, int] = {}
    notes: tuple[str, ...] = ()
    comments = 0
    for number, line in _lines(stream):
        if not line.startswith("#"):
            continue
        comments += 1
        found = _TAG.search(line)
        if found and comments > _TAGGED_COMMENTS:
            notes = (f"{path.name}: {found[0]} in comment line {comments} is not read, the first five are",)
        elif found:
            tags.setdefault(_type(path, number, found[1]), number)
    if len(tags) > 1:
        said = " and ".join(f"dtype={name} in line {line}" for name, line in tags.items())
        raise InvalidInput(f"{path} says {said}: one type for the whole file would be right")
    return next(iter(tags), None), notes


def _type(path: Path, line: int, name: str) -> str:
    """A tagged type."""
    if name not in _TYPES:
        raise InvalidInput(f"{path}, line {line}: dtype={name} is not known; {', '.join(_TYPES)} are")
    return name


def _sample(path: Path, line: int, cells: list[str], dtype: str) -> AnyArray:
    """The numbers of one line, in the tagged type."""
    if dtype not in _SHORT and not dtype.startswith("float"):
        try:
            return np.array([int(cell) for cell in cells], dtype=dtype)
        except (ValueError, OverflowError):  # written as 4.8e+01, or wrong: what follows tells
            pass
    numbers = _floats(path, line, cells)
    if dtype == "float64":
        return numbers
    with np.errstate(over="ignore"):
        # Short numbers go through float32, as the format says: what is read does not depend on spare digits.
        rounded = numbers.astype(dtype if dtype.startswith("float") else "float32" if dtype in _SHORT else "float64")
    if dtype.startswith("float"):
        return _refused(path, line, cells, dtype, rounded, np.isinf(rounded) & np.isfinite(numbers))
    low, high = (0, 1) if dtype == "bool" else (np.iinfo(dtype).min, np.iinfo(dtype).max)
    # float64 rounds the ends of 64-bit types up: what is not below one past the end is beyond.
    wrong = ~((rounded == np.rint(rounded)) & (rounded >= low) & (rounded < float(high) + 1))
    return _refused(path, line, cells, dtype, rounded, wrong).astype(dtype)


def _floats(path: Path, line: int, cells: list[str]) -> FloatArray:
    """Cells as float64; Python would also read digits with underscores between them."""
    try:
        if not any("_" in cell for cell in cells):
            return np.array(cells, dtype=np.float64)
    except ValueError:
        pass
    for column, cell in enumerate(cells, start=1):
        try:
            if "_" not in cell:
                float(cell)
                continue
        except ValueError:
            pass
        raise InvalidInput(
            f"{path}, line {line}, column {column}: {cell.strip()[:40]!r} is no number; numbers between commas, one "
            "flattened sample a line and no header, would be right"
        )
    return np.array([float(cell) for cell in cells])


def _refused(path: Path, line: int, cells: list[str], dtype: str, numbers: AnyArray, wrong: AnyArray) -> AnyArray:
    """The numbers, unless one of them is wrong."""
    if wrong.any():
        column = int(np.flatnonzero(wrong)[0])
        raise InvalidInput(
            f"{path}, line {line}, column {column + 1}: {cells[column].strip()[:40]!r} is no {dtype}, as the file says"
        )
    return numbers
