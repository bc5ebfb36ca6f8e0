"""How far one feature moves the mean prediction, with errors of every difference that makes it."""

from dataclasses import dataclass

import numpy as np
from scipy.special import stdtrit

from robust.data.dataset import Dataset
from robust.sensitivity.feature_grid import FeatureGrid
from robust.sensitivity.ice_bounds import differing_rows, mean_errors
from robust.types import FloatArray


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Reach:
    """How far one feature moves the mean prediction.

    Args:
        grid: The feature's values.
        ice: Individual conditional expectations (n, k).
        low: Grid point of the smallest mean.
        high: Grid point of the largest mean.
        contrasts: Differences of means of all pairs of grid points, by size (m,).
        errors: Their standard errors (m,).
        dof: Degrees of freedom of the errors.
        differing: Rows whose own difference between `high` and `low` is not the commonest.
        largest: Largest difference of any row between two grid points.
    """

    grid: FeatureGrid
    ice: FloatArray
    low: int
    high: int
    contrasts: FloatArray
    errors: FloatArray
    dof: float
    differing: int
    largest: float

    @property
    def value(self) -> float:
        """The range of the partial dependence."""
        return float(self.contrasts.max())

    def bounds(self, *, below: float, above: float) -> tuple[float, float]:
        """Bounds of the range, from bounds of each contrast that hold with these probabilities."""
        lower = float((self.contrasts - stdtrit(self.dof, below) * self.errors).max())
        upper = float((self.contrasts + stdtrit(self.dof, above) * self.errors).max())
        return min(lower, self.value), max(upper, self.value)


def feature_reach(ice: FloatArray, grid: FeatureGrid, data: Dataset) -> Reach:
    """All differences between grid points, paired by row, with their errors."""
    means = ice.mean(axis=0)
    first, second = np.triu_indices(len(means), k=1)
    errors, dof = mean_errors(ice[:, first] - ice[:, second], data)
    low, high = int(np.argmin(means)), int(np.argmax(means))
    return Reach(
        grid=grid,
        ice=ice,
        low=low,
        high=high,
        contrasts=np.abs(means[first] - means[second]),
        errors=errors,
        dof=dof,
        differing=differing_rows(ice[:, high] - ice[:, low]),
        largest=float(np.ptp(ice, axis=1).max()),
    )
