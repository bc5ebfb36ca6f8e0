"""Rounding that never leaves a budget: toward the original value, checked in exact arithmetic."""

from fractions import Fraction
from typing import Any

import numpy as np

from robust.types import AnyArray, BoolArray, FloatArray

# A sum of shares farther from 1 than this is on the side that its rounded value says.
_DOUBT = 1e-12


def beyond(z: AnyArray, x: AnyArray, eps: FloatArray) -> BoolArray:
    """Which values are farther than eps from x, in exact arithmetic.

    |z − x| > eps, where a difference that rounds to eps is decided by its rounding error (Knuth's two-sum)

    Args:
        z: Values (m, d).
        x: Original values (m, d), of the same type; NaN is never beyond.
        eps: Budgets, broadcastable to (m, d).

    Returns:
        Which values are too far (m, d).

    Source:
        Knuth (1997), The Art of Computer Programming 2, section 4.2.2, theorem B.

    >>> one = np.array([1.0])
    >>> beyond(one + 0.1, one, np.array([0.1])), (one + 0.1) - one > 0.1
    (array([ True]), array([ True]))
    """
    a, b = z.astype(np.float64, copy=False), x.astype(np.float64, copy=False)
    gap = a - b
    far = np.abs(gap)
    over: BoolArray = far > eps
    doubtful = (far == eps) & (far > 0)
    if doubtful.any():
        p, q, d = a[doubtful], b[doubtful], gap[doubtful]
        part = d - p
        error = (p - (d - part)) - (q + part)
        over[doubtful] = error * np.sign(d) > 0
    return over


def overspent(moves: FloatArray, eps: FloatArray, *, power: int) -> BoolArray:
    """Which moves cost more than the budget: Σ (|δ_j|/eps_j)^power > 1, in exact arithmetic where that is in doubt.

    Args:
        moves: Moves (m, d); 0 where eps is.
        eps: Budgets, broadcastable to (m, d).
        power: 1 or 2.

    Returns:
        Which rows are over (m,).

    >>> overspent(np.array([[6.0]]), np.array([[np.nextafter(6.0, 0.0)]]), power=1)
    array([ True])
    """
    eps = np.broadcast_to(eps, moves.shape)
    shares = np.divide(np.abs(moves), eps, out=np.zeros(moves.shape), where=moves != 0)
    total = np.sum(shares**power, axis=1)
    over: BoolArray = total > 1.0
    for row in np.flatnonzero(np.abs(total - 1.0) <= _DOUBT):
        used = np.flatnonzero(moves[row])
        pairs = zip(moves[row, used].tolist(), eps[row, used].tolist(), strict=True)
        over[row] = sum((abs(Fraction(move)) / Fraction(most)) ** power for move, most in pairs) > 1
    return over


def drawn_in(z: AnyArray, x: AnyArray, eps: FloatArray) -> AnyArray:
    """Values no farther than eps from x, each moved by as few representable numbers as that takes.

    Args:
        z: Values (m, d), floating, within a rounding of the budget; changed in place.
        x: Original values (m, d), of the same type.
        eps: Budgets, broadcastable to (m, d).

    Returns:
        z.
    """
    over = beyond(z, x, eps)
    if over.any():
        z[over] = np.nextafter(z[over], x[over])
        # One step undoes a rounding to nearest. What is still too far was no rounding error: it stays where it was.
        over = beyond(z, x, eps)
        z[over] = x[over]
    return z


def rounded_down(eps: FloatArray, dtype: np.dtype[Any]) -> FloatArray:
    """Budgets as the next smaller values of a number type, so that x ± eps errs by no more than its own rounding."""
    near = eps.astype(dtype)
    return np.asarray(np.where(near > eps, np.nextafter(near, dtype.type(0)), near))
