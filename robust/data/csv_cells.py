"""Cells of text as what they say: numbers, booleans, instants, or labels."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from robust.data.arrow_column import arrow_column
from robust.data.columns import RawColumn

# What numeric columns write for a missing value; among labels only the empty cell is one.
_MISSING = r"^(nan|NaN|NAN|NA|N/A|n/a|null|NULL|None|<NA>)?$"
_TRUE, _FALSE = r"^(True|true|TRUE)$", r"^(False|false|FALSE)$"
_NUMBER = r"(?i)^[+-]?((\d+\.?\d*|\.\d+)(e[+-]?\d+)?|inf(inity)?)$"


@dataclass(frozen=True, slots=True, kw_only=True)
class BadCell:
    """A cell that is no number in a column of numbers.

    Args:
        row: Its row, from 0.
        cell: What it says.
        numbers: How many cells of the column are numbers.
    """

    row: int
    cell: str
    numbers: int


def cells_column(name: str, cells: Any, *, text: bool, mixed: bool) -> RawColumn | BadCell:
    """Give a column of cells its type.

    Args:
        name: Of the column.
        cells: Arrow strings (n,), none of them null.
        text: Whether the cells are labels, whatever they look like.
        mixed: Whether numbers and other cells together are labels, rather than a mistake.

    Returns:
        The column: whole numbers, numbers, booleans, instants if all cells that are not missing are; labels
        if at most half are numbers; else the first cell that is not.

    >>> cells_column("a", pa.chunked_array([["1", "", "2.5"]]), text=False, mixed=False).values
    array([1. , nan, 2.5])
    >>> cells_column("a", pa.chunked_array([["1", "2", "?"]]), text=False, mixed=False)
    BadCell(row=2, cell='?', numbers=2)
    """
    if text:
        return _labels(name, cells)
    # Most columns are plain numbers: a cast fails at the first other cell, looking for blanks reads all.
    found = _number(cells)
    if found is not None:
        return arrow_column(name, found)
    trimmed = pc.utf8_trim_whitespace(cells)
    missing = pc.match_substring_regex(trimmed, _MISSING)
    present = pc.if_else(missing, pa.scalar(None, pa.string()), trimmed)
    found = _number(present)
    if found is not None:
        return arrow_column(name, found)
    true, false = (pc.match_substring_regex(trimmed, words) for words in (_TRUE, _FALSE))
    if pc.all(pc.or_(pc.or_(true, false), missing)).as_py():
        return arrow_column(name, pc.if_else(missing, pa.scalar(None, pa.bool_()), true))
    for kind in (pa.timestamp("ns"), pa.timestamp("ns", "UTC")):
        found = _cast(present, kind)
        if found is not None:
            return arrow_column(name, found)
    number = pc.match_substring_regex(trimmed, _NUMBER).to_numpy()
    other = ~number & ~missing.to_numpy()
    if not mixed and number.sum() > other.sum():
        row = int(np.flatnonzero(other)[0])
        return BadCell(row=row, cell=trimmed[row].as_py(), numbers=int(number.sum()))
    return _labels(name, cells)


def _labels(name: str, cells: Any) -> RawColumn:
    """A column of labels, missing where a cell is empty."""
    return arrow_column(name, pc.if_else(pc.equal(cells, ""), pa.scalar(None, pa.string()), cells))


def _number(cells: Any) -> Any:
    """The cells as whole numbers if they all are, else as numbers, else None."""
    for kind in (pa.int64(), pa.uint64(), pa.float64()):
        found = _cast(cells, kind)
        if found is not None:
            return found
    return None


def _cast(cells: Any, kind: Any) -> Any:
    """The cells as another type, or None if one of them is not of it."""
    try:
        return pc.cast(cells, kind)
    except pa.ArrowInvalid:
        return None
