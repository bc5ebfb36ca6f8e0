"""A folder that is written file by file, and holds nothing of an earlier run when it is done."""

from collections.abc import Callable, Iterable
from pathlib import Path

from robust.errors import InvalidInput
from robust.mistakes.owned_files import OwnedFiles


class FolderWriter:
    """Writes files into one folder.

    Args:
        folder: Made where it lacks.

    Raises:
        InvalidInput: If it cannot be written to.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.files = OwnedFiles(folder)
        self.skipped: list[tuple[str, str]] = []
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise self._fault(error) from error

    @property
    def written(self) -> list[Path]:
        """Files written so far, in order."""
        return self.files.written

    def claim(self, names: Iterable[str]) -> None:
        """Refuse to go on where this run would write over files that no run wrote; see `OwnedFiles.claim`."""
        self.files.claim(names)

    def put(self, name: str, content: bytes | str) -> Path:
        """Write one file whole."""
        try:
            return self.files.put(name, content.encode() if isinstance(content, str) else content)
        except OSError as error:
            raise self._fault(error) from error

    def attempt(self, name: str, make: Callable[[], bytes | str]) -> None:
        """Write one file, or note why there is none: what one file needs must not keep back the others."""
        try:
            content = make()
        except InvalidInput as error:
            self.skip(name, str(error))
            return
        self.put(name, content)

    def skip(self, name: str, reason: str) -> None:
        """Note that a file is not written."""
        self.skipped.append((name, reason))

    def names(self) -> list[str]:
        """Files written so far, from the folder, sorted."""
        return sorted(path.relative_to(self.folder).as_posix() for path in self.written)

    def finish(self) -> None:
        """Remove what an earlier run wrote and this one did not."""
        try:
            self.files.clear()
        except OSError as error:
            raise self._fault(error) from error

    def _fault(self, error: OSError) -> InvalidInput:
        return InvalidInput(f"the folder {self.folder} cannot be written to: {error.strerror or error}")
