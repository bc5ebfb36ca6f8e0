"""Missing values among rows that a model could not answer: whoever reads the error must find the cells."""

import numpy as np

from robust.data.naming import shorten, some_rows
from robust.data.schema import FeatureSchema
from robust.types import AnyArray, BoolArray


def missing_rows(x: AnyArray) -> BoolArray:
    """Which rows (n,) hold NaN."""
    if x.dtype.kind != "f":
        return np.zeros(len(x), dtype=bool)
    return np.asarray(np.isnan(x).reshape(len(x), -1).any(axis=1))


def missing_words(x: AnyArray, rows: BoolArray, schema: FeatureSchema) -> str:
    """Where rows have missing values.

    Args:
        x: All rows (n, *row shape).
        rows: Those that are asked about (n,); each holds NaN.
        schema: Names the columns.

    Returns:
        Rows and columns, and what would be right.
    """
    columns = np.flatnonzero(np.isnan(schema.flat(np.asarray(x[rows]))).any(axis=0))
    names = shorten([repr(schema.names[j]) for j in columns], most=8)
    return (
        f"the data has missing values (NaN) in {some_rows(rows)}, column{'s' if len(columns) > 1 else ''} {names}, "
        "which it cannot take: fill them in or leave the rows out, or give a model that fills them in"
    )
