"""Shows what an audit is doing, on standard error: a line that moves in a terminal, plain lines elsewhere."""

import time
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

#: Seconds between plain lines where there is no terminal.
_QUIET = 10.0


class ConsoleProgress:
    """A progress display.

    Args:
        console: Where it is shown.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._task = self._bar.add_task("", total=None)
        self._total, self._count, self._spoken = 0, 0, time.monotonic()

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def note(self, text: str) -> None:
        """Say what is going on outside the checks."""
        self._bar.update(self._task, description=text)

    def begin(self, total: int) -> None:
        """So many checks will run."""
        self._total = total
        self._bar.update(self._task, total=total, completed=0, description="measuring the host's noise")

    def check(self, code: str, title: str) -> None:
        """A check starts."""
        self._bar.update(self._task, description=f"{code} {title}")
        if not self._console.is_terminal and time.monotonic() - self._spoken > _QUIET:
            self._spoken = time.monotonic()
            self._console.print(f"{self._count} of {self._total} checks done, now {code} {title}")

    def done(self) -> None:
        """The check has ended."""
        self._count += 1
        self._bar.update(self._task, advance=1)
