"""Losses of AutoPGD beside the cross-entropy and the margin, with their derivatives, and the values of all of them.

Probabilities stand for the logarithms of themselves, from which logits differ by a constant that every loss cancels.
"""

import numpy as np

from robust.attacks.losses import Loss, Scale, even_scale, log_margins
from robust.types import BoolArray, FloatArray, IntArray

_SMALLEST = 1e-37


def loss_values(
    loss: Loss, scores: FloatArray, y: IntArray, *, scale: Scale, aims: IntArray | None = None
) -> FloatArray:
    """What a loss is, up to a monotone function of each row's own.

    Args:
        loss: Which loss; of the two cross-entropies the log-odds of an error, logits brought to one scale.
        scores: Logits or probabilities (m, k), k ≥ 2.
        y: True class of each row (m,).
        scale: What the scores are.
        aims: For `targeted`, the class that each row is to become (m,).

    Returns:
        The losses (m,); higher is closer to a mistake.

    >>> loss_values("dlr", np.array([[4.0, 3.0, 2.0]]), np.array([0]), scale="logits")  # −(4 − 3)/(4 − 2)
    array([-0.5])
    """
    if loss in ("dlr", "targeted"):
        return _forms(loss, _logits(scores, scale), y, aims)[0]
    if loss in ("margin", "log_margin"):
        return log_margins(scores, y, scale=scale)
    z = _logits(scores, scale)
    rows = np.arange(len(y))
    z = z / even_scale(z)
    others = np.where(_of(y, z), -np.inf, z)
    top = others.max(axis=1)
    return np.asarray(top + np.log(np.exp(others - top[:, None]).sum(axis=1)) - z[rows, y])


def aimed_cotangent(
    loss: Loss, scores: FloatArray, y: IntArray, *, scale: Scale, aims: IntArray | None = None
) -> FloatArray:
    """Derivative of the `dlr` or the `targeted` loss with respect to the outputs.

    dlr: (max_{j≠y} z_j − z_y)/(z_π1 − z_π3), π sorts z, largest first; targeted: z_t − z_y

    With two classes there is no z_π3, and `dlr` is the margin max_{j≠y} z_j − z_y alone. The targeted loss has no such
    divisor: attacks follow the direction of a gradient and compare values of one row, so its scale is nothing to them;
    and on a linear model its direction leads to the nearest point of class t, that of a ratio elsewhere.

    Args:
        loss: `dlr` or `targeted`.
        scores: Logits or probabilities (m, k), k ≥ 2.
        y: True class of each row (m,).
        scale: What the scores are.
        aims: For `targeted`, the class t of each row (m,).

    Returns:
        The derivative (m, k).

    Source:
        Croce and Hein (2020), equation 6; targets as in section 6.

    >>> aimed_cotangent("dlr", np.array([[4.0, 3.0, 2.0]]), np.array([0]), scale="logits")
    array([[-0.25,  0.5 , -0.25]])
    """
    value, up, across, width = _forms(loss, _logits(scores, scale), y, aims)
    flow = (up - value[:, None] * across) / width[:, None]
    if scale == "probabilities":
        flow = np.where(scores > 0, flow / np.maximum(scores, _SMALLEST), 0.0)
    return np.asarray(flow)


def _forms(
    loss: Loss, z: FloatArray, y: IntArray, aims: IntArray | None
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """Value u/v, coefficients of u and of v, and v; without a third class, or where v is rounding, it is 1."""
    rows = np.arange(len(y))
    up, across, width = np.zeros(z.shape), np.zeros(z.shape), np.ones(len(y))
    other = np.where(_of(y, z), -np.inf, z).argmax(axis=1) if aims is None or loss == "dlr" else aims
    up[rows, other] = 1.0
    up[rows, y] = -1.0
    if loss == "dlr" and z.shape[1] > 2:
        order = np.argsort(-z, axis=1, kind="stable")
        across[rows, order[:, 0]] = 1.0
        across[rows, order[:, 2]] = -1.0
        width = np.sum(across * z, axis=1)
        flat = width <= np.finfo(np.float64).eps * np.abs(z).max(axis=1)
        across[flat], width = 0.0, np.where(flat, 1.0, width)
    return np.sum(up * z, axis=1) / width, up, across, width


def _logits(scores: FloatArray, scale: Scale) -> FloatArray:
    """Scores as logits, float64."""
    wide = scores.astype(np.float64)
    return wide if scale == "logits" else np.log(np.maximum(wide, _SMALLEST))


def _of(y: IntArray, z: FloatArray) -> BoolArray:
    """Which entries belong to the true class (m, k)."""
    return np.asarray(np.arange(z.shape[1])[None, :] == y[:, None])
