"""Parquet tables."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet

from robust.data.arrow_column import arrow_column
from robust.data.columns import RawColumn, StoredColumn
from robust.data.content import unreadable
from robust.data.large import is_large
from robust.data.naming import check_unique
from robust.data.source import Source
from robust.errors import InvalidInput

_MOST_ROWS = 2**30  # each takes eight bytes of memory while a column is read
_MOST_BYTES = 64 * 2**30  # on disk: large tables are never unpacked into memory


def read_parquet(path: Path, label: str) -> Source:
    """Read a Parquet file.

    Args:
        path: The file.
        label: Name of the data.

    Returns:
        A table; columns that pandas wrote as an index are no inputs, but can be named. Columns of a large one are
        read when they are asked for, one at a time.

    Raises:
        InvalidInput: If it is damaged, would unpack to more than 64 GiB, or a column holds neither numbers,
            text nor dates.
    """
    with _readable(path):
        file = pyarrow.parquet.ParquetFile(path)
        names, index = file.schema_arrow.names, _index_columns(file.schema_arrow)
        check_unique(names, f"{path}: column names")
        found: dict[str, RawColumn | StoredColumn]
        if is_large(_checked_size(path, file.metadata)):
            rows = file.metadata.num_rows
            found = {
                name: StoredColumn(name=name, rows=rows, load=partial(_column, path, file, name)) for name in names
            }
        else:
            table = _read(file, None)
            file.close()
            found = {name: arrow_column(name, table.column(name)) for name in names}
    return Source(
        name=label,
        columns=tuple(column for name, column in found.items() if name not in index),
        beside={name: column for name, column in found.items() if name in index},
    )


def _column(path: Path, file: Any, name: str) -> RawColumn:
    """One column of an open file."""
    with _readable(path):
        return arrow_column(name, _read(file, [name]).column(name))


def _read(file: Any, names: list[str] | None) -> Any:
    """Columns, or all, as an Arrow table."""
    # Threads would each take memory, and one column is read no sooner by them.
    table = file.read(columns=names, use_threads=names is None)
    table.validate(full=True)  # e.g. text that is no UTF-8
    return table


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    """One error for all the ways in which a file can be broken."""
    try:
        yield
    except InvalidInput:
        raise
    except (pa.ArrowException, OSError, ValueError) as error:
        raise unreadable(path, "a Parquet table", error) from error


def _checked_size(path: Path, metadata: Any) -> int:
    """Bytes that a table unpacks to, if they are no more than they should."""
    encoded = sum(metadata.row_group(j).total_byte_size for j in range(metadata.num_row_groups))
    # Repeated values take no room in the file, but eight bytes each as inputs.
    total = int(max(encoded, 8 * metadata.num_rows * metadata.num_columns))
    if total > _MOST_BYTES:
        raise InvalidInput(f"{path} would unpack to {total / 2**30:.1f} GiB: at most 64 GiB are read")
    if metadata.num_rows > _MOST_ROWS:
        raise InvalidInput(f"{path} has {metadata.num_rows} rows: at most {_MOST_ROWS} are read")
    return total


def _index_columns(schema: Any) -> set[str]:
    """Columns that pandas stored as an index."""
    metadata = schema.pandas_metadata
    stored = metadata.get("index_columns") if isinstance(metadata, dict) else None
    unnamed = {name for name in schema.names if re.fullmatch(r"__index_level_\d+__", name)}
    return unnamed | {name for name in (stored if isinstance(stored, list) else ()) if isinstance(name, str)}
