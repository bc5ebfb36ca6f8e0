"""Losses that gradient attacks climb, as their derivatives with respect to a model's outputs.

Cross-entropy is −log p_y. Its gradient with respect to logits is (1 − p_y)(w − e_y), where w is the softmax
over the wrong classes alone; the factor 1 − p_y vanishes for a row that the model is sure of, and takes the
gradient with it into rounding. Attacks use the gradient's direction only, so the factor is left out: what is
climbed is log((1 − p_y)/p_y), the log-odds of an error, a monotone function of the cross-entropy row by row.

Its direction depends on the scale of the logits: small ones push towards all wrong classes alike, large ones
towards the nearest alone. Where many steps are made, logits are therefore brought to one scale first.
"""

from typing import Literal, TypeAlias

import numpy as np

from robust.types import BoolArray, FloatArray, IntArray

Loss: TypeAlias = Literal[
    "cross_entropy", "even_cross_entropy", "margin", "log_margin", "own_score", "best_other", "dlr", "targeted"
]
Scale: TypeAlias = Literal["logits", "probabilities"]

# 1/S must stay finite in single precision, where most models take their gradients.
_SMALLEST = 1e-37
# So little beside 1 has an error of a hundredth in single precision.
_COARSE = 64 * float(np.finfo(np.float32).eps)
# Distance of the largest from the smallest logit after scaling; trained networks are near it.
_SPREAD = 20.0


def cross_entropy_cotangent(scores: FloatArray, y: IntArray, *, scale: Scale) -> FloatArray:
    """Derivative of the log-odds of an error, log((1 − p_y)/p_y), with respect to the outputs.

    logits: w_j for j ≠ y, −1 for y; w_j = exp z_j / Σ_{i≠y} exp z_i

    probabilities: 1/S for j ≠ y, −1/p_y for y; S = Σ_{i≠y} p_i

    Args:
        scores: Logits or probabilities (m, k), k ≥ 2.
        y: True class of each row (m,).
        scale: What the scores are.

    Returns:
        The derivative (m, k); it points along the gradient of the cross-entropy. Where S is 0, the outputs
        have lost which other class is next, and y's share alone is left.

    Source:
        Goodfellow, Shlens and Szegedy (2015), section 4, for the use of the loss; the factor is elementary.

    >>> cross_entropy_cotangent(np.array([[40.0, 0.0, 0.0]]), np.array([0]), scale="logits")
    array([[-1. ,  0.5,  0.5]])
    """
    rows, own = np.arange(len(y)), _own(scores, y)
    if scale == "logits":
        others = np.where(own, -np.inf, scores)
        flow: FloatArray = np.exp(others - others.max(axis=1, keepdims=True))
        flow /= flow.sum(axis=1, keepdims=True)
        flow[rows, y] = -1.0
        return flow
    rest = np.where(own, 0.0, scores).sum(axis=1)
    flow = np.zeros(scores.shape)
    flow[rest > 0] = 1.0 / np.maximum(rest[rest > 0], _SMALLEST)[:, None]
    flow[rows, y] = -1.0 / np.maximum(scores[rows, y], _SMALLEST)
    return flow


def even_cotangent(scores: FloatArray, y: IntArray, *, scale: Scale) -> FloatArray:
    """Derivative of the log-odds of an error, of logits that have been brought to one scale row by row.

    logits: w_j for j ≠ y, −1 for y; w = softmax over j ≠ y of z_j/t, t = (max z − min z)/20, held constant

    probabilities: w_j/p_j for j ≠ y, −1/p_y for y; w from z = log p, which through a softmax is the above

    Args:
        scores: Logits or probabilities (m, k), k ≥ 2.
        y: True class of each row (m,).
        scale: What the scores are.

    Returns:
        The derivative (m, k); multiplying logits by a positive number changes nothing. Probabilities of 0
        have no share in it.

    Source:
        Croce and Hein (2020), section 4, for a loss that does not depend on the scale of the logits.

    >>> even_cotangent(1e-9 * np.array([[2.0, 1.0, 1.0]]), np.array([0]), scale="logits")
    array([[-1. ,  0.5,  0.5]])
    """
    rows, own = np.arange(len(y)), _own(scores, y)
    raw = scores.astype(np.float64)
    z = raw if scale == "logits" else np.log(np.maximum(raw, _SMALLEST))
    others = np.where(own, -np.inf, z)
    flow: FloatArray = np.exp((others - others.max(axis=1, keepdims=True)) / even_scale(z))
    flow /= flow.sum(axis=1, keepdims=True)
    if scale == "probabilities":
        flow = np.where(raw > 0, flow / np.maximum(raw, _SMALLEST), 0.0)
    flow[rows, y] = -1.0 if scale == "logits" else -1.0 / np.maximum(raw[rows, y], _SMALLEST)
    return flow


def even_scale(z: FloatArray) -> FloatArray:
    """What logits are divided by to bring each row to one scale, (max z − min z)/20; 1 where they are all equal.

    Args:
        z: Logits (m, k).

    Returns:
        The divisors (m, 1).

    >>> even_scale(np.array([[10.0, -10.0]]))
    array([[1.]])
    """
    t = (z.max(axis=1, keepdims=True) - z.min(axis=1, keepdims=True)) / _SPREAD
    return np.asarray(np.where(t > 0, t, 1.0))


def margin_cotangent(scores: FloatArray, y: IntArray) -> FloatArray:
    """Derivative of the margin loss max_{j≠y} f_j − f_y with respect to the outputs.

    Args:
        scores: Logits or probabilities (m, k), k ≥ 2.
        y: True class of each row (m,).

    Returns:
        The derivative (m, k): 1 for the best other class, −1 for y.

    Source:
        Carlini and Wagner (2017), objective f6 without its clamp.

    >>> margin_cotangent(np.array([[3.0, 1.0, 2.0]]), np.array([0]))
    array([[-1.,  0.,  1.]])
    """
    rows = np.arange(len(y))
    flow = np.zeros(scores.shape)
    flow[rows, np.where(_own(scores, y), -np.inf, scores).argmax(axis=1)] = 1.0
    flow[rows, y] = -1.0
    return flow


def log_margin_cotangent(scores: FloatArray, y: IntArray, *, scale: Scale) -> FloatArray:
    """Derivative of `log_margins` with respect to the outputs.

    Args:
        scores: Logits or probabilities (m, k), k ≥ 2.
        y: True class of each row (m,).
        scale: What the scores are.

    Returns:
        The derivative (m, k); for logits that of the margin loss.

    >>> log_margin_cotangent(np.array([[0.5, 0.3, 0.2]]), np.array([0]), scale="probabilities").round(2)
    array([[-2.  ,  3.33,  0.  ]])
    """
    flow = margin_cotangent(scores, y)
    return flow if scale == "logits" else np.asarray(flow / np.maximum(scores, _SMALLEST))


def half_margin_cotangent(
    loss: Literal["own_score", "best_other"], scores: FloatArray, y: IntArray, *, scale: Scale
) -> FloatArray:
    """Derivative of one of the two scores whose difference `log_margins` is.

    Args:
        loss: `own_score`, −f_y, or `best_other`, max_{j≠y} f_j.
        scores: Logits or probabilities (m, k), k ≥ 2.
        y: True class of each row (m,).
        scale: What the scores are; of probabilities the logarithms count.

    Returns:
        The derivative (m, k); those of the two add up to that of the margin.

    >>> half_margin_cotangent("own_score", np.array([[3.0, 1.0, 2.0]]), np.array([0]), scale="logits")
    array([[-1.,  0.,  0.]])
    """
    flow = log_margin_cotangent(scores, y, scale=scale)
    return np.where(_own(scores, y) == (loss == "own_score"), flow, 0.0)


def log_margins(scores: FloatArray, y: IntArray, *, scale: Scale) -> FloatArray:
    """Margin loss on the scale of logits: of probabilities, that of their logarithms.

    max_{j≠y} log p_j − log p_y, which a softmax of logits leaves as it was

    Args:
        scores: Logits or probabilities (m, k), k ≥ 2.
        y: True class of each row (m,).
        scale: What the scores are.

    Returns:
        The losses (m,); above 0 the row is wrong.

    >>> log_margins(np.array([[0.8, 0.2]]), np.array([0]), scale="probabilities").round(3)  # log(0.2/0.8)
    array([-1.386])
    """
    return margins(scores if scale == "logits" else np.log(np.maximum(scores, _SMALLEST)), y)


def saturated(scores: FloatArray, y: IntArray, *, scale: Scale) -> BoolArray:
    """Whether rows have lost in rounding how far they are from a mistake (m,).

    No other class has a probability; or, where one output p stands for 1 − p, too, that is a few roundings of p.

    >>> saturated(np.array([[1.0, 0.0], [0.999, 0.001]]), np.array([0, 0]), scale="probabilities")
    array([ True, False])
    """
    if scale == "logits":
        return np.zeros(len(scores), dtype=bool)
    rest, least = np.where(_own(scores, y), 0.0, scores).max(axis=1), np.full(len(scores), _SMALLEST)
    if scores.shape[1] == 2:
        # As of a single output in single precision: those of a softmax are rounded each by itself.
        p = scores[:, 1]
        least[(scores[:, 0] == 1.0 - p) & (p == p.astype(np.float32))] = _COARSE
    return np.asarray(rest <= least)


def margins(scores: FloatArray, y: IntArray) -> FloatArray:
    """Margin loss of each row, max_{j≠y} f_j − f_y: above 0 the row is wrong, below it is right.

    Args:
        scores: Scores (m, k), k ≥ 2.
        y: True class of each row (m,).

    Returns:
        The losses (m,); higher is closer to a mistake. Scores that are NaN, of a row that the model does not answer,
        have an infinite loss: no answer is no right one.

    >>> margins(np.array([[3.0, 1.0, 2.0]]), np.array([0]))
    array([-1.])
    """
    rest = np.where(_own(scores, y), -np.inf, scores).max(axis=1)
    losses = rest - scores[np.arange(len(y)), y]
    return np.asarray(np.where(np.isnan(losses), np.inf, losses))


def _own(scores: FloatArray, y: IntArray) -> BoolArray:
    """Which entries belong to the true class (m, k)."""
    return np.asarray(np.arange(scores.shape[1])[None, :] == y[:, None])
