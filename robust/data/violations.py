"""Where rows break their schema, in words."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from robust.types import AnyArray, BoolArray, FloatArray

if TYPE_CHECKING:
    from robust.data.schema import FeatureSchema

_MOST = 3  # features named in one sentence each; more of the same sort would only repeat it


def find_violations(schema: "FeatureSchema", rows: AnyArray) -> list[str]:
    """Ways in which rows (n, d) break a schema, one sentence each; empty when they obey it."""
    if len(rows) == 0:
        return []
    return [*_outside(schema, rows), *_wrong_kind(schema, rows), *_wrong_sums(schema, rows)]


def as_stored(bounds: FloatArray, dtype: "np.dtype[np.generic]") -> FloatArray:
    """Bounds as rows of `dtype` can hold them.

    A float32 row clipped to 0.1 holds 0.100000001490116: it sits on its bound, not above it.

    >>> float(as_stored(np.array([0.1]), np.dtype("f4"))[0]) == float(np.float32(0.1))
    True
    """
    return bounds.astype(dtype) if dtype.kind == "f" else bounds


def _outside(schema: "FeatureSchema", rows: AnyArray) -> list[str]:
    """Features below or above their bounds."""
    found = []
    lower, upper = as_stored(schema.lower, rows.dtype), as_stored(schema.upper, rows.dtype)
    # One reduction over the rows instead of two (n, d) masks: images are wide. fmin and fmax pass over NaN.
    low, high = np.fmin.reduce(rows, axis=0), np.fmax.reduce(rows, axis=0)
    for j in np.flatnonzero(low < lower)[:_MOST]:
        count = int(np.sum(rows[:, j] < lower[j]))
        found.append(f"feature {schema.names[j]!r} is below its bound {lower[j]} in {_rows(count)} (worst {low[j]})")
    for j in np.flatnonzero(high > upper)[:_MOST]:
        count = int(np.sum(rows[:, j] > upper[j]))
        found.append(f"feature {schema.names[j]!r} is above its bound {upper[j]} in {_rows(count)} (worst {high[j]})")
    return found


def _wrong_kind(schema: "FeatureSchema", rows: AnyArray) -> list[str]:
    """Features whose values are not of their kind."""
    found: list[str] = []
    whole = np.flatnonzero(schema.mask("integer", "categorical"))
    fractions = _broken(rows, whole, lambda values: values != np.rint(values))
    found += [f"feature {schema.names[j]!r} is {schema.kinds[j]} but has fractions" for j in fractions[:_MOST]]
    two = np.flatnonzero(schema.mask("binary", "one_hot"))
    other = _broken(rows, two, lambda values: (values != 0) & (values != 1))
    found += [
        f"feature {schema.names[j]!r} is {schema.kinds[j]} but has values other than 0 and 1" for j in other[:_MOST]
    ]
    return found


def _wrong_sums(schema: "FeatureSchema", rows: AnyArray) -> list[str]:
    """One-hot groups and relations that do not hold."""
    found = []
    for name, members in schema.groups:
        wrong = int(np.sum(rows[:, list(members)].sum(axis=1) != 1))
        if wrong:
            found.append(f"one-hot group {name!r} does not sum to 1 in {_rows(wrong)}")
    for relation in schema.relations:
        wrong = int(relation.violated(rows).sum())
        if wrong:
            found.append(f"relation {relation.text!r} is broken in {_rows(wrong)}")
    return found


def _broken(rows: AnyArray, columns: AnyArray, wrong: Callable[[AnyArray], BoolArray]) -> list[int]:
    """Those of `columns` in which a value that is not missing is wrong."""
    found = []
    for j in columns.tolist():
        values = rows[:, j]
        if np.any(wrong(values) & (values == values)):
            found.append(j)
    return found


def _rows(count: int) -> str:
    """A count of rows."""
    return f"{count} row{'' if count == 1 else 's'}"
