"""Categorical features under attack: codes have no distance, so a change has a price, and any category may follow."""

import numpy as np

from robust.data.schema import FeatureSchema
from robust.types import AnyArray, BoolArray, FloatArray, IntArray, Norm


def codes_of(schema: FeatureSchema, feature: int) -> FloatArray:
    """The codes that a categorical feature may take (k,): those of its labels, or the whole numbers in its bounds.

    Empty where neither is known: then no other category is known either.
    """
    labels = dict(schema.categories).get(feature)
    if labels is not None:
        return np.arange(len(labels), dtype=np.float64)
    low, high = np.ceil(schema.lower[feature]), np.floor(schema.upper[feature])
    return np.arange(low, high + 1.0) if np.isfinite(low) and np.isfinite(high) else np.empty(0)


def spent_on(changed: BoolArray, eps: FloatArray, norm: Norm) -> FloatArray:
    """What changes of category cost.

    Args:
        changed: Which of c categorical features change (m, c).
        eps: Their budgets (c,), above 0.
        norm: The norm.

    Returns:
        Shares of the budget (m,): l1 Σ 1/eps_j, l2 Σ 1/eps_j², both affordable up to 1; linf 0, or inf for a feature
        that may not change.

    >>> spent_on(np.array([[True, False], [True, True]]), np.array([2.0, 1.0]), "l2")
    array([0.25, 1.25])
    """
    if norm == "linf":
        return np.where((changed & (eps < 1)).any(axis=1), np.inf, 0.0)
    return np.asarray((changed / eps ** (2.0 if norm == "l2" else 1.0)).sum(axis=1))


def drawn_codes(x: AnyArray, codes: FloatArray, u: FloatArray) -> FloatArray:
    """Another category for each row: uniform among those that are not its own.

    Args:
        x: The rows' codes (m,).
        codes: All codes (k,).
        u: Uniform numbers in [0, 1) (m,).

    Returns:
        Codes (m,); the row's own where there is no other.
    """
    if len(codes) == 0:
        return x.astype(np.float64)
    own: IntArray = np.searchsorted(codes, x)
    known = (own < len(codes)) & (codes[np.minimum(own, len(codes) - 1)] == x)
    others = len(codes) - known.astype(int)
    place = np.floor(u * others).astype(int)
    place += known & (place >= own)
    return np.where(others > 0, codes[np.minimum(place, len(codes) - 1)], x)
