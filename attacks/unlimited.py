"""How a gradient attack fares when nothing holds it back: what it must manage if its gradients are worth anything."""

from dataclasses import replace

import numpy as np

from robust.attacks.base import Attack
from robust.attacks.keeping import kept
from robust.attacks.projection import space_of
from robust.attacks.target import Target
from robust.randomness import row_words
from robust.types import BoolArray, FloatArray, IntArray

#: Rows that are enough to tell chance from more.
SAMPLE = 100
# Shares of the whole range, tried in turn: a single step of the full range can jump over the region it looks for. Most
# rows break in a few steps of the first, and are done.
_SCALES = (1 / 4, 1.0, 1 / 16)
#: A feature without bounds may go this many times the range of the data.
BEYOND = 10.0
_STREAM = 3 << 32


def sampled(target: Target, *, seed: int, most: int = SAMPLE) -> IntArray:
    """Some rows, picked by their ids.

    Args:
        target: The rows (n, d).
        seed: Seed of the choice.
        most: How many, at most.

    Returns:
        Their positions, increasing (m,).
    """
    order = np.argsort(row_words(target.data.row_keys(), 1, seed=seed, stream=_STREAM)[:, 0], kind="stable")
    return np.sort(order[:most])


def survives_anything(attack: Attack, target: Target, rows: IntArray, *, seed: int) -> BoolArray:
    """Which of some rows an attack cannot break even with the whole range of every feature for a budget.

    The schema is relaxed but for bounds and categorical features, since gradients are on trial here, not
    rules.

    Args:
        attack: A gradient attack; its own budget plays no part.
        target: The classifier and the rows, all right (n, d).
        rows: Positions of those that are tried (m,).
        seed: Seed of whatever is random.

    Returns:
        Which of the tried rows stay right (m,).
    """
    fixed = target.data.schema.mask("categorical")
    sample = freed(target.part(rows), fixed)
    ranges = np.where(fixed, 0.0, full_ranges(target))

    def run() -> BoolArray:
        left = np.ones(len(sample), dtype=bool)
        for scale in _SCALES:
            still = np.flatnonzero(left)
            if len(still) == 0:
                break
            part = sample.part(still)
            # The box, whatever the attack's norm: it holds every smaller ball.
            space = space_of(part.data.schema, part.x.dtype, eps=scale * ranges, norm="linf")
            left[still] = ~part.wrong(part.scores(attack.search(part, space, seed=seed)), slice(None))
        return left

    return kept(sample, "unlimited", repr(attack), repr(ranges.tolist()), str(seed), compute=run)


def freed(target: Target, fixed: BoolArray) -> Target:
    """The same classifier and rows under a schema that keeps nothing but bounds, and features that must stay.

    Args:
        target: The classifier and the rows (n, d).
        fixed: Features that must stay (d,).
    """
    relaxed = replace(
        target.data.schema,
        kinds=tuple("categorical" if stays else "continuous" for stays in fixed),
        immutable=fixed,
        groups=(),
        relations=(),
    )
    return replace(target, data=replace(target.data, schema=relaxed))


def full_ranges(target: Target) -> FloatArray:
    """The range of each feature: between its bounds, else a multiple of what the data spans (d,)."""
    schema, x = target.data.schema, target.x
    known = np.where(np.isnan(x), 0.0, x) if x.dtype.kind == "f" and np.isnan(x).any() else x
    low, high = known.min(axis=0).astype(np.float64), known.max(axis=0).astype(np.float64)
    span = high - low
    span = np.where(span > 0, span, np.maximum(np.maximum(np.abs(low), np.abs(high)), 1.0))
    bounded = np.isfinite(schema.lower) & np.isfinite(schema.upper)
    width = np.subtract(schema.upper, schema.lower, out=np.zeros(len(span)), where=bounded)
    return np.where(bounded, width, BEYOND * span)
