"""Names of features and rows: defaults, checks, and close matches for a misspelt one."""

import difflib
import itertools
from collections.abc import Iterable, Sequence

import numpy as np

from robust.errors import InvalidInput
from robust.types import AnyArray


def default_names(shape: tuple[int, ...]) -> tuple[str, ...]:
    """Names of the elements of a row, in C order.

    Args:
        shape: Shape of one row.

    Returns:
        `x0 … x{d-1}` for a row of d numbers, `x[i,j,k]` for an image.

    >>> default_names((2,)), default_names((1, 2))
    (('x0', 'x1'), ('x[0,0]', 'x[0,1]'))
    """
    if len(shape) < 2:
        return tuple(f"x{j}" for j in range(int(np.prod(shape))))
    positions = itertools.product(*(range(size) for size in shape))
    return tuple(f"x[{','.join(map(str, position))}]" for position in positions)


def checked_names(names: Iterable[object], count: int) -> tuple[str, ...]:
    """Feature names as given by a user, one for each of `count` features.

    Raises:
        InvalidInput: If they are too few or too many, or one is no text, is empty or comes twice.

    >>> checked_names(["age", "sex"], 2)
    ('age', 'sex')
    """
    if isinstance(names, str):
        raise InvalidInput(f"names must be a list of {count} names, got the text {names!r}")
    found = tuple(names)
    wrong = next((name for name in found if not isinstance(name, str) or not name), None)
    if wrong is not None:
        raise InvalidInput(f"names must be texts that are not empty, got {wrong!r}")
    texts = tuple(str(name) for name in found)
    if len(texts) != count:
        raise InvalidInput(f"got {len(texts)} names for {count} features: one name a feature would be right")
    check_unique(texts, "names")
    return texts


def check_unique(names: Sequence[str], what: str) -> None:
    """Refuse a name that comes twice.

    Raises:
        InvalidInput: With the names that come more than once.
    """
    if len(set(names)) < len(names):
        seen: set[str] = set()
        twice = sorted({name for name in names if name in seen or seen.add(name)})  # type: ignore[func-returns-value]
        raise InvalidInput(f"{what} come more than once: {shorten(twice)}; each must be unique")


def unknown_name(name: object, known: Sequence[str], *, where: str) -> str:
    """The message for a name that does not exist: close matches first, else what there is.

    >>> unknown_name("agee", ("age", "sex"), where="the data has no column")
    "the data has no column 'agee': did you mean 'age'?"
    """
    close = difflib.get_close_matches(str(name), known[:5000], n=3, cutoff=0.6)
    if close:
        return f"{where} {name!r}: did you mean {' or '.join(map(repr, close))}?"
    return f"{where} {name!r}; there are {shorten(known)}"


def shorten(items: Sequence[object], *, most: int = 12) -> str:
    """The first items, and how many there are.

    >>> shorten(["a", "b", "c"], most=2)
    'a, b, … (3 in all)'
    """
    shown = ", ".join(map(str, items[:most]))
    return shown if len(items) <= most else f"{shown}, … ({len(items)} in all)"


def some_rows(mask: AnyArray) -> str:
    """Positions of the rows where `mask` (n,) holds, counted from 0, as messages show them.

    >>> some_rows(np.array([False, True, True]))
    'rows 1, 2 (counted from 0)'
    """
    rows = np.flatnonzero(mask)
    return f"row{'s' if len(rows) > 1 else ''} {shorten(rows.tolist(), most=8)} (counted from 0)"
