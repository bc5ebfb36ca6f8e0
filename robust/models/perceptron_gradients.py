"""Input gradients of scikit-learn's multi-layer perceptrons, behind any chain of feature-wise scalers."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, get_args

import numpy as np
from scipy.special import expit

from robust.models.linear_gradients import Link, confirmed, linked, scaled_model, unlinked
from robust.types import AnyArray, FloatArray

Activation: TypeAlias = Literal["identity", "logistic", "tanh", "relu"]

_LINKS: dict[str, Link] = {"logistic": "sigmoid", "softmax": "softmax", "identity": "identity"}
# A network that was fitted in single precision is asked in single precision.
_DOUBLE, _SINGLE = 1e-6, 1e-3


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PerceptronGradients:
    """Outputs g(z_L), z_l = h_{l−1} W_l + b_l, h_l = f(z_l), h_0 = x·scale + shift, and the gradient by the chain rule.

    Args:
        weights: W of each layer (inputs, outputs).
        biases: b of each layer (outputs,).
        scale: Factor of each feature (d,).
        shift: Summand of each feature (d,).
        activation: f.
        link: g, as of linear models.
    """

    weights: tuple[FloatArray, ...]
    biases: tuple[FloatArray, ...]
    scale: FloatArray
    shift: FloatArray
    activation: Activation
    link: Link

    def __call__(self, x: AnyArray, cotangent: Callable[[FloatArray], FloatArray]) -> tuple[FloatArray, FloatArray]:
        """Outputs (b, k) and ∂loss/∂x (b, d)."""
        hidden: list[FloatArray] = [np.asarray(x, dtype=np.float64) * self.scale + self.shift]
        for weights, bias in zip(self.weights[:-1], self.biases[:-1], strict=True):
            hidden.append(_activated(hidden[-1] @ weights + bias, self.activation))
        outputs = linked(hidden[-1] @ self.weights[-1] + self.biases[-1], self.link)
        flow = unlinked(outputs, np.asarray(cotangent(outputs), dtype=np.float64), self.link)
        for weights, value in zip(reversed(self.weights[1:]), reversed(hidden[1:]), strict=True):
            flow = (flow @ weights.T) * _slope(value, self.activation)
        return outputs, (flow @ self.weights[0].T) * self.scale


def perceptron_gradients(estimator: Any, *, method: str, columns: AnyArray | None) -> PerceptronGradients | None:
    """The gradients of an `MLPClassifier` or `MLPRegressor`, or of a pipeline of feature-wise scalers that ends in one.

    Args:
        estimator: A fitted estimator.
        method: The method whose outputs are differentiated.
        columns: Feature names that it was fitted with, if any.

    Returns:
        The gradients; None for every other model, and for one whose own outputs they do not reproduce.
    """
    from sklearn.neural_network import MLPClassifier, MLPRegressor

    scaled = scaled_model(estimator)
    # Exact types: a subclass may compute something else.
    if scaled is None or type(scaled.last) not in (MLPClassifier, MLPRegressor):
        return None
    last = scaled.last
    link = _LINKS.get(last.out_activation_)
    if last.activation not in get_args(Activation) or link is None:
        return None
    closed = PerceptronGradients(
        weights=tuple(np.asarray(part, dtype=np.float64) for part in last.coefs_),
        biases=tuple(np.asarray(part, dtype=np.float64) for part in last.intercepts_),
        scale=scaled.scale,
        shift=scaled.shift,
        activation=last.activation,
        link=link,
    )
    rtol = _DOUBLE if all(part.dtype == np.float64 for part in last.coefs_) else _SINGLE
    return closed if confirmed(closed, scaled, estimator, method, columns, rtol) else None


def _activated(sums: FloatArray, activation: Activation) -> FloatArray:
    if activation == "relu":
        return np.maximum(sums, 0.0)
    if activation == "tanh":
        return np.tanh(sums)
    return np.asarray(expit(sums)) if activation == "logistic" else sums


def _slope(value: FloatArray, activation: Activation) -> FloatArray:
    """F' from f."""
    if activation == "relu":
        return (value > 0.0).astype(np.float64)
    if activation == "tanh":
        return 1.0 - value**2
    return value * (1.0 - value) if activation == "logistic" else np.ones_like(value)
