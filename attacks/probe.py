"""A sample of the rows, and where their loss rises: what all checks of a model's gradients start from."""

from dataclasses import dataclass

import numpy as np

from robust.attacks.keeping import kept
from robust.attacks.target import Target
from robust.attacks.unlimited import full_ranges, sampled
from robust.types import FloatArray


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Probe:
    """What several checks would otherwise ask for one after the other.

    Args:
        sample: The classifier and some of the rows (m, d).
        gradient: Of the margin loss there, float64 (m, d).
        ranges: The range of each feature, over all rows (d,).
    """

    sample: Target
    gradient: FloatArray
    ranges: FloatArray

    def first(self, rows: int) -> "Probe":
        """The same with so many rows at most."""
        part = self.sample.part(np.arange(min(rows, len(self.sample))))
        return Probe(sample=part, gradient=self.gradient[:rows], ranges=self.ranges)


def probed(target: Target, *, seed: int) -> Probe:
    """Sample a target, and ask for gradients there.

    Args:
        target: The classifier and the rows, all right (n, d).
        seed: Picks the sample, by the rows' ids.
    """
    sample = target.part(sampled(target, seed=seed))

    def run() -> FloatArray:
        x, size = sample.x, sample.batch
        parts = [
            sample.gradient(x[start : start + size], slice(start, start + size), loss="log_margin")[1]
            for start in range(0, len(x), size)
        ]
        return np.concatenate(parts).astype(np.float64)

    return Probe(sample=sample, gradient=kept(sample, "margin gradient", compute=run), ranges=full_ranges(target))
