"""Live arrays and DataFrames as data."""

import os
from collections.abc import Sequence

from robust.data.assembling import assemble
from robust.data.dataset import Dataset
from robust.data.frame import check_alignment, frame_columns, is_frame, is_series
from robust.data.loading import load_data
from robust.data.naming import checked_names, default_names
from robust.data.parts import as_array
from robust.data.schema import FeatureSchema, SchemaSpec
from robust.data.source import Parts, Source
from robust.data.tensor import check_shape, table_columns
from robust.errors import InvalidInput


def as_data(
    x: object,
    y: object = None,
    *,
    names: Sequence[str] | None = None,
    schema: SchemaSpec | FeatureSchema | None = None,
    unused: object = None,
    slices: object = None,
    order: object = None,
    groups: object = None,
    ids: object = None,
    name: str = "data",
) -> Dataset:
    """Take arrays, a DataFrame or a file as data.

    Nothing is copied that need not be: a numeric array is seen through a read-only view, so do not change it
    afterwards. A DataFrame becomes float64: booleans are 0 and 1, text and categorical columns are the
    positions of their labels, sorted (or as the schema's `categories`, or those of an ordered categorical,
    list them); the labels are kept in `schema.categories`. Pass `schema=train.schema` with a test set, so
    that both are coded alike.

    Args:
        x: Inputs: an array (n, …), a DataFrame (pandas, or anything with `to_pandas`), a list of rows, a pair
            (x, y), the path of a file (see `load_data`), or a Dataset, which is returned as it is. NaN is
            allowed, since some models take missing values.
        y: Targets (n,) or (n, k): numbers or text; or the name of a column of x.
        names: Feature names of an array; default `x0 …`, or `x[i,j,k]` for images.
        schema: What the features are: see `build_schema`.
        unused: Columns that the model does not see: names of columns, which leave x, a mapping from names to
            arrays (n,), or a DataFrame.
        slices: Columns to slice by: likewise, but named columns stay in x unless they are in `unused` too.
        order: Position in time (n,), numbers or dates, or the name of a column, which leaves x.
        groups: The group of each row (n,), or the name of a column, which leaves x.
        ids: An id for each row (n,), whole numbers or text, or the name of a column, which leaves x; default
            0 … n−1.
        name: What reports call it.

    Returns:
        The data; its arrays are read-only.

    Raises:
        InvalidInput: On zero rows, values that are no real numbers or infinite, missing or infinite targets,
            parts with different numbers of rows, ids or names that come twice, unknown columns, and rows
            outside their declared bounds or kinds.

    >>> import numpy as np
    >>> data = as_data(np.array([[0.5, 2.0], [1.5, 3.0]]), [0, 1], names=["width", "height"])
    >>> data, data.names, data.targets
    (Dataset('data', x(2, 2) float64), ('width', 'height'), array([0, 1]))
    """
    given = {"y": y, "names": names, "schema": schema, "unused": unused, "slices": slices}
    given |= {"order": order, "groups": groups, "ids": ids}
    if isinstance(x, Dataset):
        again = [word for word, value in given.items() if value is not None]
        if again:
            raise InvalidInput(f"x is a finished Dataset: {', '.join(again)} belong where it is built")
        return x
    if isinstance(x, str | os.PathLike):
        if y is not None and not isinstance(y, str):
            raise InvalidInput("y must be the name of a column (or key) of the file, got values")
        return load_data(
            x,
            target=y,
            names=names,
            schema=schema,
            unused=unused,
            slices=slices,
            order=order,
            groups=groups,
            ids=ids,
            name=None if name == "data" else name,
        )
    if isinstance(x, tuple):
        x, y = _pair(x, y)
    if not is_frame(x) and not is_series(x) and hasattr(x, "to_pandas"):
        x = x.to_pandas()
    if is_series(x):
        x = x.to_frame()  # type: ignore[attr-defined]
    for what, other in (
        ("y", y),
        ("unused", unused),
        ("slices", slices),
        ("order", order),
        ("groups", groups),
        ("ids", ids),
    ):
        check_alignment(x, other, what)
    if is_frame(x) and isinstance(y, int) and not isinstance(y, bool):
        y = str(y)  # a DataFrame may count its columns; their names are texts here
    parts = Parts(y=y, unused=unused, slices=slices, order=order, groups=groups, ids=ids)
    source, names = _source(x, parts, names, name)
    return assemble(source, parts, names=names, schema=schema)


def _pair(pair: tuple[object, ...], y: object) -> tuple[object, object]:
    """The two members of (x, y)."""
    if len(pair) != 2:
        raise InvalidInput(f"a tuple must be a pair (x, y), got {len(pair)} members: pass rows as a list")
    if y is not None:
        raise InvalidInput("y is given twice: in the pair (x, y) and by itself")
    return pair


def _source(x: object, parts: Parts, names: Sequence[str] | None, name: str) -> tuple[Source, Sequence[str] | None]:
    """Inputs as a tensor or a table; and the names that are still to be given."""
    if is_frame(x):
        return Source(name=name, columns=frame_columns(x)), names
    array = as_array(x, "x")
    check_shape(array)
    by_name = names is not None and bool(parts.columns)
    if array.ndim == 2 and (array.dtype.kind in "OUT" or by_name):
        known = default_names(array.shape[1:]) if names is None else checked_names(names, array.shape[1])
        return Source(name=name, columns=table_columns(array, known)), None
    return Source(name=name, tensor=array), names
