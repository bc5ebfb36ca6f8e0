"""Newcombe's hybrid score interval for a paired difference: a cross-check of Tango's bound, not for gates."""

import math

from scipy.special import ndtri

from robust.errors import InvalidInput
from robust.intervals.arguments import check_level, check_whole
from robust.intervals.clopper_pearson import wilson_bounds


def newcombe(a: int, b: int, c: int, d: int, *, level: float, continuity: bool = True) -> tuple[float, float]:
    """Hybrid score bounds ("method 10") for the difference (b - c)/n of two paired proportions.

    With p1 = (a + b)/n, p2 = (a + c)/n, their Wilson bounds l1 .. u1 and l2 .. u2 and the phi coefficient of
    the table, lower = D - sqrt((p1 - l1)^2 - 2 phi (p1 - l1)(u2 - p2) + (u2 - p2)^2), and the upper bound
    likewise with u1 - p1 and p2 - l2.

    Args:
        a: Rows right under both models, at least 0.
        b: Rows right under the reference and wrong under the candidate, at least 0.
        c: Rows wrong under the reference and right under the candidate, at least 0.
        d: Rows wrong under both, at least 0.
        level: One-sided confidence level of each bound, in (0.5, 1).
        continuity: Whether half of n is taken off a positive ad - bc before phi is formed, as method 10 does.

    Returns:
        Lower and upper bound, in [-1, 1].

    Raises:
        InvalidInput: A count is negative or not whole, all are 0, or ``level`` is outside (0.5, 1).

    Source:
        Newcombe (1998), Statistics in Medicine 17:2635, method 10 (method 8 without the correction of phi).

    Example:
        Of two rows each model has one right, the same one, so that p = 1/2 with Wilson bounds 1/2 -+ w,
        w = z/(2 sqrt(2 + z^2)) = 0.379; ad - bc = 1 is corrected to 0, phi is 0 and the half-width w sqrt(2).

        >>> round(newcombe(1, 0, 0, 1, level=0.95)[1], 3)
        0.536
    """
    a, b = check_whole("a", a, least=0), check_whole("b", b, least=0)
    c, d = check_whole("c", c, least=0), check_whole("d", d, least=0)
    z = float(ndtri(check_level(level)))
    n = a + b + c + d
    if n == 0:
        raise InvalidInput("a, b, c and d got 0 rows in all; at least one row would be right")
    first, second = (a + b) / n, (a + c) / n
    first_lower, first_upper = wilson_bounds(a + b, n, z)
    second_lower, second_upper = wilson_bounds(a + c, n, z)
    phi = _phi(a, b, c, d, continuity=continuity)
    difference = (b - c) / n
    lower = difference - _hypotenuse(first - first_lower, second_upper - second, phi)
    upper = difference + _hypotenuse(first_upper - first, second - second_lower, phi)
    return max(lower, -1.0), min(upper, 1.0)


def _phi(a: int, b: int, c: int, d: int, *, continuity: bool) -> float:
    """Correlation of the two right-or-wrong columns; 0 where one of them is constant."""
    product = (a + b) * (c + d) * (a + c) * (b + d)
    if product == 0:
        return 0.0
    excess = float(a * d - b * c)
    if continuity and excess > 0.0:
        excess = max(excess - (a + b + c + d) / 2.0, 0.0)
    return excess / math.sqrt(product)


def _hypotenuse(one: float, other: float, phi: float) -> float:
    """Third side of the triangle whose sides ``one`` and ``other`` meet at an angle of cosine ``phi``."""
    return math.sqrt(max(one * one - 2.0 * phi * one * other + other * other, 0.0))
