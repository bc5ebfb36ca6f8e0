"""What code of others raises: a model's own, a factory's, or a parser's on a damaged file."""

from collections.abc import Iterator
from contextlib import contextmanager

from robust.errors import ModelFault, RobustError

#: What is handed on as it is. All else, `sys.exit` and other exceptions that are no `Exception` included, is the fault
#: of the code that raised it: it must not end an audit, least of all as if a gate had passed or failed.
PASSING = (KeyboardInterrupt, RobustError)
_LONGEST = 200


def brief(error: BaseException) -> str:
    r"""An error in one line.

    >>> brief(ValueError("wrong width\nexpected 3"))
    'ValueError: wrong width'
    """
    said = str(error).strip().splitlines()
    return f"{type(error).__name__}: {said[0][:_LONGEST]}" if said else type(error).__name__


@contextmanager
def blamed(who: str, doing: str) -> Iterator[None]:
    """Turn whatever a model's own code raises outside of a call into a `ModelFault`.

    Args:
        who: The model.
        doing: What was done to it.
    """
    try:
        yield
    except PASSING:
        raise
    except BaseException as error:
        raise ModelFault(f"{who} raised while {doing}: {brief(error)}") from error
