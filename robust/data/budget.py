"""How far an attack may go: `eps` as users write it, and as one number a feature."""

import math
from collections.abc import Mapping
from numbers import Integral
from typing import TypeAlias, get_args

import numpy as np

from robust.data.schema import FeatureSchema
from robust.errors import InvalidInput
from robust.limits import is_number
from robust.types import FloatArray, Norm

Eps: TypeAlias = float | Mapping[str, float]
# Sizes whose squares and inverses are numbers, also beside those of a feature in single precision.
_SMALLEST, _LARGEST = 1e-30, 1e30
NORMS: tuple[Norm, ...] = get_args(Norm)


def read_eps(eps: object, *, name: str = "eps") -> Eps | None:
    """Check a budget and give it back as Python floats.

    Args:
        eps: None (a template), a number for all features, or numbers by feature name; in the user's units.
        name: What the user calls it.

    Returns:
        The same, as a float or a dict of floats.

    Raises:
        InvalidInput: If a number is negative, not finite, of a size that overflows, or no number, or a dict is empty or
            has other keys than names.

    >>> read_eps({"age": 1})
    {'age': 1.0}
    """
    if eps is None:
        return None
    if not isinstance(eps, Mapping):
        return _amount(eps, name)
    if not eps:
        raise InvalidInput(f"{name} got an empty dict; one number or {{feature name: number, …}} would be right")
    for feature in eps:
        if not isinstance(feature, str):
            raise InvalidInput(f"{name} got the key {feature!r}; names of features would be right")
    return {feature: _amount(amount, f"{name}[{feature!r}]") for feature, amount in eps.items()}


def scaled_eps(eps: Eps, factor: float) -> Eps:
    """A multiple of a budget, no smaller or larger than a budget may be; what is 0 stays 0.

    Args:
        eps: A number, or numbers by feature name.
        factor: Above 0.

    >>> scaled_eps(1e30, 1.5), scaled_eps({"age": 2.0}, 0.5)
    (1e+30, {'age': 1.0})
    """
    if isinstance(eps, Mapping):
        return {name: as_budget(amount * factor) for name, amount in eps.items()}
    return as_budget(eps * factor)


def as_budget(size: float) -> float:
    """The nearest size that a budget may have, to one that was computed; what is 0 stays 0.

    >>> as_budget(1e40), as_budget(1e-40)
    (1e+30, 1e-30)
    """
    return float(min(max(size, _SMALLEST), _LARGEST)) if size else 0.0


def require_eps(eps: object, *, name: str = "eps") -> Eps:
    """Check a budget that has to be there.

    Raises:
        InvalidInput: If there is none, or `read_eps` does not take it.
    """
    budget = read_eps(eps, name=name)
    if budget is None:
        raise InvalidInput(
            f"{name} got None; one number, or numbers by feature name, in the data's units, would be right"
        )
    return budget


def read_norm(norm: object) -> Norm:
    """Check the name of a norm.

    Raises:
        InvalidInput: If it is unknown.
    """
    for known in NORMS:
        if norm == known:
            return known
    raise InvalidInput(f"norm got {norm!r}; one of {', '.join(map(repr, NORMS))} would be right")


def read_count(count: object, what: str) -> int:
    """Check a number of steps, draws or restarts.

    Raises:
        InvalidInput: If it is no whole number of at least 1.
    """
    if isinstance(count, bool) or not isinstance(count, Integral) or count < 1:
        raise InvalidInput(f"{what} got {count!r}; a whole number of at least 1 would be right")
    return int(count)


def read_share(share: object, what: str) -> float:
    """Check a positive number, such as a step in units of eps.

    Raises:
        InvalidInput: If it is no finite number above 0.
    """
    number = float(share) if is_number(share) else math.nan
    if not (math.isfinite(number) and number > 0):
        raise InvalidInput(f"{what} got {share!r}; a finite number above 0 would be right")
    return number


def feature_eps(eps: Eps, schema: FeatureSchema) -> FloatArray:
    """The budget of each feature; 0 for features that must stay.

    These are immutable ones, categorical ones (their codes have no distance), and those that a dict does not
    name.

    Args:
        eps: A number, or numbers by feature name.
        schema: The features.

    Returns:
        Budgets (d,), in the user's units, at least 0.

    Raises:
        InvalidInput: If a name is no feature.
    """
    if isinstance(eps, Mapping):
        budget = np.zeros(schema.width)
        for name, amount in eps.items():
            budget[schema.index(name)] = amount
    else:
        budget = np.full(schema.width, float(eps))
    budget[schema.immutable | schema.mask("categorical")] = 0.0
    return budget


def category_eps(eps: Eps | None, schema: FeatureSchema) -> FloatArray:
    """The budget of each categorical feature; 0 for every other one.

    A change of category is a move of length 1, to whatever category: `linf` allows it if eps_j ≥ 1, `l2` and `l1`
    charge (1/eps_j)^p of the budget. One number for all features is in the units of the continuous ones and buys no
    category; a feature that may change its category is named.

    Args:
        eps: A number, or numbers by feature name.
        schema: The features.

    Returns:
        Budgets (d,), at least 0.

    >>> from robust.data.schema import build_schema
    >>> schema = build_schema({"hue": {"categories": ["red", "blue"]}}, names=["hue", "size"], shape=(2,))
    >>> category_eps({"hue": 1}, schema), category_eps(1.0, schema)
    (array([1., 0.]), array([0., 0.]))
    """
    budget = np.zeros(schema.width)
    if isinstance(eps, Mapping):
        for name, amount in eps.items():
            budget[schema.index(name)] = amount
    return np.where(schema.mask("categorical") & ~schema.immutable & (budget > 0), budget, 0.0)


def every_eps(eps: Eps, schema: FeatureSchema) -> FloatArray:
    """The budget of each feature, categorical ones that are named included (d,).

    Args:
        eps: A number, or numbers by feature name.
        schema: The features.

    Raises:
        InvalidInput: If a name is no feature.
    """
    return feature_eps(eps, schema) + category_eps(eps, schema)


def _amount(value: object, what: str) -> float:
    """One budget: a finite number, at least 0."""
    number = float(value) if is_number(value) else math.nan
    if not (math.isfinite(number) and number >= 0):
        raise InvalidInput(f"{what} got {value!r}; a finite number of at least 0, in the data's units, would be right")
    if number and not _SMALLEST <= number <= _LARGEST:
        raise InvalidInput(
            f"{what} got {value!r}; 0, or a number between {_SMALLEST:g} and {_LARGEST:g} would be right: steps of "
            "other sizes overflow or vanish, so declare the data in another unit"
        )
    return number
