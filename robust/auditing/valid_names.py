"""Which names would have been right where a config has another."""

import re
from typing import Any, Literal, get_args, get_origin, get_type_hints

import msgspec

_PLACE = re.compile(r"at `\$((?:\.\w+)+)`")


def told(error: msgspec.ValidationError, kind: type) -> str:
    """What is wrong with a value, and, where it must be one of some names, which they are.

    Args:
        error: What reading plain data as a `kind` said.
        kind: A struct or dataclass.

    Returns:
        The message, with all valid names behind it.

    >>> class Options(msgspec.Struct):
    ...     norm: Literal["linf", "l2"] | None = None
    >>> try:
    ...     msgspec.convert({"norm": "l3"}, Options)
    ... except msgspec.ValidationError as error:
    ...     print(told(error, Options))
    Invalid enum value 'l3' - at `$.norm`; 'linf' or 'l2' would be right
    """
    place = _PLACE.search(str(error))
    names = _names(kind, place[1].split(".")[1:]) if place else []
    if not names:
        return str(error)
    listed = " or ".join(filter(None, [", ".join(map(repr, names[:-1])), repr(names[-1])]))
    return f"{error}; {listed} would be right"


def _names(kind: Any, path: list[str]) -> list[object]:
    """Values that the field at the end of a path may have; none where it takes other things than names."""
    for part in path:
        kind = get_type_hints(kind).get(part) if isinstance(kind, type) else None
    options = (
        [kind] if get_origin(kind) is Literal else [part for part in get_args(kind) if get_origin(part) is Literal]
    )
    return [name for option in options for name in get_args(option)]
