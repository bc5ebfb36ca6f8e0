"""Whether a row could be broken at all: a point in its reach that the classifier is known to call something else.

A row without such a point may be robust at any distance, as are most rows of a model of rare events; only a row
with one accuses the attack that did not find it.
"""

import numpy as np

from robust.attacks.keeping import kept
from robust.attacks.noise import RandomNoise
from robust.attacks.projection import space_of
from robust.attacks.target import Target
from robust.attacks.unlimited import freed, full_ranges
from robust.randomness import row_words
from robust.types import AnyArray, BoolArray, IntArray

# Rows of another class whose mutable features are tried on a row, and draws from the whole range.
_DONORS = 10
_DRAWS = 30
_STREAM = 4 << 32


def can_be_broken(target: Target, rows: IntArray, *, seed: int) -> BoolArray:
    """Which rows are known to get another class somewhere within the whole range of their mutable features.

    Tried are the mutable features of rows of other classes, then uniform draws from the range; relations and whole
    steps do not bind, as they do not bind the attack that is on trial. No is not a proof: it means that nobody
    knows of such a point.

    Args:
        target: The classifier and rows, all right (n, d).
        rows: Positions of the rows in question (m,).
        seed: Seed of draws and of the choice of rows.

    Returns:
        Which of the rows in question can be broken (m,).
    """
    if len(rows) == 0:
        return np.zeros(0, dtype=bool)
    fixed = target.data.schema.immutable | target.data.schema.mask("categorical")
    ranges = np.where(fixed, 0.0, full_ranges(target))
    part, donors = freed(target.part(rows), fixed), _donors(target, rows, seed=seed)
    x = target.x

    def run() -> BoolArray:
        known = np.zeros(len(rows), dtype=bool)
        for donor in donors.T:
            left = np.flatnonzero(~known & (donor >= 0))
            known[left] = _changed(part, left, _grafted(x[rows[left]], x[donor[left]], fixed))
        left = np.flatnonzero(~known)
        if len(left):
            lonely = part.part(left)
            space = space_of(lonely.data.schema, x.dtype, eps=ranges, norm="linf")
            known[left] = _changed(part, left, RandomNoise(draws=_DRAWS).search(lonely, space, seed=seed))
        return known

    given = x[np.maximum(donors, 0)], (donors >= 0).astype(np.int64)
    return kept(part, "reachable", repr(fixed.tolist()), repr(ranges.tolist()), *given, str(seed), compute=run)


def _donors(target: Target, rows: IntArray, *, seed: int) -> IntArray:
    """For each row, positions of some rows of other classes (m, k), picked by their ids; −1 where there are no more."""
    words = row_words(target.data.row_keys(), 1, seed=seed, stream=_STREAM)[:, 0]
    order = np.argsort(words, kind="stable")
    donors = np.full((len(rows), _DONORS), -1)
    for label in np.unique(target.y[rows]):
        others = order[target.y[order] != label][:_DONORS]
        donors[np.ix_(target.y[rows] == label, np.arange(len(others)))] = others
    return donors


def _grafted(x: AnyArray, donor: AnyArray, fixed: BoolArray) -> AnyArray:
    """Rows with the mutable features of others; what is missing in either stays."""
    return np.asarray(np.where(fixed | np.isnan(x) | np.isnan(donor), x, donor))


def _changed(target: Target, rows: IntArray, points: AnyArray) -> BoolArray:
    """Which points get another class than the rows that they were made for."""
    if len(rows) == 0:
        return np.zeros(0, dtype=bool)
    return target.wrong(target.scores(points), rows)
