"""Whether a reference is far enough from 0 for a change to be relative to it."""

import numpy as np

from robust.data.dataset import Dataset
from robust.evidence import SelfCheck
from robust.measures.single import single_interval
from robust.measures.truth import Scored
from robust.metrics.metric import Metric

#: Differences of up to this share of the numbers that they are of are rounding.
ROUNDING = 1e-12
#: The same where outputs have single precision.
_SINGLE = 64 * float(np.finfo(np.float32).eps)
#: Which power of an error of the target's size figures of a unit are.
_POWERS = {"target": 1, "target units squared": 2}


def away_from_zero(metric: Metric, reference: Scored, data: Dataset, *, level: float, seed: int) -> SelfCheck:
    """Check that a reference is proved to be away from 0, by more than rounding.

    Args:
        metric: The metric.
        reference: The reference's predictions.
        data: The rows.
        level: Confidence of each bound.
        seed: Seed of the bootstrap.

    Returns:
        The check; failed, a relative change of this reference means nothing.
    """
    interval = single_interval(metric, reference, data, level=level, seed=seed)
    # What is below it, or may be, is made of rounding.
    noise = _noise(metric, reference)
    away = interval.lower > noise or interval.upper < -noise
    return SelfCheck(
        name="relative to zero",
        passed=bool(away),
        reason=f"the reference's {metric.name} is {interval.value:.4g} ({interval.lower:.4g} .. {interval.upper:.4g})"
        + ("" if away else f", which is 0 up to {noise:.1g}: a relative change means nothing; use relative=False"),
        bias="either",
    )


def _noise(metric: Metric, scored: Scored) -> float:
    """Size of a figure that rounding alone can make, of numbers with as many digits as the outputs have."""
    outputs = scored.predictions.outputs
    with np.errstate(over="ignore"):
        # Whole numbers are exact in either.
        single = bool((outputs == outputs.astype(np.float32)).all() and (outputs != np.round(outputs)).any())
    share = _SINGLE if single else ROUNDING
    if metric.unit not in _POWERS:
        return share
    error = share * float(max(np.abs(scored.truth).max(), np.abs(scored.prediction).max()))
    return error ** _POWERS[metric.unit]
