"""What few badly ranked rows of either side can prove about an area under a curve."""

import dataclasses
import math

from robust.intervals.clopper_pearson import clopper_pearson_bounds
from robust.intervals.interval import Interval
from robust.intervals.vacuous import FEW


def floored_by_sides(
    interval: Interval,
    *,
    positives: int,
    negatives: int,
    lost: int,
    raised: int,
    level: float,
    average_precision: bool = False,
) -> Interval:
    """An interval of one area, widened to what its positive and its negative rows can prove by themselves.

    With p the Clopper-Pearson bound on the share of a side's rows that are ranked badly and r the share that is, p − r
    more of them may be, where fewer than 10 are. A share x of the positive rows that is lost costs an AUC x at most,
    and an average precision 2x; a share y of the negative rows that is put in front costs an AUC y, and m of them cost
    the average precision of P positive rows (m/P) ln(1 + P/m). The distances from the value add in squares.

    Args:
        interval: Of the area.
        positives: Positive rows, at least 1.
        negatives: Negative rows.
        lost: Positive rows that are ranked badly.
        raised: Negative rows that are.
        level: One-sided confidence level of each bound, in (0.5, 1).
        average_precision: Whether it is an average precision, and not an AUC.

    Returns:
        The interval, within [0, 1] where it was.

    Source:
        Zou and Donner (2008), Statistics in Medicine 27:1693, for limits of a sum from limits of its terms.

    Example:
        Ten rows of either side, all in order: each may lose a share of 1 - 0.05^(1/10) = 0.2589 of its rows.

        >>> from robust.intervals.exact import exact
        >>> one = exact(1.0, 20)
        >>> wide = floored_by_sides(one, positives=10, negatives=10, lost=0, raised=0, level=0.95)
        >>> round(wide.lower, 4) == round(1 - 2**0.5 * 0.2589, 4), wide.upper
        (True, 1.0)
    """
    below = _further(lost, positives, level)
    above = _further(raised, negatives, level)
    if average_precision:
        number = above * negatives
        above = number / positives * math.log1p(positives / number) if number > 0.0 else 0.0
        below *= 2.0
    value = interval.value
    lower = value - math.hypot(value - interval.lower, below, above)
    upper = value + math.hypot(interval.upper - value, below, above)
    if not (below or above) or math.isinf(lower):
        return interval
    return dataclasses.replace(interval, lower=max(lower, 0.0), upper=min(upper, 1.0))


def _further(bad: int, rows: int, level: float) -> float:
    """Share of a side's rows that may be ranked badly beyond those that are; 0 where enough are to show it."""
    if bad >= FEW or rows == 0:
        return 0.0
    return clopper_pearson_bounds(bad, rows, level)[1] - bad / rows
