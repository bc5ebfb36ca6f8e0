"""Values that one feature is set to: of a number, of a category, of a whole one-hot group."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from robust.data.dataset import Dataset
from robust.data.schema import FeatureSchema
from robust.errors import InvalidInput
from robust.intervals.arguments import check_whole
from robust.measures.magnitude import require_moderate
from robust.types import AnyArray, FloatArray

#: Quantiles between which a grid of a number lies, so that it does not rest on its few extreme rows.
_ENDS = (0.05, 0.95)
#: More features than this are not all asked for when none is named: those with the largest variance stand for
# them.
_MANY = 20


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FeatureGrid:
    """Values of one feature.

    Args:
        name: Name of the feature, or of the one-hot group.
        columns: Positions of its features.
        grid: Values (p,), ascending; positions 0 … p−1 of the members of a group.
        settings: What the features are set to at each (p, len(columns)).
        labels: Names of the values where they are categories, else None.
    """

    name: str
    columns: tuple[int, ...]
    grid: FloatArray
    settings: FloatArray
    labels: tuple[str, ...] | None = None

    def at(self, x: AnyArray, point: int) -> AnyArray:
        """All rows of x (n, *row shape) with the feature set to one value; a copy of the same type."""
        changed = np.array(x)
        changed.reshape(len(x), -1)[:, list(self.columns)] = self.settings[point]
        return changed

    def shown(self, point: int) -> str:
        """A value for people."""
        return self.labels[point] if self.labels else f"{self.grid[point]:.4g}"


def feature_columns(schema: FeatureSchema, feature: str | int) -> tuple[str, tuple[int, ...]]:
    """Name and positions of a feature, or of a one-hot group by its name.

    Raises:
        InvalidInput: If there is none, or it is one member of a one-hot group, which cannot change alone.
    """
    groups = dict(schema.groups)
    if isinstance(feature, str) and feature in groups and feature not in schema.names:
        return feature, groups[feature]
    j = schema.index(feature)
    for group, members in groups.items():
        if j in members:
            raise InvalidInput(
                f"feature {schema.names[j]!r} is part of the one-hot group {group!r} and cannot change "
                f"alone: feature={group!r} would be right"
            )
    return schema.names[j], (j,)


def feature_grid(
    data: Dataset, feature: str | int, *, grid: Sequence[object] | None = None, points: int = 20
) -> FeatureGrid:
    """Values of a feature at which a model is asked.

    A number: quantiles 5 % … 95 % of the data, or all its values where they are no more than `points`, whole
    for integers and inside the schema's bounds; binary: 0 and 1; categorical: all its codes; a one-hot group:
    its members.

    Args:
        data: The rows.
        feature: Name or position of a feature, or name of a one-hot group.
        grid: Values of one's own, in the data's unit; labels for categories and groups.
        points: Most values of a number, at least 2.

    Returns:
        The grid, at least two values.

    Raises:
        InvalidInput: If there is no such feature, it does not vary, or a value of one's own breaks the
            schema.

    >>> from robust.data.live import as_data
    >>> feature_grid(as_data(np.array([[1.0], [3.0], [2.0]])), 0).grid.tolist()
    [1.0, 2.0, 3.0]
    """
    schema = data.schema
    name, columns = feature_columns(schema, feature)
    values: FloatArray
    points = check_whole("points", points, least=2)
    labels: tuple[str, ...] | None = None
    j = columns[0]
    if name in dict(schema.groups) and schema.kinds[j] == "one_hot":
        labels = tuple(schema.names[c] for c in columns)
        values = np.arange(len(columns), dtype=np.float64)
    elif schema.kinds[j] == "categorical" and j in dict(schema.categories):
        labels = dict(schema.categories)[j]
        values = np.arange(len(labels), dtype=np.float64)
    elif schema.kinds[j] == "binary":
        values = np.array([0.0, 1.0])
    else:
        values = _numbers(data, j, points)
    if grid is not None:
        values = _own(schema, j, name, grid, labels, whole=data.x.dtype.kind in "iu")
    if len(values) < 2:
        raise InvalidInput(f"feature {name!r} has {len(values)} value(s) to be set to; at least two would be right")
    settings = values[:, None] if len(columns) == 1 else np.eye(len(columns))[values.astype(np.int64)]
    shown = None if labels is None else tuple(labels[int(value)] for value in values)
    return FeatureGrid(name=name, columns=columns, grid=values, settings=settings, labels=shown)


def asked_features(data: Dataset, *, few: int, mutable: bool = False) -> tuple[str | int, ...]:
    """Features to look at when none is named.

    Args:
        data: The rows.
        few: How many of the largest variance stand for the rest where there are more than 20, as pixels are.
        mutable: Whether immutable features are left out.

    Returns:
        Positions, and names of one-hot groups; those that do not vary are left out.

    Raises:
        InvalidInput: If features are so large that their squares overflow.
    """
    schema = data.schema
    require_moderate(data.x, f"features of {data.name}", smallest=0.0)
    x = schema.flat(data.x).astype(np.float64)
    with np.errstate(invalid="ignore"):
        variance = np.array(
            [np.var(column[np.isfinite(column)]) if np.isfinite(column).any() else 0.0 for column in x.T]
        )
    members = {j: name for name, group in schema.groups for j in group}
    left = [j for j in range(schema.width) if variance[j] > 0 and not (mutable and schema.immutable[j])]
    if len({members.get(j, j) for j in left}) > _MANY:
        left = sorted(sorted(left, key=lambda j: -variance[j])[:few])
    return tuple(dict.fromkeys(members.get(j, j) for j in left))


def _numbers(data: Dataset, j: int, points: int) -> FloatArray:
    """Distinct values, or quantiles, of a number."""
    column = data.schema.flat(data.x)[:, j].astype(np.float64)
    known = np.unique(column[np.isfinite(column)])
    if len(known) <= points:
        return known
    values = np.quantile(column[np.isfinite(column)], np.linspace(*_ENDS, points))
    if data.schema.kinds[j] in ("integer", "categorical") or data.x.dtype.kind in "iu":
        values = np.rint(values)
    return np.unique(np.clip(values, data.schema.lower[j], data.schema.upper[j]))


def _own(
    schema: FeatureSchema,
    j: int,
    name: str,
    grid: Sequence[object],
    labels: tuple[str, ...] | None,
    *,
    whole: bool,
) -> FloatArray:
    """Values of the user's own, checked against the schema."""
    given = list(grid)
    if labels is not None:
        wrong = [value for value in given if value not in labels]
        if wrong:
            raise InvalidInput(f"grid of {name!r} got {wrong!r}; some of {list(labels)[:20]} would be right")
        return np.unique(np.array([labels.index(str(value)) for value in given], dtype=np.float64))
    try:
        values = np.unique(np.array(given, dtype=np.float64))
    except (TypeError, ValueError) as error:
        raise InvalidInput(f"grid of {name!r} got {given!r}; numbers would be right") from error
    low, high = schema.lower[j], schema.upper[j]
    if not np.isfinite(values).all() or (values < low).any() or (values > high).any():
        raise InvalidInput(f"grid of {name!r} got {given!r}; finite values in {low:g} … {high:g} would be right")
    if (whole or schema.kinds[j] in ("integer", "binary", "categorical")) and (values != np.rint(values)).any():
        raise InvalidInput(f"grid of {name!r} got {given!r}; whole numbers would be right")
    return values
