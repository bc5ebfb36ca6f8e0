"""Error rates of the values of a column, and their excess over the rest, with bounds."""

from dataclasses import dataclass, replace

import numpy as np

from robust.data.dataset import Dataset
from robust.intervals.clopper_pearson import clopper_pearson_bounds
from robust.intervals.interval import Interval, Sizing, UnboundedSizing
from robust.measures.dependence import bindings, is_dependent
from robust.measures.row_means import share_interval
from robust.mistakes.metadata_columns import GROUPS, Parted
from robust.types import BoolArray

#: Values of a column whose bounds are resampled, those with the highest rates: each takes two bootstraps of all rows.
MOST_RESAMPLED = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupRate:
    """The mistakes among the rows of one value.

    Args:
        value: The value.
        n: Its rows.
        errors: Wrong rows among them.
        rate: errors / n.
        lower: Lower bound of the rate; bounds of all values of a column hold at once.
        upper: Upper bound of the rate.
        share: Share of all mistakes.
        excess: Rate less the rate of all other rows.
        excess_lower: Lower bound of the excess; those of all values of all columns hold at once.
        excess_upper: Upper bound of the excess, by itself.
    """

    value: str
    n: int
    errors: int
    rate: float
    lower: float
    upper: float
    share: float
    excess: float
    excess_lower: float
    excess_upper: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ExcessSizing:
    """Bounds of the largest excess at another number of rows, all rates unchanged.

    Attributes:
        counts: Mistakes and rows of each value, and of the rest.
        n: Rows in all.
        levels: Level of each bound that makes a lower and an upper bound.
    """

    counts: tuple[tuple[int, int, int, int], ...]
    n: int
    levels: tuple[float, float]

    def at(self, n: int) -> tuple[float, float]:
        """Lower and upper bound at `n` rows."""
        low, high = self.levels
        pairs = [
            excess_bounds(e * n / self.n, rows * n / self.n, f * n / self.n, rest * n / self.n, low, high)
            for e, rows, f, rest in self.counts
        ]
        return max(0.0, *(pair[0] for pair in pairs)), min(1.0, max(pair[1] for pair in pairs))


def excess_bounds(
    errors: float, rows: float, others: float, other_rows: float, low: float, high: float
) -> tuple[float, float]:
    """Bounds of the difference of two rates from exact bounds of each (Clopper and Pearson 1934, Bonferroni)."""
    lower = clopper_pearson_bounds(errors, rows, low)[0] - clopper_pearson_bounds(others, other_rows, low)[1]
    upper = clopper_pearson_bounds(errors, rows, high)[1] - clopper_pearson_bounds(others, other_rows, high)[0]
    return lower, upper


def group_rates(
    column: Parted, wrong: BoolArray, data: Dataset, *, level: float, family: int, seed: int
) -> tuple[GroupRate, ...]:
    """Error rates by value, the highest first.

    Args:
        column: The column.
        wrong: Which rows are wrong (n,).
        data: Says how rows depend on each other. Rows of one group count as independent of each other where the column
            is the groups themselves: bounds are then for further rows of the same groups. Where rows depend on each
            other only the 12 values with the highest rates have bounds, the others 0 and 1.
        level: Confidence of all bounds of a kind together.
        family: Values of all columns, over which the lower bounds of an excess hold at once.
        seed: Seed of the bootstrap for rows that depend on each other.

    Returns:
        One entry a value.
    """
    rows = conditional(column, data)
    total = int(wrong.sum())
    display, (low, high) = 1 - (1 - level) / len(column.names), excess_levels(level, family)
    found = []
    every = np.bincount(column.owner[wrong], minlength=len(column.names)) / column.sizes
    resampled = set(np.argsort(-every, kind="stable")[:MOST_RESAMPLED].tolist())
    for code, name in enumerate(column.names):
        inside = column.owner == code
        n, errors = int(inside.sum()), int(wrong[inside].sum())
        if is_dependent(rows) and code not in resampled:
            bounds, excess = (0.0, 1.0), (-1.0, 1.0)
        elif is_dependent(rows):
            own, rest = (
                share_interval(wrong[part], bindings(rows, part), level=low, seed=seed) for part in (inside, ~inside)
            )
            bounds, excess = (own.lower, own.upper), (own.lower - rest.upper, own.upper - rest.lower)
        else:
            bounds = clopper_pearson_bounds(errors, n, display)
            excess = excess_bounds(errors, n, total - errors, len(wrong) - n, low, high)
        found.append(
            GroupRate(
                value=name,
                n=n,
                errors=errors,
                rate=errors / n,
                lower=bounds[0],
                upper=bounds[1],
                share=errors / total if total else 0.0,
                excess=errors / n - (total - errors) / (len(wrong) - n),
                excess_lower=excess[0],
                excess_upper=excess[1],
            )
        )
    return tuple(sorted(found, key=lambda rate: -rate.rate))


def conditional(column: Parted, data: Dataset) -> Dataset:
    """The rows as they are drawn once the column's value is known: within a group no group is left to draw."""
    return replace(data, groups=None) if column.by == GROUPS and data.groups is not None else data


def excess_levels(level: float, family: int) -> tuple[float, float]:
    """Levels of the two exact bounds behind each lower bound of a family, and behind one upper bound."""
    return 1 - (1 - level) / (2 * family), 1 - (1 - level) / 2


def largest_excess(
    columns: tuple[tuple[Parted, tuple[GroupRate, ...]], ...], wrong: BoolArray, data: Dataset, *, level: float
) -> Interval:
    """The largest excess of any value of any column.

    Lower bound: the largest lower bound, which holds because all do at once. Upper bound: the largest upper bound,
    which holds because that of the value whose excess truly is the largest does.

    Args:
        columns: Columns and their rates.
        wrong: Which rows are wrong (n,).
        data: The rows.
        level: Confidence of each bound.

    Returns:
        The interval, in [0, 1]: some value always has at least the rate of the rest.
    """
    rates = [rate for _, found in columns for rate in found]
    total, n = int(wrong.sum()), len(wrong)
    exact = all(not is_dependent(conditional(column, data)) for column, _ in columns)
    sizing: Sizing = UnboundedSizing()
    if exact:
        counts = tuple((rate.errors, rate.n, total - rate.errors, n - rate.n) for rate in rates)
        sizing = ExcessSizing(counts=counts, n=n, levels=excess_levels(level, len(rates)))
    value = max(rate.excess for rate in rates)
    return Interval(
        value=float(np.clip(value, 0.0, 1.0)),
        lower=float(np.clip(max(rate.excess_lower for rate in rates), 0.0, max(value, 0.0))),
        upper=float(np.clip(max(rate.excess_upper for rate in rates), max(value, 0.0), 1.0)),
        level=level,
        n=n,
        method="clopper-pearson-differences" if exact else "bootstrap-differences",
        sizing=sizing,
    )
