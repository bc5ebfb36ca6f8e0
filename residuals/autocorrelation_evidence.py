"""What is reported about autocorrelation: a table by lag, joint tests, and words."""

import numpy as np
from scipy.special import stdtr

from robust.data.dataset import Dataset
from robust.data.ordering import TimeOrder
from robust.evidence import Evidence, Fact, Finding, Slice
from robust.intervals.interval import Interval
from robust.residuals.lag_products import Autocorrelations
from robust.residuals.portmanteau import automatic_p, box_pierce_p, standardised_squares
from robust.types import FloatArray, IntArray


def by_lag(found: Autocorrelations, *, level: float) -> tuple[Slice, ...]:
    """Signed autocorrelations with simultaneous bounds, largest first."""
    reach = found.reach(1.0 - (1.0 - level) / len(found.lags))
    parts = [
        Slice(
            name=f"lag {k}",
            n=int(pairs),
            value=float(value),
            lower=float(max(-1.0, min(value, centre - half))),
            upper=float(min(1.0, max(value, centre + half))),
        )
        for k, pairs, value, centre, half in zip(
            found.lags, found.pairs, found.values, found.centres, reach, strict=True
        )
    ]
    return tuple(sorted(parts, key=lambda part: -abs(part.value)))


def joint_p(found: Autocorrelations, sequence: FloatArray) -> float:
    """Joint p-value over the lags asked for: robust Box–Pierce for one series, Bonferroni's for groups."""
    if np.isinf(found.null_dof):
        return box_pierce_p(standardised_squares(sequence, found.lags))
    ratios = np.divide(
        np.abs(found.values), found.null_errors, out=np.zeros(len(found.lags)), where=found.null_errors > 0
    )
    return min(1.0, 2.0 * len(ratios) * float(stdtr(found.null_dof, -ratios.max())))


def finding(interval: Interval, worst: Slice, p: float, *, lags: int) -> tuple[Evidence, ...]:
    """In words: how strong autocorrelation is, and whether it is proved."""
    facts: tuple[Evidence, ...] = (
        Fact(name="largest autocorrelation", value=f"{worst.value:+.3f} at {worst.name}"),
        Fact(name=f"robust joint p, {lags} lags", value=float(f"{p:.3g}")),
    )
    if interval.upper - interval.lower >= 1.0 or (interval.lower <= 0.0 and p > (1.0 - interval.level) / 2):
        return facts
    apart = worst.name.removeprefix("lag ")
    size = f"at least {interval.lower:.2f} in size" if interval.lower > 0 else "its size is not settled"
    way = "the same way" if worst.value > 0 else "opposite ways"
    text = (
        f"residuals {apart} {'row' if apart == '1' else 'rows'} apart lean {way} (autocorrelation {worst.value:+.2f}, "
        f"{size}; p = {p:.2g} over all lags): past rows hold information that the model does not use"
    )
    return (Finding(text=text), *facts)


def automatic_test(sequence: FloatArray) -> tuple[Evidence, ...]:
    """The joint p-value that needs no choice of lags."""
    n = len(sequence)
    most = int(min(10 * np.log10(n), n // 5))
    p, chosen = automatic_p(standardised_squares(sequence, np.arange(1, most + 1)), n)
    return (Fact(name=f"automatic portmanteau p ({chosen} of {most} lags chosen)", value=float(f"{p:.3g}")),)


def group_facts(sequence: FloatArray, sizes: IntArray) -> tuple[Evidence, ...]:
    """Groups, and the residual variance between them, which is no autocorrelation inside them."""
    count, n = len(sizes), len(sequence)
    owner = np.repeat(np.arange(count), sizes)
    means = np.bincount(owner, sequence) / sizes
    within = float(np.sum((sequence - means[owner]) ** 2)) / (n - count)
    between = float(np.sum(sizes * (means - sequence.mean()) ** 2)) / (count - 1)
    usual = (n - float(np.sum(sizes**2)) / n) / (count - 1)
    part = max(0.0, (between - within) / usual)
    share = part / (part + within) if part + within > 0 else 0.0
    return (
        Fact(name="groups", value=count),
        Fact(name="share of residual variance between groups (one-way ANOVA)", value=float(f"{share:.3g}")),
    )


def spacing(data: Dataset, order: TimeOrder) -> tuple[Evidence, ...]:
    """Say so where rows are not evenly spaced: a lag counts rows, not time."""
    if data.order is None or data.order.dtype.kind not in "fiu":
        return ()
    steps = np.diff(data.order[order.rows].astype(np.float64))
    inside = np.ones(len(steps), dtype=bool)
    inside[order.starts[1:-1] - 1] = False
    if not inside.any():
        return ()
    low, usual, high = (float(f(steps[inside])) for f in (np.min, np.median, np.max))
    if high - low <= 0.01 * usual:
        return ()
    steps_text = f"steps of the order run from {low:.4g} to {high:.4g} (median {usual:.4g})"
    return (Fact(name="uneven spacing", value=f"{steps_text}: a lag counts rows, not time"),)
