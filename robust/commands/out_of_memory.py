"""What is said when memory runs out, whoever asked for it."""

import errno
import re

#: Libraries in C++ have no type for it: onnxruntime, torch.
_WORDS = re.compile(r"bad_alloc|(not enough|can't allocate|cannot allocate|failed to allocate) memory", re.IGNORECASE)


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
    while found is not None and not _lacks(found):
        found = found.__cause__
    if found is None:
        return None
    said = str(found).strip().splitlines()
    what = f" ({said[0].rstrip('.')})" if said else ""
    return (
        f"not enough memory{what}: fewer rows, a smaller --batch-size where the command has one, or a higher limit "
        "(ulimit -d, ulimit -v, that of a container) would be right; nothing was decided"
    )


def _lacks(error: BaseException) -> bool:
    match error:
        case MemoryError():
            return True
        case OSError():
            return error.errno == errno.ENOMEM
        case RuntimeError():
            return _WORDS.search(str(error)) is not None
    return False
