"""How far rows have moved, in units of their budgets, and which keep to a radius."""

import numpy as np

from robust.attacks.finite import finite
from robust.attacks.projection import Space
from robust.attacks.rounding import beyond
from robust.types import AnyArray, BoolArray, FloatArray

# Near 0 numbers are finer than anything that a model tells apart.
_FINEST = 1e-12


def sizes_of(space: Space, x: AnyArray, rows: AnyArray) -> FloatArray:
    """Norms of the moves from x to rows, in units of the budget.

    linf: max |δ_j|/eps_j; l2: √Σ (δ_j/eps_j)²; l1: Σ |δ_j|/eps_j; over features with a budget

    Args:
        space: Norm, and the budget of each feature; with budgets of 1 these are norms in the user's units.
        x: Original rows (m, d).
        rows: Where they went (m, d); missing values have stayed.

    Returns:
        Norms (m,), at least 0.
    """
    return np.asarray(move_sizes(space, _gap(x, rows)))


def move_sizes(space: Space, moves: FloatArray) -> FloatArray:
    """Norms of moves (m, d), in units of the budget; in double precision (m,)."""
    shares = moves * _inverse(space, moves.dtype)
    if space.norm == "l2":
        return _length(shares)
    np.abs(shares, out=shares)
    if space.norm == "linf":
        return np.asarray(shares.max(axis=1, initial=0.0), dtype=np.float64)
    return np.asarray(shares.sum(axis=1, dtype=np.float64))


def fits(space: Space, x: AnyArray, rows: AnyArray, radius: float) -> BoolArray:
    """Which moves are no longer than a radius, by the same arithmetic that a budget is checked with.

    Args:
        space: Norm and budgets.
        x: Original rows (m, d).
        rows: Where they went (m, d).
        radius: In budgets, at least 0.

    Returns:
        Which fit (m,).
    """
    if space.norm == "linf":
        return np.asarray(~np.any(beyond(rows, x, radius * space.eps), axis=1))
    gap, limit = _gap(x, rows), np.broadcast_to(radius * space.eps, x.shape)
    shares = np.abs(np.divide(gap, limit, out=np.where(gap == 0, 0.0, np.inf), where=limit > 0))
    return np.asarray(np.sum(shares if space.norm == "l1" else shares**2, axis=1) <= 1.0)


def dual_norms(space: Space, gradient: FloatArray) -> FloatArray:
    """How fast a linear loss rises with the norm: the largest g·δ of all δ of size 1.

    linf: Σ |g_j|eps_j; l2: √Σ (g_j·eps_j)²; l1: max |g_j|eps_j

    Args:
        space: Norm and budgets.
        gradient: Gradients (m, d).

    Returns:
        The slopes (m,), at least 0.
    """
    slopes = gradient * space.eps.astype(gradient.dtype)
    if space.norm == "l2":
        return _length(slopes)
    np.abs(slopes, out=slopes)
    if space.norm == "linf":
        return np.asarray(slopes.sum(axis=1, dtype=np.float64))
    return np.asarray(slopes.max(axis=1, initial=0.0), dtype=np.float64)


def smallest_move(space: Space, x: AnyArray) -> FloatArray:
    """Norms of the smallest moves that rounding does not swallow; a whole step where all features move by such.

    Args:
        space: Norm and budgets.
        x: Rows (m, d).

    Returns:
        Norms (m,), above 0; 1 where nothing may move.
    """
    steps = np.ones(x.shape)
    if x.dtype.kind == "f":
        fine = np.maximum(np.spacing(np.abs(np.nan_to_num(x))).astype(np.float64), _FINEST)
        steps = np.where(space.steps | space.members, 1.0, 4.0 * fine)
    shares = np.divide(steps, space.eps, out=np.full(x.shape, np.inf), where=np.broadcast_to(space.eps > 0, x.shape))
    least = shares.min(axis=1, initial=np.inf)
    return np.asarray(np.where(np.isfinite(least), least, 1.0))


def _length(values: FloatArray) -> FloatArray:
    """Euclidean lengths of rows.

    Squares of single precision neither underflow nor overflow in double precision; numbers of that are divided by the
    largest first.
    """
    if values.dtype == np.float32:
        return np.asarray(np.sqrt(np.einsum("ij,ij->i", values, values, dtype=np.float64)))
    most = np.abs(values).max(axis=1, initial=0.0)
    scaled = values / np.where(most > 0, most, 1.0)[:, None]
    return np.asarray(most.astype(np.float64) * np.sqrt(np.einsum("ij,ij->i", scaled, scaled, dtype=np.float64)))


def _gap(x: AnyArray, rows: AnyArray) -> FloatArray:
    """Moves in double precision (m, d); what is missing has not moved."""
    return finite(rows.astype(np.float64) - x.astype(np.float64))


def _inverse(space: Space, dtype: np.dtype[np.floating]) -> FloatArray:
    """1/eps (d,), 0 for features without a budget."""
    return np.divide(1.0, space.eps, out=np.zeros(len(space.eps)), where=space.eps > 0).astype(dtype)
