"""Rows on a common scale, so that distances between them mean something."""

from dataclasses import dataclass

import numpy as np

from robust.data.dataset import Dataset
from robust.data.large import row_blocks
from robust.types import AnyArray, FloatArray


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RowScale:
    """Centre and spread of each feature, and which features are categories.

    Args:
        centre: Mean over the rows that it was made of (d,).
        spread: Standard deviation, 1 for a constant feature (d,).
        codes: Categorical features and their number of labels.
        notes: What a reader should know about the distances.
    """

    centre: FloatArray
    spread: FloatArray
    codes: tuple[tuple[int, int], ...]
    notes: tuple[str, ...]

    @property
    def width(self) -> int:
        """Number of features d."""
        return len(self.centre)

    def applied(self, x: AnyArray) -> FloatArray:
        """Rows (n, …) as points whose squared distances add up over features (n, d′); missing values at the centre."""
        flat = np.asarray(x, dtype=np.float64).reshape(len(x), -1)
        points = (flat - self.centre) / self.spread
        points[np.isnan(points)] = 0.0
        if not self.codes:
            return points
        parts = [np.delete(points, [feature for feature, _ in self.codes], axis=1)]
        for feature, labels in self.codes:
            # Two different labels are √(½ + ½) = 1 apart; an unknown one has no column.
            parts.append((flat[:, feature, None] == np.arange(labels)) * np.sqrt(0.5))
        return np.hstack(parts)


def row_scale(data: Dataset) -> RowScale:
    """Measure each feature over all rows, block by block.

    Args:
        data: The rows.

    Returns:
        The scale.

    >>> from robust.data.live import as_data
    >>> scale = row_scale(as_data(np.array([[0.0, 5.0], [2.0, 5.0]])))
    >>> scale.centre.tolist(), scale.spread.tolist()
    ([1.0, 5.0], [1.0, 1.0])
    """
    width = data.schema.width
    count, mean, squares = np.zeros(width), np.zeros(width), np.zeros(width)
    missing = 0
    for block in row_blocks(data.x):
        flat = np.asarray(data.x[block], dtype=np.float64).reshape(-1, width)
        known = ~np.isnan(flat)
        missing += int((~known).sum())
        own = known.sum(axis=0)
        centre = np.divide(np.where(known, flat, 0.0).sum(axis=0), own, out=np.zeros(width), where=own > 0)
        spread = (np.where(known, flat - centre, 0.0) ** 2).sum(axis=0)
        # Chan, Golub and LeVeque (1983): moments of two parts together.
        both = np.maximum(count + own, 1)
        squares += spread + (centre - mean) ** 2 * count * own / both
        mean += (centre - mean) * own / both
        count += own
    spread = np.sqrt(squares / np.maximum(count, 1))
    # What is left of a constant feature is rounding, which must not become its unit.
    constant = spread <= 1e-12 * np.maximum(np.abs(mean), 1.0)
    codes = tuple((feature, len(labels)) for feature, labels in data.schema.categories)
    notes = ["distances are per feature, in standard deviations of the training rows"]
    notes += [f"{missing} missing training values count as the mean"] if missing else []
    return RowScale(centre=mean, spread=np.where(constant, 1.0, spread), codes=codes, notes=tuple(notes))
