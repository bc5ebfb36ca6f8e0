"""Rows as the table that a model was fitted on: its columns by name, text labels instead of codes."""

from typing import Any

import numpy as np

from robust.data.schema import FeatureSchema
from robust.errors import InvalidInput
from robust.models.base import Model
from robust.types import AnyArray, FloatArray


def named_columns(model: Model, schema: FeatureSchema, rows: AnyArray) -> Any:
    """Rows as a DataFrame of the model's columns.

    Args:
        model: Names its columns.
        schema: Names those of the rows, and has the labels behind their codes.
        rows: (n, *row shape).

    Raises:
        InvalidInput: If a column is missing.
    """
    import pandas as pd

    columns = model.columns or ()
    flat = schema.flat(rows)
    missing = [name for name in columns if name not in schema.names]
    if missing:
        raise InvalidInput(
            f"{model.name} was fitted on columns that the data lacks: {missing}; it has {list(schema.names)[:20]}"
        )
    labels = dict(schema.categories)
    table = {}
    for name in columns:
        j = schema.names.index(name)
        table[name] = _texts(flat[:, j], labels[j]) if j in labels else flat[:, j]
    return pd.DataFrame(table)


def _texts(codes: FloatArray, labels: tuple[str, ...]) -> AnyArray:
    """Labels behind codes; a missing code is NaN, as pandas writes a missing text."""
    known = np.array([*labels, np.nan], dtype=object)
    return np.asarray(known[np.where(np.isnan(codes), len(labels), codes).astype(np.intp)])
