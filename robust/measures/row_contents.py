"""Whether rows that are tested were there when a threshold was chosen, told by their content."""

import hashlib
import math
from dataclasses import dataclass

import numpy as np

from robust.data.dataset import Dataset
from robust.evidence import SelfCheck
from robust.types import IntArray

#: Rows that are hashed at once.
_BLOCK = 4096
#: Standard deviations by which repeats must exceed those that chance explains.
_BEYOND = 4.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RowContents:
    """Which inputs a data set holds, without the inputs themselves.

    Args:
        keys: A 64-bit hash of each distinct input row, ascending (u,).
        counts: How often each occurs (u,).
    """

    keys: IntArray
    counts: IntArray

    @property
    def rows(self) -> int:
        """Rows in all."""
        return int(self.counts.sum())

    def shared(self, data: Dataset) -> int:
        """Rows of `data` whose content is among these rows, 0 where chance alone explains as many.

        Inputs of few distinct values repeat by themselves. How many of m new rows repeat one of n old ones by chance is
        told from repeats inside either set: by Good and Turing m(1 − N₁/n) with N₁ old rows that occur once, and, where
        repeats are few, 2nm/(n² + m²) times their number in both sets, the ratio of pairs between sets to pairs inside
        them; the larger of the two, plus four standard deviations of a Poisson count about an estimated rate. Where no
        set repeats a row that is 0, and a single shared row counts. Data sets that hold the same rows, each as often,
        always share them all.

        Args:
            data: Rows of the same shape.

        Returns:
            Number of rows, 0 … len(data).

        Source: Good (1953), Biometrika 40:237, equation 9.
        """
        other = row_contents(data)
        found = np.isin(other.keys, self.keys)
        shared = int(other.counts[found].sum())
        if not shared or (np.array_equal(other.keys, self.keys) and np.array_equal(other.counts, self.counts)):
            return shared
        old, new = self.rows, other.rows
        repeats = old - len(self.keys) + new - len(other.keys)
        seen = 1.0 - float((self.counts == 1).sum()) / old
        expected = max(seen * new, repeats * 2.0 * old * new / (old**2 + new**2))
        return shared if shared > expected + _BEYOND * math.sqrt(2.0 * expected) else 0


def row_contents(data: Dataset) -> RowContents:
    """Hash each input row.

    Numbers of any type are compared as float64; all NaN are one, and so are the two zeros.

    Args:
        data: The rows.

    Returns:
        Their contents.
    """
    digests = b"".join(
        hashlib.blake2b(row.tobytes(), digest_size=8).digest()
        for start in range(0, len(data), _BLOCK)
        for row in _canonical(data, slice(start, start + _BLOCK))
    )
    keys, counts = np.unique(np.frombuffer(digests, dtype="<u8"), return_counts=True)
    return RowContents(keys=keys, counts=counts)


def _canonical(data: Dataset, rows: slice) -> IntArray:
    """Some rows as words that are equal where the numbers are."""
    block = np.array(data.x[rows], dtype=np.float64).reshape(len(data.x[rows]), -1) + 0.0
    block[np.isnan(block)] = np.nan
    return np.ascontiguousarray(block).view(np.uint64)


def other_rows(shared: int, data: Dataset, *, what: str, higher_is_better: bool) -> SelfCheck:
    """The self-check that a threshold was chosen on other rows than those that are tested.

    Args:
        shared: Rows of `data` that were there when it was chosen.
        data: Rows that are tested.
        what: Where the threshold was chosen.
        higher_is_better: Direction of the figure: a threshold always flatters the rows that it was chosen on.

    Returns:
        The check, failed if any row is shared.
    """
    return SelfCheck(
        name="threshold from other rows",
        passed=shared == 0,
        reason=f"the threshold was chosen on {what}, whose rows are others than those of {data.name}"
        if shared == 0
        else f"{shared} of {len(data)} rows of {data.name} are among those of {what}, on which the threshold was "
        "chosen: it fits them better than new rows; choose it on other rows",
        bias="raises" if higher_is_better else "lowers",
    )
