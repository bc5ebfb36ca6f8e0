"""A folder of files that a run writes over and clears away again, without touching anybody else's."""

import hashlib
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from robust.errors import InvalidInput
from robust.whole_files import write_whole

#: One line a file, as sha256sum has them: hash and name.
RECORD = ".robust-files"
_SHOWN = 3


class OwnedFiles:
    """Files of a folder that runs wrote, told from all others by a record of their contents.

    A file is a run's own where the record has its name and the hash of what it holds now. Only such files are written
    over or removed. A line is added to the record before its file is written, so that a run which was interrupted
    leaves none behind that it does not know.

    Args:
        folder: The folder; it need not exist.

    Attributes:
        written: Files that this run wrote.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.written: list[Path] = []
        self._known: dict[str, set[str]] = {}
        with suppress(OSError, UnicodeDecodeError):
            for line in (folder / RECORD).read_text(encoding="utf-8").splitlines():
                digest, _, name = line.partition("  ")
                self._known.setdefault(name, set()).add(digest)

    def claim(self, names: Iterable[str]) -> None:
        """Make sure that files may be written, before anything is.

        Args:
            names: Their names, from the folder.

        Raises:
            InvalidInput: If there are such files that no run wrote, or that were changed since.
        """
        foreign = [name for name in names if not self._is_free(name)]
        if not foreign:
            return
        shown = ", ".join(repr(name) for name in foreign[:_SHOWN])
        more = f" and {len(foreign) - _SHOWN} more" if len(foreign) > _SHOWN else ""
        raise InvalidInput(
            f"the folder {self.folder} holds {shown}{more}, which no earlier run wrote or somebody changed since, and "
            "which this one would write over: another folder, or another place for them, would be right"
        )

    def put(self, name: str, content: bytes) -> Path:
        """Write one file whole.

        Args:
            name: Its name, from the folder.
            content: What it holds.

        Raises:
            InvalidInput: If there is such a file that no run wrote.
            OSError: If it cannot be written.
        """
        self.claim([name])
        digest = hashlib.sha256(content).hexdigest()
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with (self.folder / RECORD).open("a", encoding="utf-8") as record:
            record.write(f"{digest}  {name}\n")
        self._known.setdefault(name, set()).add(digest)
        write_whole(path, content)
        self.written.append(path)
        return path

    def clear(self, *, inside: str = "") -> None:
        """Remove what earlier runs wrote and this one did not, and forget files that are gone or somebody's now.

        Args:
            inside: How the names begin of those that are looked at.

        Raises:
            OSError: If the record cannot be written.
        """
        kept = {path.relative_to(self.folder).as_posix() for path in self.written}
        for name in [name for name in self._known if name.startswith(inside) and name not in kept]:
            if self._is_ours(name):
                with suppress(OSError):
                    (self.folder / name).unlink()
            if not self._is_ours(name):
                del self._known[name]
        if self._known or (self.folder / RECORD).exists():
            lines = [f"{digest}  {name}\n" for name, found in sorted(self._known.items()) for digest in sorted(found)]
            write_whole(self.folder / RECORD, "".join(lines).encode())

    def _is_free(self, name: str) -> bool:
        path = self.folder / name
        return self._is_ours(name) or not (path.exists() or path.is_symlink())

    def _is_ours(self, name: str) -> bool:
        """Whether there is such a file, with what a run wrote."""
        path = self.folder / name
        if name not in self._known or path.is_symlink():
            return False
        try:
            return hashlib.sha256(path.read_bytes()).hexdigest() in self._known[name]
        except OSError:
            return False
