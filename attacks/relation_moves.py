"""Moves that keep the relations of a schema: what one feature takes, another of the same relation gives."""

import numpy as np

from robust.attacks.projection import Space
from robust.types import AnyArray, BoolArray, FloatArray


def mended(rows: FloatArray, x: AnyArray, space: Space, u: FloatArray) -> FloatArray:
    """Wishes that keep the relations, by one more feature's move.

    Of a broken relation Σ w_j x_j + c = 0 (or ≤ 0), one movable feature k of its own is picked at random, rather one
    that did not move, and x_k ← x_k − (Σ w_j x_j + c)/w_k.

    Args:
        rows: Wished rows (m, d), float64; changed in place.
        x: Original rows (m, d).
        space: Schema, and which features may move.
        u: Uniform numbers (m, r), one a relation.

    Returns:
        rows. A relation may stay broken, e.g. where features share several: such rows fall back to the original.
    """
    for r, relation in enumerate(space.schema.relations):
        columns, weights = np.array(relation.columns), np.asarray(relation.weights)
        free = np.flatnonzero((space.eps[columns] > 0) & ~space.members[columns])
        broken = np.flatnonzero(relation.violated(rows))
        if len(free) == 0 or len(broken) == 0:
            continue
        part = rows[np.ix_(broken, columns)]
        still: BoolArray = part[:, free] == x[np.ix_(broken, columns[free])]
        # Ranks by a number a row: the first still feature from a random place on, else the first of any.
        turn = (np.arange(len(free))[None, :] - np.floor(u[broken, r] * len(free))[:, None]) % len(free)
        pick = np.where(still, turn, turn + len(free)).argmin(axis=1)
        gap = (part * weights).sum(axis=1) + relation.constant
        rows[broken, columns[free[pick]]] -= gap / weights[free[pick]]
    return rows
