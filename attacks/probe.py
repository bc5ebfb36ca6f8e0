"""A sample of the rows, and where their loss rises: what all checks of a model's gradients start from."""

from dataclasses import dataclass, replace

import numpy as np

from robust.attacks.keeping import kept
from robust.attacks.target import Target
from robust.attacks.unlimited import full_ranges, sampled
from robust.types import AnyArray, FloatArray


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Probe:
    """What several checks would otherwise ask for one after the other.

    Args:
        sample: The classifier and some of the rows (m, d).
        gradient: Of the margin loss there, float64 (m, d).
        ranges: The range of each feature, over all rows (d,).
        seed: Picked the sample.
    """

    sample: Target
    gradient: FloatArray
    ranges: FloatArray
    seed: int

    def fewer(self, most: int) -> "Probe":
        """The same with so many rows at most, picked by their ids as the sample was."""
        rows = sampled(self.sample, seed=self.seed, most=most)
        return replace(self, sample=self.sample.part(rows), gradient=self.gradient[rows])


def probed(target: Target, *, seed: int) -> Probe:
    """Sample a target, and ask for gradients there.

    Args:
        target: The classifier and the rows, all right (n, d).
        seed: Picks the sample, by the rows' ids.
    """
    sample = target.part(sampled(target, seed=seed))

    def run() -> FloatArray:
        return margin_slopes(sample, sample.x)[1]

    return Probe(
        sample=sample, gradient=kept(sample, "margin gradient", compute=run), ranges=full_ranges(target), seed=seed
    )


def margin_slopes(target: Target, points: AnyArray) -> tuple[FloatArray, FloatArray]:
    """Scores (n, k) at one point for each row (n, d), and gradients of the margin loss there (n, d), both float64."""
    size = target.batch
    blocks = [slice(start, start + size) for start in range(0, len(points), size)]
    found = [target.gradient(points[rows], rows, loss="log_margin") for rows in blocks]
    scores, slopes = (np.concatenate(parts).astype(np.float64) for parts in zip(*found, strict=True))
    return scores, slopes
