"""Features that relations tie together: random points of the polytope that their relations and bounds leave."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from robust.data.relations import Relation
from robust.data.schema import FeatureSchema
from robust.types import AnyArray, BoolArray, FloatArray

_STEPS = 4
_SLACK = 1e-9


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LinkedFeatures:
    """One connected set of features; random points are found by walking from known ones (hit and run).

    Source: Smith (1984), Operations Research 32:1296: from a point inside, a uniform step along a random direction.

    Args:
        columns: The features (c,).
        relations: The relations, over all d features.
        sums: Weights of all relations (r, c); equalities first.
        totals: Σ w_j x_j that each must have at most, or exactly (r,).
        equalities: How many of the relations are equalities.
        free: Directions that keep all equalities (q, c), orthonormal.
        lower: Lower bounds (c,).
        upper: Upper bounds (c,).
        whole: Which take whole numbers (c,).
        starts: Points that obey all (m, c).
    """

    columns: AnyArray
    relations: tuple[Relation, ...]
    sums: FloatArray
    totals: FloatArray
    equalities: int
    free: FloatArray
    lower: FloatArray
    upper: FloatArray
    whole: BoolArray
    starts: FloatArray

    @property
    def numbers(self) -> int:
        """Random numbers that one point takes."""
        return 1 + _STEPS * (len(self.free) + 1)

    def draw(self, uniform: FloatArray, dtype: "np.dtype[Any]", *, ends: bool = False) -> AnyArray:
        """Random points.

        Args:
            uniform: Uniform numbers (m, numbers).
            dtype: Number type of the rows, which the relations are verified in.
            ends: Whether each step goes to the end of its line, where a bound or a relation is met.

        Returns:
            Points (m, c) that obey relations and bounds.
        """
        start = self.starts[(uniform[:, 0] * len(self.starts)).astype(np.intp)]
        point = start.copy()
        each = uniform[:, 1:].reshape(len(uniform), _STEPS, -1).astype(np.float64)
        for step in range(_STEPS if len(self.free) else 0):
            direction = (each[:, step, :-1] - 0.5) @ self.free
            low, high = self._room(point, direction)
            share = np.round(each[:, step, -1]) if ends else each[:, step, -1]
            point += (low + share * (high - low))[:, None] * direction
        found = self._finished(point).astype(dtype)
        fine = self.obeyed(found)
        return np.where(fine[:, None], found, start.astype(dtype))

    def obeyed(self, points: AnyArray) -> BoolArray:
        """Which points (m, c), in the number type of the rows, obey relations, bounds and kinds (m,)."""
        wide = np.zeros((len(points), 1 + int(self.columns.max())))
        wide[:, self.columns] = points
        inside = (points >= self.lower.astype(points.dtype)) & (points <= self.upper.astype(points.dtype))
        fine: BoolArray = np.all(inside, axis=1)
        fine &= (~self.whole | (points == np.rint(points))).all(axis=1)
        for relation in self.relations:
            fine &= ~relation.violated(wide)
        return fine

    def _room(self, point: FloatArray, direction: FloatArray) -> tuple[FloatArray, FloatArray]:
        """How far each point may go, backwards and forwards (m,)."""
        slopes, gaps = direction @ self.sums.T, self.totals - point @ self.sums.T
        slopes, gaps = slopes[:, self.equalities :], np.maximum(gaps[:, self.equalities :], 0.0)
        rates = np.concatenate([slopes, direction, -direction], axis=1)
        rooms = np.concatenate([gaps, self.upper - point, point - self.lower], axis=1)
        rooms = np.maximum(rooms, 0.0)
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            reach = rooms / rates
        high = np.where(rates > _SLACK, reach, np.inf).min(axis=1)
        low = np.where(rates < -_SLACK, reach, -np.inf).max(axis=1)
        still = ~(np.isfinite(low) & np.isfinite(high))
        return np.where(still, 0.0, low), np.where(still, 0.0, high)

    def _finished(self, point: FloatArray) -> FloatArray:
        """Points with whole numbers where they belong; each equality is then solved for its first feature."""
        point = np.clip(np.where(self.whole, np.rint(point), point), self.lower, self.upper)
        for weights, total in zip(self.sums[: self.equalities], self.totals[: self.equalities], strict=True):
            pivot = int(np.flatnonzero(weights)[0])
            point[:, pivot] += (total - point @ weights) / weights[pivot]
        return point


def linked_features(
    schema: FeatureSchema, rows: AnyArray, *, lower: FloatArray, upper: FloatArray, whole: BoolArray
) -> tuple[LinkedFeatures, ...]:
    """The connected sets of features that a schema's relations make.

    Args:
        schema: The features.
        rows: Rows (m, d) that obey it.
        lower: Finite lower bounds (d,).
        upper: Finite upper bounds (d,).
        whole: Which features take whole numbers (d,).
    """
    return tuple(
        _linked(columns, relations, rows, lower=lower, upper=upper, whole=whole)
        for columns, relations in _components(schema.relations)
    )


def _components(relations: tuple[Relation, ...]) -> list[tuple[list[int], list[Relation]]]:
    """Relations that share features, together."""
    found: list[tuple[list[int], list[Relation]]] = []
    for relation in relations:
        touched = [part for part in found if set(part[0]) & set(relation.columns)]
        columns = sorted({*relation.columns, *(j for part in touched for j in part[0])})
        together = [*(other for part in touched for other in part[1]), relation]
        found = [part for part in found if part not in touched] + [(columns, together)]
    return found


def _linked(
    columns: list[int],
    relations: list[Relation],
    rows: AnyArray,
    *,
    lower: FloatArray,
    upper: FloatArray,
    whole: BoolArray,
) -> LinkedFeatures:
    ordered = sorted(relations, key=lambda relation: not relation.equality)
    sums, totals = np.zeros((len(ordered), len(columns))), np.zeros(len(ordered))
    for i, relation in enumerate(ordered):
        sums[i, [columns.index(j) for j in relation.columns]] = relation.weights
        totals[i] = -relation.constant
    equalities = sum(relation.equality for relation in ordered)
    starts = rows[:, columns].astype(np.float64)
    return LinkedFeatures(
        columns=np.array(columns),
        relations=tuple(relations),
        sums=sums,
        totals=totals,
        equalities=equalities,
        free=_kept_directions(sums[:equalities], len(columns)),
        lower=lower[columns],
        upper=upper[columns],
        whole=whole[columns],
        starts=starts[np.isfinite(starts).all(axis=1)],
    )


def _kept_directions(sums: FloatArray, width: int) -> FloatArray:
    """An orthonormal basis of the directions that change no sum (q, c)."""
    if not len(sums):
        return np.eye(width)
    _, sizes, rows = np.linalg.svd(sums, full_matrices=True)
    rank = int((sizes > _SLACK * sizes.max()).sum())
    return np.asarray(rows[rank:])
