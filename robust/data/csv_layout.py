"""How a CSV file is laid out: comments, delimiter, header, and where its rows begin."""

import csv
import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from robust.errors import InvalidInput

_NUMBER = re.compile(r"\s*[+-]?((\d+\.?\d*|\.\d+)(e[+-]?\d+)?|inf(inity)?|nan)?\s*", re.IGNORECASE)
_DECIMAL_COMMAS = re.compile(r'\s*"?[+-]?\d+,\d+"?\s*')
_DTYPE = re.compile(r"\bdtype\s*=\s*(\w+)")
_SEPARATOR = re.compile(r"sep=(.)\s*", re.IGNORECASE)  # a first line that spreadsheets write and understand
_DTYPES = ("float64", "float32", "int64", "int32", "int16", "int8", "uint32", "uint16", "uint8")


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """Layout of a CSV file.

    Args:
        delimiter: Between cells.
        first: Cells of the first record.
        named: Whether the first record is a header.
        offset: Byte at which the rows begin.
        line: Line of the file, from 1, on which they begin.
        dtype: Type of the numbers that a comment line declares, or None.
    """

    delimiter: str
    first: tuple[str, ...]
    named: bool
    offset: int
    line: int
    dtype: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One record of a CSV file.

    Args:
        line: Line of the file, from 1, on which it begins.
        cells: Its cells; none where it is too broken to be read.
        quoted: Whether it begins with a quote or runs over several lines, as it does behind a quote that is not closed.
    """

    line: int
    cells: tuple[str, ...]
    quoted: bool


def read_layout(path: Path, *, named: bool | None) -> Layout:
    """Find out how a file is laid out from its first lines.

    Args:
        path: The file, UTF-8.
        named: Whether the first record is a header; None asks the file: it is, if a cell is no number.

    Returns:
        The layout.

    Raises:
        InvalidInput: If the file is not text in UTF-8, has no record, declares two types, or writes numbers with
            decimal commas.
    """
    try:
        with path.open(encoding="utf-8", newline="") as stream:
            return _read(path, stream, named)
    except UnicodeDecodeError as error:
        raise not_utf8(path) from error
    except csv.Error as error:
        raise InvalidInput(f"{path}, first record: {error}; is a quote not closed?") from error


def not_utf8(path: Path) -> InvalidInput:
    """The error for a file in another encoding, or no text at all."""
    return InvalidInput(f"{path} is not text in UTF-8: save it as CSV UTF-8")


def is_number(cell: str) -> bool:
    """Whether a cell is a number, or empty.

    >>> [is_number(cell) for cell in ("1e-3", " .5 ", "", "nan", "1,5", "x1")]
    [True, True, True, True, False, False]
    """
    return _NUMBER.fullmatch(cell) is not None


def record_line(path: Path, layout: Layout, record: int) -> int:
    """The line (from 1) on which a record of the rows begins; quoted cells may run over several lines.

    Args:
        path: The file.
        layout: Its layout.
        record: Position of the record among the rows, from 0, blank lines not counted.
    """
    line = layout.line
    for number, found in enumerate(_records(path, layout)):
        line = found.line
        if number == record:
            break
    return line


def ragged_record(path: Path, layout: Layout) -> Record | None:
    """The first record of the rows that has not as many cells as the first of the file.

    Args:
        path: The file.
        layout: Its layout.

    Returns:
        The record, or None where all have as many, or the file is too broken before.
    """
    width = len(layout.first)
    return next((found for found in _records(path, layout) if found.cells and len(found.cells) != width), None)


def _records(path: Path, layout: Layout) -> Iterator[Record]:
    """The records as Python's reader sees them; blank lines are none, one that it cannot read is the last."""
    with path.open("rb") as raw:
        raw.seek(layout.offset)
        lines = io.TextIOWrapper(raw, encoding="utf-8", errors="replace", newline="")
        taken: list[str] = []
        reader = csv.reader(_remember(lines.readline(), lines, taken), delimiter=layout.delimiter)
        before = 0
        try:
            for cells in reader:
                if cells:
                    quoted = taken[0].startswith('"') or len(taken) > 1
                    yield Record(line=layout.line + before, cells=tuple(cells), quoted=quoted)
                before = reader.line_num
                taken.clear()
        except csv.Error:
            # This only finds a place for a message: where the file is too broken, the last line known is it.
            yield Record(line=layout.line + before, cells=(), quoted=True)


def _read(path: Path, stream: TextIO, named: bool | None) -> Layout:
    """Read comments and the first record."""
    offset = lines = 0
    dtype = separator = None
    while line := stream.readline():
        if "\0" in line:
            raise not_utf8(path)
        bare = line.removeprefix("\ufeff").strip()
        marked = _SEPARATOR.fullmatch(bare)
        if bare and not bare.startswith("#") and not marked:
            break
        declared = _declared_dtype(path, bare)
        if dtype is not None and declared not in (None, dtype):
            raise InvalidInput(f"{path} declares dtype={dtype} and dtype={declared}: one of them would be right")
        dtype = dtype or declared
        separator = marked[1] if marked else separator
        offset, lines = offset + len(line.encode()), lines + 1
    if not line:
        raise InvalidInput(f"{path} has no rows: nothing but comments and blank lines")
    start = line.removeprefix("\ufeff")
    offset += len(line.encode()) - len(start.encode())
    taken: list[str] = []
    delimiter = separator or _delimiter(path, start)
    first = tuple(next(csv.reader(_remember(start, stream, taken), delimiter=delimiter, strict=True)))
    if named is None:
        named = not all(is_number(cell) for cell in first)
    if named:
        offset, lines = offset + len("".join(taken).encode()), lines + len(taken)
    return Layout(delimiter=delimiter, first=first, named=named, offset=offset, line=lines + 1, dtype=dtype)


def _remember(start: str, stream: TextIO, taken: list[str]) -> Iterator[str]:
    """Lines for a csv reader; those that it took are kept, since they say where the next record begins."""
    line = start
    while line:
        taken.append(line)
        yield line
        line = stream.readline()


def _delimiter(path: Path, line: str) -> str:
    """Comma, semicolon or tab: whichever cuts the first line into most cells, a comma when in doubt."""

    def cut(delimiter: str) -> Sequence[str]:
        # A delimiter that is not there makes one cell of all, which Python's reader refuses when the line is long.
        return next(csv.reader([line], delimiter=delimiter), []) if delimiter in line else [line]

    parts = cut(";")
    if len(parts) > 1 and any(_DECIMAL_COMMAS.fullmatch(cell) for cell in parts):
        raise InvalidInput(f"{path} writes numbers with decimal commas: save it with decimal points")
    return max((",", ";", "\t"), key=lambda delimiter: len(cut(delimiter)))


def _declared_dtype(path: Path, comment: str) -> str | None:
    """The type in a comment such as `# dtype=uint8`."""
    found = _DTYPE.search(comment) if comment.startswith("#") else None
    if found is None:
        return None
    if found[1] not in _DTYPES:
        raise InvalidInput(f"{path} declares dtype={found[1]}; known: {', '.join(_DTYPES)}")
    return found[1]
