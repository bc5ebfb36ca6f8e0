"""Arrays kept by content hash, in memory and, where a folder is given, on disk.

A file is the digest of its content and the content as `.npy` without pickles, written to a temporary name and
renamed, so that an interrupted run leaves whole entries or none. A damaged entry, be it one flipped bit, is dropped
and computed again.
"""

import hashlib
import io
from collections import OrderedDict
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import numpy as np

from robust.types import AnyArray
from robust.whole_files import write_whole

_MEMORY_BYTES = 256 * 2**20
_DIGEST_BYTES = 16
_PIECE = 2**20


@dataclass(slots=True, eq=False)
class ArrayCache:
    """A content-addressed store of arrays.

    Args:
        folder: Where entries are kept between runs; None keeps them in memory only.
    """

    folder: Path | None = None
    _memory: OrderedDict[str, AnyArray] = field(default_factory=OrderedDict)

    def get(self, key: str) -> AnyArray | None:
        """The entry, read-only, or None."""
        if key in self._memory:
            self._memory.move_to_end(key)
            return self._memory[key]
        if self.folder is None:
            return None
        path = self.folder / f"{key}.array"
        try:
            with path.open("rb") as stream:
                array = _whole(stream)
        except OSError:
            return None
        if array is None:
            with suppress(OSError):
                path.unlink()
            return None
        self._remember(key, array)
        return array

    def put(self, key: str, array: AnyArray) -> None:
        """Keep an entry; a folder that cannot be written to costs the time of the next run, not this one."""
        self._remember(key, array)
        if self.folder is None:
            return
        buffer = io.BytesIO(bytes(_DIGEST_BYTES))
        buffer.seek(_DIGEST_BYTES)
        np.lib.format.write_array(buffer, array, allow_pickle=False)
        with buffer.getbuffer() as content:
            digest = hashlib.blake2b(content[_DIGEST_BYTES:], digest_size=_DIGEST_BYTES).digest()
        buffer.seek(0)
        buffer.write(digest)
        with suppress(OSError):
            write_whole(self.folder / f"{key}.array", buffer.getvalue())

    def _remember(self, key: str, array: AnyArray) -> None:
        array.flags.writeable = False
        self._memory[key] = array
        while len(self._memory) > 1 and sum(entry.nbytes for entry in self._memory.values()) > _MEMORY_BYTES:
            self._memory.popitem(last=False)


def _whole(stream: IO[bytes]) -> AnyArray | None:
    """The array of an open entry, or None where it is damaged; its content is never in memory beside the array."""
    stored, digest = stream.read(_DIGEST_BYTES), hashlib.blake2b(digest_size=_DIGEST_BYTES)
    while piece := stream.read(_PIECE):
        digest.update(piece)
    if digest.digest() != stored:
        return None
    stream.seek(_DIGEST_BYTES)
    array: AnyArray = np.lib.format.read_array(stream, allow_pickle=False)
    return array
