"""Parts of the rows: by class, and by each slicing column."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from robust.data.dataset import Column, Dataset
from robust.evidence import Fact
from robust.measures.truth import Scored
from robust.types import AnyArray, BoolArray

#: A column of numbers with more distinct values than this is cut at its quartiles.
_MOST_NUMBERS = 12
#: A column of text with more distinct values than this makes no slices: each would hold next to nothing.
_MOST_TEXTS = 60


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Slicing:
    """One way to part the rows.

    Args:
        by: Name of the column, or `class`.
        parts: Name and rows of each part.
    """

    by: str
    parts: tuple[tuple[str, BoolArray], ...]

    def level(self, level: float) -> float:
        """Level of each part's bounds with which all of them hold at once (Bonferroni)."""
        return 1 - (1 - level) / len(self.parts)


def slicings(scored: Scored, data: Dataset) -> tuple[tuple[Slicing, ...], tuple[Fact, ...]]:
    """Ways to part the rows of a classifier's test set.

    Args:
        scored: Names the classes.
        data: Names the columns.

    Returns:
        By true class (not where a row can have several), then by each slicing column: numbers that take many values are
        cut at their quartiles. Columns of text with too many values are named in the facts instead.
    """
    columns, facts = column_slicings(data)
    if scored.multilabel:
        return columns, facts
    names = np.asarray([str(label) for label in scored.predictions.classes])
    return (_parted("class", names[scored.truth]), *columns), facts


def column_slicings(data: Dataset) -> tuple[tuple[Slicing, ...], tuple[Fact, ...]]:
    """Ways to part rows by their slicing columns.

    Args:
        data: Names the columns.

    Returns:
        One a column, and facts about columns with too many values.
    """
    found: list[Slicing] = []
    facts = []
    for column in data.slices:
        labels = _labels(column)
        distinct = len(np.unique(labels))
        if distinct > _MOST_TEXTS:
            facts.append(Fact(name=f"not sliced by {column.name}", value=f"{distinct} values in {len(labels)} rows"))
        else:
            found.append(_parted(column.name, labels))
    return tuple(found), tuple(facts)


def target_slicing(data: Dataset) -> tuple[Slicing, ...]:
    """The way to part rows by their own labels, where these are few; by what a model calls them, see `slicings`."""
    if data.y is None or data.y.ndim != 1 or len(np.unique(data.y)) > _MOST_TEXTS:
        return ()
    return (_parted("class", np.asarray([str(label) for label in data.y.tolist()])),)


def _parted(by: str, labels: AnyArray) -> Slicing:
    return Slicing(by=by, parts=tuple((f"{by}={name}", labels == name) for name in np.unique(labels)))


def _labels(column: Column) -> AnyArray:
    """The column as text (n,)."""
    values = column.values
    if values.dtype.kind not in "iuf" or len(np.unique(values)) <= _MOST_NUMBERS:
        return np.asarray([str(value) for value in values])
    known = values[~np.isnan(values.astype(np.float64))]
    edges = np.unique(np.quantile(known, (0.0, 0.25, 0.5, 0.75, 1.0)))
    place = np.clip(np.searchsorted(edges, values, side="left"), 1, len(edges) - 1)
    names = [f"{low:.4g} .. {high:.4g}" for low, high in pairwise(edges)]
    return np.asarray(["nan" if value != value else names[i - 1] for value, i in zip(values, place, strict=True)])
