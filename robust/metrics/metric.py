"""What a metric is to the interval machinery: statistics a row, and a function of their means.

Every metric here but the AUC is g(mean of row statistics): accuracy is a mean, RMSE a root of one, macro-F1 a
ratio of several. That form gives its bootstrap on counts of distinct rows, its exact jackknife and its paired
difference for free.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeAlias

from robust.types import AnyArray, FloatArray, Task

Needs: TypeAlias = Literal["labels", "probabilities", "values"]
Rate: TypeAlias = Callable[[float], float | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """A metric as data.

    Args:
        name: Name users write, e.g. `rmse`.
        title: Name tables show.
        task: What kind of model it judges.
        needs: Which form of the predictions its kernel takes.
        higher_is_better: Direction.
        unit: Unit of the value; `target` stands for the target's own unit.
        relative: Whether `degradation` and `gain` are relative to the reference by default.
        rows: Kernel: truth (n,) or (n, k) and predictions to row statistics (n, m).
        function: Means of row statistics (B, m) to values (B,); None for the AUC, which is no function of means.
        effect: From truth, predictions of the reference, and all predictions that were seen, to a rate: from a share s
            of rows to the largest change of the value if any share up to s changed its predictions in the worst way,
            divided by that share; None where one row has no bounded effect.
        class_effects: From truth and predictions of the reference to the largest change of the value if all rows of a
            class changed in the worst way, one a class (k,), or by the rows without and with each of several labels
            (k, 2); None where a row's class has no part in what it can do.
        low: Smallest value that it can take.
        high: Largest value.
        proportion: Whether the row statistic is 0 or 1 and the value its mean, so that exact bounds exist.
    """

    name: str
    title: str
    task: Task
    needs: Needs
    higher_is_better: bool
    unit: str
    relative: bool
    rows: Callable[[AnyArray, AnyArray], FloatArray]
    function: Callable[[FloatArray], FloatArray] | None
    effect: Callable[[AnyArray, AnyArray, AnyArray], Rate]
    class_effects: Callable[[AnyArray, AnyArray], FloatArray] | None = None
    low: float = 0.0
    high: float = math.inf
    proportion: bool = False


def at_most_one(slope: Callable[[float], float]) -> Rate:
    """The rate of a figure in [0, 1], which never changes by more than 1 in all.

    Args:
        slope: From a share to a change a share, infinite where there is no bound; must not fall as the share grows.

    Returns:
        The slope, capped where slope times share reaches 1 for a smaller share.
    """

    def rate(share: float) -> float:
        if share * slope(share) <= 1:
            return slope(share)
        low, high = 0.0, share
        for _ in range(60):
            middle = 0.5 * (low + high)
            low, high = (middle, high) if middle * slope(middle) <= 1 else (low, middle)
        return 1.0 / max(low, 1e-300)

    return rate
