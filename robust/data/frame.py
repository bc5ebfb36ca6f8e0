"""pandas objects as columns. pandas is imported only where the caller has imported it already."""

import sys
from typing import Any

import numpy as np

from robust.data.columns import RawColumn, raw_column
from robust.data.naming import check_unique
from robust.errors import InvalidInput


def is_frame(value: object) -> bool:
    """Whether `value` is a pandas DataFrame."""
    pandas = sys.modules.get("pandas")
    return pandas is not None and isinstance(value, pandas.DataFrame)


def is_series(value: object) -> bool:
    """Whether `value` is a pandas Series."""
    pandas = sys.modules.get("pandas")
    return pandas is not None and isinstance(value, pandas.Series)


def frame_columns(frame: Any) -> tuple[RawColumn, ...]:
    """The columns of a DataFrame, named by their labels as text; the index is none of them.

    Raises:
        InvalidInput: If two columns have one name, or one holds neither numbers, text nor instants.
    """
    names = [str(label) for label in frame.columns]
    check_unique(names, "column names")
    return tuple(series_column(frame.iloc[:, j], name) for j, name in enumerate(names))


def series_column(series: Any, name: str) -> RawColumn:
    """One Series as a column; categorical types keep the labels that do not occur."""
    import pandas as pd
    from pandas.api import types

    dtype = series.dtype
    if isinstance(dtype, pd.CategoricalDtype):
        return _categorical(series, name)
    if isinstance(dtype, pd.DatetimeTZDtype):
        return raw_column(name, series.dt.tz_convert("UTC").dt.tz_localize(None).to_numpy())
    if not types.is_extension_array_dtype(dtype):
        return raw_column(name, series.to_numpy())
    missing = series.isna().to_numpy()
    if types.is_numeric_dtype(dtype) and not (types.is_bool_dtype(dtype) and missing.any()):
        if missing.any():
            return raw_column(name, series.to_numpy(dtype=np.float64, na_value=np.nan))
        plain = "bool" if types.is_bool_dtype(dtype) else "int64" if types.is_signed_integer_dtype(dtype) else None
        plain = plain or ("uint64" if types.is_unsigned_integer_dtype(dtype) else "float64")
        return raw_column(name, series.to_numpy(dtype=plain))
    if types.is_datetime64_any_dtype(dtype):
        return raw_column(name, series.to_numpy(dtype="datetime64[us]"))
    objects = series.astype(object).to_numpy(copy=True)
    objects[missing] = None
    return raw_column(name, objects)


def _categorical(series: Any, name: str) -> RawColumn:
    """A categorical column: numbers stay numbers, anything else is text, sorted unless it has an order."""
    categories = list(series.cat.categories)
    if categories and all(isinstance(label, int | float | np.number) for label in categories):
        return raw_column(name, series.astype(object).to_numpy())
    texts = [str(label) for label in categories]
    check_unique(texts, f"categories of {name!r}")
    codes = series.cat.codes.to_numpy()
    values = np.array([*texts, None], dtype=object)[codes]  # code −1, a missing value, is the last
    return raw_column(name, values, labels=tuple(texts if series.cat.ordered else sorted(texts)))


def check_alignment(frame: object, other: object, what: str) -> None:
    """Refuse rows of `frame` in another order: pairing by position would mix them.

    Raises:
        InvalidInput: If both indexes hold the same labels in different orders.
    """
    if not is_frame(frame) or not (is_series(other) or is_frame(other)):
        return
    left, right = frame.index, other.index  # type: ignore[attr-defined]
    if len(left) == len(right) and not left.equals(right) and left.isin(right).all() and right.isin(left).all():
        raise InvalidInput(
            f"{what} has the index of x in another order: pass {what}.loc[x.index], "
            f"or {what}.to_numpy() if the rows do belong together by position"
        )
