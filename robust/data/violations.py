"""Where rows break their schema, in words."""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from robust.data.large import row_blocks
from robust.types import AnyArray, BoolArray, FloatArray, IntArray

if TYPE_CHECKING:
    from robust.data.schema import FeatureSchema

Blocks: TypeAlias = Callable[[], Iterator[AnyArray]]  # rows as (b, d), block by block, from the start each time
_MOST = 3  # features named in one sentence each; more of the same sort would only repeat it


def find_violations(schema: "FeatureSchema", x: AnyArray) -> list[str]:
    """Ways in which rows (n, …) break a schema, one sentence each; empty when they obey it."""
    if len(x) == 0:
        return []

    def blocks() -> Iterator[AnyArray]:
        return (schema.flat(x[block]) for block in row_blocks(x))

    return [*_outside(schema, x.dtype, blocks), *_wrong_kind(schema, blocks), *_wrong_sums(schema, blocks)]


def as_stored(bounds: FloatArray, dtype: "np.dtype[np.generic]") -> FloatArray:
    """Bounds as rows of `dtype` can hold them.

    A float32 row clipped to 0.1 holds 0.100000001490116: it sits on its bound, not above it.

    >>> float(as_stored(np.array([0.1]), np.dtype("f4"))[0]) == float(np.float32(0.1))
    True
    """
    return bounds.astype(dtype) if dtype.kind == "f" else bounds


def _outside(schema: "FeatureSchema", dtype: "np.dtype[Any]", blocks: Blocks) -> list[str]:
    """Features below or above their bounds."""
    found = []
    lower, upper = as_stored(schema.lower, dtype), as_stored(schema.upper, dtype)
    # Reductions over the rows instead of two (n, d) masks: images are wide. fmin and fmax pass over NaN.
    low, high = _extremes(blocks())
    for j in np.flatnonzero(low < lower)[:_MOST]:
        count = sum(int(np.sum(rows[:, j] < lower[j])) for rows in blocks())
        found.append(f"feature {schema.names[j]!r} is below its bound {lower[j]} in {_rows(count)} (worst {low[j]})")
    for j in np.flatnonzero(high > upper)[:_MOST]:
        count = sum(int(np.sum(rows[:, j] > upper[j])) for rows in blocks())
        found.append(f"feature {schema.names[j]!r} is above its bound {upper[j]} in {_rows(count)} (worst {high[j]})")
    return found


def _extremes(blocks: Iterator[AnyArray]) -> tuple[AnyArray, AnyArray]:
    """Least and largest value of each feature, NaN where all are missing."""
    rows = next(blocks)
    low, high = np.fmin.reduce(rows, axis=0), np.fmax.reduce(rows, axis=0)
    for rows in blocks:
        low, high = np.fmin(low, np.fmin.reduce(rows, axis=0)), np.fmax(high, np.fmax.reduce(rows, axis=0))
    return low, high


def _wrong_kind(schema: "FeatureSchema", blocks: Blocks) -> list[str]:
    """Features whose values are not of their kind."""
    found: list[str] = []
    whole = np.flatnonzero(schema.mask("integer", "categorical"))
    fractions = _broken(blocks, whole, lambda values: values != np.rint(values))
    found += [f"feature {schema.names[j]!r} is {schema.kinds[j]} but has fractions" for j in fractions[:_MOST]]
    two = np.flatnonzero(schema.mask("binary", "one_hot"))
    other = _broken(blocks, two, lambda values: (values != 0) & (values != 1))
    found += [
        f"feature {schema.names[j]!r} is {schema.kinds[j]} but has values other than 0 and 1" for j in other[:_MOST]
    ]
    return found


def _wrong_sums(schema: "FeatureSchema", blocks: Blocks) -> list[str]:
    """One-hot groups and relations that do not hold."""
    found = []
    for name, members in schema.groups:
        wrong = sum(int(np.sum(rows[:, list(members)].sum(axis=1) != 1)) for rows in blocks())
        if wrong:
            found.append(f"one-hot group {name!r} does not sum to 1 in {_rows(wrong)}")
    for relation in schema.relations:
        wrong = sum(int(relation.violated(rows).sum()) for rows in blocks())
        if wrong:
            found.append(f"relation {relation.text!r} is broken in {_rows(wrong)}")
    return found


def _broken(blocks: Blocks, columns: IntArray, wrong: Callable[[AnyArray], BoolArray]) -> list[int]:
    """Those of `columns` in which a value that is not missing is wrong."""
    if not len(columns):
        return []
    found = np.zeros(len(columns), dtype=bool)
    for rows in blocks():
        values = rows[:, columns]
        found |= np.any(wrong(values) & (values == values), axis=0)
    return [int(j) for j in columns[found]]


def _rows(count: int) -> str:
    """A count of rows."""
    return f"{count} row{'' if count == 1 else 's'}"
