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

import numpy as np

from robust.types import AnyArray
from robust.whole_files import write_whole

_MEMORY_BYTES = 256 * 2**20
_DIGEST_BYTES = 16


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
            stored = path.read_bytes()
        except OSError:
            return None
        content = stored[_DIGEST_BYTES:]
        if stored[:_DIGEST_BYTES] != _digest(content):
            with suppress(OSError):
                path.unlink()
            return None
        array: AnyArray = np.lib.format.read_array(io.BytesIO(content), allow_pickle=False)
        self._remember(key, array)
        return array

    def put(self, key: str, array: AnyArray) -> None:
        """Keep an entry; a folder that cannot be written to costs the time of the next run, not this one."""
        self._remember(key, array)
        if self.folder is None:
            return
        buffer = io.BytesIO()
        np.lib.format.write_array(buffer, array, allow_pickle=False)
        content = buffer.getvalue()
        with suppress(OSError):
            write_whole(self.folder / f"{key}.array", _digest(content) + content)

    def _remember(self, key: str, array: AnyArray) -> None:
        array.flags.writeable = False
        self._memory[key] = array
        while len(self._memory) > 1 and sum(entry.nbytes for entry in self._memory.values()) > _MEMORY_BYTES:
            self._memory.popitem(last=False)


def _digest(content: bytes) -> bytes:
    """What tells a whole entry from a damaged one."""
    return hashlib.blake2b(content, digest_size=_DIGEST_BYTES).digest()
