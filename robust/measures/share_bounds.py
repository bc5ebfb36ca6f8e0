"""Bounds of shares of detections, and of F1 through one."""

import dataclasses
from dataclasses import dataclass

from robust.data.dataset import Dataset
from robust.intervals.clipping import clip
from robust.intervals.interval import Interval, Sizing, UnboundedSizing
from robust.measures.dependence import bindings
from robust.measures.row_means import share_interval
from robust.types import BoolArray


def hit_share(hits: BoolArray, among: BoolArray, data: Dataset, *, level: float, seed: int) -> Interval:
    """Interval of the share of hits among some of the rows.

    Args:
        hits: Rows that count (n,).
        among: Rows that they are counted among (n,).
        data: The rows.
        level: Confidence of each bound.
        seed: Seed of the bootstrap for rows that depend on each other.

    Returns:
        The interval; 0 with the bounds 0 and 1 where there is nothing to count among.
    """
    if not among.any():
        nothing = Interval(
            value=0.0,
            lower=0.0,
            upper=1.0,
            level=level,
            n=len(data),
            method="none",
            sizing=UnboundedSizing(),
            notes=("no row to count among: 0 by convention, and nothing is proved",),
        )
        return clip(nothing, 0.0, 1.0)
    return share_interval(hits[among], bindings(data, among), level=level, seed=seed)


def f1_interval(truth: BoolArray, detected: BoolArray, data: Dataset, *, level: float, seed: int) -> Interval:
    """Interval of F1 at a fixed threshold, through the share J of hits among rows that are positive or detected.

    F1 = 2J/(1 + J), increasing in J, so that bounds of J become bounds of F1.

    Args:
        truth: Positive rows (n,), at least one.
        detected: Detected rows (n,).
        data: The rows.
        level: Confidence of each bound.
        seed: Seed of the bootstrap for rows that depend on each other.

    Returns:
        The interval, in [0, 1].
    """
    overlap = hit_share(truth & detected, truth | detected, data, level=level, seed=seed)
    return f1_of_overlap(overlap)


def f1_of_overlap(overlap: Interval) -> Interval:
    """The interval of 2J/(1 + J) from that of J."""
    return dataclasses.replace(
        overlap,
        value=_f1_of(overlap.value),
        lower=_f1_of(overlap.lower),
        upper=_f1_of(overlap.upper),
        sizing=F1Sizing(overlap=overlap.sizing),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class F1Sizing:
    """Bounds of F1 at another n, from those of the overlap."""

    overlap: Sizing

    def at(self, n: int) -> tuple[float, float]:
        """Lower and upper bound at n rows."""
        lower, upper = self.overlap.at(n)
        return _f1_of(max(lower, 0.0)), _f1_of(min(upper, 1.0))


def _f1_of(overlap: float) -> float:
    return 2.0 * overlap / (1.0 + overlap)
