"""ROC and precision-recall curves of every class, from rankings that are sorted once."""

from dataclasses import dataclass, field

import numpy as np

from robust.evidence import Figure, Slice, Slices
from robust.intervals.interval import Interval
from robust.intervals.ranked_rows import RankedRows
from robust.measures.details import numbers, sampled, words
from robust.types import FloatArray

#: Curves in a figure, and points of each, at most.
_CURVES, _POINTS = 8, 60


@dataclass(slots=True, kw_only=True, eq=False)
class CurveFigures:
    """Collects the points of curves, ranking by ranking.

    Args:
        names: The classes in the order in which their rankings come.
    """

    names: tuple[str, ...]
    _roc: list[tuple[FloatArray, FloatArray]] = field(default_factory=list)
    _precise: list[tuple[FloatArray, FloatArray]] = field(default_factory=list)

    def __call__(self, ranked: RankedRows) -> None:
        """Take the next class's ranking."""
        if len(self._roc) >= _CURVES:
            return
        n, size = len(ranked.order), ranked.positives
        # Where a threshold lies between two scores; past the last one nothing is detected.
        starts = np.flatnonzero(np.concatenate(([True], ranked.first[1:] != ranked.first[:-1])))
        places = np.append(starts[sampled(len(starts), _POINTS)], n)
        hits = size - ranked.below[places]
        found = n - places
        self._roc.append(((found - hits) / max(n - size, 1), hits / max(size, 1)))
        self._precise.append((hits[:-1] / max(size, 1), hits[:-1] / found[:-1]))

    def roc(self) -> Figure:
        """One ROC curve a class."""
        return self._figure("ROC curve", "false positive rate", "true positive rate", self._roc)

    def precision_recall(self) -> Figure:
        """One precision-recall curve a class."""
        return self._figure("Precision against recall", "recall", "precision", self._precise)

    def _figure(self, title: str, x: str, y: str, curves: list[tuple[FloatArray, FloatArray]]) -> Figure:
        return Figure(
            kind="line",
            title=title,
            x_title=x,
            y_title=y,
            columns=(
                numbers("x", np.concatenate([across[::-1] for across, _ in curves])),
                numbers("y", np.concatenate([up[::-1] for _, up in curves])),
                words("series", [name for name, (across, _) in zip(self.names, curves, strict=False) for _ in across]),
            ),
            note="" if len(self.names) <= _CURVES else f"the first {_CURVES} of {len(self.names)} classes",
        )


def area_slices(
    names: tuple[str, ...], intervals: tuple[Interval, ...], positives: tuple[int, ...], *, measure: str, level: float
) -> Slices:
    """An area of each class, worst first.

    Args:
        names: The classes.
        intervals: Their areas, with bounds that hold for all at once.
        positives: Rows of each class.
        measure: Name of the area.
        level: Confidence of all bounds together.

    Returns:
        The table.
    """
    parts = [
        Slice(
            name=name,
            n=rows,
            value=interval.value,
            lower=max(interval.lower, 0.0),
            upper=min(interval.upper, 1.0),
        )
        for name, interval, rows in zip(names, intervals, positives, strict=True)
    ]
    return Slices(by="class", measure=measure, level=level, slices=tuple(sorted(parts, key=lambda part: part.value)))
