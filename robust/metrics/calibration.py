"""Confidence against accuracy, bin by bin: the rows of the expected calibration error."""

from dataclasses import dataclass

import numpy as np

from robust.types import BoolArray, FloatArray, IntArray

#: Bins of equal width, as Guo et al. (2017) use.
BINS = 15


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Calibration:
    """Rows by the confidence of their predicted class.

    Args:
        confidence: Probability of the predicted class (n,).
        right: Whether it is the true one (n,).
        bins: Bin of each row (n,), 0 … `number` − 1.
        number: Number of bins.
    """

    confidence: FloatArray
    right: BoolArray
    bins: IntArray
    number: int

    @property
    def gaps(self) -> FloatArray:
        """Right or not, minus the confidence (n,); their sum over a bin is what calibration would make 0."""
        return self.right - self.confidence

    def table(self) -> tuple[IntArray, FloatArray, FloatArray]:
        """Rows, mean confidence and accuracy of each bin (`number`,); 0 and NaN for an empty one."""
        rows = np.bincount(self.bins, minlength=self.number)
        safe = np.where(rows > 0, rows, np.nan)
        confidence = np.bincount(self.bins, weights=self.confidence, minlength=self.number) / safe
        return rows, confidence, np.bincount(self.bins, weights=self.right, minlength=self.number) / safe

    def error(self) -> float:
        """Expected calibration error Σ_b (n_b/n)·|accuracy_b − confidence_b|."""
        return float(np.abs(np.bincount(self.bins, weights=self.gaps, minlength=self.number)).sum() / len(self.bins))


def calibration(confidence: FloatArray, right: BoolArray, *, bins: int = BINS) -> Calibration:
    """Sort rows into bins of equal width, (b/B, (b + 1)/B], the first with 0.

    Args:
        confidence: Probability of the predicted class (n,), in [0, 1].
        right: Whether it is the true one (n,).
        bins: Number of bins, at least 1.

    Returns:
        The rows by bin.

    >>> two = calibration(np.array([0.9, 0.7]), np.array([True, False]), bins=2)
    >>> two.bins.tolist(), round(two.error(), 4)
    ([1, 1], 0.3)
    """
    places = np.clip(np.ceil(confidence * bins).astype(np.int64) - 1, 0, bins - 1)
    return Calibration(confidence=confidence, right=right, bins=places, number=bins)
