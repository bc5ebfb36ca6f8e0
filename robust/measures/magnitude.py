"""Sizes of numbers whose squares can still be averaged and resampled."""

import numpy as np

from robust.errors import InvalidInput
from robust.types import AnyArray

#: Between these, neither squares nor the cubes of squares in a bootstrap's acceleration overflow or vanish.
_SMALLEST, _LARGEST = 1e-40, 1e40


def require_moderate(values: AnyArray, what: str, *, smallest: float = _SMALLEST) -> None:
    """Refuse numbers whose squares would overflow, or vanish, in double precision.

    Args:
        values: Any shape; NaN and infinities are left to others.
        what: Whose numbers they are, as the subject of the message.
        smallest: A largest size below this is refused too; 0 where squares that vanish do no harm.

    Raises:
        InvalidInput: If the largest size is above 1e40, or above 0 and below the smallest.

    Example:
        >>> require_moderate(np.array([0.0, -2e30]), "targets")
    """
    largest = float(np.max(np.abs(values), initial=0.0, where=np.isfinite(values)))
    if largest > _LARGEST or 0.0 < largest < smallest:
        word = "overflow" if largest > 1.0 else "vanish"
        raise InvalidInput(
            f"{what} got numbers of sizes up to {largest:.3g}, whose squares {word} in double precision; another unit, "
            f"with a largest size between {_SMALLEST:g} and {_LARGEST:g}, would be right"
        )
