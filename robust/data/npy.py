"""One array of numpy's own format, read without pickles and without trusting the size that it declares."""

import math
import mmap
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, Any

import numpy as np

from robust.errors import InvalidInput
from robust.types import AnyArray

_PIECE = 2**20  # bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """What an array's header declares, checked against the bytes that are there.

    Args:
        shape: Of the array.
        dtype: Its type, no objects.
        fortran: Whether it is stored in Fortran order.
        start: Byte at which its content begins.
    """

    shape: tuple[int, ...]
    dtype: "np.dtype[Any]"
    fortran: bool
    start: int

    @property
    def nbytes(self) -> int:
        """Bytes of the content."""
        return math.prod(self.shape) * self.dtype.itemsize

    def array(self, content: bytes | mmap.mmap, offset: int = 0) -> AnyArray:
        """The array whose content lies at `offset`; nothing is copied."""
        return np.ndarray(self.shape, self.dtype, buffer=content, offset=offset, order="F" if self.fortran else "C")


def read_header(stream: IO[bytes], size: int, where: str) -> Header:
    """Read the header; it is checked first, since reading would allocate whatever it declares.

    Args:
        stream: At its beginning; left where the content begins.
        size: Bytes of header and content together.
        where: The array, for messages.

    Raises:
        InvalidInput: If the content is of another size than declared, or holds Python objects.
    """
    version = np.lib.format.read_magic(stream)
    header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, fortran, dtype = header(stream)
    if dtype.hasobject:
        raise InvalidInput(
            f"{where} holds Python objects, which only a pickle can store: pickles are never loaded as data; "
            "save numbers, or text as numpy.array(…, dtype=str)"
        )
    found = Header(shape=shape, dtype=dtype, fortran=fortran, start=stream.tell())
    there = size - found.start
    if found.nbytes != there:
        raise InvalidInput(
            f"{where} is damaged: its header declares {shape} {dtype} = {found.nbytes} bytes, {there} are there"
        )
    return found


def read_content(stream: IO[bytes], header: Header, where: str) -> AnyArray:
    """Read what follows the header into memory.

    Raises:
        InvalidInput: If it ends too early.
    """
    content = stream.read()
    _check_length(len(content), header, where)
    return header.array(content)


def content_pieces(stream: IO[bytes], header: Header, where: str) -> Iterator[bytes]:
    """What follows the header, in blocks.

    Raises:
        InvalidInput: If it ends too early.
    """
    found = 0
    while piece := stream.read(_PIECE):
        found += len(piece)
        yield piece
    _check_length(found, header, where)


def _check_length(found: int, header: Header, where: str) -> None:
    """Refuse content that ends before the header says."""
    if found != header.nbytes:
        raise InvalidInput(f"{where} is damaged: it ends after {found} of {header.nbytes} bytes")
