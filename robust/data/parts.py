"""The parts that columns play beside the inputs: targets, ids, order, groups, and columns to slice by."""

import numpy as np

from robust.data.columns import RawColumn, native, raw_column
from robust.data.dataset import Column
from robust.data.frame import frame_columns, is_frame, is_series, series_column
from robust.data.naming import shorten, some_rows
from robust.errors import InvalidInput
from robust.types import AnyArray


def as_array(values: object, what: str) -> AnyArray:
    """An array of what the user passed; a list that mixes numbers and text keeps both.

    Raises:
        InvalidInput: If it is ragged, sparse, masked, or nothing that numpy can read.
    """
    if hasattr(values, "toarray") and not isinstance(values, np.ndarray):
        raise InvalidInput(f"{what} is sparse: pass {what}.toarray()")
    if isinstance(values, np.ma.MaskedArray):
        raise InvalidInput(f"{what} is a masked array, whose mask would be lost: pass {what}.filled(…)")
    try:
        array = np.asarray(values)
        # numpy turns [1, "a"] into text; as objects both stay what they are.
        if array.dtype.kind in "US" and isinstance(values, list | tuple):
            array = np.asarray(values, dtype=object)
    except (ValueError, TypeError, RuntimeError) as error:
        raise InvalidInput(f"{what} cannot be read as an array of equal rows: {error}") from error
    if array.dtype.names is not None:
        raise InvalidInput(f"{what} is a structured array: pass pandas.DataFrame({what})")
    return array


def as_column(name: str, values: object) -> RawColumn:
    """One column (n,) from a column, Series, array or list.

    Raises:
        InvalidInput: If it has another rank, or holds neither numbers, text nor instants.
    """
    if isinstance(values, RawColumn):
        return values
    if is_series(values):
        return series_column(values, name)
    if is_frame(values):
        columns = frame_columns(values)
        if len(columns) != 1:
            raise InvalidInput(f"{name} is a DataFrame of {len(columns)} columns: one column would be right")
        return columns[0]
    array = as_array(values, name)
    if array.ndim != 1:
        raise InvalidInput(f"{name} has shape {array.shape}: one value a row, (n,), would be right")
    return raw_column(name, array)


def targets(values: object) -> AnyArray:
    """Targets (n,) of numbers or text, or (n, k) of numbers, from what the user passed; (n, 1) becomes (n,).

    Raises:
        InvalidInput: If a label is missing, infinite, a date or complex, or the rank is neither 1 nor 2.

    >>> targets([[1.5], [2.0]])
    array([1.5, 2. ])
    """
    if is_frame(values):
        columns = frame_columns(values)
        if len(columns) == 1:
            return _target(columns[0])
        return np.column_stack([_numeric_target(column) for column in columns])
    if isinstance(values, RawColumn) or is_series(values):
        return _target(as_column("y", values))
    array = as_array(values, "y")
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim == 1:
        return _target(raw_column("y", array))
    if array.ndim != 2 or array.shape[1] == 0:
        raise InvalidInput(f"y has shape {array.shape}: (n,) or (n, k) would be right")
    columns = tuple(raw_column("y", array[:, j]) for j in range(array.shape[1]))
    stacked = np.column_stack([_numeric_target(column) for column in columns])
    return native(array) if array.dtype.kind in "iuf" else stacked


def _numeric_target(column: RawColumn) -> AnyArray:
    """A column of a target (n, k)."""
    if column.is_text:
        raise InvalidInput("y of several columns must be numbers: one column of labels would be right")
    return _target(column)


def _target(column: RawColumn) -> AnyArray:
    """Labels (n,): text, or finite numbers."""
    kind = column.values.dtype.kind
    if kind in "mM":
        raise InvalidInput("y holds dates: labels or numbers would be right")
    missing = column.missing
    if missing.any():
        raise InvalidInput(f"y has missing labels (NaN or None) in {some_rows(missing)}: leave those rows out")
    if kind == "f" and np.isinf(column.values).any():
        raise InvalidInput(f"y is infinite in {some_rows(np.isinf(column.values))}: leave those rows out")
    return _plain(column)


def identities(values: object) -> AnyArray:
    """Row ids (n,): whole numbers or text, each once.

    Raises:
        InvalidInput: If an id is missing, comes twice, or is a fraction.

    >>> identities(["a", "b"])
    array(['a', 'b'], dtype='<U1')
    """
    column = as_column("ids", values)
    _refuse_missing(column, "ids")
    found = _plain(column)
    if found.dtype.kind == "f":
        if np.any(found != np.rint(found)) or np.any(np.abs(found) > 2.0**53):
            raise InvalidInput("ids must be whole numbers or text, got fractions")
        found = found.astype(np.int64)
    distinct, counts = np.unique(found, return_counts=True)
    if len(distinct) < len(found):
        raise InvalidInput(f"ids come more than once: {shorten(distinct[counts > 1].tolist())}; each must be unique")
    return found


def positions(values: object) -> AnyArray:
    """Positions in time (n,): numbers, or int64 nanoseconds for dates (since 1970, UTC) and durations.

    Raises:
        InvalidInput: If one is missing, infinite, or text.

    >>> positions(np.array(["1970-01-01T00:00:01"], dtype="datetime64[s]"))
    array([1000000000])
    """
    column = as_column("order", values)
    if column.is_text:
        raise InvalidInput(
            "order holds text, which does not sort by time: numbers or dates (pandas.to_datetime) are needed"
        )
    _refuse_missing(column, "order")
    if column.values.dtype.kind == "f" and np.isinf(column.values).any():
        raise InvalidInput(f"order is infinite in {some_rows(np.isinf(column.values))}")
    return _plain(column)


def memberships(values: object) -> AnyArray:
    """The group of each row (n,): numbers or text.

    Raises:
        InvalidInput: If a row has none.
    """
    column = as_column("groups", values)
    _refuse_missing(column, "groups")
    return _plain(column)


def side_column(column: RawColumn) -> Column:
    """A column that is no input: numbers (NaN where missing), nanoseconds, or text ('' where missing)."""
    if column.values.dtype.kind in "mM" and column.missing.any():
        numbers = column.values.astype(np.int64).astype(np.float64)
        numbers[column.missing] = np.nan
        return Column(name=column.name, values=numbers)
    values = _plain(column)
    if values.dtype.kind == "f":
        values = np.where(np.isnan(values), np.nan, values)  # one NaN for all, whatever bits a reader gave it
    return Column(name=column.name, values=values)


def slice_column(column: RawColumn) -> Column:
    """A column to slice by: as `side_column`, but dates stay readable (ISO 8601 text)."""
    if column.values.dtype.kind != "M":
        return side_column(column)
    text = np.datetime_as_string(column.values, unit="s")
    return Column(name=column.name, values=np.where(column.missing, "", text))


def _refuse_missing(column: RawColumn, what: str) -> None:
    """Every row needs a value."""
    missing = column.missing
    if missing.any():
        raise InvalidInput(f"{what} has missing values in {some_rows(missing)}: one value a row would be right")


def _plain(column: RawColumn) -> AnyArray:
    """Text at fixed width ('' where missing), booleans as 0 and 1, instants as nanoseconds, or numbers."""
    values = column.values
    if column.is_text:
        return np.array(["" if value is None else value for value in values], dtype=str)
    return values.astype(np.int64) if values.dtype.kind in "bmM" else values
