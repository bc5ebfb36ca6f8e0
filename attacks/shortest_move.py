"""The smallest move inside a box by which a linear loss rises by what is wanted, exactly."""

import numpy as np

from robust.types import FloatArray, Norm


def shortest_in_box(
    slope: FloatArray, wanted: FloatArray, low: FloatArray, high: FloatArray, *, norm: Norm
) -> FloatArray:
    """The smallest moves inside boxes by which linear losses rise by some amounts.

    argmin ‖δ‖ with ⟨g, δ⟩ ≥ w and low ≤ δ ≤ high

    Each feature moves the way its slope points. In linf all go as far, in l2 as far as their slopes are steep, and both
    stop at their bounds: the rise is piecewise linear in how far that is, with a bend where a feature meets its bound.
    In l1 the steepest feature goes to its bound before the next one moves.

    Args:
        slope: Gradients g (m, d).
        wanted: Rises w (m,), above 0.
        low: How far features may move down (m, d), at most 0.
        high: How far they may move up (m, d), at least 0.
        norm: `linf`, `l2` or `l1`.

    Returns:
        Moves (m, d); to the corner where the loss is largest, where bounds forbid the rise.

    >>> slope, low, high = np.array([[3.0, -1.0]]), np.array([[-9.0, -9.0]]), np.array([[0.5, 9.0]])
    >>> rise = np.array([2.5])  # the first feature gives 1.5 at most, the second has to give the rest
    >>> [shortest_in_box(slope, rise, low, high, norm=norm).tolist() for norm in ("linf", "l2", "l1")]
    [[[0.5, -1.0]], [[0.5, -1.0]], [[0.5, -1.0]]]
    >>> shortest_in_box(slope, np.array([1.0]), low, high, norm="linf").tolist()
    [[0.25, -0.25]]
    """
    steep = np.abs(slope).astype(np.float64)
    room = np.where(steep > 0, np.where(slope > 0, high, -low), 0.0).astype(np.float64)
    if norm == "l1":
        moved = _one_by_one(steep, room, wanted)
    else:
        moved = _together(steep, room, wanted, pace=steep if norm == "l2" else np.ones(steep.shape))
    return np.where(slope > 0, moved, -moved)


def _one_by_one(steep: FloatArray, room: FloatArray, wanted: FloatArray) -> FloatArray:
    """The steepest feature first, each as far as it may, until the rise is there."""
    order = np.argsort(-steep, axis=1, kind="stable")
    sorted_steep, sorted_room = (np.take_along_axis(part, order, axis=1) for part in (steep, room))
    left = np.maximum(wanted[:, None] - _summed_before(sorted_steep * sorted_room), 0.0)
    share = np.divide(left, sorted_steep, out=np.zeros(steep.shape), where=sorted_steep > 0)
    moved = np.zeros(steep.shape)
    np.put_along_axis(moved, order, np.minimum(share, sorted_room), axis=1)
    return moved


def _together(steep: FloatArray, room: FloatArray, wanted: FloatArray, *, pace: FloatArray) -> FloatArray:
    """All features at once, each at its pace, until it meets its bound or the rise is there."""
    still = (steep == 0) | (room == 0)
    bend = np.divide(room, pace, out=np.zeros(room.shape), where=~still)
    order = np.argsort(bend, axis=1, kind="stable")
    bends = np.take_along_axis(bend, order, axis=1)
    rate = np.take_along_axis(np.where(still, 0.0, steep * pace), order, axis=1)
    met = np.take_along_axis(np.where(still, 0.0, steep * room), order, axis=1)
    # Rises of the features that have met their bounds, and how fast the others rise, at each bend and just before it.
    before = _summed_before(met)
    going = np.cumsum(rate[:, ::-1], axis=1)[:, ::-1]
    with np.errstate(invalid="ignore"):
        at = before + np.where(going > 0, going * bends, 0.0)
    there = at >= wanted[:, None]
    first = np.where(there.any(axis=1), there.argmax(axis=1), -1)
    each = np.arange(len(room))
    time = np.divide(
        wanted - before[each, first],
        going[each, first],
        out=np.full(len(room), np.inf),
        where=(first >= 0) & (going[each, first] > 0),
    )
    with np.errstate(invalid="ignore"):
        return np.where(still, 0.0, np.minimum(pace * time[:, None], room))


def _summed_before(parts: FloatArray) -> FloatArray:
    """The sum of all parts before each (m, d)."""
    return np.hstack([np.zeros((len(parts), 1)), np.cumsum(parts, axis=1)[:, :-1]])
