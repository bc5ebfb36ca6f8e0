"""From what was given or found in a file to a data set: each column gets its part, everything is checked."""

from collections.abc import Mapping, Sequence

import numpy as np

from robust.data.columns import RawColumn
from robust.data.dataset import Dataset
from robust.data.encoding import encode
from robust.data.feature import Kind, read_labels
from robust.data.frame import frame_columns, is_frame
from robust.data.naming import check_unique, checked_names, default_names, shorten
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
from robust.data.source import Parts, Source, listed
from robust.data.tensor import check_finite, check_tensor
from robust.errors import InvalidInput
from robust.types import AnyArray


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

    # Parts first: the column that a misspelt name meant would otherwise be taken for an input.
    y = None if parts.y is None else targets(values("y"))
    order = None if parts.order is None else positions(values("order"))
    groups = None if parts.groups is None else memberships(values("groups"))
    ids = None if parts.ids is None else identities(values("ids"))
    unused = tuple(side_column(column) for column in _side(source, parts.unused, "unused"))
    slices = tuple(slice_column(column) for column in _side(source, parts.slices, "slices"))
    x, features = _inputs(source, parts, names, schema)
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
        ids=np.arange(len(x), dtype=np.int64) if ids is None else ids,
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
        boolean: dict[int, Kind] = dict.fromkeys(range(len(known)), "binary") if source.tensor.dtype.kind == "b" else {}
        return x, build_schema(schema, names=known, shape=shape, kinds=boolean)
    if names is not None:
        raise InvalidInput("names= is for inputs without names: rename the columns of the table instead")
    leaving = parts.leaving
    inputs = tuple(column for column in source.columns if column.name not in leaving)
    if not inputs:
        raise InvalidInput(f"{source.name} has no column left for x: {shorten(sorted(leaving))} all play other parts")
    if inputs[0].rows == 0:
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


def _side(source: Source, columns: object, part: str) -> tuple[RawColumn, ...]:
    """Columns beside the inputs, each under its own name."""
    if is_frame(columns):
        return frame_columns(columns)
    if isinstance(columns, Mapping):
        found = [(str(name), values) for name, values in columns.items()]
    else:
        found = [(name, source.find(name, part)) for name in listed(columns, part)]
    check_unique([name for name, _ in found], part)
    return tuple(as_column(name, values) for name, values in found)
