"""What somebody who waits for a long run is told at once; measurements tell it again, in their evidence."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_ears: ContextVar[Callable[[str, str], None] | None] = ContextVar("robust_ears", default=None)


def notice(topic: str, text: str) -> None:
    """Say something now, where anybody listens.

    Args:
        topic: What it is about: of one topic only the first notice is heard.
        text: One sentence.
    """
    ear = _ears.get()
    if ear is not None:
        ear(topic, text)


@contextmanager
def heard(say: Callable[[str], None]) -> Iterator[None]:
    """Listen inside the block.

    Args:
        say: Is given the first notice of each topic.

    >>> with heard(print):
    ...     notice("memory", "little is left")
    ...     notice("memory", "less is left")
    little is left
    """
    topics: set[str] = set()

    def ear(topic: str, text: str) -> None:
        if topic not in topics:
            topics.add(topic)
            say(text)

    token = _ears.set(ear)
    try:
        yield
    finally:
        _ears.reset(token)
