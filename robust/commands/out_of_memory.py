"""What is said when memory runs out, whoever asked for it."""

from collections.abc import Iterator
from contextlib import contextmanager

from robust.commands.saying import say
from robust.predicting.memory import lacks_memory
from robust.predicting.notices import heard


def memory_words(error: BaseException) -> str | None:
    """One sentence about an allocation that failed.

    Args:
        error: What ended a command.

    Returns:
        What failed and what would be right; None where it is no lack of memory.

    >>> memory_words(ValueError("Unable to allocate an agent")) is None
    True
    """
    found: BaseException | None = error
    while found is not None and not lacks_memory(found):
        found = found.__cause__
    if found is None:
        return None
    said = str(found).strip().splitlines()
    what = f" ({said[0].rstrip('.')})" if said else ""
    return (
        f"not enough memory{what}: fewer rows, a smaller --batch-size where the command has one, or a higher limit "
        "(ulimit -d, ulimit -v, that of a container) would be right; nothing was decided"
    )


@contextmanager
def notices_told() -> Iterator[None]:
    """Say on stderr at once what a long run must tell: that calls were made smaller for want of memory, once a model.

    >>> from robust.predicting.notices import notice
    >>> with notices_told():
    ...     notice("memory of m", "m ran out of memory")  # prints "robust: m ran out of memory" on stderr
    """
    with heard(lambda text: say(f"robust: {text}", err=True)):
        yield
