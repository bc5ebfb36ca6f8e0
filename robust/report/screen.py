"""A console whose reader may leave early."""

from rich.console import Console


class Screen(Console):
    """Says nothing more once its reader is gone (`| head`); rich itself would end the program."""

    def on_broken_pipe(self) -> None:
        """Be quiet from now on."""
        self.quiet = True
