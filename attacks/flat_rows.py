"""Rows without a gradient."""

import numpy as np

from robust.attacks.keeping import kept
from robust.attacks.target import Target
from robust.types import BoolArray


def flat_rows(target: Target) -> BoolArray:
    """Which rows have a gradient of exactly zero through both losses (n,).

    Args:
        target: The classifier and the rows (n, d).
    """

    def run() -> BoolArray:
        found = np.zeros(len(target), dtype=bool)
        for start in range(0, len(target), target.batch):
            rows = slice(start, min(start + target.batch, len(target)))
            found[rows] = ~target.gradient(target.x[rows], rows)[1].any(axis=1)
        return found

    return kept(target, "flat", compute=run)
