"""What may stand on the other side of a comparison, `percent`, and units of memory."""

import math
import numbers
import re
from decimal import Decimal
from typing import SupportsFloat, TypeGuard

from robust.errors import InvalidInput

#: Bytes in a kibibyte and in a mebibyte (IEC 80000-13): `cost(model).rom < 256 * KiB`.
KiB = 1024
MiB = 1024**2
_BYTES = {"": 1, "B": 1, "KiB": KiB, "MiB": MiB, "GiB": 1024**3, "kB": 1000, "MB": 1000**2, "GB": 1000**3}
_SIZE = re.compile(r"\s*([0-9]+(?:\.[0-9]+)?)\s*(B|KiB|MiB|GiB|kB|MB|GB)?\s*", re.ASCII)


def percent(share: float) -> float:
    """Write a share the way people say it.

    percent(p) = p / 100

    Args:
        share: A finite number of hundredths.

    Returns:
        The share as a fraction of one.

    Raises:
        TypeError: If `share` is no real number.
        InvalidInput: If it is NaN or infinite.

    >>> percent(1), percent(99.9)
    (0.01, 0.999)
    """
    # In decimal, as people mean it: 99.9 / 100 is 0.9990000000000001.
    return float(Decimal(repr(_finite(share, "percent takes"))) / 100)


def as_bytes(size: object) -> float:
    """Read a size of memory: a number of bytes, or text with a unit.

    KiB = 1024, MiB = 1024², GiB = 1024³; kB = 1000, MB = 1000², GB = 1000³ (IEC 80000-13)

    Args:
        size: A number of bytes above 0, or text such as `256KiB`, `1.5 MiB`, `64 kB` or `4096`.

    Returns:
        Bytes, above 0.

    Raises:
        InvalidInput: If it is no size.

    >>> as_bytes("256KiB"), as_bytes("1.5 MB"), as_bytes(4096)
    (262144.0, 1500000.0, 4096.0)
    """
    right = "a size above 0 such as 256KiB, 1.5MiB, 64kB or 4096 would be right"
    number, unit = size, ""
    if isinstance(size, str):
        match = _SIZE.fullmatch(size)
        if match is None:
            raise InvalidInput(f"{size!r} is no size of memory: {right}")
        number, unit = float(match[1]), match[2] or ""
    if not is_number(number):
        raise InvalidInput(f"{size!r} is no size of memory: {right}")
    found = _finite(number, "a size of memory is") * _BYTES[unit]
    if not 0 < found < math.inf:
        raise InvalidInput(f"{size!r} is no size of memory: {right}")
    return found


def as_limit(limit: object) -> float:
    """Read a limit: any finite real number, also a 0-d array or a scalar tensor, but no bool and no array.

    Args:
        limit: What the user compares with.

    Returns:
        The limit as a Python float.

    Raises:
        TypeError: If it is no real number (a bool, text, an array, `pytest.approx`, …).
        InvalidInput: If it is NaN or infinite.

    >>> as_limit(0.5)
    0.5
    """
    return _finite(limit, "a measurement is compared with")


def _finite(value: object, purpose: str) -> float:
    """Read one finite real number, so that no other thing is taken for a limit."""
    if not is_number(value):
        raise TypeError(f"{purpose} a finite number, got {type(value).__name__}: {value!r}")
    try:
        number = float(value)
    except (OverflowError, ValueError) as error:  # an integer beyond the floats, a signalling NaN
        raise InvalidInput(f"{purpose} a finite number, got {type(value).__name__}: {error}") from error
    if not math.isfinite(number):
        raise InvalidInput(f"{purpose} a finite number, got {number}")
    return number


def is_number(value: object) -> TypeGuard[SupportsFloat]:
    """Whether `value` is one real number; scalars and 0-d arrays of numpy and torch count, bools do not."""
    dtype = getattr(value, "dtype", None)
    if dtype is None:
        return isinstance(value, numbers.Real | Decimal) and not isinstance(value, bool)
    # By the name of the type, asked of all that have one: a 0-d array may hold text, objects or a time span.
    kind = str(getattr(dtype, "name", dtype)).removeprefix("torch.")
    numeric = kind.startswith(("float", "bfloat", "int", "uint")) or kind == "longdouble"
    return numeric and tuple(getattr(value, "shape", (1,))) == () and hasattr(value, "__float__")
