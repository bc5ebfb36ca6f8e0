"""A check, written apart from the attacks, that adversarial rows keep to their budget and to the schema."""

import numpy as np

from robust.attacks.categories import codes_of
from robust.attacks.rounding import beyond, overspent
from robust.data.budget import Eps, category_eps, feature_eps
from robust.data.schema import FeatureSchema
from robust.types import AnyArray, BoolArray, Norm


def obeys(x_adv: AnyArray, x: AnyArray, schema: FeatureSchema, *, eps: Eps, norm: Norm) -> BoolArray:
    """Which rows moved no farther than they may.

    linf: |x'_j − x_j| ≤ eps_j, in exact arithmetic; l2: Σ ((x'_j − x_j)/eps_j)² ≤ 1; l1: Σ |x'_j − x_j|/eps_j ≤ 1;
    features with no budget are equal, missing values stay missing, bounds hold, whole features stay whole,
    one-hot groups sum to 1, categories are ones that there are, at a move of length 1, and relations hold.

    Args:
        x_adv: Rows (n, *row shape).
        x: Original rows, of the same shape and type.
        schema: The features.
        eps: The budget, in the user's units.
        norm: `linf`, `l2` or `l1`.

    Returns:
        Which rows obey (n,).

    >>> from robust.data.schema import build_schema
    >>> schema = build_schema({"bounds": (0, 1)}, names=["a"], shape=(1,))
    >>> x = np.array([[0.5], [0.95], [0.5]])
    >>> obeys(x + np.array([[0.1], [0.1], [0.2]]), x, schema, eps=0.11, norm="linf")
    array([ True, False, False])
    """
    new, old = schema.flat(x_adv), schema.flat(x)
    same = (new == old) | (np.isnan(new) & np.isnan(old))
    known, moved, codes = _of_its_codes(new, same, schema), new, category_eps(eps, schema)
    budget = feature_eps(eps, schema) + codes
    if codes.any():  # another category is a move of length 1
        new = np.where((codes > 0) & ~same & ~np.isnan(new) & ~np.isnan(old), old.astype(np.float64) + 1, new)
    good: BoolArray = np.all(same | ((budget > 0) & ~np.isnan(new) & ~np.isnan(old)), axis=1)
    if norm == "linf":
        good &= ~np.any(beyond(new, old, budget) & ~same, axis=1)
    else:
        gap = np.where(same, 0.0, new.astype(np.float64) - old.astype(np.float64))
        good &= ~overspent(np.where(budget > 0, gap, 0.0), budget, power=2 if norm == "l2" else 1)
    new = moved
    good &= known & ~np.any((new < schema.lower) | (new > schema.upper), axis=1)
    whole = schema.mask("integer", "categorical", "binary", "one_hot")
    good &= ~np.any(~same & whole & (new != np.rint(new)), axis=1)
    good &= ~np.any(~same & schema.mask("binary", "one_hot") & (new != 0) & (new != 1), axis=1)
    for _, members in schema.groups:
        good &= new[:, list(members)].sum(axis=1) == old[:, list(members)].sum(axis=1)
    for relation in schema.relations:
        good &= ~relation.violated(new) | np.all(same, axis=1)
    return good


def _of_its_codes(new: AnyArray, same: BoolArray, schema: FeatureSchema) -> BoolArray:
    """Which rows have no category that is none (n,)."""
    good = np.ones(len(new), dtype=bool)
    for feature in np.flatnonzero(schema.mask("categorical") & ~same.all(axis=0)):
        good &= same[:, feature] | np.isin(new[:, feature], codes_of(schema, int(feature)))
    return good
