"""What may stand on the other side of a comparison, and `percent`."""

import math
import numbers
from decimal import Decimal

from robust.errors import InvalidInput


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
        number = float(value)  # type: ignore[arg-type]
    except (OverflowError, ValueError) as error:  # an integer beyond the floats, a signalling NaN
        raise InvalidInput(f"{purpose} a finite number, got {type(value).__name__}: {error}") from error
    if not math.isfinite(number):
        raise InvalidInput(f"{purpose} a finite number, got {number}")
    return number


def is_number(value: object) -> bool:
    """Whether `value` is one real number; scalars and 0-d arrays of numpy and torch count, bools do not."""
    dtype = getattr(value, "dtype", None)
    if dtype is None:
        return isinstance(value, numbers.Real | Decimal) and not isinstance(value, bool)
    # By the name of the type, asked of all that have one: a 0-d array may hold text, objects or a time span.
    kind = str(getattr(dtype, "name", dtype)).removeprefix("torch.")
    numeric = kind.startswith(("float", "bfloat", "int", "uint")) or kind == "longdouble"
    return numeric and tuple(getattr(value, "shape", (1,))) == () and hasattr(value, "__float__")
