"""Rows that obey budget and schema, near wished ones; missing values stay missing."""

import numpy as np

from robust.attacks.balls import Ball, ball_around
from robust.attacks.projection import Space
from robust.types import AnyArray, FloatArray


def near_points(
    space: Space,
    x: AnyArray,
    wish: FloatArray,
    *,
    eps: FloatArray | None = None,
    taste: FloatArray | None = None,
    ball: Ball | None = None,
) -> AnyArray:
    """Rows within the budget near wished ones.

    Args:
        space: Budget and schema.
        x: Original rows (m, d).
        wish: Wished rows (m, d), float64; what is said of a missing value does not count.
        eps: Budgets (m, 1) or (m, d) in place of the space's own.
        taste: Decides between equal members of a one-hot group (m, d).
        ball: The ball of these rows and budgets, where it has been made.

    Returns:
        Rows (m, d) of the data's number type, inside ball, bounds and schema.
    """
    missing = np.isnan(x)
    if not missing.any():
        ball = ball_around(space, x, eps=eps) if ball is None else ball
        return ball.points(ball.state_of(wish), taste)
    # A missing value has no distance: it is filled in for the projection, with no budget, and taken out again.
    low, high = space.lower.astype(x.dtype), space.upper.astype(x.dtype)
    filled = np.where(missing, np.clip(np.zeros_like(x), low, high), x)
    whole = ball_around(space, filled, eps=np.where(missing, 0.0, space.eps if eps is None else eps))
    points = whole.points(whole.state_of(np.where(missing, filled, wish)), taste).copy()
    points[missing] = np.nan
    return points


def lengths(points: AnyArray, x: AnyArray, space: Space) -> FloatArray:
    """How far rows moved, in budgets (m,).

    linf: max |δ_j|/eps_j; l2: √Σ (δ_j/eps_j)²; l1: Σ |δ_j|/eps_j; over features with a budget

    Args:
        points: Rows (m, d).
        x: Original rows (m, d).
        space: Budgets and norm.
    """
    gap = np.nan_to_num(np.abs(points.astype(np.float64) - x.astype(np.float64)))
    shares = np.divide(gap, space.eps, out=np.zeros(gap.shape), where=space.eps > 0)
    return sizes(shares, space)


def sizes(moves: FloatArray, space: Space) -> FloatArray:
    """Norm of moves that are in units of the budget (m,)."""
    if space.norm == "linf":
        return np.asarray(np.abs(moves).max(axis=1, initial=0.0))
    if space.norm == "l2":
        return np.asarray(np.sqrt(np.sum(moves**2, axis=1)))
    return np.asarray(np.abs(moves).sum(axis=1))
