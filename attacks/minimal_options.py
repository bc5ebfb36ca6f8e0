"""Hyper-parameters that the minimal-norm attacks share."""

from robust.data.budget import read_share
from robust.errors import InvalidInput


def read_below_one(share: object, what: str) -> float:
    """Check a share such as the factor by which a radius changes.

    Raises:
        InvalidInput: If it is no number in (0, 1).

    >>> read_below_one(0.05, "gamma")
    0.05
    """
    number = read_share(share, what)
    if number >= 1:
        raise InvalidInput(f"{what} got {share!r}; a number above 0 and below 1, such as 0.2, would be right")
    return number
