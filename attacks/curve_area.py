"""The area under a robustness curve: mean robust accuracy over all budgets up to a limit."""

from collections.abc import Iterable, Sequence

import numpy as np
from msgspec import structs

from robust.attacks.curve_sizing import BracketSizing, bounded_sizing
from robust.curve import Curve
from robust.data.budget import read_eps
from robust.data.dataset import Dataset
from robust.errors import InvalidInput
from robust.evidence import Evidence, Fact, Figure, Finding, Provenance, SelfCheck, Values
from robust.intervals.interval import Interval, Sizing
from robust.measurement import Measurement
from robust.measures.dependence import is_dependent
from robust.measures.row_means import mean_interval
from robust.types import BoolArray, FloatArray


def row_areas(survived: BoolArray, grid: FloatArray, upto: float) -> tuple[FloatArray, FloatArray]:
    """The share of the budgets in [0, upto] that each row survives: the smallest and the largest that it can be.

    Args:
        survived: Which rows are right before the attack, and at each budget (k + 1, n), falling along the first axis.
        grid: Budgets (k,), increasing.
        upto: The largest budget, above 0 and at most that of the grid.

    Returns:
        Up to the last budget at which each row was seen right (n,), and up to the first at which it was seen broken
        (n,), as shares of `upto`: a row that broke between two budgets did so anywhere between. A row that is wrong
        before the attack has 0 of both.

    >>> survived = np.array([[True, True, False], [True, False, False], [False, False, False]])
    >>> [part.tolist() for part in row_areas(survived, np.array([1.0, 4.0]), 4.0)]
    [[0.25, 0.0, 0.0], [1.0, 0.25, 0.0]]
    """
    ends = np.minimum(np.concatenate([[0.0], grid, [np.inf]]), upto) / upto
    seen = survived.sum(axis=0)
    return ends[np.maximum(seen - 1, 0)], np.where(seen > 0, ends[seen], 0.0)


def area_under(
    curve: Curve, survived: BoolArray, data: Dataset, *, upto: float | None, seed: int, figure: Figure
) -> Measurement:
    """The area under a curve, as a share of the largest that there can be.

    Args:
        curve: Robust accuracy over eps.
        survived: Which rows are right before the attack, and at each budget (k + 1, n).
        data: The rows.
        upto: The largest budget; None for the last of the curve.
        seed: Seed of the bootstrap, where rows depend on each other.
        figure: The curve, drawn.

    Returns:
        The measurement.

    Raises:
        InvalidInput: If `upto` is not above 0 or lies beyond the curve.
    """
    limit = _limit(curve, upto)
    low, high = row_areas(survived, curve.grid, limit)
    first, level = curve[0], curve[0].level
    lower, upper, sizing, method = _bounds(low, high, data, level=level, seed=seed)
    middle = (low + high) / 2.0
    value = float(middle.mean())
    used = int(np.searchsorted(curve.grid, limit)) + 1
    facts = (
        *_half(curve, float(survived[0].mean())),
        Fact(name="largest eps", value=limit),
        Fact(name="area that is certain between the budgets tried", value=float(low.mean())),
        Fact(name="area that is possible between them", value=float(high.mean())),
        *_attack(first),
        *(item for item in first.evidence if not _of_the_point(item)),
        figure,
    )
    return Measurement(
        name="robustness_area",
        value=value,
        lower=min(lower, value),
        upper=max(upper, value),
        level=level,
        n=first.n,
        unit="share",
        higher_is_better=True,
        method=method,
        sizing=sizing,
        evidence=facts,
        validity=merged(curve.points[:used], curve.grid),
        provenance=provenance_of(curve, {"eps": curve.grid.tolist(), "upto": limit}),
        row_values=middle,
    )


def merged(points: Sequence[Measurement], grid: FloatArray) -> tuple[SelfCheck, ...]:
    """The self-checks of several points as one list: a check fails where it fails at any, and says where."""
    found: dict[str, SelfCheck] = {}
    for point, eps in zip(points, grid, strict=False):
        for check in point.validity:
            known = found.get(check.name)
            if known is None or (known.passed and not check.passed):
                everywhere = all(check in other.validity for other in points)
                reason = check.reason if everywhere else f"at eps {eps:.4g}: {check.reason}"
                found[check.name] = structs.replace(check, reason=reason)
    return tuple(found.values())


def provenance_of(curve: Curve, options: dict[str, object]) -> Provenance:
    """Where a figure of the whole curve comes from: as its first point, at the cost of all, with other options."""
    first = curve[0].provenance
    kept = [(key, value) for key, value in first.options if key not in options]
    given = [(key, repr(value)) for key, value in options.items()]
    return structs.replace(first, options=tuple(sorted([*kept, *given])))


def _bounds(
    low: FloatArray, high: FloatArray, data: Dataset, *, level: float, seed: int
) -> tuple[float, float, Sizing, str]:
    """Lower bound of the smaller mean and upper bound of the larger one."""
    if not is_dependent(data):
        bounded = bounded_sizing(low, high, level=level)
        return *bounded.at(len(low)), bounded, "gaffke"
    one, other = (_dependent(values, data, level=level, seed=seed) for values in (low, high))
    sizing = BracketSizing(low=one.sizing, high=other.sizing)
    return max(one.lower, 0.0), min(other.upper, 1.0), sizing, one.method


def _dependent(values: FloatArray, data: Dataset, *, level: float, seed: int) -> Interval:
    """Interval of a mean of rows in blocks or groups; one row can move it by 1/n at most."""
    return mean_interval(values, data, level=level, seed=seed, effect=1.0)


def _limit(curve: Curve, upto: float | None) -> float:
    """The largest budget of the area, checked."""
    last = float(curve.grid[-1])
    limit = last if upto is None else read_eps(upto)
    if not isinstance(limit, float) or not 0.0 < limit <= last:
        raise InvalidInput(
            f"upto got {upto!r} on a curve whose budgets go up to {last:g}; a number above 0 and at most that would be "
            "right"
        )
    return limit


def _half(curve: Curve, clean: float) -> Iterable[Finding]:
    """Where the curve falls through one half: an estimate between two budgets."""
    if clean < 0.5:
        return
    under = np.flatnonzero(curve.values < 0.5)
    if not len(under):
        yield Finding(text=f"at eps {curve.grid[-1]:.4g}, the largest tried, at least half of the rows are still right")
    elif curve.grid[under[0]] > 0:
        start = curve.grid[under[0] - 1] if under[0] else 0.0
        yield Finding(
            text=f"fewer than half of the rows are still right from somewhere between eps {start:.4g} and "
            f"{curve.grid[under[0]]:.4g} on"
        )


def _of_the_point(item: Evidence) -> bool:
    """Whether a piece of evidence is of one budget alone."""
    return isinstance(item, Values) or (isinstance(item, Fact) and item.name in ("eps", "attack", "interval"))


def _attack(point: Measurement) -> list[Fact]:
    """The attack without its budget."""
    return [Fact(name="attack", value=value) for key, value in point.provenance.options if key == "attack"]
