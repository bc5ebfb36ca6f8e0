"""How far adversarial rows were moved."""

import numpy as np

from robust.data.budget import Eps, category_eps, feature_eps
from robust.data.schema import FeatureSchema
from robust.types import AnyArray, FloatArray, Norm


def change_sizes(new: AnyArray, old: AnyArray, *, norm: Norm) -> FloatArray:
    """How far each row was moved.

    linf: max_j |δ_j|; l2: √Σ δ_j²; l1: Σ |δ_j|; missing values do not move

    Args:
        new: Rows (n, d), in the user's units.
        old: The same rows before.
        norm: Which norm.

    Returns:
        Norms (n,), at least 0, in the same units.

    >>> change_sizes(np.array([[3.0, 5.0]]), np.array([[0.0, 1.0]]), norm="l2").tolist()
    [5.0]
    """
    change = np.abs(np.nan_to_num(new.astype(np.float64) - old.astype(np.float64)))
    if norm == "l2":
        return np.asarray(np.sqrt(np.sum(change**2, axis=1)))
    return np.asarray(change.max(axis=1, initial=0.0) if norm == "linf" else change.sum(axis=1))


def sizes_in(x: AnyArray, near: AnyArray, schema: FeatureSchema, eps: Eps, *, norm: Norm) -> tuple[FloatArray, str]:
    """How large changes are (m,), and in what; features with budgets of their own are counted in these.

    Args:
        x: Rows (m, d).
        near: What they became (m, d).
        schema: The features.
        eps: The budget.
        norm: Which norm.
    """
    if not isinstance(eps, dict):
        return change_sizes(near, x, norm=norm), f"{norm} norm of the change"
    budget = feature_eps(eps, schema) + category_eps(eps, schema)
    moves = budget > 0
    change = np.abs(near.astype(np.float64) - x.astype(np.float64))
    coded = schema.mask("categorical")
    change[:, coded] = change[:, coded] > 0  # codes have no distance
    spent = change[:, moves] / budget[moves]
    return change_sizes(spent, np.zeros_like(spent), norm=norm), f"share of eps, {norm} norm"
