"""The last step of moves under relations: what whole and one-hot features left open, the others close."""

import numpy as np

from robust.attacks.relation_planes import Planes
from robust.attacks.row_products import row_products
from robust.types import AnyArray, BoolArray, FloatArray, Norm

# A move of a whole feature nearer than this to a whole number is one.
_WHOLE = 1e-6
# A sum that was scaled to 1 is still at most 1 after rounding.
_JUST_BELOW = 1.0 - 1e-9


def snapped(delta: FloatArray, steps: BoolArray, eps: FloatArray) -> FloatArray:
    """Moves whose whole features are whole where a projection missed that by rounding, the budget kept."""
    whole = np.rint(delta)
    near = steps & (np.abs(delta - whole) <= _WHOLE) & (np.abs(whole) <= eps)
    return np.where(near, whole, delta)


def closed(
    planes: Planes,
    x: AnyArray,
    moves: FloatArray,
    *,
    eps: FloatArray,
    rigid: BoolArray,
    steps: BoolArray,
    box: tuple[FloatArray, FloatArray],
    norm: Norm,
) -> FloatArray:
    """Moves that keep the relations: continuous features close the gaps, then whole ones, where they can.

    Args:
        planes: The relations.
        x: Original rows (m, d).
        moves: Moves inside ball and bounds, whole and one-hot features final (m, d).
        eps: Budgets (1, d) or (m, d).
        rigid: Features that move by whole steps or jump (d,).
        steps: Those of them that move by whole steps (d,).
        box: Lower and upper bounds (d,).
        norm: Norm of the budget.

    Returns:
        Moves (m, d); where nothing closes a gap, all features that hang together with it stay.
    """
    moves, room = np.nan_to_num(moves), planes.room(x)
    rows = np.flatnonzero(planes.broken(moves, room))
    if len(rows) == 0:
        return moves
    moves = moves.copy()
    moves[rows] = _closed(planes, x[rows], moves[rows], room[rows], _part(eps, rows), rigid, steps, box, norm)
    return moves


def _closed(
    planes: Planes,
    x: AnyArray,
    wish: FloatArray,
    room: FloatArray,
    eps: FloatArray,
    rigid: BoolArray,
    steps: BoolArray,
    box: tuple[FloatArray, FloatArray],
    norm: Norm,
) -> FloatArray:
    """The same, of rows that break a relation."""
    origin = np.nan_to_num(x.astype(np.float64))
    eps = np.where(np.isnan(x.astype(np.float64)), 0.0, np.broadcast_to(eps, x.shape))
    low, high = np.clip(box[0] - origin, -eps, 0.0), np.clip(box[1] - origin, 0.0, eps)
    free = (eps > 0) & ~rigid
    pinned = np.where(rigid, wish, low), np.where(rigid, wish, high)

    def inside(moves: FloatArray) -> FloatArray:
        return np.clip(moves, *pinned)

    moves = wish
    if free.any():
        moves = planes.nearest(wish, room, free=free, low=pinned[0], high=pinned[1], inside=inside)
    still = planes.broken(moves, room)
    if still.any() and steps.any():
        moves[still] = _by_steps(planes, wish[still], room[still], (eps > 0)[still] & steps, low[still], high[still])
    moves = _without_broken(planes, moves, room)
    if norm == "linf":
        return moves
    over = _sizes(moves, eps, norm)
    loose = ~(moves[:, rigid] != 0).any(axis=1)
    share = np.where(loose & (over > _JUST_BELOW), _JUST_BELOW / np.maximum(over, _JUST_BELOW), 1.0)
    moves = moves * share[:, None]
    dear = ~loose & (over > 1.0)
    moves[np.ix_(dear, planes.parts >= 0)] = 0.0
    return moves


def _by_steps(
    planes: Planes, moves: FloatArray, room: FloatArray, able: BoolArray, low: FloatArray, high: FloatArray
) -> FloatArray:
    """Moves whose gaps one whole feature closes, the first that can."""
    moves = moves.copy()
    for i in range(len(planes.weights)):
        for j in np.flatnonzero(planes.weights[i]):
            total = row_products(moves, planes.weights[i]) - np.where(np.isfinite(room[:, i]), room[:, i], 0.0)
            broken = planes.gaps(moves, room)[:, i] > _WHOLE * abs(planes.weights[i, j])
            step = -total / planes.weights[i, j]
            whole = np.rint(step) if planes.equal[i] else np.sign(step) * np.ceil(np.abs(step) - _WHOLE)
            fits = (np.abs(whole - step) <= _WHOLE) | ~planes.equal[i]
            to = moves[:, j] + whole
            taken = broken & fits & able[:, j] & (to >= low[:, j]) & (to <= high[:, j])
            moves[taken, j] = to[taken]
    return moves


def _without_broken(planes: Planes, moves: FloatArray, room: FloatArray) -> FloatArray:
    """Moves of which those parts stay that break a relation."""
    gaps = planes.gaps(moves, room) > _WHOLE
    for i in np.flatnonzero(gaps.any(axis=0)):
        part = planes.parts == planes.parts[np.flatnonzero(planes.weights[i])[0]]
        moves[np.ix_(gaps[:, i], part)] = 0.0
    return moves


def _sizes(moves: FloatArray, eps: FloatArray, norm: Norm) -> FloatArray:
    """Norms of moves in budgets (m,)."""
    shares = np.divide(np.abs(moves), eps, out=np.zeros(moves.shape), where=eps > 0)
    return np.asarray(np.sqrt(np.sum(shares**2, axis=1)) if norm == "l2" else shares.sum(axis=1))


def _part(eps: FloatArray, rows: AnyArray) -> FloatArray:
    """Budgets of some rows."""
    return eps if len(eps) == 1 else eps[rows]
