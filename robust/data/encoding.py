"""Columns as model inputs: numbers as they are, text as codes whose labels the schema keeps."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from robust.data.columns import RawColumn, StoredColumn
from robust.data.feature import Kind
from robust.data.naming import shorten, some_rows
from robust.data.spool import side_by_side
from robust.errors import InvalidInput
from robust.types import FloatArray

_EXACT = 2**53  # whole numbers up to here are exact in float64


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Encoded:
    """A table as a matrix.

    Args:
        x: (n, d), float64; NaN where a value is missing.
        kinds: Kinds that the columns' types imply: feature index to kind.
        categories: Labels behind the codes of the columns of text: feature index to labels.
    """

    x: FloatArray
    kinds: Mapping[int, Kind]
    categories: Mapping[int, tuple[str, ...]]


def encode(columns: Sequence[RawColumn | StoredColumn], *, known: Mapping[str, tuple[str, ...]]) -> Encoded:
    """Write columns side by side as numbers: booleans as 0 and 1, text as the positions of its labels.

    Args:
        columns: The inputs, each (n,); where they are stored in a file, the matrix is left on disk too.
        known: Labels by feature name, in the order of their codes, where they were declared; elsewhere the
            labels are those that occur, sorted.

    Returns:
        The matrix, with what the columns' types say about the features.

    Raises:
        InvalidInput: If a column holds dates, a label that was not declared, or whole numbers beyond 2⁵³.

    >>> city = RawColumn(name="city", values=np.array(["Rom", "Bonn", "Rom"], dtype=object))
    >>> encoded = encode([city], known={})
    >>> encoded.x[:, 0], encoded.categories
    (array([1., 0., 1.]), {0: ('Bonn', 'Rom')})
    """
    kinds: dict[int, Kind] = {}
    categories: dict[int, tuple[str, ...]] = {}

    def numbers(j: int, column: RawColumn) -> FloatArray:
        if column.is_text:
            codes, categories[j] = text_codes(column, known.get(column.name))
            kinds[j] = "categorical"
            return codes
        if column.values.dtype.kind in "mM":
            raise InvalidInput(
                f"input column {column.name!r} holds dates: name it in order= or unused=, or turn it into numbers"
            )
        if column.values.dtype.kind in "iu":
            _check_exact(column)
        if column.binary or column.values.dtype.kind == "b":
            kinds[j] = "binary"
        values: FloatArray = column.values.astype(np.float64, copy=False)
        gaps = np.isnan(values)
        # One NaN for all: their bits differ between readers, and a fingerprint sees bits.
        return np.where(gaps, np.nan, values) if gaps.any() else values

    x = side_by_side(
        (numbers(j, column.read()) for j, column in enumerate(columns)),
        (columns[0].rows, len(columns)),
        np.dtype(np.float64),
        on_disk=any(isinstance(column, StoredColumn) for column in columns),
    )
    return Encoded(x=x, kinds=kinds, categories=categories)


def text_codes(column: RawColumn, labels: tuple[str, ...] | None) -> tuple[FloatArray, tuple[str, ...]]:
    """Codes (n,) of a column of text, NaN where missing, and the labels behind them."""
    values = column.values.tolist()
    found = sorted({str(value) for value in set(values) if value is not None})
    labels = labels or column.labels or tuple(found)
    codes: dict[str | None, float] = {label: float(code) for code, label in enumerate(labels)}
    unknown = [label for label in found if label not in codes]
    if unknown:
        rows = np.fromiter((value in unknown for value in values), dtype=bool, count=len(values))
        raise InvalidInput(
            f"column {column.name!r} has labels that its categories do not list: {shorten(unknown)} "
            f"in {some_rows(rows)}; the categories are {shorten(labels)}"
        )
    codes[None] = np.nan
    return np.fromiter(map(codes.__getitem__, values), dtype=np.float64, count=len(values)), labels


def _check_exact(column: RawColumn) -> None:
    """Refuse whole numbers that float64 would round: they are hashes or ids, not quantities."""
    beyond = (column.values > _EXACT) | (column.values < -_EXACT)
    if beyond.any():
        raise InvalidInput(
            f"input column {column.name!r} has whole numbers beyond 2**53, which float64 cannot hold, "
            f"in {some_rows(beyond)}: rescale it, or name it in ids= or unused="
        )
