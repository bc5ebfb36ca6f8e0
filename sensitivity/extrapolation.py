"""How much of a partial dependence is asked about rows unlike any in the data."""

import numpy as np

from robust.data.dataset import Dataset
from robust.evidence import SelfCheck
from robust.randomness import row_words
from robust.sensitivity.feature_grid import FeatureGrid
from robust.types import FloatArray, IntArray

#: Share of points outside the data above which a partial dependence is warned about.
MOST = 0.10
_REFERENCE_ROWS = 2000
_ASKED_POINTS = 2000
_QUANTILE = 0.99
_STREAM = 2002


def extrapolation_share(data: Dataset, grid: FeatureGrid, *, seed: int) -> float | None:
    """Share of evaluated points that lie outside the data.

    A point is outside when its distance to the nearest other row, in standardised features, exceeds the 99 %
    quantile of the same distance among the rows themselves; the row that the point was made from does not
    count.

    Args:
        data: Rows that are asked about.
        grid: Values that the feature is set to.
        seed: Chooses the rows, where there are more than 2,000, and the points, by row id.

    Returns:
        A share in [0, 1], about 0.01 where the feature is independent of the others; None where there are
        fewer than 20 rows, or inputs are unknown (NaN).
    """
    from sklearn.neighbors import NearestNeighbors

    flat = data.schema.flat(data.x).astype(np.float64)
    if len(flat) < 20 or not np.isfinite(flat).all():
        return None
    keys = row_words(data.row_keys(), 2, seed=seed, stream=_STREAM)
    kept = np.sort(np.argsort(keys[:, 0], kind="stable")[:_REFERENCE_ROWS])
    spread = flat[kept].std(axis=0)
    rows = np.where(spread > 0, (flat[kept] - flat[kept].mean(axis=0)) / np.where(spread > 0, spread, 1.0), 0.0)
    index = NearestNeighbors(n_neighbors=2).fit(rows)
    # Column 0 is the row itself, or a twin of it: the distance to the nearest other row either way.
    usual = float(np.quantile(index.kneighbors(rows)[0][:, 1], _QUANTILE))
    asked = np.argsort(keys[kept, 1], kind="stable")[: max(1, _ASKED_POINTS // len(grid.grid))]
    outside = [
        _nearest_other(index, _set(rows, flat[kept], spread, asked, grid, point), asked) > usual
        for point in range(len(grid.grid))
    ]
    return float(np.mean(outside))


def extrapolation_check(feature: str, share: float | None) -> SelfCheck:
    """Warn where more than a tenth of the points lie outside the data."""
    if share is None:
        reason = "not measured: fewer than 20 rows, or unknown inputs"
    else:
        reason = f"{100 * share:.0f}% of the points lie outside the data, where a model may answer anything"
    return SelfCheck(
        name=f"extrapolation of {feature}", passed=share is None or share <= MOST, reason=reason, bias="none"
    )


def _set(
    rows: FloatArray, raw: FloatArray, spread: FloatArray, asked: IntArray, grid: FeatureGrid, point: int
) -> FloatArray:
    """Standardised rows with the feature set to one value."""
    changed = rows[asked]
    for column, value in zip(grid.columns, grid.settings[point], strict=True):
        if spread[column] > 0:
            changed[:, column] = (value - raw[:, column].mean()) / spread[column]
    return changed


def _nearest_other(index: object, points: FloatArray, origins: IntArray) -> FloatArray:
    """Distance of points to the nearest row that is not the one they were made from."""
    distances, neighbours = index.kneighbors(points)  # type: ignore[attr-defined]
    own = neighbours[:, 0] == origins
    return np.asarray(np.where(own, distances[:, 1], distances[:, 0]))
