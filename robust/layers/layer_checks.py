"""Whether a comparison of layers compares what it says: self-checks on a few rows."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from robust.evidence import SelfCheck
from robust.layers.blocks import Watched
from robust.layers.matching import Match
from robust.layers.point_sums import ROUNDING, PointSums
from robust.layers.weights import ALIKE, cosine
from robust.types import AnyArray, FloatArray

if TYPE_CHECKING:
    from robust.layers.layer_result import LayerError

#: What watching may change of the answers, as a share of their size: rounding, or a step of integers, since a runtime
#: merges fewer operators where one's result is wanted.
_ROUNDING, _STEP = 1e-4, 0.02


def self_comparison(model: Watched, pairs: Sequence[Match], x: AnyArray) -> tuple[float, float]:
    """The reference against itself by the same way as against the candidate, which has to come out as exact.

    Args:
        model: The reference.
        pairs: The layers that are compared.
        x: A few rows.

    Returns:
        Lowest SQNR of all points in dB, of both models run from the rows on, and of each layer by itself.
    """
    ends = [pair.reference.end for pair in pairs]
    once, again = model.values(x, ends), model.values(x, ends)
    own = model.own(x, {end: once[end] for end in ends})
    together = [_sqnr(once[end], again[end]) for end in ends]
    alone = [_sqnr(own[end], once[end]) for end in ends]
    return min(together), min(alone)


def layer_checks(
    rows: Sequence["LayerError"],
    itself: tuple[float, float],
    models: Sequence[tuple[str, Watched]],
    pairs: Sequence[Match],
    x: AnyArray,
) -> tuple[SelfCheck, ...]:
    """Self-checks of a comparison.

    Args:
        rows: The layers.
        itself: What `self_comparison` gave.
        models: Both models, by what they are here.
        pairs: The layers that are compared.
        x: A few rows.

    Returns:
        The checks: the reference against itself is exact, watching changes no answer, and both are one network.
    """
    together, alone = itself
    exact = together == math.inf and alone >= ROUNDING
    checks = [
        SelfCheck(
            name="float against float",
            passed=exact,
            reason=f"the reference against itself is {_shown(together)} at every "
            f"point, and {_shown(alone)} layer by layer",
            bias="either",
        )
    ]
    for who, watched in models:
        gap = _gap(*watched.answers(x))
        integers = any(block.integers for block in watched.blocks)
        checks.append(
            SelfCheck(
                name=f"answers of the {who}",
                passed=gap <= (_STEP if integers else _ROUNDING),
                reason=f"watching the layers of {watched.name} changes its answers by {gap:.2g} of their size",
                bias="either",
            )
        )
    return (*checks, _one_network(rows, pairs))


def _one_network(rows: Sequence["LayerError"], pairs: Sequence[Match]) -> SelfCheck:
    """Whether the two models are builds of one network: weights, or what layers give, point the same way somewhere."""
    likeness = [cosine(pair.reference.weight, pair.candidate.weight) for pair in pairs]
    known = [value for value in likeness if value is not None] or [row.cosine for row in rows]
    what = "weights" if any(value is not None for value in likeness) else "activations"
    best = max((value for value in known if not math.isnan(value)), default=0.0)
    return SelfCheck(
        name="one network",
        passed=best >= ALIKE,
        reason=f"the {what} of the layer that agrees best have a cosine of {best:.3f}"
        + ("" if best >= ALIKE else ": these are not builds of one network"),
        bias="either",
    )


def _shown(ratio: float) -> str:
    return "exact" if ratio == math.inf else f"{ratio:.0f} dB"


def _sqnr(r: AnyArray, q: AnyArray) -> float:
    sums = PointSums(len(r))
    sums.add(slice(0, len(r)), r, q)
    return sums.sqnr


def _gap(watched: FloatArray, plain: FloatArray) -> float:
    """Largest difference of answers, as a share of their size."""
    if watched.shape != plain.shape:
        return math.inf
    size = float(np.abs(plain).max(initial=0.0))
    return float(np.abs(watched - plain).max(initial=0.0)) / size if size else 0.0
