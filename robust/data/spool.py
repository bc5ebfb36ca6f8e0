"""Arrays in an unnamed temporary file, which goes with the last of them."""

import math
import mmap
import shutil
import tempfile
from collections.abc import Iterable
from typing import Any, Self

import numpy as np

from robust.data.large import chosen_positions, is_large, is_mapped, map_file, row_blocks
from robust.errors import InvalidInput
from robust.types import AnyArray, BoolArray, IntArray

_GIB = 2**30
_ALIGNMENT = 64


class Spool:
    """A file without a name in the system's temporary folder (`TMPDIR`), written once and then mapped.

    It can be written to as a stream, too, by writers that want one.

    Args:
        room: Bytes that are going to be written.

    Raises:
        InvalidInput: If the folder cannot be written to, or has not as much room.
    """

    __slots__ = ("_end", "_stream")

    def __init__(self, room: int) -> None:
        try:
            folder = tempfile.gettempdir()
            free = shutil.disk_usage(folder).free
            if room > free:
                raise _no_room(f"{room / _GIB:.1f} GiB are needed in {folder}, {free / _GIB:.1f} are free")
            self._stream = tempfile.TemporaryFile(prefix="robust-", buffering=0)  # noqa: SIM115 - closed on exit
        except OSError as error:
            raise _no_room(error) from error
        self._end = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Close the file; maps of it stay."""
        self._stream.close()

    def write(self, content: bytes | memoryview) -> int:
        """Write all of some bytes at the end.

        Raises:
            InvalidInput: If the disk is full.
        """
        left = memoryview(content)
        size = len(left)
        try:
            while left:
                left = left[self._stream.write(left) :]
        except OSError as error:
            raise _no_room(error) from error
        self._end += size
        return size

    def tell(self) -> int:
        """Bytes that were written."""
        return self._end

    def flush(self) -> None:
        """Nothing waits to be written."""

    @property
    def closed(self) -> bool:
        """Whether the file is closed."""
        return self._stream.closed

    def append(self, pieces: Iterable[AnyArray | bytes]) -> int:
        """Write pieces one after another.

        Args:
            pieces: Bytes, or arrays, which are written in C order.

        Returns:
            The byte at which they begin, on a boundary that suits every type.

        Raises:
            InvalidInput: If the disk is full.
        """
        self.write(bytes(-self._end % _ALIGNMENT))
        start = self._end
        for piece in pieces:
            self.write(
                piece if isinstance(piece, bytes) else np.ascontiguousarray(piece).reshape(-1).view(np.uint8).data
            )
        return start

    def map(self) -> mmap.mmap:
        """Everything that was written, read-only; the map outlives the file's name and stream."""
        return map_file(self._stream)


def spooled(blocks: Iterable[AnyArray], shape: tuple[int, ...], dtype: "np.dtype[Any]") -> AnyArray:
    """An array on disk from its blocks of rows.

    Args:
        blocks: Blocks (b, …), in order, that add up to `shape`.
        shape: Of the array.
        dtype: Of the array; blocks are cast to it.

    Returns:
        A read-only map.

    >>> spooled([np.zeros((1, 2)), np.ones((1, 2))], (2, 2), np.dtype("f4")).tolist()
    [[0.0, 0.0], [1.0, 1.0]]
    """
    with Spool(math.prod(shape) * dtype.itemsize) as spool:
        spool.append(block.astype(dtype, copy=False) for block in blocks)
        return np.ndarray(shape, dtype, buffer=spool.map())


def as_type(x: AnyArray, dtype: "np.dtype[Any]") -> AnyArray:
    """An array as another type, itself if it is of that type already; what lies on disk stays there."""
    if x.dtype != dtype and is_mapped(x) and is_large(x.nbytes):
        return spooled((x[block] for block in row_blocks(x)), x.shape, dtype)
    return x.astype(dtype, copy=False)


def take_rows(x: AnyArray, keep: IntArray | BoolArray) -> AnyArray:
    """Some rows of an array: those of a map that follow each other are not copied, many others are copied on disk.

    Args:
        x: The array (n, …).
        keep: Positions (m,), or a mask (n,).

    >>> take_rows(np.array([[1.0], [2.0]]), np.array([False, True])).tolist()
    [[2.0]]
    """
    if not is_mapped(x):
        return x[keep]
    chosen = chosen_positions(keep, len(x))
    if isinstance(chosen, slice):
        return x[chosen]
    taken = np.broadcast_to(x[:1], (len(chosen), *x.shape[1:]))  # its shape and type; nothing is read
    if not is_large(taken.nbytes):
        return x[chosen]
    return spooled((x[chosen[block]] for block in row_blocks(taken)), taken.shape, x.dtype)


def side_by_side(
    columns: Iterable[AnyArray], shape: tuple[int, int], dtype: "np.dtype[Any]", *, on_disk: bool
) -> AnyArray:
    """Columns as a matrix, never more than one of them in memory beside it.

    Args:
        columns: d columns (n,), made one at a time.
        shape: (n, d).
        dtype: Of the matrix.
        on_disk: Whether the matrix is written to disk too.

    Returns:
        The matrix (n, d) in C order.

    >>> side_by_side(iter([np.zeros(2), np.ones(2)]), (2, 2), np.dtype("f8"), on_disk=True).tolist()
    [[0.0, 1.0], [0.0, 1.0]]
    """
    if not on_disk:
        x = np.empty(shape, dtype=dtype)
        for j, column in enumerate(columns):
            x[:, j] = column
        return x
    # A column at a time is how tables are read, a block of rows at a time how they are used: hence two files.
    rows, width = shape
    with Spool(2 * rows * width * dtype.itemsize) as spool:
        starts = [spool.append([column.astype(dtype, copy=False)]) for column in columns]
        content = spool.map()
    by_column = [np.ndarray((rows,), dtype, buffer=content, offset=start) for start in starts]
    like = np.broadcast_to(np.zeros((), dtype=dtype), shape)
    blocks = (np.column_stack([column[block] for column in by_column]) for block in row_blocks(like))
    return spooled(blocks, shape, dtype)


def _no_room(why: object) -> InvalidInput:
    """The error where a temporary file cannot be had, or cannot grow."""
    return InvalidInput(f"large data needs a temporary file: {why}; let TMPDIR name a folder with room")
