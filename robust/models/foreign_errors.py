"""What code of others raises: a model's own, a factory's, or a parser's on a damaged file."""

#: Anything at all, an exit too: `sys.exit` in a model must not end an audit as if it had passed. Ctrl-C passes.
ANY_ERROR = (Exception, SystemExit)
_LONGEST = 200


def brief(error: BaseException) -> str:
    r"""An error in one line.

    >>> brief(ValueError("wrong width\nexpected 3"))
    'ValueError: wrong width'
    """
    said = str(error).strip().splitlines()
    return f"{type(error).__name__}: {said[0][:_LONGEST]}" if said else type(error).__name__
