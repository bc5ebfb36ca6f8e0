"""What evidence is made of: columns of figures, sampled rows, the worst of them."""

import numpy as np

from robust.data.dataset import Dataset
from robust.evidence import Figure, Rows, Series
from robust.types import AnyArray, FloatArray

#: Points of a scatter or curve in a figure, at most: reports stay small, the numbers rest on all rows.
POINTS = 300
WORST = 10


def sampled(n: int, most: int = POINTS) -> AnyArray:
    """Evenly spaced positions of at most `most` of n rows: the same ones every time."""
    return np.unique(np.linspace(0, n - 1, min(n, most)).round().astype(np.int64))


def numbers(name: str, values: AnyArray) -> Series:
    """A numeric column of a figure, rounded to six significant digits: a chart shows no more."""
    return Series(name=name, values=tuple(float(f"{value:.6g}") for value in np.asarray(values, dtype=float)))


def words(name: str, values: object) -> Series:
    """A text column of a figure."""
    return Series(name=name, values=tuple(str(value) for value in values))  # type: ignore[attr-defined]


def row_ids(data: Dataset, positions: AnyArray) -> tuple[int | str, ...]:
    """Ids of rows as plain ints or text."""
    return tuple(row if isinstance(row, int) else str(row) for row in data.ids[positions].tolist())


def costliest(losses: FloatArray, data: Dataset, *, what: str) -> Rows:
    """Rows with the largest losses."""
    order = largest(losses, WORST)
    return Rows(
        what=what, ids=row_ids(data, order), values=tuple(float(f"{losses[i]:.4g}") for i in order), total=len(losses)
    )


def largest(values: FloatArray, most: int) -> AnyArray:
    """Positions of the largest values, falling; of equal ones the first rows: without sorting all."""
    if len(values) > 100 * most:
        edge = np.partition(values, len(values) - most)[len(values) - most]
        above, at = np.flatnonzero(values > edge), np.flatnonzero(values == edge)
        kept = np.sort(np.concatenate([above, at[: most - len(above)]]))
        return np.asarray(kept[np.argsort(-values[kept], kind="stable")])
    return np.argsort(-values, kind="stable")[:most]


def histogram(values: FloatArray, title: str) -> Figure:
    """The distribution of one number a row."""
    kept = values[sampled(len(values), 2000)]
    return Figure(
        kind="histogram", title=f"Distribution: {title}", x_title=title, y_title="rows", columns=(numbers("x", kept),)
    )
