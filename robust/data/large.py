"""Arrays that need not fit into memory: left on disk as read-only maps, and worked on block by block."""

import mmap
from collections.abc import Iterator
from typing import IO

import numpy as np

from robust.types import AnyArray, BoolArray, IntArray

#: Arrays of more bytes than this, when they come from a file, stay on disk; smaller ones are read at once.
SPOOL_ABOVE = 64 * 2**20
#: Bytes of one block: small beside any memory, large beside the cost of a loop in Python.
BLOCK_BYTES = 4 * 2**20


def is_large(nbytes: int) -> bool:
    """Whether content of a file is left on disk.

    >>> is_large(2**20), is_large(2**30)
    (False, True)
    """
    return nbytes > SPOOL_ABOVE


def row_blocks(x: AnyArray) -> Iterator[slice]:
    """Slices that cover the rows of an array (n, …) in order, each of at most 4 MiB but at least one row.

    >>> list(row_blocks(np.zeros((3, 2))))
    [slice(0, 3, None)]
    """
    n = len(x)
    row = x.nbytes // n if n else 1
    size = max(1, BLOCK_BYTES // max(1, row))
    return (slice(start, min(start + size, n)) for start in range(0, n, size))


def map_file(stream: IO[bytes]) -> mmap.mmap:
    """A read-only map of a whole open file; it outlives the stream."""
    return mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)


def is_mapped(x: AnyArray) -> bool:
    """Whether the values of an array lie in a file rather than in memory.

    >>> is_mapped(np.zeros(3))
    False
    """
    base: object = x
    while isinstance(base, np.ndarray):
        base = base.base
    if isinstance(base, memoryview):
        base = base.obj
    return isinstance(base, mmap.mmap)


def chosen_positions(keep: IntArray | BoolArray, n: int) -> IntArray | slice:
    """Rows that a mask (n,) or positions (m,) choose, as positions, or as a slice where they follow each other.

    >>> chosen_positions(np.array([False, True, True]), 3), chosen_positions(np.array([-1, 0]), 3)
    (slice(1, 3, None), array([2, 0]))
    """
    positions: IntArray = np.arange(n)[keep]
    if len(positions) and bool(np.all(np.diff(positions) == 1)):
        return slice(int(positions[0]), int(positions[-1]) + 1)
    return positions
