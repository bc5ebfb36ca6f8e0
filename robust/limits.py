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
        InvalidInput: If `share` is not a finite number.

    >>> percent(1)
    0.01
    """
    return as_limit(share) / 100


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
    if not is_number(limit):
        raise TypeError(f"a measurement is compared with a finite number, got {type(limit).__name__}: {limit!r}")
    number = float(limit)  # type: ignore[arg-type]
    if not math.isfinite(number):
        raise InvalidInput(f"a limit must be a finite number, got {number}")
    return number


def is_number(value: object) -> bool:
    """Whether `value` is one real number; numpy and torch scalars count, their booleans do not."""
    if isinstance(value, bool | str | bytes | complex):
        return False
    if isinstance(value, numbers.Real | Decimal):
        return True
    dtype = getattr(value, "dtype", None)
    scalar = dtype is not None and tuple(getattr(value, "shape", (1,))) == ()
    return scalar and "bool" not in str(dtype) and "complex" not in str(dtype) and hasattr(value, "__float__")
