"""Confidence against accuracy, bin by bin: the rows of the expected calibration error."""

from dataclasses import dataclass

import numpy as np

from robust.types import AnyArray, BoolArray, FloatArray, IntArray

#: Bins of equal width, as Guo et al. (2017) use.
BINS = 15


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Calibration:
    """Answers by their confidence: one a row, or one for each of k labels a row.

    Args:
        confidence: Probability of what was predicted (n,) or (n, k), in [0, 1].
        right: Whether it is true, of the same shape.
        bins: Bin of each answer, of the same shape, 0 … `number` − 1.
        number: Number of bins.
    """

    confidence: FloatArray
    right: BoolArray
    bins: IntArray
    number: int

    @property
    def gaps(self) -> FloatArray:
        """Right or not, minus the confidence; their sum over a bin is what calibration would make 0."""
        return self.right - self.confidence

    def sums(self, values: AnyArray) -> FloatArray:
        """Sum of some values, one an answer, over each bin (`number`,)."""
        weights = np.ravel(values).astype(np.float64)
        return np.bincount(self.bins.ravel(), weights=weights, minlength=self.number).astype(np.float64)

    def of_rows(self, b: int, values: AnyArray) -> FloatArray:
        """What each row adds to a bin (n,): the mean over its answers of the values that lie in it."""
        inside = values * (self.bins == b)
        return np.asarray(inside if inside.ndim == 1 else inside.mean(axis=1))

    def table(self) -> tuple[IntArray, FloatArray, FloatArray]:
        """Answers, mean confidence and accuracy of each bin (`number`,); 0 and NaN for an empty one."""
        answers = np.bincount(self.bins.ravel(), minlength=self.number)
        safe = np.where(answers > 0, answers, np.nan)
        return answers, self.sums(self.confidence) / safe, self.sums(self.right) / safe

    def error(self) -> float:
        """Expected calibration error Σ_b (n_b/n)·|accuracy_b − confidence_b|."""
        return float(np.abs(self.sums(self.gaps)).sum() / self.bins.size)


def calibration(confidence: FloatArray, right: BoolArray, *, bins: int = BINS) -> Calibration:
    """Sort answers into bins of equal width, (b/B, (b + 1)/B], the first with 0.

    Args:
        confidence: Probability of what was predicted (n,) or (n, k), in [0, 1]; what lies outside is cut.
        right: Whether it is true, of the same shape.
        bins: Number of bins, at least 1.

    Returns:
        The answers by bin.

    >>> two = calibration(np.array([0.9, 0.7]), np.array([True, False]), bins=2)
    >>> two.bins.tolist(), round(two.error(), 4)
    ([1, 1], 0.3)
    """
    confidence = np.clip(confidence, 0.0, 1.0)
    places = np.clip(np.ceil(confidence * bins).astype(np.int64) - 1, 0, bins - 1)
    return Calibration(confidence=confidence, right=right, bins=places, number=bins)
