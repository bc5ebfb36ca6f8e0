"""Gradients of the gap between each of several classes and the true one, in one pass."""

import numpy as np

from robust.attacks.losses import Scale, log_margins
from robust.attacks.target import Target
from robust.types import AnyArray, FloatArray, IntArray

# A probability below this has lost its logarithm.
_SMALLEST = 1e-37


def class_slopes(
    target: Target, x: AnyArray, rows: IntArray, rivals: IntArray
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """How far each rival class is behind the true one, and which way the gap closes.

    f_l − f_y and its gradient, f logits or the logarithms of probabilities

    Args:
        target: The classifier and its rows.
        x: Points (m, d), in the data's number type.
        rows: Rows of the target that they belong to (m,).
        rivals: Classes other than the true one (m, c).

    Returns:
        Scores (m, k), gaps (m, c) and gradients (m, c, d), finite. Every point is passed c times.
    """
    if target.classes == 2:  # also where one output stands for both
        scores, gradient = target.gradient(x, rows, loss="log_margin")
        gaps = log_margins(scores, target.y[rows], scale=target.scale)
        return scores, gaps[:, None], gradient[:, None]
    (m, c), flat = rivals.shape, rivals.ravel()
    y, each = np.repeat(target.y[rows], c), np.arange(m * c)

    def cotangent(scores: FloatArray, block: slice) -> FloatArray:
        at, flow = np.arange(len(scores)), np.zeros(scores.shape)
        flow[at, flat[block]], flow[at, y[block]] = 1.0, -1.0
        return np.asarray(flow / np.maximum(scores, _SMALLEST)) if target.scale == "probabilities" else flow

    points = np.repeat(x, c, axis=0).reshape(m * c, *target.data.schema.shape)
    scores, gradient = target.caller.gradient(points, cotangent)
    levels = levels_of(scores, target.scale)
    gaps = (levels[each, flat] - levels[each, y]).reshape(m, c)
    return scores[::c], gaps, np.nan_to_num(gradient.reshape(m, c, -1))


def levels_of(scores: FloatArray, scale: Scale) -> FloatArray:
    """Logits, or the logarithms of probabilities (n, k), finite."""
    return np.asarray(np.log(np.maximum(scores, _SMALLEST))) if scale == "probabilities" else scores
