"""Bounds of a figure in [0, 1] from its variance, on the logit scale."""

import math

from scipy.special import stdtrit

from robust.intervals.delong import LogitSizing
from robust.intervals.interval import Interval, RootSizing, Sizing, UnboundedSizing


def logit_interval(
    value: float,
    variance: float,
    *,
    freedom: float,
    n: int,
    level: float,
    method: str,
    bias: float = 0.0,
    notes: tuple[str, ...] = (),
) -> Interval:
    """Bounds expit(logit(v) ∓ t s/(v(1 − v))), t the Student quantile; v ∓ t s where v is 0 or 1.

    Args:
        value: The figure, in [0, 1].
        variance: Its variance, at least 0; infinite where it cannot be estimated, which gives no bounds.
        freedom: Degrees of freedom of the variance, above 0.
        n: Rows that it rests on.
        level: One-sided confidence level of each bound, in (0.5, 1).
        method: Name of the method that gave the variance.
        bias: By how much the value is too high; the bounds lie around the value less this, and still enclose it.
        notes: Facts about the bounds, in words.

    Returns:
        The interval, of zero width where the variance is 0.

    Source:
        Qin and Hotilovac (2008), Statistical Methods in Medical Research 17:207.

    Example:
        >>> wide = logit_interval(0.5, 0.01, freedom=1e9, n=25, level=0.975, method="delong")
        >>> round(wide.lower, 3), round(wide.upper, 3)
        (0.313, 0.687)
    """
    sizing: Sizing
    if math.isinf(variance) or freedom <= 0.0:
        sizing = UnboundedSizing()
    elif variance == 0.0:
        sizing = RootSizing(value=value, lower=value, upper=value, n=n)
    else:
        half = float(stdtrit(freedom, level)) * math.sqrt(variance)
        centre = value - bias
        if 0.0 < centre < 1.0:
            sizing = LogitSizing(value=centre, half=half / (centre * (1.0 - centre)), n=n)
        else:
            sizing = RootSizing(value=value, lower=value - half, upper=value + half, n=n)
    lower, upper = sizing.at(n)
    return Interval(value=value, lower=lower, upper=upper, level=level, n=n, method=method, sizing=sizing, notes=notes)
