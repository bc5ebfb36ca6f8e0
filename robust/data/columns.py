"""Columns as they come, brought to few types: booleans, whole numbers, numbers, text, instants."""

import datetime
import numbers
import sys
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import numpy as np

from robust.data.naming import shorten, some_rows
from robust.errors import InvalidInput
from robust.types import AnyArray, BoolArray

LONGEST_TEXT = 4096  # characters; columns of text are stored at the width of their longest cell


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RawColumn:
    """A named column before it has a part to play.

    Args:
        name: Its name.
        values: (n,) of kind `b`, `i`, `u`, `f` (NaN where missing), `O` (str, or None where missing),
            `M` or `m` (nanoseconds, NaT where missing).
        labels: For text of a categorical type, all labels that it may take, in the order of their codes.
        binary: Whether the numbers came as booleans (with missing ones among them).
    """

    name: str
    values: AnyArray
    labels: tuple[str, ...] | None = None
    binary: bool = False

    @property
    def rows(self) -> int:
        """Number of rows n."""
        return len(self.values)

    def read(self) -> "RawColumn":
        """The column itself."""
        return self

    @property
    def is_text(self) -> bool:
        """Whether the values are text."""
        return self.values.dtype.kind == "O"

    @property
    def missing(self) -> BoolArray:
        """Which values are missing (n,)."""
        if self.is_text:
            return np.fromiter((value is None for value in self.values), dtype=bool, count=len(self.values))
        return np.isnat(self.values) if self.values.dtype.kind in "mM" else np.isnan(self.values)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class StoredColumn:
    """A column that stays in its file until it is asked for, so that no more than one need be in memory.

    Args:
        name: Its name.
        rows: Number of rows.
        load: Reads it.
    """

    name: str
    rows: int
    load: Callable[[], RawColumn]

    def read(self) -> RawColumn:
        """The column, read anew."""
        return self.load()


def raw_column(name: str, values: AnyArray, *, labels: tuple[str, ...] | None = None) -> RawColumn:
    """Bring an array to one of the types of a `RawColumn`.

    Args:
        name: For messages, and the name of the column.
        values: (n,) of any type.
        labels: All labels that a text may take.

    Returns:
        The column; text that is missing is None.

    Raises:
        InvalidInput: If the values are complex, records, or objects that are neither numbers, text nor
            instants.

    >>> raw_column("a", np.array([1, None, 2], dtype=object)).values
    array([ 1., nan,  2.])
    """
    kind = values.dtype.kind
    if kind in "biuf":
        return RawColumn(name=name, values=native(values))
    if kind in "UT":
        return _text(name, values.astype(object), labels)
    if kind in "mM":
        return RawColumn(name=name, values=nanoseconds(name, values))
    if kind == "O":
        return _objects(name, values, labels)
    raise InvalidInput(f"{name!r} has type {values.dtype}: numbers, text or dates would be right")


def plain_type(dtype: "np.dtype[Any]") -> "np.dtype[Any]":
    """The type of the same numbers in the byte order of this machine, and no wider than 64 bits."""
    return np.dtype(np.float64) if dtype.kind == "f" and dtype.itemsize > 8 else dtype.newbyteorder("=")


def native(values: AnyArray) -> AnyArray:
    """The same numbers in the byte order of this machine, and no wider than 64 bits."""
    return values.astype(plain_type(values.dtype), copy=False)


def nanoseconds(name: str, values: AnyArray) -> AnyArray:
    """Instants or durations as 64-bit nanoseconds.

    Raises:
        InvalidInput: If one does not fit (years 1678 to 2261 do).
    """
    target = f"{'datetime' if values.dtype.kind == 'M' else 'timedelta'}64[ns]"
    if np.datetime_data(values.dtype)[0] == "generic":  # nothing but NaT
        return values.astype(target)
    seconds = values.astype(target.replace("ns", "s"))
    # numpy wraps around in silence where nanoseconds overflow.
    beyond = (np.abs(seconds.astype(np.int64)) > 9_223_372_035) & ~np.isnat(values)
    if beyond.any():
        raise InvalidInput(f"{name!r} has times outside the years 1678 to 2261 in {some_rows(beyond)}")
    return values.astype(target)


def _text(name: str, values: AnyArray, labels: tuple[str, ...] | None) -> RawColumn:
    """A column of str and None."""
    lengths = np.fromiter((len(value) if value is not None else 0 for value in values), dtype=int, count=len(values))
    if lengths.max(initial=0) > LONGEST_TEXT:
        raise InvalidInput(
            f"{name!r} has a text of {lengths.max()} characters in {some_rows(lengths == lengths.max())}; "
            f"labels of at most {LONGEST_TEXT} would be right: leave the column out"
        )
    return RawColumn(name=name, values=values, labels=labels)


def _is_missing(value: object) -> bool:
    """None, NaN, and the missing values of pandas, whose comparison has no truth value."""
    if value is None or (isinstance(value, float | np.floating) and value != value):
        return True
    pandas = sys.modules.get("pandas")
    return pandas is not None and (value is pandas.NA or value is pandas.NaT)


def _objects(name: str, values: AnyArray, labels: tuple[str, ...] | None) -> RawColumn:
    """Find out what the objects of a column are; all must be of one sort."""
    missing = np.fromiter((_is_missing(value) for value in values), dtype=bool, count=len(values))
    present = values[~missing]
    types = {type(value) for value in present}

    def all_are(*sorts: type) -> bool:
        return all(issubclass(found, sorts) for found in types)

    if not types:
        return RawColumn(name=name, values=np.full(len(values), np.nan))
    if all_are(str):
        return _text(name, _fill(missing, present, None, object, str), labels)
    if all_are(bool, np.bool_):
        if not missing.any():
            return RawColumn(name=name, values=values.astype(bool))
        return RawColumn(name=name, values=_fill(missing, present, np.nan, float, float), binary=True)
    if bool not in types and all_are(numbers.Integral) and not missing.any():
        return RawColumn(name=name, values=_whole(name, values))
    if bool not in types and all_are(numbers.Real, Decimal):
        return RawColumn(name=name, values=_fill(missing, present, np.nan, float, float))
    if all_are(datetime.date, np.datetime64):
        instants = _fill(missing, present, np.datetime64("NaT"), "datetime64[us]", _instant)
        return RawColumn(name=name, values=nanoseconds(name, instants))
    found = shorten(sorted(found.__name__ for found in types))
    raise InvalidInput(f"{name!r} holds objects of type {found}: numbers, text or dates, of one sort, would be right")


def _fill(missing: BoolArray, present: AnyArray, gap: object, dtype: Any, convert: Callable[[Any], object]) -> AnyArray:
    """Converted values where there are any, `gap` elsewhere."""
    filled = np.full(len(missing), gap, dtype=dtype)
    filled[~missing] = [convert(value) for value in present]
    return filled


def _whole(name: str, values: AnyArray) -> AnyArray:
    """Python integers as 64-bit ones."""
    try:
        return values.astype(np.int64)
    except OverflowError:
        pass
    try:
        return values.astype(np.uint64)
    except OverflowError as error:
        raise InvalidInput(f"{name!r} has whole numbers beyond 64 bits: smaller numbers, or text") from error


def _instant(value: Any) -> np.datetime64:
    """A date or time as numpy knows it: in UTC where it has a zone."""
    if isinstance(value, datetime.datetime) and value.tzinfo is not None:
        value = value.astimezone(datetime.UTC).replace(tzinfo=None)
    return np.datetime64(value, "us")
