"""Areas under ROC and precision-recall curves of many rows and classes: one sort a class, no table of placements."""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from robust.intervals.arguments import check_level
from robust.intervals.delong import carrying_rows
from robust.intervals.interval import Interval
from robust.intervals.logit_bounds import logit_interval
from robust.intervals.ranked_rows import RankedRows, ranked_rows
from robust.intervals.side_floor import floored_by_sides
from robust.types import BoolArray, FloatArray, IntArray


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RankedArea:
    """The mean over classes of an area, with its interval.

    Args:
        interval: Of the mean.
        by_class: Of each class.
        carrying: Rows that carry the variance, those whose influence is at least a tenth of the largest.
        odd: Rows that are ranked badly for some class (n,), or where a row can be positive in several, for which (n,
            k): for the AUC those ordered wrongly against more than half of the rows of the other side, for the average
            precision positive rows whose precision is below half.
        astray: Rows that are ranked badly for some class; for the average precision also negative rows in front of more
            than half of the positive ones.
    """

    interval: Interval
    by_class: tuple[Interval, ...]
    carrying: int
    odd: BoolArray
    astray: int


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RankedAreas:
    """Both areas of the same rankings.

    Args:
        auc: Mean area under the ROC curves, bounds of DeLong on the logit scale.
        average_precision: Mean average precision, bounds of the infinitesimal jackknife on the logit scale.
    """

    auc: RankedArea | None
    average_precision: RankedArea | None


def ranked_areas(
    problems: Iterable[tuple[BoolArray, FloatArray]],
    strata: IntArray | None,
    n: int,
    *,
    level: float,
    class_level: float | None = None,
    auc: bool = True,
    average_precision: bool = True,
    visit: Callable[[RankedRows], None] | None = None,
) -> RankedAreas:
    """Mean areas over binary problems on the same rows, in O(n log n) each and a few columns of memory.

    The AUC is that of ``delong``, whose variance sums over classes the variance of their rows' components. The average
    precision has the variance Σ_j d_j²/n² of its derivatives d_j by the weights of the rows, from the same sort; its
    bounds lie around the value less its bias, their half-widths on the logit scale stretched by 1 + 1/√P for P positive
    rows. Of several labels a row, both variances are those of independent rows.

    Args:
        problems: For each class, which rows are positive (n,) and their scores (n,); used one after the other.
        strata: Class of each row (n,), 0 … C−1, all of them present; None where a row can be positive in several.
        n: Rows.
        level: One-sided confidence level of each bound, in (0.5, 1).
        class_level: That of the bounds of each class; None for the same.
        auc: Whether the AUC is wanted; needs positive and negative rows of each class.
        average_precision: Whether the average precision is wanted; needs positive rows of each class.
        visit: Called with each ranking, for curves.

    Returns:
        Areas in [0, 1]; higher is better. Without bounds where a class has one row.

    Source:
        DeLong, DeLong and Clarke-Pearson (1988), Biometrics 44:837; Sun and Xu (2014), IEEE Signal Processing Letters
        21:1389; Efron (1982), The Jackknife, the Bootstrap and Other Resampling Plans, section 6.2, for the
        derivatives.

    Example:
        >>> y, s = np.array([False, False, True, True]), np.array([0.1, 0.4, 0.35, 0.8])
        >>> areas = ranked_areas([(y, s)], y.astype(int), 4, level=0.95)
        >>> areas.auc.interval.value, round(areas.average_precision.interval.value, 4)
        (0.75, 0.8333)
    """
    level = check_level(level)
    inside = check_level(class_level) if class_level is not None else level
    roc = _Sum(n, strata, level, inside, "delong") if auc else None
    precise = _Sum(n, strata, level, inside, "logit-jackknife") if average_precision else None
    for positive, scores in problems:
        ranked = ranked_rows(positive, scores)
        del positive, scores  # what is sorted is enough
        if visit is not None:
            visit(ranked)
        placed = ranked.placements()
        far = placed < 0.5
        if roc is not None:
            roc.mark(ranked, far, far)
            area = float(placed[ranked.positive].mean())
            placed -= area
            size = ranked.positives
            np.multiply(placed, np.where(ranked.positive, n / size, n / max(n - size, 1)), out=placed)
            roc.add(ranked, area, placed, 0.0, scaled=True)
        del placed
        if precise is not None:
            lost = ranked.positive & (ranked.precision() < 0.5)
            precise.mark(ranked, lost, lost | (far & ~ranked.positive))
            precise.add(ranked, *ranked.average_precision(), scaled=False)
    return RankedAreas(
        auc=None if roc is None else roc.mean(), average_precision=None if precise is None else precise.mean()
    )


class _Sum:
    """Adds up areas and their rows' influences, class by class."""

    def __init__(self, n: int, strata: IntArray | None, level: float, class_level: float, method: str) -> None:
        self._n, self._strata, self._level, self._class_level, self._method = n, strata, level, class_level, method
        self._influence, self._unbiased = np.zeros(n), np.zeros(n)
        self._odd = [np.zeros(n, dtype=bool)]
        self._astray, self._bad = np.zeros(n, dtype=bool), (0, 0)
        self._values: list[float] = []
        self._classes: list[Interval] = []
        self._fewest, self._lone, self._bias, self._wide = n, False, 0.0, 1.0

    def add(self, ranked: RankedRows, value: float, influence: FloatArray, bias: float, *, scaled: bool) -> None:
        """Take one class's area and influences, in rank order; `scaled`: by the rows of each side, not by all."""
        n, size = self._n, ranked.positives
        sides = np.array([n - size, size])
        lone = bool((sides == 1).any()) if scaled else size == 1
        stretch = sides / np.maximum(sides - 1.0, 1.0) if scaled else np.full(2, n / max(n - 1.0, 1.0))
        # Found by simulation: the normal approximation of an average precision is too narrow by about 1/√P.
        wide = 1.0 if scaled else (1.0 + 1.0 / math.sqrt(size)) ** 2
        own = influence[ranked.positive]
        squares = np.array([max(float(influence @ influence) - float(own @ own), 0.0), float(own @ own)])
        interval = self._bounded(value, bias, wide * squares * stretch / n**2, sides, lone, self._class_level)
        raised, lost = self._bad
        self._classes.append(
            floored_by_sides(
                interval,
                positives=size,
                negatives=n - size,
                lost=lost,
                raised=raised,
                level=self._class_level,
                average_precision=not scaled,
            )
        )
        self._values.append(value)
        self._bias += bias
        self._fewest = min(self._fewest, int(sides[sides > 0].min()))
        self._wide = max(self._wide, wide)
        self._lone |= lone
        self._influence[ranked.order] += influence
        low, high = np.sqrt(stretch).tolist()
        self._unbiased[ranked.order] += influence * np.where(ranked.positive, high, low)

    def mark(self, ranked: RankedRows, odd: BoolArray, astray: BoolArray) -> None:
        """Mark rows, in rank order, as lost for their class, and as ranked badly at all, before the class is added."""
        if self._strata is None and self._values:
            self._odd.append(np.zeros(self._n, dtype=bool))
        self._odd[-1][ranked.order] |= odd
        self._astray[ranked.order] |= astray
        lost = int((astray & ranked.positive).sum())
        self._bad = int(astray.sum()) - lost, lost

    def mean(self) -> RankedArea:
        """The mean area over the classes taken."""
        count = len(self._values)
        influence, unbiased = self._influence, self._unbiased
        influence /= count
        unbiased /= count
        if self._strata is None:
            parts, sides = np.array([float(unbiased @ unbiased) / self._n**2]), np.array([self._fewest])
        else:
            sides = np.bincount(self._strata)
            parts = np.bincount(self._strata, weights=unbiased**2) / self._n**2
        interval = self._bounded(
            float(np.mean(self._values)), self._bias / count, self._wide * parts, sides, self._lone, self._level
        )
        odd = self._odd[0] if self._strata is not None else np.column_stack(self._odd[:count])
        return RankedArea(
            interval=interval,
            by_class=tuple(self._classes),
            carrying=carrying_rows(influence),
            odd=odd,
            astray=int(self._astray.sum()),
        )

    def _bounded(
        self, value: float, bias: float, parts: FloatArray, sides: IntArray, lone: bool, level: float
    ) -> Interval:
        """Bounds from one variance a stratum, with Satterthwaite's degrees of freedom."""
        variance, freedom = math.inf, 1.0
        notes: tuple[str, ...] = ()
        if lone:
            notes = ("a class has a single row: its share of the variance cannot be estimated",)
        else:
            variance = float(parts.sum())
            spread = float((parts**2 / np.maximum(sides - 1.0, 1.0)).sum())
            freedom = variance**2 / spread if spread > 0 else 1.0
        return logit_interval(
            value, variance, bias=bias, freedom=freedom, n=self._n, level=level, method=self._method, notes=notes
        )
