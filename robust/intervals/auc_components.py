"""Structural components of the area under the ROC curve: what each row contributes to it."""

from dataclasses import dataclass
from typing import Self

import numpy as np

from robust.errors import InvalidInput
from robust.types import AnyArray, BoolArray, FloatArray, IntArray


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class AucComponents:
    """An area under the curve, binary or the one-vs-rest mean over classes, taken apart by row.

    Attributes:
        value: The area, 0 .. 1.
        influence: Shape (n,), mean 0: the area is ``value`` plus the mean of these under another weighting of
            the rows, to first order.
        unbiased: Shape (n,): the influences scaled by sqrt(m/(m - 1)) within each class of m rows, so that
            their sum of squares over n^2 is DeLong's variance; infinite where a class has one row.
        placed: Shape (n, 1) for a binary area, else (n, C): the share of the rows of the other side, positive
            or negative, that a column orders rightly against each row.
        classes: Shape (n,): class of each row, 0 .. C - 1.
        effect: Change of the area if all rows were moved in the worst way, n times the largest effect of one
            row.
    """

    value: float
    influence: FloatArray
    unbiased: FloatArray
    placed: FloatArray
    classes: IntArray
    effect: float

    def gross_change(self, other: Self) -> float:
        """Mean size of the changes from these placements to others of the same rows; at least the change of the area.

        The smaller one of the means over the positive and over the negative rows, of those whose changes differ (a
        side whose rows all change alike has no part in the variance); then the mean over the columns.
        """
        moved = self.placed - other.placed
        positives = (1,) if moved.shape[1] == 1 else range(moved.shape[1])
        changes = []
        for positive, move in zip(positives, moved.T, strict=True):
            sides = move[self.classes == positive], move[self.classes != positive]
            # Placements are shares of rows: differences below this are rounding.
            varied = [side for side in sides if np.ptp(side) > 1e-12]
            changes.append(min(np.abs(side).mean() for side in varied or sides))
        return float(np.mean(changes))

    def moving(self, other: Self) -> BoolArray:
        """Rows whose placement moves by at least a tenth of the largest move in their class (n,).

        Two builds of one network move most rows by a pair or two: that they do says nothing about how far one can go.
        """
        moves = np.abs(self.placed - other.placed).max(axis=1)
        largest = np.zeros(int(self.classes.max()) + 1)
        np.maximum.at(largest, self.classes, moves)
        return np.asarray((moves > 0) & (moves >= 0.1 * largest[self.classes]))


def auc_components(y: AnyArray, scores: AnyArray) -> AucComponents:
    """Area under the ROC curve with the contribution of each row, in O(n log n) a class.

    For a positive row i, V10(i) is the share of negative rows scored below it (half of those equal); for a
    negative row j, V01(j) is the share of positive rows scored above it. The area is the mean of either. With
    two columns of scores or more it is the mean of the one-vs-rest areas, and a row is positive once and
    negative in the others.

    Args:
        y: Shape (n,): classes 0 and 1 for one column of scores, 0 .. C - 1 for C columns; each class must
            occur.
        scores: Shape (n,): score of class 1; or (n, C): a score a class, C at least 2. Finite.

    Returns:
        The area and its components.

    Raises:
        InvalidInput: Shapes that do not agree, a score that is not finite, labels that are not those classes,
            or a class without a row.

    Source:
        DeLong, DeLong and Clarke-Pearson (1988), Biometrics 44:837; Sun and Xu (2014), IEEE
        Signal Processing Letters 21:1389, for the ranks that make it fast.

    Example:
        Of the four pairs of a positive and a negative row, three are in order.

        >>> auc_components(np.array([0, 0, 1, 1]), np.array([0.1, 0.4, 0.35, 0.8])).value
        0.75
    """
    table = np.asarray(scores)
    if table.ndim not in (1, 2) or table.size == 0 or (table.ndim == 2 and table.shape[1] < 2):
        raise InvalidInput(f"scores got shape {table.shape}; (rows,) or (rows, classes), 2 or more, would be right")
    if table.dtype.kind not in "fiub" or not np.isfinite(table).all():
        raise InvalidInput("scores got a NaN, an infinity or no number; finite scores would be right")
    number = 2 if table.ndim == 1 else table.shape[1]
    classes = _labels(y, rows=len(table), number=number)
    columns = [(1, table)] if table.ndim == 1 else [(c, table[:, c]) for c in range(number)]
    n = len(table)
    sizes = np.bincount(classes, minlength=number)
    value = 0.0
    influence, unbiased, shares = np.zeros(n), np.zeros(n), np.empty((n, len(columns)))
    reach = np.zeros(number)
    for j, (positive, column) in enumerate(columns):
        inside = classes == positive
        area, above, below = _placements(column[inside], column[~inside])
        value += area
        reach += 1.0 / (n - sizes[positive])
        reach[positive] += 1.0 / sizes[positive] - 1.0 / (n - sizes[positive])
        for rows, placed in ((inside, above), (~inside, below)):
            shares[rows, j] = placed
            part = (placed - area) * (n / placed.size)
            influence[rows] += part
            unbiased[rows] += part * np.sqrt(placed.size / (placed.size - 1.0)) if placed.size > 1 else np.inf
    count = len(columns)
    return AucComponents(
        value=value / count,
        influence=influence / count,
        unbiased=unbiased / count,
        placed=shares,
        classes=classes,
        effect=n * float(reach.max()) / count,
    )


def _labels(y: AnyArray, *, rows: int, number: int) -> IntArray:
    """Labels as int64, each of the classes present."""
    labels = np.asarray(y)
    if labels.shape != (rows,):
        raise InvalidInput(f"y got shape {labels.shape} for {rows} rows of scores; one label a row would be right")
    if labels.dtype.kind not in "iubf" or (labels.dtype.kind == "f" and not np.isfinite(labels).all()):
        raise InvalidInput(f"y got dtype {labels.dtype} or a NaN; classes 0 .. {number - 1} would be right")
    present = np.unique(labels)
    if not np.isin(present, np.arange(number)).all():
        strange = present[~np.isin(present, np.arange(number))][0]
        raise InvalidInput(f"y got label {strange.item()!r}; classes 0 .. {number - 1} would be right")
    if present.size < number:
        absent = np.setdiff1d(np.arange(number), present).tolist()
        raise InvalidInput(f"y got no row of class {absent}; at least one row of each class would be right")
    return labels.astype(np.int64)


def _placements(positive: FloatArray, negative: FloatArray) -> tuple[float, FloatArray, FloatArray]:
    """Area, share of negatives below each positive, share of positives above each negative; ties half."""
    up, down = np.sort(positive), np.sort(negative)
    below = np.searchsorted(down, positive, "left") + np.searchsorted(down, positive, "right")
    above = np.searchsorted(up, negative, "left") + np.searchsorted(up, negative, "right")
    beaten, beating = below / (2.0 * down.size), 1.0 - above / (2.0 * up.size)
    return float(beaten.mean()), beaten, beating
