"""Keeps what a library prints and logs off the user's screen, and hands on what it warned of."""

import io
import logging
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout


class _Listener(logging.Handler):
    """Keeps warnings; as the root's handler it also stops `logging.info` from configuring the user's logging."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.heard: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.heard.append(record.getMessage())


@contextmanager
def quiet(*loggers: str) -> Iterator[list[str]]:
    """Catch what is printed and logged inside the block.

    Args:
        loggers: Names of loggers with handlers of their own, which say nothing below an error meanwhile.

    Returns:
        The warnings that were logged, filled while the block runs.

    >>> with quiet() as heard:
    ...     print("progress")
    ...     logging.getLogger("library").warning("odd")
    >>> heard
    ['odd']
    """
    listener, root = _Listener(), logging.getLogger()
    root.addHandler(listener)
    own = [(logging.getLogger(name), logging.getLogger(name).level) for name in loggers]
    for logger, level in own:
        logger.setLevel(max(level, logging.ERROR))
    try:
        with redirect_stdout(io.StringIO()):
            yield listener.heard
    finally:
        root.removeHandler(listener)
        for logger, level in own:
            logger.setLevel(level)
