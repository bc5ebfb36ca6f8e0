"""The linear relations of a schema as half-spaces of moves, in units of the budget."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from robust.attacks.row_products import row_products
from robust.data.schema import FeatureSchema
from robust.types import AnyArray, BoolArray, FloatArray, IntArray

# Rounds of alternating projections, and of corrections by the features that stay off their bounds.
_ROUNDS, _CORRECTIONS = 12, 8
#: Moves in budgets nearer than this are equal.
CLOSE = 1e-9
_SINGULAR = 1e-10


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Planes:
    """Relations a_i·δ = 0 or a_i·δ ≤ room_i between moves; each a_i has length 1 in units of the budget.

    A row obeys its relations, so that not moving is feasible: what holds for δ holds for s·δ, 0 ≤ s ≤ 1.

    Args:
        weights: a_i (r, d).
        constants: c_i (r,), in the same units.
        equal: Which are equalities (r,).
        scale: Budget of each feature (d,), the unit.
        parts: Which features hang together, by relations and one-hot groups (d,); −1 for those without a relation.
    """

    weights: FloatArray
    constants: FloatArray
    equal: BoolArray
    scale: FloatArray
    parts: IntArray

    def room(self, x: AnyArray) -> FloatArray:
        """How far rows are from each half-space's edge (m, r): 0 on equalities, inf where a value is missing."""
        origin = x.astype(np.float64)
        total = row_products(np.nan_to_num(origin), self.weights) + self.constants
        missing = (np.isnan(origin)[:, None] & (self.weights != 0)).any(axis=2)
        return np.where(missing, np.inf, np.where(self.equal, 0.0, np.maximum(-total, 0.0)))

    def gaps(self, moves: FloatArray, room: FloatArray) -> FloatArray:
        """By how much moves break each relation (m, r), in budgets; 0 or less where they keep it."""
        total = row_products(moves, self.weights)
        return np.where(self.equal & np.isfinite(room), np.abs(total), total - room)

    def broken(self, moves: FloatArray, room: FloatArray) -> BoolArray:
        """Which moves break a relation (m,)."""
        return np.asarray((self.gaps(moves, room) > CLOSE).any(axis=1))

    def normals(self, free: BoolArray, active: BoolArray) -> FloatArray:
        """Inverse of the Gram matrix of the active relations' normals over the free features (m or 1, r, r)."""
        if (free == free[:1]).all() and (active == active[:1]).all():
            free, active = free[:1], active[:1]
        a = self.weights * self.scale
        gram = row_products(free.astype(np.float64), a[:, None] * a)
        gram *= active[:, :, None] & active[:, None, :]
        return np.asarray(np.linalg.pinv(gram, rcond=_SINGULAR, hermitian=True))

    def levelled(
        self, moves: FloatArray, room: FloatArray, free: BoolArray, active: BoolArray, inverse: FloatArray | None = None
    ) -> FloatArray:
        """The nearest moves, by free features alone, on the edges of the active relations."""
        inverse = self.normals(free, active) if inverse is None else inverse
        total, spare = row_products(moves, self.weights), np.where(np.isfinite(room) & ~self.equal, room, 0.0)
        gap = np.where(active, total - spare, 0.0)
        shift = np.einsum("mrs,ms->mr", np.broadcast_to(inverse, (len(moves), *inverse.shape[1:])), gap)
        return np.asarray(moves - free * row_products(shift, self.weights.T) * self.scale**2)

    def along(self, slope: FloatArray, moves: FloatArray, room: FloatArray, free: BoolArray) -> FloatArray:
        """The part of slopes, a budget each (m, d), that relations do not forbid at some moves.

        Normals of the equalities are taken out, and of inequalities that hold with equality and are pushed against.
        """
        slope = slope * free
        bound = np.isfinite(room)
        edge = bound & ~self.equal & (row_products(moves, self.weights) >= room - CLOSE)
        shut = bound & self.equal
        ahead = slope
        for _ in range(1 + int((~self.equal).sum())):
            ahead = self.levelled(slope * self.scale, np.zeros(room.shape), free, shut)
            ahead = np.divide(ahead, self.scale, out=np.zeros(ahead.shape), where=self.scale > 0)
            pushed = edge & ~shut & (row_products(ahead, self.weights * self.scale) > 0)
            if not pushed.any():
                break
            shut = shut | pushed
        # What is left of a slope that was all normal is rounding.
        size = np.abs(slope).max(axis=1, initial=0.0, keepdims=True)
        return np.where(np.abs(ahead) > CLOSE * size, ahead, 0.0)

    def nearest(
        self,
        moves: FloatArray,
        room: FloatArray,
        *,
        free: BoolArray,
        low: FloatArray,
        high: FloatArray,
        inside: Callable[[FloatArray], FloatArray],
    ) -> FloatArray:
        """Moves near given ones that keep the relations and a box, nearest in units of the budget as far as is known.

        Alternating projections with corrections onto the relations and the ball (Boyle and Dykstra 1986); then features
        beyond the box stay at its edge, and the others close the gap.

        Args:
            moves: Wished moves (m, d).
            room: See `room` (m, r).
            free: Features that may be corrected (m, d).
            low: Lower edges (m, d), at most 0.
            high: Upper edges (m, d), at least 0.
            inside: Projection onto ball and box.

        Returns:
            Moves (m, d) inside the box; inside the ball up to rounding and what the rounds left.
        """
        level, ball = self._alternated(moves, room, free, inside)
        moves = self._cornered(np.where(np.abs(level - ball) <= CLOSE * self.scale, ball, level), room, free, low, high)
        lost = self.broken(moves, room)
        if lost.any():
            moves[lost] = self.shrunk(level[lost], low[lost], high[lost])
        return moves

    def shrunk(self, moves: FloatArray, low: FloatArray, high: FloatArray) -> FloatArray:
        """Moves shortened until they are inside a box: features that hang together by one share."""
        share = np.ones(moves.shape)
        np.divide(high, moves, out=share, where=moves > high)
        np.divide(low, moves, out=share, where=moves < low)
        for part in range(self.parts.max(initial=-1) + 1):
            columns = np.flatnonzero(self.parts == part)
            share[:, columns] = share[:, columns].min(axis=1, keepdims=True)
        return np.clip(moves * share, low, high)

    def _alternated(
        self, moves: FloatArray, room: FloatArray, free: BoolArray, inside: Callable[[FloatArray], FloatArray]
    ) -> tuple[FloatArray, FloatArray]:
        """The last point of alternating projections on the relations, and the last on the ball."""
        bound = np.isfinite(room)
        active = bound & self.equal
        inverse = self.normals(free, active)
        ways = [(int(i), self._way(int(i), free, active, inverse)) for i in np.flatnonzero(~self.equal)]
        ball, back, level = moves, np.zeros(moves.shape), moves
        # What a row has come to stays so, however long others take.
        found, settled = (level, ball), np.zeros(len(moves), dtype=bool)
        shifts = np.zeros((len(ways), len(moves)))
        for _ in range(_ROUNDS):
            level = self.levelled(ball, room, free, active, inverse)
            for k, (i, way) in enumerate(ways):
                rise = np.broadcast_to(row_products(way, self.weights[i]), (len(moves),))
                level = level + shifts[k][:, None] * way
                total, spare = row_products(level, self.weights[i]), np.where(bound[:, i], room[:, i], 0.0)
                over = np.where(bound[:, i], total - spare, 0.0)
                shifts[k] = np.divide(np.maximum(over, 0.0), rise, out=np.zeros(len(moves)), where=rise > _SINGULAR)
                level = level - shifts[k][:, None] * way
            ball = inside(level + back)
            back = level + back - ball
            found = np.where(settled[:, None], found[0], level), np.where(settled[:, None], found[1], ball)
            settled |= ~(np.abs(level - ball) > CLOSE * self.scale).any(axis=1)
            if settled.all():
                break
        return found

    def _way(self, i: int, free: BoolArray, active: BoolArray, inverse: FloatArray) -> FloatArray:
        """The way off one half-space that keeps the equalities (m, d)."""
        normal = free * self.weights[i] * self.scale**2
        return self.levelled(normal, np.zeros(active.shape), free, active, inverse)

    def _cornered(
        self, moves: FloatArray, room: FloatArray, free: BoolArray, low: FloatArray, high: FloatArray
    ) -> FloatArray:
        """Moves inside a box, relations kept by the features that are not at its edges."""
        held, bound = ~free, np.isfinite(room)
        found, settled = moves, np.zeros(len(moves), dtype=bool)
        for _ in range(_CORRECTIONS):
            boxed = np.clip(moves, low, high)
            held = held | (moves != boxed)
            gaps = row_products(boxed, self.weights) - np.where(bound, room, 0.0)
            active = bound & (self.equal | (gaps > -CLOSE))
            moves = self.levelled(boxed, room, ~held, active)
            found = np.where(settled[:, None], found, moves)
            settled |= ~((moves < low) | (moves > high)).any(axis=1) & ~self.broken(moves, room)
            if settled.all():
                break
        return np.clip(found, low, high)


def planes_of(schema: FeatureSchema, eps: FloatArray) -> Planes | None:
    """The relations that moves can break; None where there are none.

    Args:
        schema: The features.
        eps: Budget of each feature (d,).
    """
    rows: list[FloatArray] = []
    rest: list[tuple[float, bool]] = []
    parts = np.arange(schema.width)
    related = np.zeros(schema.width, dtype=bool)
    for relation in schema.relations:
        line = np.zeros(schema.width)
        line[list(relation.columns)] = relation.weights
        length = float(np.sqrt(np.sum((line * eps) ** 2)))
        if length == 0:
            continue
        rows.append(line / length)
        rest.append((relation.constant / length, relation.equality))
        columns = list(relation.columns)
        related[columns] = True
        parts[np.isin(parts, parts[columns])] = parts[columns[0]]
    if not rows:
        return None
    for _, members in schema.groups:
        if related[list(members)].any():
            related |= np.isin(parts, parts[list(members)])
            parts[np.isin(parts, parts[list(members)])] = parts[members[0]]
    numbers = np.unique(parts[related], return_inverse=True)[1]
    places = np.full(schema.width, -1)
    places[related] = numbers
    return Planes(
        weights=np.array(rows),
        constants=np.array([constant for constant, _ in rest]),
        equal=np.array([equal for _, equal in rest]),
        scale=eps,
        parts=places,
    )
