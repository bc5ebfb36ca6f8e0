"""Inequalities between features hold in the numbers that are handed out, not only up to rounding."""

import numpy as np

from robust.data.relations import Relation
from robust.data.schema import FeatureSchema
from robust.types import AnyArray, BoolArray, FloatArray

# Steps back, each twice as long as the one before, and rounds over all relations, since one may undo another.
_STEPS, _ROUNDS = 8, 3


def inequalities_kept(rows: AnyArray, x: AnyArray, schema: FeatureSchema) -> AnyArray:
    """Rows that break no inequality, where they did by rounding.

    The continuous feature of the relation that has moved most against it takes steps back towards where it was, from a
    rounding of its own on, until the sum is on the right side: of all terms, and of those on either side, in double
    precision and in that of the rows. Such a step leaves neither budget nor bounds, and equalities within their
    tolerance. An original row that breaks a relation by rounding may not break it more.

    Args:
        rows: Rows (n, d) that keep to the schema within its tolerances.
        x: Where they come from (n, d), of the same type.
        schema: The features.

    Returns:
        The rows (n, d); one for which no step is enough stays where it was.

    >>> from robust.data.schema import build_schema
    >>> schema = build_schema({"relations": ["a <= b"]}, names=["a", "b"], shape=(2,))
    >>> above = np.array([[np.nextafter(0.5, 1.0), 0.5]])
    >>> inequalities_kept(above, np.array([[0.4, 0.6]]), schema)
    array([[0.5, 0.5]])
    """
    relations = [relation for relation in schema.relations if not relation.equality]
    if rows.dtype.kind != "f" or not relations:
        return rows
    limits = [np.maximum(_excess(relation, x), 0.0) for relation in relations]
    over = np.any([_excess(one, rows) > limit for one, limit in zip(relations, limits, strict=True)], axis=0)
    some = np.flatnonzero(over)
    if not len(some):
        return rows
    part, origin, found = rows[some].copy(), x[some], rows.copy()
    movable = ~schema.mask("integer", "categorical", "binary", "one_hot")
    for _ in range(_ROUNDS):
        for relation, limit in zip(relations, limits, strict=True):
            _step_back(relation, part, origin, limit[some], movable)
    still = np.any([_excess(one, part) > limit[some] for one, limit in zip(relations, limits, strict=True)], axis=0)
    found[some] = np.where(still[:, None], origin, part)
    return found


def _step_back(relation: Relation, rows: AnyArray, x: AnyArray, limit: FloatArray, movable: BoolArray) -> None:
    """Move rows (m, d) in place until they keep one relation."""
    columns, weights = np.array(relation.columns), np.array(relation.weights)
    for turn in range(_STEPS):
        excess = _excess(relation, rows) - limit
        bad = np.flatnonzero(excess > 0)
        if not len(bad):
            return
        new, old = rows[np.ix_(bad, columns)], x[np.ix_(bad, columns)]
        against = np.where(movable[columns], weights * (new.astype(np.float64) - old), 0.0)
        which = np.nan_to_num(against, nan=0.0).argmax(axis=1)
        each = np.arange(len(bad))
        value, back = new[each, which], old[each, which]
        size = np.maximum(2.0**turn * excess[bad] / np.abs(weights[which]), 0.0)
        to = (value.astype(np.float64) - np.sign(weights[which]) * size).astype(rows.dtype)
        to = np.where(to == value, np.nextafter(value, back), to)
        to = np.clip(to, np.minimum(value, back), np.maximum(value, back))
        able = against[each, which] > 0
        rows[bad[able], columns[which[able]]] = to[able]


def _excess(relation: Relation, rows: AnyArray) -> FloatArray:
    """By how much rows (n, d) break an inequality at most, however it is summed (n,); −inf where a value is missing."""
    found = []
    for kind in {np.dtype(np.float64), rows.dtype}:
        pairs = zip(relation.columns, relation.weights, strict=True)
        terms = [rows[:, j].astype(kind) * kind.type(weight) for j, weight in pairs]
        constant, nothing = kind.type(relation.constant), kind.type(0)
        signs = np.array(relation.weights) > 0
        left = sum((term for term, own in zip(terms, signs, strict=True) if own), max(constant, nothing))
        right = sum((-term for term, own in zip(terms, signs, strict=True) if not own), max(-constant, nothing))
        found += [sum(terms, constant), left - right]
    worst = np.max(np.broadcast_arrays(*found), axis=0).astype(np.float64)
    return np.where(np.isnan(worst), -np.inf, worst)
