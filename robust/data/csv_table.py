"""CSV files: a table under a header, or numbers without one. Cells are data and nothing else."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv

from robust.data.arrow_spool import arrow_spooled
from robust.data.columns import RawColumn, StoredColumn
from robust.data.content import unreadable
from robust.data.csv_cells import BadCell, cells_column
from robust.data.csv_layout import Layout, is_number, not_utf8, ragged_record, read_layout, record_line
from robust.data.large import is_large
from robust.data.naming import check_unique, checked_names, shorten
from robust.data.source import Parts, Source
from robust.data.spool import side_by_side
from robust.errors import InvalidInput
from robust.types import AnyArray

#: Bytes of a block, into which a record must fit. Arrow reserves a block for each column: wide tables get smaller ones.
_MOST_BLOCK, _LEAST_BLOCK, _RESERVED = 16 * 2**20, 2**18, 16 * 2**20


def read_csv(
    path: Path, parts: Parts, names: Sequence[str] | None, label: str, *, text: frozenset[str] = frozenset()
) -> tuple[Source, Sequence[str] | None]:
    """Read a CSV file.

    Args:
        path: The file: UTF-8, with or without byte order mark, cells between commas, semicolons or tabs.
        parts: What is said about its columns.
        names: Names of the columns of a file without a header.
        label: Name of the data.
        text: Columns whose cells are labels, whatever they look like.

    Returns:
        A table if the columns have names, else a tensor (n, d); and the names that are still to be given.

    Raises:
        InvalidInput: With file and line: on a row of another length, and on text in a column of numbers.
    """
    named = True if parts.columns and names is None else None
    layout = read_layout(path, named=named)
    if layout.named and names is not None:
        raise InvalidInput(f"{path} has a header; names= is for files without one")
    width = len(layout.first)
    if named and not parts.columns & set(layout.first) and all(is_number(cell) for cell in layout.first):
        raise InvalidInput(
            f"{path} has no header (its first line holds numbers alone), so that no column is named "
            f"{shorten(sorted(parts.columns))}: add a header, or pass names="
        )
    heads = _header(path, layout) if layout.named else checked_names(names, width) if names is not None else None
    columns = heads or tuple(f"column {j + 1}" for j in range(width))
    large = is_large(path.stat().st_size)
    table = _read_cells(path, layout, columns, on_disk=large)
    if len(table) == 0:
        raise InvalidInput(f"{path} has a header and zero rows: at least one row would be right")
    labels = parts.labels

    def load(j: int) -> RawColumn:
        name = columns[j]
        return _typed(path, layout, name, table.column(j), text=name in text, mixed=name in labels)

    found = tuple(
        StoredColumn(name=name, rows=len(table), load=partial(load, j)) if large else load(j)
        for j, name in enumerate(columns)
    )
    if layout.named or (names is not None and parts.columns):
        return Source(name=label, columns=found), None
    return Source(name=label, tensor=_tensor(path, layout, found)), names


def _header(path: Path, layout: Layout) -> tuple[str, ...]:
    """Column names from the first record."""
    names = tuple(cell.strip() for cell in layout.first)
    if "" in names:
        raise InvalidInput(
            f"{path}: column {names.index('') + 1} has no name in the header; is it an index "
            "(to_csv(index=False) would be right) or a delimiter at the end of each line?"
        )
    check_unique(names, f"{path}: column names")
    return names


def _read_cells(path: Path, layout: Layout, columns: tuple[str, ...], *, on_disk: bool) -> Any:
    """All rows as an Arrow table of strings, in memory or in a temporary file."""
    record = sum(len(cell.encode()) + 3 for cell in layout.first)
    block = max(min(_RESERVED // len(columns), _MOST_BLOCK), _LEAST_BLOCK, 4 * record)
    try:
        return _read_blocks(path, layout, columns, on_disk=on_disk, block=block)
    except _TooLongError:
        return _read_blocks(path, layout, columns, on_disk=on_disk, block=max(_MOST_BLOCK, block))


class _TooLongError(Exception):
    """A record that does not fit into a block."""


def _read_blocks(path: Path, layout: Layout, columns: tuple[str, ...], *, on_disk: bool, block: int) -> Any:
    """All rows, read in blocks of so many bytes."""
    # Positions stand in for the names while Arrow reads: a name may be anything, even one that Arrow would
    # treat.
    keys = [str(j) for j in range(len(columns))]
    try:
        with pa.OSFile(str(path)) as stream:
            stream.seek(layout.offset)
            reader = pyarrow.csv.open_csv(
                stream,
                read_options=pyarrow.csv.ReadOptions(use_threads=False, column_names=keys, block_size=block),
                # No handler for rows of another length: Arrow's thread that reads ahead outlives an error, lets go of
                # the handler at any time after it, needs Python for that, and Python that is ending ends with SIGABRT.
                parse_options=pyarrow.csv.ParseOptions(delimiter=layout.delimiter, newlines_in_values=True),
                convert_options=pyarrow.csv.ConvertOptions(
                    column_types=dict.fromkeys(keys, pa.string()), strings_can_be_null=False
                ),
            )
            return arrow_spooled(reader, path.stat().st_size) if on_disk else reader.read_all()
    except InvalidInput:
        raise
    except (pa.ArrowException, OSError, ValueError) as error:
        if "straddling" in str(error) and block < _MOST_BLOCK:
            raise _TooLongError from error
        ragged = ragged_record(path, layout)
        if ragged is not None:
            hint = "; is a quote not closed?" if ragged.quoted else ""
            raise InvalidInput(
                f"{path}, line {ragged.line}: {len(ragged.cells)} cells, the first line has {len(columns)}{hint}"
            ) from error
        if "UTF8" in str(error):
            raise not_utf8(path) from error
        if "Empty CSV" in str(error):
            raise InvalidInput(f"{path} has a header and zero rows: at least one row would be right") from error
        raise unreadable(path, "CSV", error) from error


def _typed(path: Path, layout: Layout, name: str, cells: Any, *, text: bool, mixed: bool) -> RawColumn:
    """A column of the type of its cells."""
    column = cells_column(name, cells, text=text, mixed=mixed)
    if isinstance(column, BadCell):
        raise _bad_cell(path, layout, name, column)
    return column


def _bad_cell(path: Path, layout: Layout, name: str, bad: BadCell) -> InvalidInput:
    """The error for text among numbers."""
    commas = bad.cell.count(",") == 1 and bad.cell.replace(",", "").lstrip("+-").isdigit()
    advice = (
        "write numbers with decimal points"
        if commas
        else "mend the cell, or declare the feature's kind as categorical in the schema"
    )
    return InvalidInput(
        f"{path}, line {record_line(path, layout, bad.row)}, column {name!r}: {bad.cell!r} is no number, as "
        f"{bad.numbers} other cells of the column are: {advice}"
    )


def _tensor(path: Path, layout: Layout, columns: Sequence[RawColumn | StoredColumn]) -> AnyArray:
    """Columns of numbers as (n, d), in the type that the file declares."""
    dtype = np.dtype(layout.dtype or np.float64)
    wrong: list[tuple[int, int, float]] = []

    def numbers(j: int, column: RawColumn) -> AnyArray:
        if column.values.dtype.kind not in "iuf":
            raise InvalidInput(
                f"{path}, column {j + 1}: {layout.first[j]!r} in line {layout.line} is a number, other cells "
                "of the column are not: without a header all cells must be numbers"
            )
        values = column.values.astype(np.float64, copy=False)
        if dtype.kind == "f":
            return values
        bounds = np.iinfo(dtype)
        beyond = ~((values == np.rint(values)) & (values >= bounds.min) & (values <= bounds.max))
        if beyond.any():
            row = int(np.argmax(beyond))
            wrong.append((row, j, float(values[row])))
        return np.where(beyond, 0, values)

    x = side_by_side(
        (numbers(j, column.read()) for j, column in enumerate(columns)),
        (columns[0].rows, len(columns)),
        dtype,
        on_disk=any(isinstance(column, StoredColumn) for column in columns),
    )
    if wrong:
        row, j, value = min(wrong)
        line = record_line(path, layout, row)
        raise InvalidInput(f"{path}, line {line}, column {j + 1}: {value} is no {layout.dtype}, as the file declares")
    return x
