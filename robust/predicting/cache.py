"""Arrays kept by content hash, in memory and, where a folder is given, on disk.

Files are plain `.npy` without pickles, written to a temporary name and renamed, so that an interrupted run
leaves whole entries or none. A damaged entry is dropped and computed again.
"""

import os
import tempfile
from collections import OrderedDict
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from robust.types import AnyArray

_MEMORY_BYTES = 256 * 2**20


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
        path = self.folder / f"{key}.npy"
        try:
            array: AnyArray = np.load(path, allow_pickle=False)
        except FileNotFoundError:
            return None
        except (OSError, ValueError, EOFError):
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
        with suppress(OSError):
            self.folder.mkdir(parents=True, exist_ok=True)
            handle, temporary = tempfile.mkstemp(dir=self.folder, suffix=".tmp")
            try:
                with os.fdopen(handle, "wb") as stream:
                    np.save(stream, array, allow_pickle=False)
                Path(temporary).replace(self.folder / f"{key}.npy")
            except BaseException:
                Path(temporary).unlink(missing_ok=True)
                raise

    def _remember(self, key: str, array: AnyArray) -> None:
        array.flags.writeable = False
        self._memory[key] = array
        while len(self._memory) > 1 and sum(entry.nbytes for entry in self._memory.values()) > _MEMORY_BYTES:
            self._memory.popitem(last=False)
