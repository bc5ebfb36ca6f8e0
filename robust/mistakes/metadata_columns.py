"""The columns by which mistakes are grouped, each parted into a manageable number of values."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from robust.data.dataset import Column, Dataset
from robust.data.naming import unknown_name
from robust.errors import InvalidInput
from robust.evidence import Fact
from robust.types import AnyArray, IntArray

#: Names under which the parts of a data set that are no named columns are grouped by.
GROUPS, ORDER = "group", "order"
#: Whole numbers with more values than this are cut at their quartiles, as all other numbers are past the second.
_MOST_WHOLE, _MOST_NUMBERS = 60, 12
#: A column is passed over where its values hold fewer rows than this on average, or are more than so many.
_LEAST_ROWS, _MOST_VALUES = 2.0, 1000


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Parted:
    """A column as values and the rows of each.

    Args:
        by: Name of the column.
        names: The V values, in their order; the last is `(rare values)` where some were pooled.
        owner: Which value each row has (n,).
    """

    by: str
    names: tuple[str, ...]
    owner: IntArray

    @property
    def sizes(self) -> IntArray:
        """Rows of each value (V,)."""
        return np.bincount(self.owner, minlength=len(self.names))


def parted_columns(
    data: Dataset, by: str | Sequence[str] | None, *, least: int
) -> tuple[tuple[Parted, ...], tuple[Fact, ...]]:
    """The columns to group by.

    Args:
        data: The rows.
        by: Names: of slicing columns, of columns that the model does not see, of features of a table, `group` or
            `order`; None for all but features and order.
        least: Values with fewer rows are pooled.

    Returns:
        The columns with at least two values, and a fact for each that is passed over.

    Raises:
        InvalidInput: If there is no such column, or none at all.
    """
    found, facts = [], []
    for name in _wanted(data, by):
        values, label = _values(data, name)
        distinct = len(np.unique(values))
        # A few rows of each value are enough for recordings, where each row its own value says nothing.
        if not label and len(values) < _LEAST_ROWS * distinct and values.dtype.kind not in "iuf":
            facts.append(Fact(name=f"not grouped by {name}", value=f"{distinct} values in {len(values)} rows"))
            continue
        column = _pooled(_parted(name, values, label=label), least)
        if len(column.names) < 2 or len(column.names) > _MOST_VALUES:
            why = "all rows alike, or all values rare" if len(column.names) < 2 else f"{len(column.names)} values"
            facts.append(Fact(name=f"not grouped by {name}", value=why))
            continue
        found.append(column)
    return tuple(found), tuple(facts)


def _wanted(data: Dataset, by: str | Sequence[str] | None) -> list[str]:
    """Names of columns, each once."""
    known = list(dict.fromkeys(column.name for column in (*data.slices, *data.unused)))
    known += [GROUPS] if data.groups is not None and GROUPS not in known else []
    if by is None:
        if not known:
            raise InvalidInput(
                f"{data.name} has no column to group mistakes by: give slices=, unused= or groups=, e.g. the recording "
                "or the device of each row"
            )
        return known
    names = [by] if isinstance(by, str) else list(by)
    possible = [*known, *([ORDER] if data.order is not None else []), *(data.names if data.x.ndim == 2 else ())]
    for name in names:
        if name not in possible:
            raise InvalidInput(unknown_name(str(name), tuple(possible), where="mistakes cannot be grouped by"))
    if not names:
        raise InvalidInput("by got no name; names of columns, or None for all, would be right")
    return list(dict.fromkeys(names))


def _values(data: Dataset, name: str) -> tuple[AnyArray, bool]:
    """Values of a column (n,), and whether they are names whatever their type."""
    for column in (*data.slices, *data.unused):
        if column.name == name:
            return column.values, False
    if name == GROUPS and data.groups is not None:
        return data.groups, True
    if name == ORDER and data.order is not None:
        return data.order.astype(np.float64), False
    position = data.schema.index(name)
    values = data.x[:, position]
    labels = dict(data.schema.categories).get(position)
    return (values, False) if labels is None else (np.asarray(labels)[values.astype(np.int64)], False)


def _parted(name: str, values: AnyArray, *, label: bool) -> Parted:
    """Every value by itself, or numbers cut at their quartiles."""
    column = Column(name=name, values=values)
    distinct = np.unique(column.values)
    if label or values.dtype.kind not in "iuf" or len(distinct) <= _limit(distinct, len(values)):
        names, owner = np.unique(values, return_inverse=True)
        return Parted(by=name, names=tuple(_text(value) for value in names), owner=owner.ravel())
    numbers = values.astype(np.float64)
    known = ~np.isnan(numbers)
    edges = np.unique(np.quantile(numbers[known], (0.0, 0.25, 0.5, 0.75, 1.0)))
    owner = np.clip(np.searchsorted(edges, numbers, side="left"), 1, len(edges) - 1) - 1
    named = [f"{low:.4g} .. {high:.4g}" for low, high in pairwise(edges)]
    if not known.all():
        owner = np.where(known, owner, len(named))
        named.append("missing")
    return Parted(by=name, names=tuple(named), owner=owner)


def _limit(distinct: AnyArray, rows: int) -> int:
    """So many different numbers are values of their own: recordings are often numbered."""
    numbers = distinct.astype(np.float64)
    whole = bool(np.all(numbers[~np.isnan(numbers)] % 1 == 0))
    return _MOST_WHOLE if whole and rows >= _LEAST_ROWS * len(distinct) else _MOST_NUMBERS


def _text(value: object) -> str:
    """A value as a reader knows it: whole numbers without a point, missing ones by that name."""
    if isinstance(value, float | np.floating):
        return "missing" if value != value else f"{value:.6g}"
    return str(value) or "missing"


def _pooled(column: Parted, least: int) -> Parted:
    """Values with few rows as one."""
    rare = column.sizes < least
    if not rare.any():
        return column
    place = np.cumsum(~rare) - 1
    place[rare] = int((~rare).sum())
    kept = tuple(name for name, few in zip(column.names, rare, strict=True) if not few)
    pooled = f"({int(rare.sum())} rare values)"
    return replace(column, names=(*kept, pooled), owner=place[column.owner])
