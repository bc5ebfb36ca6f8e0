"""What is kept of the activations at a point: sums of each row, never the activations."""

import math
from dataclasses import dataclass, field

import numpy as np

from robust.types import AnyArray, FloatArray

#: From here on, in dB, an error is one of float32's rounding.
ROUNDING = 100.0


@dataclass(slots=True, eq=False)
class PointSums:
    """Sums over the elements of each row of two tensors r and q of one point.

    Args:
        rows: Number of rows in all.
        error: Σ(r − q)² of each row (n,).
        reference: Σr² of each row (n,).
        candidate: Σq² of each row (n,).
        product: Σrq of each row (n,).
        least: Least of r and q of each row (n,).
        most: Largest of r and q of each row (n,).
        items: Elements of a row.
        largest: Largest |r − q|.
        absolute: Σ|r − q| of all rows.
        signed: Σ(q − r) of all rows.
        shape: Shape of a row.
    """

    rows: int
    error: FloatArray = field(init=False)
    reference: FloatArray = field(init=False)
    candidate: FloatArray = field(init=False)
    product: FloatArray = field(init=False)
    least: FloatArray = field(init=False)
    most: FloatArray = field(init=False)
    items: int = 0
    largest: float = 0.0
    absolute: float = 0.0
    signed: float = 0.0
    shape: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        """Start at 0."""
        for name in ("error", "reference", "candidate", "product", "least", "most"):
            setattr(self, name, np.zeros(self.rows))

    def add(self, part: slice, r: AnyArray, q: AnyArray) -> None:
        """Take in a batch.

        Args:
            part: Which rows these are.
            r: Values of the reference (b, …).
            q: Values of the candidate, of the same shape.
        """
        n = len(r)
        first = np.ascontiguousarray(r, dtype=np.float64).reshape(n, -1)
        second = np.ascontiguousarray(q, dtype=np.float64).reshape(n, -1)
        self.shape, self.items = tuple(r.shape[1:]), first.shape[1]
        if not self.items:
            return
        self.least[part] = np.minimum(first.min(axis=1), second.min(axis=1))
        self.most[part] = np.maximum(first.max(axis=1), second.max(axis=1))
        with np.errstate(invalid="ignore", over="ignore"):
            gap = second - first
            self.error[part] = np.einsum("ij,ij->i", gap, gap)
            self.reference[part] = np.einsum("ij,ij->i", first, first)
            self.candidate[part] = np.einsum("ij,ij->i", second, second)
            self.product[part] = np.einsum("ij,ij->i", first, second)
            self.signed += float(gap.sum())
            np.abs(gap, out=gap)
            self.absolute += float(gap.sum())
            self.largest = max(self.largest, float(gap.max()))

    @property
    def finite(self) -> bool:
        """Whether no value was NaN or infinite."""
        return bool(np.isfinite(self.error).all() and np.isfinite(self.reference).all()) and self.items > 0

    @property
    def farthest(self) -> float:
        """Largest Σ(r − q)² of two rows no larger than those that were seen: they point opposite ways."""
        return (math.sqrt(float(self.reference.max())) + math.sqrt(float(self.candidate.max()))) ** 2

    @property
    def sqnr(self) -> float:
        """10 log10(Σr²/Σ(r − q)²) in dB."""
        return decibels(float(self.reference.sum()), float(self.error.sum()))

    @property
    def cosine(self) -> float:
        """Σrq/√(Σr² Σq²), NaN where one of them is 0 everywhere; 1 where both are equal."""
        if not self.error.any():
            return 1.0
        size = math.sqrt(float(self.reference.sum())) * math.sqrt(float(self.candidate.sum()))
        return min(max(float(self.product.sum()) / size, -1.0), 1.0) if size > 0 else math.nan

    @property
    def mean_error(self) -> float:
        """Mean |r − q|."""
        return self.absolute / (self.rows * self.items)

    @property
    def bias(self) -> float:
        """Mean q − r."""
        return self.signed / (self.rows * self.items)


def decibels(signal: float, noise: float) -> float:
    """Signal to noise in dB, infinite without noise.

    10 log10(signal/noise)

    Args:
        signal: Sum of squares, at least 0.
        noise: Likewise.

    >>> decibels(100.0, 1.0), decibels(1.0, 0.0), decibels(0.0, 1.0)
    (20.0, inf, -inf)
    """
    if noise == 0:
        return math.inf
    return 10.0 * (math.log10(signal) - math.log10(noise)) if signal > 0 else -math.inf


def weight_sqnr(weight: FloatArray, other: FloatArray) -> float:
    """Signal to quantization noise of weights, in dB: 10 log10(Σw²/Σ(w − w′)²)."""
    return decibels(float(np.sum(weight**2)), float(np.sum((weight - other) ** 2)))
