"""Parquet tables."""

import re
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet

from robust.data.arrow_column import arrow_column
from robust.data.columns import RawColumn
from robust.data.naming import check_unique
from robust.data.source import Source
from robust.errors import InvalidInput

_MOST_BYTES = 8 * 2**30


def read_parquet(path: Path, label: str) -> Source:
    """Read a Parquet file.

    Args:
        path: The file.
        label: Name of the data.

    Returns:
        A table; columns that pandas wrote as an index are no inputs, but can be named.

    Raises:
        InvalidInput: If it is damaged, would unpack to more than 8 GiB, or a column holds neither numbers,
            text nor dates.
    """
    try:
        with pyarrow.parquet.ParquetFile(path) as file:
            _check_size(path, file.metadata)
            table = file.read()
            table.validate(full=True)  # e.g. text that is no UTF-8
            names, index = table.column_names, _index_columns(table.schema)
    except (pa.ArrowException, OSError, ValueError) as error:
        if isinstance(error, InvalidInput):
            raise
        raise InvalidInput(f"{path} is damaged or not a Parquet table: {error}") from error
    check_unique(names, f"{path}: column names")
    columns, beside = [], {}
    for name in names:
        column: RawColumn = arrow_column(name, table.column(name))
        if name in index:
            beside[name] = column
        else:
            columns.append(column)
    return Source(name=label, columns=tuple(columns), beside=beside)


def _check_size(path: Path, metadata: Any) -> None:
    """Refuse a table that unpacks to more than it should."""
    encoded = sum(metadata.row_group(j).total_byte_size for j in range(metadata.num_row_groups))
    # Repeated values take no room in the file, but eight bytes each in memory.
    total = max(encoded, 8 * metadata.num_rows * metadata.num_columns)
    if total > _MOST_BYTES:
        raise InvalidInput(f"{path} would unpack to {total / 2**30:.1f} GiB: at most 8 GiB are read")


def _index_columns(schema: Any) -> set[str]:
    """Columns that pandas stored as an index."""
    metadata = schema.pandas_metadata
    stored = metadata.get("index_columns") if isinstance(metadata, dict) else None
    unnamed = {name for name in schema.names if re.fullmatch(r"__index_level_\d+__", name)}
    return unnamed | {name for name in (stored if isinstance(stored, list) else ()) if isinstance(name, str)}
