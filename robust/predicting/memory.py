"""What a lack of memory looks like, whoever raises it, and how a call goes on in smaller ones."""

import errno
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

#: Libraries in C++ have no type for it: torch and its devices, onnxruntime, whose errors are no `RuntimeError` either.
_WORDS = re.compile(
    r"bad[_ ]alloc|out of memory|(not enough|can't allocate|cannot allocate|failed to allocate) memory", re.IGNORECASE
)
_THEIRS = "onnxruntime"

T = TypeVar("T")


class OutOfMemory(Exception):
    """A call of more than one row found no memory: fewer rows a call are to be tried."""


@dataclass(slots=True)
class Room:
    """What the calls of a model have shown: how many rows fit into memory at once, and how wide outputs are.

    Args:
        rows: Rows a call that are tried at most; None before the first lack.
        columns: Columns of the outputs; None before the first answer.
    """

    rows: int | None = None
    columns: int | None = None

    def halve(self, size: int) -> None:
        """A call of so many rows found no memory."""
        self.rows = max(1, (size if self.rows is None else min(size, self.rows)) // 2)


def lacks_memory(error: BaseException) -> bool:
    """Whether an error says that there is no memory for something.

    Args:
        error: What was raised; not what caused it.

    >>> lacks_memory(MemoryError()), lacks_memory(RuntimeError("std::bad_alloc")), lacks_memory(KeyError("memory"))
    (True, True, False)
    """
    match error:
        case MemoryError():
            return True
        case OSError():
            return error.errno == errno.ENOMEM
    theirs = isinstance(error, RuntimeError) or type(error).__module__.startswith(_THEIRS)
    return theirs and _WORDS.search(str(error)) is not None


def fitted(block: slice, room: Room, call: Callable[[slice], T]) -> list[T]:
    """Make a call, or as many smaller ones as memory asks for.

    Args:
        block: Rows that are wanted.
        room: What is known of the memory; learns from what fails.
        call: Asks for some of the rows; raises `OutOfMemory` where that is too much.

    Returns:
        What the calls gave, in the order of the rows.

    Raises:
        OutOfMemory: If a call of one row found no memory.

    >>> def call(part):
    ...     if part.stop - part.start > 3:
    ...         raise OutOfMemory
    ...     return (part.start, part.stop)
    >>> fitted(slice(0, 8), Room(), call)
    [(0, 2), (2, 4), (4, 6), (6, 8)]
    """
    found: list[T] = []
    start, stop = block.start, block.stop
    while start < stop:
        size = stop - start if room.rows is None else min(room.rows, stop - start)
        try:
            found.append(call(slice(start, start + size)))
        except OutOfMemory:
            if size == 1:
                raise
            room.halve(size)
        else:
            start += size
    return found
