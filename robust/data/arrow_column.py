"""Arrow columns as plain ones."""

from typing import Any

import numpy as np
import pyarrow as pa

from robust.data.columns import RawColumn, raw_column
from robust.errors import InvalidInput


def arrow_column(name: str, column: Any) -> RawColumn:
    """A column of an Arrow table.

    Args:
        name: For messages, and the name of the column.
        column: A ChunkedArray (n,).

    Returns:
        The column; nulls are missing values.

    Raises:
        InvalidInput: If it holds neither numbers, text nor instants.

    >>> arrow_column("a", pa.chunked_array([[1, None]])).values
    array([ 1., nan])
    """
    kind, types = column.type, pa.types
    if types.is_dictionary(kind):
        return _dictionary(name, column)
    if types.is_null(kind):
        return RawColumn(name=name, values=np.full(len(column), np.nan))
    if types.is_boolean(kind):
        return raw_column(name, _objects(column) if column.null_count else column.to_numpy())
    if types.is_decimal(kind) or (types.is_integer(kind) and column.null_count):
        # Unsafe casts round where float64 has fewer digits; checks of exactness come with the column's part.
        return raw_column(name, column.cast(pa.float64(), safe=False).to_numpy())
    if types.is_integer(kind) or types.is_floating(kind):
        return raw_column(name, column.to_numpy())
    if types.is_string(kind) or types.is_large_string(kind):
        return raw_column(name, _objects(column))
    if types.is_date(kind) or types.is_timestamp(kind):
        # Microseconds hold every date that Arrow does; a column that is beyond nanoseconds is refused by
        # name.
        unit = "ns" if types.is_timestamp(kind) and kind.unit == "ns" else "us"
        return raw_column(name, column.cast(pa.timestamp(unit), safe=False).to_numpy())
    if types.is_duration(kind):
        return raw_column(name, column.to_numpy())
    raise InvalidInput(f"column {name!r} has type {kind}: numbers, text or dates would be right")


def _objects(column: Any) -> np.ndarray[Any, np.dtype[np.object_]]:
    """Values as Python objects, None where null; equal ones are one object, since labels repeat."""
    coded = column.dictionary_encode().unify_dictionaries()
    if not coded.num_chunks:
        return np.empty(0, dtype=object)
    codes = np.concatenate([chunk.indices.fill_null(-1).to_numpy(zero_copy_only=False) for chunk in coded.chunks])
    distinct = np.array([*coded.chunk(0).dictionary.to_pylist(), None], dtype=object)
    return np.asarray(distinct[codes])


def _dictionary(name: str, column: Any) -> RawColumn:
    """A categorical column; labels that do not occur are kept, sorted unless the type has an order."""
    plain = column.cast(column.type.value_type)
    if not (pa.types.is_string(plain.type) or pa.types.is_large_string(plain.type)):
        return arrow_column(name, plain)
    unified = column.unify_dictionaries()
    labels = unified.chunk(0).dictionary.to_pylist() if unified.num_chunks else []
    return raw_column(name, _objects(plain), labels=tuple(labels if column.type.ordered else sorted(labels)))
