"""The best moves of a linear loss under relations: knapsacks in closed form, linear programs for the rest."""

import numpy as np

from robust.attacks.relation_planes import Planes
from robust.attacks.row_products import row_products
from robust.types import BoolArray, FloatArray

# Rows of one program; each is a block of it.
_BLOCK = 200


def best_in_box(
    planes: Planes, slope: FloatArray, low: FloatArray, high: FloatArray, room: FloatArray, *, exact: bool
) -> tuple[FloatArray, BoolArray]:
    """Moves in a box at which a linear loss is largest, the relations kept.

    Features that one relation binds: a knapsack, max Σ u_j s_j with Σ a_j s_j = room (or ≤), is filled in the order of
    u_j/a_j. Features of several relations: a linear program, or 0 where that is not asked for.

    Args:
        planes: The relations.
        slope: Gradients u (m, d).
        low: Lower edges (m, d), at most 0.
        high: Upper edges (m, d), at least 0.
        room: How far rows are from each relation's edge (m, r).
        exact: Whether features of several relations are solved for.

    Returns:
        Moves (m, d), and which features have been left out (d,).
    """
    best = np.where(slope > 0, high, np.where(slope < 0, low, 0.0))
    left = np.zeros(slope.shape[1], dtype=bool)
    for part in range(planes.parts.max(initial=-1) + 1):
        columns = np.flatnonzero(planes.parts == part)
        own = np.flatnonzero((planes.weights[:, columns] != 0).any(axis=1))
        if len(own) > 1:
            left[columns] = True
            continue
        for i in own:
            among = columns[planes.weights[i, columns] != 0]
            edges = (low[:, among], high[:, among])
            weights, equal = planes.weights[i, among], bool(planes.equal[i])
            best[:, among] = _filled(slope[:, among], weights, *edges, room[:, i], equal=equal)
    if left.any():
        best[:, left] = 0.0
        if exact:
            best[:, left] = _solved(planes, slope, low, high, room, left)
            left = np.zeros(len(left), dtype=bool)
    return best, left


def _filled(
    slope: FloatArray, weights: FloatArray, low: FloatArray, high: FloatArray, room: FloatArray, *, equal: bool
) -> FloatArray:
    """The optimum of one knapsack a row: features turn from one edge to the other in the order of u_j/a_j."""
    free = np.where(slope > 0, high, np.where(slope < 0, low, 0.0))
    bound = np.isfinite(room)
    binding = bound if equal else bound & (row_products(free, weights) > np.where(bound, room, 0.0))
    first = np.where(weights > 0, high, low)
    drop = np.abs(weights) * (high - low)
    order = np.argsort(slope / weights, axis=1, kind="stable")
    sorted_drop = np.take_along_axis(drop, order, axis=1)
    before = np.cumsum(sorted_drop, axis=1) - sorted_drop
    wanted = (row_products(first, weights) - np.where(bound, room, 0.0))[:, None]
    taken = np.empty(slope.shape)
    np.put_along_axis(taken, order, np.clip(wanted - before, 0.0, sorted_drop), axis=1)
    filled = np.clip(first - taken / weights, low, high)
    return np.where(binding[:, None], filled, free)


def _solved(
    planes: Planes, slope: FloatArray, low: FloatArray, high: FloatArray, room: FloatArray, among: BoolArray
) -> FloatArray:
    """The optimum over some features, by linear programs of many rows at once."""
    from scipy.optimize import Bounds, LinearConstraint, milp
    from scipy.sparse import block_diag, csr_array

    weights, unit = planes.weights[:, among] * planes.scale[among], np.where(planes.scale > 0, planes.scale, 1.0)[among]
    used = (weights != 0).any(axis=1)
    found = np.zeros((len(slope), int(among.sum())))
    slopes = slope[:, among] * unit
    size = np.abs(slopes).max(axis=1, keepdims=True)
    slopes = slopes / np.where(size > 0, size, 1.0)
    edges = np.stack([low[:, among] / unit, high[:, among] / unit], axis=-1)
    for start in range(0, len(slope), _BLOCK):
        rows = slice(start, min(start + _BLOCK, len(slope)))
        count = rows.stop - rows.start
        most = room[rows][:, used]
        least = np.where(planes.equal[used] & np.isfinite(most), 0.0, -np.inf)
        matrix = csr_array(block_diag([weights[used]] * count))
        pairs = edges[rows].reshape(-1, 2)
        solution = milp(
            -slopes[rows].ravel(),
            bounds=Bounds(pairs[:, 0], pairs[:, 1]),
            constraints=LinearConstraint(matrix, least.ravel(), most.ravel()),
        )
        if solution.x is not None:
            found[rows] = solution.x.reshape(count, -1) * unit
    return found
