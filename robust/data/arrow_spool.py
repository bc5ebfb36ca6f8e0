"""Arrow tables in a temporary file."""

from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pyarrow.ipc

from robust.data.large import BLOCK_BYTES
from robust.data.spool import Spool


def arrow_spooled(reader: Any, room: int) -> Any:
    """Write a stream of record batches to a temporary file, and see it as a table that takes no memory.

    Args:
        reader: Gives the batches.
        room: Bytes that they take, roughly.

    Returns:
        The table; its cells lie on disk.

    >>> batches = pa.RecordBatchReader.from_batches(pa.schema([("a", pa.int64())]), [pa.record_batch({"a": [1, 2]})])
    >>> arrow_spooled(batches, 16).column("a").to_pylist()
    [1, 2]
    """
    with Spool(room) as spool:
        with pa.ipc.new_file(pa.PythonFile(spool, mode="w"), reader.schema) as writer:
            for batch in _joined(reader):
                writer.write_batch(batch)
        return pa.ipc.open_file(pa.BufferReader(pa.py_buffer(spool.map()))).read_all()


def _joined(reader: Any) -> Iterator[Any]:
    """Batches joined to some megabytes: each column of each batch takes memory by itself, however short it is."""
    waiting: list[Any] = []
    size = 0
    for batch in reader:
        waiting.append(batch)
        size += batch.nbytes
        if size >= BLOCK_BYTES:
            yield from _one(waiting)
            waiting, size = [], 0
    if waiting:
        yield from _one(waiting)


def _one(batches: list[Any]) -> Iterator[Any]:
    """Batches as one."""
    return iter(pa.Table.from_batches(batches).combine_chunks().to_batches())
