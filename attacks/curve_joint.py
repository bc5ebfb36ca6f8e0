"""A robustness curve as a whole: a band that holds at all budgets at once, the area, the margin to limits."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

import numpy as np

from robust.attacks.curve_area import area_under, merged, provenance_of
from robust.attacks.curve_band import joint_bounds
from robust.attacks.curve_sizing import MarginSizing
from robust.curve import Curve
from robust.data.dataset import Dataset
from robust.errors import InvalidInput
from robust.evidence import Fact, Figure
from robust.intervals.clopper_pearson import ProportionSizing
from robust.intervals.interval import Sizing
from robust.limits import as_limit
from robust.measurement import Measurement
from robust.measures.dependence import is_dependent
from robust.measures.details import numbers
from robust.measures.row_means import share_interval
from robust.types import BoolArray, FloatArray

Rule: TypeAlias = tuple[Literal["x", "y"], float, str]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Band:
    """Bounds of a curve that hold at all its points at once.

    Args:
        lower: Lower bounds (k,): all of them hold at once with probability `level`.
        upper: Upper bounds (k,): the same, so that both sides hold at once with 2 level - 1.
        level: Confidence of each side.
        method: How the bounds were made.
        sizings: How they move with n.
    """

    lower: FloatArray
    upper: FloatArray
    level: float
    method: str
    sizings: tuple[Sizing, ...]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RobustnessCurve(Curve):
    """Robust accuracy over budgets; iterating gives a measurement for each.

    `lower` and `upper` hold each for their own budget, `band` for all at once. Which does a gate need? One budget: its
    own point. All budgets of a list set in advance: the lower bounds of the points too, since `all` of them pass by
    mistake no more often than the worst of them alone (Berger 1982, Technometrics 24:295); `margin` asks that. To read
    off the curve what nobody asked before, such as the budget up to which it stays above one half or whether it fails
    anywhere: the band.

    Args:
        survived: Which rows are right before the attack, and stay right at each budget (k + 1, n).
        data: The rows.
        seed: Seed of bootstraps, where rows depend on each other.
    """

    survived: BoolArray = field(repr=False)
    data: Dataset = field(repr=False)
    seed: int

    @property
    def band(self) -> Band:
        """Bounds that hold at all budgets at once.

        The level of each is found from how the points depend on each other, rows once broken staying so, such that
        the share of curves whose band misses them anywhere is at most 1 - level whatever the true curve; never wider
        than Bonferroni's. That is Bonferroni's itself where rows have an order or groups. Between two budgets a curve
        lies below the upper bound of the smaller one and above the lower bound of the larger one.
        """
        counts, n, level = self.survived[1:].sum(axis=1), self.survived.shape[1], self[0].level
        if not is_dependent(self.data):
            lower, upper, below, above = joint_bounds(counts, n, level=level)
            sizings = tuple(ProportionSizing(k=float(k), n=n, level=1.0 - max(below, above)) for k in counts)
            return Band(lower=lower, upper=upper, level=level, method="joint clopper-pearson", sizings=sizings)
        each = 1.0 - (1.0 - level) / len(self)
        found = [share_interval(held, self.data, level=each, seed=self.seed) for held in self.survived[1:]]
        return Band(
            lower=np.array([one.lower for one in found]),
            upper=np.array([one.upper for one in found]),
            level=level,
            method=f"{found[0].method}, Bonferroni",
            sizings=tuple(one.sizing for one in found),
        )

    def area(self, upto: float | None = None) -> Measurement:
        """Mean robust accuracy over all budgets from 0 to the largest.

        (1/n) Σ_i min(r_i, upto)/upto, r_i the budget at which row i breaks, 0 where it is wrong before

        A row that breaks between two budgets of the curve does so anywhere between: the value takes the middle (the
        trapezoids under the curve from clean accuracy on), the lower bound the smaller budget for every row, the upper
        bound the larger one. So a coarse grid widens the interval, and no number of rows makes up for it.

        Args:
            upto: The largest budget, above 0; None for the last of the curve.

        Returns:
            A share in [0, 1], higher is better, whose row values are the areas of the rows. Bounds are Gaffke's for
            means of bounded numbers, which are Clopper and Pearson's where all are 0 or 1; blocks or clusters where
            rows depend on each other. A self-check that fails at any budget up to the first at or above `upto` makes
            a pass INVALID.

        Raises:
            InvalidInput: If `upto` is not above 0 or lies beyond the curve.

        Source:
            Gaffke (2005), Mathematical Methods of Statistics 14:451.
        """
        return area_under(self, self.survived, self.data, upto=upto, seed=self.seed, figure=self.figure())

    def margin(self, limits: float | Sequence[float]) -> Measurement:
        """The smallest distance of the curve above limits: `assert curve.margin([0.9, 0.8, 0.5]) > 0`.

        min_k (S_k - limit_k)

        Args:
            limits: One limit for all budgets or one for each (k,), set before the curve is seen.

        Returns:
            A share, higher is better. The lower bound is the smallest of the points' own, since the worst point alone
            must be bounded; the upper bound, which tells that the curve fails somewhere, is the band's.

        Raises:
            InvalidInput: If there is another number of limits.

        Source:
            Berger (1982), Technometrics 24:295.
        """
        given = [limits] * len(self) if np.ndim(limits) == 0 else list(limits)  # type: ignore[arg-type]
        if len(given) != len(self):
            raise InvalidInput(f"limits got {len(given)} for {len(self)} budgets; one, or one for each, would be right")
        asked = np.array([as_limit(limit) for limit in given])
        band, gaps = self.band, self.values - asked
        worst, same = int(np.argmin(gaps)), float(asked[0]) if len(set(asked.tolist())) == 1 else None
        value = float(gaps[worst])
        own = tuple(point.sizing for point in self.points if point.sizing is not None)
        return Measurement(
            name="smallest_margin",
            value=value,
            lower=min(float((self.lower - asked).min()), value),
            upper=max(float((band.upper - asked).min()), value),
            level=self[0].level,
            n=self[0].n,
            unit="share",
            higher_is_better=True,
            method=f"{self[0].method} below, {band.method} above",
            sizing=MarginSizing(lowers=own, uppers=band.sizings, limits=tuple(asked.tolist()))
            if len(own) == len(self)
            else None,
            evidence=(Fact(name="eps of the smallest margin", value=float(self.grid[worst])), self.figure(same)),
            validity=merged(self.points, self.grid),
            provenance=provenance_of(self, {"eps": self.grid.tolist(), "limits": asked.tolist()}),
            reach=(-float(asked.max()), 1.0 - float(asked.max())),
        )

    def figure(self, limit: float | None = None) -> Figure:
        """The curve with its band.

        Args:
            limit: A limit to draw as a line, or None.
        """
        band = self.band
        rules: list[Rule] = [("y", float(f"{self.survived[0].mean():.6g}"), "clean accuracy")]
        if limit is not None:
            rules.append(("y", float(limit), "limit"))
        return Figure(
            kind="line",
            title="Robust accuracy by budget",
            x_title="eps",
            y_title="robust accuracy",
            columns=(
                numbers("x", self.grid),
                numbers("y", self.values),
                numbers("lower", band.lower),
                numbers("upper", band.upper),
            ),
            rules=tuple(rules),
            note=f"bounds hold at all {len(self)} budgets at once, each side at {band.level:g} ({band.method}); "
            "between two budgets, the upper bound of the smaller and the lower one of the larger",
        )
