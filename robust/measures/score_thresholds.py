"""What every threshold on a score costs and buys: rates, precision and F1, exact over all scores."""

import math
from dataclasses import dataclass

import numpy as np

from robust.errors import InvalidInput
from robust.types import AnyArray, BoolArray, FloatArray, IntArray


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ThresholdTable:
    """Detections at each of m thresholds, ascending; a row counts as detected where its score ≥ threshold.

    Args:
        threshold: Thresholds (m,), finite, increasing.
        detected: Positive rows with a score of at least each threshold (m,).
        alarms: Negative rows with such a score (m,).
        positives: Positive rows in all, at least 1.
        negatives: Negative rows in all, at least 1.
    """

    threshold: FloatArray
    detected: IntArray
    alarms: IntArray
    positives: int
    negatives: int

    def __len__(self) -> int:
        return len(self.threshold)

    @property
    def tpr(self) -> FloatArray:
        """True positive rate (m,): detected / positives, the recall; falls along the table."""
        return np.asarray(self.detected / self.positives)

    @property
    def fpr(self) -> FloatArray:
        """False positive rate (m,): false alarms / negatives; falls along the table."""
        return np.asarray(self.alarms / self.negatives)

    @property
    def precision(self) -> FloatArray:
        """Share of detections that are right (m,); 0 where nothing is detected."""
        found = self.detected + self.alarms
        return np.asarray(np.divide(self.detected, found, out=np.zeros(len(self)), where=found > 0))

    @property
    def recall(self) -> FloatArray:
        """The true positive rate under its other name (m,)."""
        return self.tpr

    @property
    def f1(self) -> FloatArray:
        """F1 = 2 TP / (TP + FP + positives) (m,), the harmonic mean of precision and recall; 0 without a detection."""
        return np.asarray(2 * self.detected / (self.detected + self.alarms + self.positives))

    def at(self, thresholds: AnyArray) -> "ThresholdTable":
        """The same at other thresholds, exactly where this table holds all distinct scores.

        Args:
            thresholds: Thresholds (q,), finite, in any order; kept sorted.

        Returns:
            A table of these thresholds.

        Raises:
            InvalidInput: If one is not finite.
        """
        asked = np.sort(np.atleast_1d(np.asarray(thresholds, dtype=np.float64)))
        if asked.ndim != 1 or len(asked) == 0 or not np.isfinite(asked).all():
            raise InvalidInput(f"thresholds got {np.asarray(thresholds).tolist()}; finite numbers would be right")
        # A score is at least t where it is at least the next score from t up; above the last one nothing is.
        place = np.searchsorted(self.threshold, asked, side="left")
        detected, alarms = np.append(self.detected, 0), np.append(self.alarms, 0)
        return ThresholdTable(
            threshold=asked,
            detected=detected[place],
            alarms=alarms[place],
            positives=self.positives,
            negatives=self.negatives,
        )


def threshold_table(truth: AnyArray, scores: AnyArray) -> ThresholdTable:
    """Rates, precision and F1 at every threshold that makes a difference.

    A row is detected where score ≥ threshold. The thresholds are all distinct scores, ascending, and one number just
    above the largest score, at which nothing is detected (never an infinity, which no deployed code could use).

    tpr = TP / positives, fpr = FP / negatives, precision = TP / (TP + FP), recall = tpr, f1 = 2 TP / (2 TP + FP + FN);
    precision and F1 are 0 where nothing is detected.

    Args:
        truth: Which rows are positive (n,): bool, or 0 and 1; some of both.
        scores: Score of each row (n,), finite; higher speaks for positive.

    Returns:
        The table, in O(n log n).

    Raises:
        InvalidInput: If shapes differ, a score is not finite, a label is neither 0 nor 1, or all rows are alike.

    Source: Fawcett (2006), Pattern Recognition Letters 27:861, algorithm 1, for the sweep over sorted scores.

    >>> table = threshold_table([False, True, False, True], [0.1, 0.4, 0.4, 0.8])
    >>> table.threshold[:3].tolist(), table.tpr.tolist(), table.fpr.tolist()
    ([0.1, 0.4, 0.8], [1.0, 1.0, 0.5, 0.0], [1.0, 0.5, 0.0, 0.0])
    """
    positive = check_truth(truth)
    values = check_scores(scores, rows=len(positive))
    # Two sorts of values cost less than one of positions.
    ranked, hits = np.sort(values), np.sort(values[positive])
    starts = np.flatnonzero(np.concatenate(([True], ranked[1:] != ranked[:-1])))
    before = np.searchsorted(hits, ranked[starts], side="left")
    positives, negatives = len(hits), len(ranked) - len(hits)
    return ThresholdTable(
        threshold=np.append(ranked[starts], just_above(ranked[-1])).astype(np.float64),
        detected=np.append(positives - before, 0),
        alarms=np.append(negatives - (starts - before), 0),
        positives=positives,
        negatives=negatives,
    )


def check_truth(truth: AnyArray) -> BoolArray:
    """Which rows are positive, as bools with some of both."""
    found = np.asarray(truth)
    if found.ndim != 1 or found.size == 0:
        raise InvalidInput(f"truth got shape {found.shape}; one label a row, at least one row, would be right")
    if found.dtype.kind not in "biuf" or not bool(np.all((found == 0) | (found == 1))):
        raise InvalidInput(
            f"truth got {found.dtype} {np.unique(found)[:5].tolist()}; bools, or 0 and 1, would be right"
        )
    positive: BoolArray = found.astype(bool)
    if positive.all() or not positive.any():
        kind = "positive" if positive.all() else "negative"
        raise InvalidInput(f"all {len(positive)} rows are {kind}: a threshold needs rows of both kinds to be judged")
    return positive


def check_scores(scores: AnyArray, *, rows: int) -> AnyArray:
    """Scores (n,), finite, in their own type."""
    values = np.asarray(scores)
    if values.shape != (rows,):
        raise InvalidInput(f"scores got shape {values.shape} for {rows} rows; one score a row would be right")
    if values.dtype.kind not in "fiub":
        raise InvalidInput(f"scores got dtype {values.dtype}; numbers would be right")
    if not np.isfinite(values).all():
        row = int(np.flatnonzero(~np.isfinite(values))[0])
        raise InvalidInput(f"scores got {float(values[row])!r} at position {row}; finite scores would be right")
    return values.astype(np.uint8) if values.dtype.kind == "b" else values


def just_above(largest: np.generic) -> float:
    """The next number above the largest score, in the scores' own precision so that a cast does not undo it.

    Args:
        largest: A finite score.

    Returns:
        The number; one more for whole numbers.

    Raises:
        InvalidInput: If there is no finite one.

    >>> just_above(np.float32(0.5)) - 0.5 == 2.0**-24, just_above(np.uint8(255))
    (True, 256.0)
    """
    if largest.dtype.kind != "f":
        return float(largest) + 1.0
    with np.errstate(over="ignore"):
        above = float(np.nextafter(largest, largest.dtype.type(np.inf)))
    if not math.isfinite(above):
        raise InvalidInput(f"scores got {float(largest)!r}, above which there is no finite threshold: rescale them")
    return above
