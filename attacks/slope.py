"""Whether gradients tell the slope: how far steps along them raise the loss, against what they promise."""

from collections.abc import Sequence

import numpy as np

from robust.attacks.base import Attack, require_budget
from robust.attacks.keeping import kept
from robust.attacks.losses import log_margins, saturated
from robust.attacks.probe import Probe
from robust.attacks.target import Target
from robust.data.budget import feature_eps
from robust.types import AnyArray, BoolArray, FloatArray

# The step in budgets, and the share of a feature's range beyond which it would ask for more than a slope. A much finer
# one falls inside one stair of numbers with few bits, whose stairs are honest, and is misled by ripples that are narrow
# for the attack but wide for the step.
_STEP, _WIDEST = 1 / 4, 0.1
# Rises this many times the rounding of the scores can be told from it.
_CLEAR = 16.0


def realised_slope(attack: Attack, probe: Probe, budgets: Sequence[Attack]) -> list[FloatArray]:
    """Realised and promised rise of the margin loss, row by row, for a step along the gradient.

    L(x') − L(x) and Σ g_j·(x'_j − x_j) with x' = x + h·sign(g), or h along g/‖g‖ in l2, inside the bounds; h is
    a quarter of the budget

    Of probabilities, the margin is that of their logarithms. Left out are whole and one-hot features, which a
    small step cannot move, and rows that promise no rise that rounding would not drown: those without a
    gradient, and those whose every feature is at its bound. So are rows whose probabilities have lost it.

    Args:
        attack: A gradient attack; says which norm.
        probe: The classifier, rows that are all right, and their gradients (m, d).
        budgets: The attack at each budget that is asked about.

    Returns:
        For each budget the two rises of the rows that are left (2, m); equal for a linear model, opposite for a
        reversed gradient.
    """
    sample, gradient = probe.sample, probe.gradient
    schema, x = sample.data.schema, sample.x
    if x.dtype.kind != "f":
        return [np.empty((2, 0)) for _ in budgets]
    moves = ~schema.mask("integer", "binary", "one_hot")
    widest = _WIDEST * probe.ranges
    steps = np.array([np.minimum(feature_eps(require_budget(at), schema) * _STEP, widest) * moves for at in budgets])
    if attack.norm == "l1":  # ‖δ‖₁ ≤ √d·‖δ‖₂: a step along the gradient that stays in the ball
        steps = steps / np.sqrt(schema.width)

    def run() -> AnyArray:
        # Scores of rows and points come from one pass of one shape, so that equal inputs give equal bits.
        scores = sample.scores(x).astype(np.float64)
        before, found = log_margins(scores, sample.y, scale=sample.scale), np.full((len(steps), 2, len(x)), np.nan)
        noise = rounding_of(scores if sample.scale == "logits" else None, before)
        lost = saturated(scores, sample.y, scale=sample.scale)
        for k, step in enumerate(steps):
            points = _stepped(x, gradient, step, sample, l2=attack.norm != "linf")
            change = np.nan_to_num(points.astype(np.float64) - x.astype(np.float64))
            promised = np.sum(change * gradient, axis=1)
            rows = (promised > noise) & ~lost
            if rows.any():
                after = log_margins(sample.scores(points).astype(np.float64), sample.y, scale=sample.scale)
                found[k, 0, rows], found[k, 1, rows] = (after - before)[rows], promised[rows]
        return found

    return [rises[:, ~np.isnan(rises[1])] for rises in kept(sample, "rises", attack.norm, steps, compute=run)]


def rounding_of(scores: FloatArray | None, losses: FloatArray) -> FloatArray:
    """Changes of a loss that are rounding, by row (n,); given scores (n, k) count, too."""
    sizes = np.abs(losses) if scores is None else np.maximum(np.abs(losses), np.abs(scores).max(axis=1))
    return np.asarray(_CLEAR * np.finfo(np.float32).eps * sizes)


def _stepped(x: AnyArray, gradient: FloatArray, step: FloatArray, target: Target, *, l2: bool) -> AnyArray:
    """Rows after the step, inside their bounds, in their number type."""
    direction = np.sign(gradient)
    if l2:
        # In units of the step, as the attack climbs; first by the largest, so that no square underflows.
        scaled = gradient * step
        scaled = scaled / _above_zero(np.abs(scaled).max(axis=1, keepdims=True))
        direction = scaled / _above_zero(np.sqrt(np.sum(scaled**2, axis=1, keepdims=True)))
    schema = target.data.schema
    inside = np.clip(x.astype(np.float64) + step * direction, schema.lower, schema.upper).astype(x.dtype)
    outside: BoolArray = (inside < schema.lower) | (inside > schema.upper)
    return np.asarray(np.where(outside, x, inside))


def _above_zero(values: FloatArray) -> FloatArray:
    """The values, with 1 for 0."""
    return np.asarray(np.where(values > 0, values, 1.0))
