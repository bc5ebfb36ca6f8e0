"""The mean of paired differences, row by row."""

import numpy as np

from robust.data.dataset import Dataset
from robust.intervals.bca import bca
from robust.intervals.interval import Interval
from robust.intervals.resampling import SmoothOfMeans, distinct
from robust.intervals.tango import tango
from robust.intervals.vacuous import never_vacuous
from robust.measures.dependence import dependent_interval, is_dependent
from robust.types import FloatArray


def mean_change_interval(
    worse: FloatArray,
    data: Dataset,
    *,
    level: float,
    seed: int,
    share: bool,
    typical: float = 0.0,
    effect: float | None = None,
) -> Interval:
    """Interval of a mean paired difference.

    Args:
        worse: Difference of each row (n,), positive is worse.
        data: The rows.
        level: Confidence of each bound.
        seed: Seed of the bootstrap, where one is used.
        share: Whether the differences are those of two 0-or-1 columns.
        typical: Size of a typical row value; a change of less than a thousandth of it is no difference.
        effect: Largest difference that one row can have; None where it has no bound. Of shares it is 1.

    Returns:
        Tango's corrected score interval for shares, BCa otherwise; blocks or clusters where rows depend on each other.
    """
    differ = np.abs(worse) > 1e-3 * typical
    if is_dependent(data):
        statistic = SmoothOfMeans(worse, lambda means: means[:, 0])
        return dependent_interval(
            statistic,
            data,
            level=level,
            seed=seed,
            odd=differ,
            effect=1.0 if share else effect,
            anchor=0.0,
            resolution=1e-12 * typical,
        )
    if share:
        return tango(int(np.sum(worse > 0)), int(np.sum(worse < 0)), len(worse), level=level)
    values, counts = distinct(worse)
    interval = bca(SmoothOfMeans(values, lambda means: means[:, 0]), counts, level=level, seed=seed)
    return never_vacuous(
        interval,
        differing=int(differ.sum()),
        units=len(worse),
        effect=effect,
        level=level,
        anchor=0.0,
        resolution=1e-12 * typical,
    )
