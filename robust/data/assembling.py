"""From what was given or found in a file to a data set: each column gets its part, everything is checked."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from robust.data.columns import RawColumn
from robust.data.dataset import Dataset
from robust.data.encoding import encode
from robust.data.feature import Kind, read_labels
from robust.data.frame import frame_columns, is_frame
from robust.data.naming import check_unique, checked_names, default_names, shorten, unknown_name
from robust.data.parts import (
    as_column,
    identities,
    memberships,
    positions,
    side_column,
    slice_column,
    targets,
)
from robust.data.schema import FeatureSchema, SchemaSpec, build_schema
from robust.data.tensor import check_finite, check_tensor
from robust.errors import InvalidInput
from robust.types import AnyArray


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Source:
    """What was given, or found in a file.

    Args:
        name: Where it came from.
        tensor: Inputs (n, …) as an array, or None for a table.
        columns: Columns of a table; those without another part are the inputs.
        beside: Arrays that are no inputs, by name.
    """

    name: str
    tensor: AnyArray | None = None
    columns: tuple[RawColumn, ...] = ()
    beside: Mapping[str, object] = field(default_factory=dict)

    def find(self, name: str, part: str) -> object:
        """The column or array of this name.

        Raises:
            InvalidInput: If there is none.
        """
        named = {column.name: column for column in self.columns} | dict(self.beside)
        if not named:
            raise InvalidInput(
                f"{part}={name!r} names a column, but x is an array without named columns: pass a DataFrame, "
                "or the values themselves"
            )
        if name not in named:
            raise InvalidInput(unknown_name(name, tuple(named), where=f"{part}: {self.name} has no column"))
        return named[name]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Parts:
    """What is said about the columns: names of columns, or values, or None."""

    y: object = None
    unused: object = None
    slices: object = None
    order: object = None
    groups: object = None
    ids: object = None

    @property
    def leaving(self) -> set[str]:
        """Names of the columns that are therefore no inputs."""
        single = {value for value in (self.y, self.order, self.groups, self.ids) if isinstance(value, str)}
        return single | set(_listed(self.unused, "unused"))

    @property
    def labels(self) -> set[str]:
        """Names of the columns whose values only tell rows apart: numbers among text are no mistake there."""
        single = {value for value in (self.groups, self.ids) if isinstance(value, str)}
        return single | set(_listed(self.slices, "slices"))

    @property
    def columns(self) -> set[str]:
        """All columns that are given by name."""
        return self.leaving | set(_listed(self.slices, "slices"))


def assemble(
    source: Source, parts: Parts, *, names: Sequence[str] | None, schema: SchemaSpec | FeatureSchema | None
) -> Dataset:
    """Build a data set.

    Args:
        source: Inputs and named columns.
        parts: Which columns are targets, ids, and so on.
        names: Feature names of a tensor.
        schema: What the user says about the features.

    Returns:
        The data set, its arrays are read-only.

    Raises:
        InvalidInput: On anything that would make a number measured on it meaningless.
    """

    def values(part: str) -> object:
        given = getattr(parts, part)
        return source.find(given, part) if isinstance(given, str) else given

    # Names first: a misspelt one would otherwise stay an input, and be refused or accepted as that.
    for part in fields(parts):
        given = getattr(parts, part.name)
        for column in (given,) if isinstance(given, str) else _names_in(parts, part.name):
            source.find(column, part.name)
    x, features = _inputs(source, parts, names, schema)
    y = None if parts.y is None else targets(values("y"))
    order = None if parts.order is None else positions(values("order"))
    groups = None if parts.groups is None else memberships(values("groups"))
    ids = np.arange(len(x), dtype=np.int64) if parts.ids is None else identities(values("ids"))
    unused = tuple(side_column(column) for column in _side(source, parts.unused, "unused"))
    slices = tuple(slice_column(column) for column in _side(source, parts.slices, "slices"))
    check_finite(x, features.names)
    violations = features.violations(x)
    if violations:
        raise InvalidInput(
            f"{source.name} breaks its schema ({'; '.join(violations)}): declare other bounds or rescale"
        )
    return Dataset(
        name=source.name,
        x=x,
        y=y,
        ids=ids,
        schema=features,
        unused=unused,
        slices=slices,
        order=order,
        groups=groups,
    )


def _inputs(
    source: Source, parts: Parts, names: Sequence[str] | None, schema: SchemaSpec | FeatureSchema | None
) -> tuple[AnyArray, FeatureSchema]:
    """The inputs as one array, and their schema."""
    if source.tensor is not None:
        x = check_tensor(source.tensor)
        shape = x.shape[1:]
        if names is None and isinstance(schema, FeatureSchema) and schema.shape == shape:
            names = schema.names
        known = default_names(shape) if names is None else checked_names(names, int(np.prod(shape)))
        boolean: dict[int, Kind] = (
            dict.fromkeys(range(len(known)), "binary") if source.tensor.dtype.kind == "b" else {}
        )
        return x, build_schema(schema, names=known, shape=shape, kinds=boolean)
    if names is not None:
        raise InvalidInput("names= is for inputs without names: rename the columns of the table instead")
    leaving = parts.leaving
    inputs = tuple(column for column in source.columns if column.name not in leaving)
    if not inputs:
        raise InvalidInput(
            f"{source.name} has no column left for x: {shorten(sorted(leaving))} all play other parts"
        )
    if len(inputs[0].values) == 0:
        raise InvalidInput(f"{source.name} has zero rows: at least one would be right")
    encoded = encode(inputs, known=declared_labels(schema))
    features = build_schema(
        schema,
        names=[column.name for column in inputs],
        shape=(len(inputs),),
        categories=encoded.categories,
        kinds=encoded.kinds,
    )
    return encoded.x, features


def declared_labels(schema: SchemaSpec | FeatureSchema | None) -> dict[str, tuple[str, ...]]:
    """Labels that the schema declares, by feature: a test set is coded like the training set."""
    if isinstance(schema, FeatureSchema):
        return {schema.names[j]: labels for j, labels in schema.categories}
    entries = {name: entry for name, entry in (schema or {}).items() if isinstance(entry, Mapping)}
    return {
        name: read_labels(name, entry["categories"])
        for name, entry in entries.items()
        if entry.get("categories") is not None
    }


def _listed(columns: object, part: str) -> tuple[str, ...]:
    """The names in a list of column names; none where columns are given by value."""
    if columns is None or isinstance(columns, Mapping) or is_frame(columns):
        return ()
    if isinstance(columns, str):
        return (columns,)
    if not isinstance(columns, Sequence) or not all(isinstance(name, str) for name in columns):
        raise InvalidInput(
            f"{part} must be a list of column names, a mapping from names to arrays, or a DataFrame, "
            f"got {type(columns).__name__}"
        )
    return tuple(columns)


def _side(source: Source, columns: object, part: str) -> tuple[RawColumn, ...]:
    """Columns beside the inputs, each under its own name."""
    if is_frame(columns):
        return frame_columns(columns)
    if isinstance(columns, Mapping):
        found = [(str(name), values) for name, values in columns.items()]
    else:
        found = [(name, source.find(name, part)) for name in _listed(columns, part)]
    check_unique([name for name, _ in found], part)
    return tuple(as_column(name, values) for name, values in found)
