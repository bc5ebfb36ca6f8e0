"""Reads linear scikit-learn classifiers and ReLU networks, behind feature-wise scalers, as networks."""

from typing import Any

import numpy as np

from robust.certified.network import Builder, Network, Tail
from robust.certified.unsupported import Unsupported
from robust.models.linear_gradients import LinearGradients, affine_of
from robust.types import AnyArray

_TAILS: dict[str, Tail] = {"identity": "none", "margin": "none", "sigmoid": "sigmoid", "softmax": "softmax"}


def linear_network(closed: LinearGradients, shape: tuple[int, ...], data_dtype: "np.dtype[Any]") -> Network:
    """The network of a linear model whose closed form is known.

    Args:
        closed: Weights, bias, scalers and link; confirmed against the model's own outputs.
        shape: Shape of a row.
        data_dtype: Number type of the rows: float32 rows are scaled in float32.
    """
    builder = Builder(shape)
    node = builder.scale(0, closed.scale, closed.shift)
    node = builder.dense(node, closed.weights, closed.bias)
    return builder.finish(
        node, tail=_TAILS[closed.link], dtype=_precision([closed.weights], data_dtype), data_dtype=data_dtype
    )


def perceptron_network(estimator: Any, shape: tuple[int, ...], data_dtype: "np.dtype[Any]") -> Network | None:
    """The network of an MLPClassifier, alone or behind scalers in a pipeline; None for any other estimator.

    Raises:
        Unsupported: If it has another activation than ReLU or none, or a step that is no feature-wise scaler.
    """
    from sklearn.neural_network import MLPClassifier
    from sklearn.pipeline import Pipeline

    parts = [part for _, part in estimator.steps] if type(estimator) is Pipeline else [estimator]
    last = parts[-1]
    if type(last) is not MLPClassifier:
        return None
    if last.activation not in ("relu", "identity"):
        raise Unsupported(f"MLPClassifier(activation={last.activation!r})")
    builder, node = Builder(shape), 0
    for step in parts[:-1]:
        if step is None or step == "passthrough":
            continue
        affine = affine_of(step) if type(step).__name__ in ("StandardScaler", "MinMaxScaler", "MaxAbsScaler") else None
        if affine is None:
            raise Unsupported(f"the step {type(step).__name__} of a pipeline")
        scale, shift = affine
        node = builder.scale(node, scale, shift)
    for i, (weight, bias) in enumerate(zip(last.coefs_, last.intercepts_, strict=True)):
        if i and last.activation == "relu":
            node = builder.rectify(node)
        node = builder.dense(node, weight.T, bias)
    tail: Tail = "sigmoid" if last.out_activation_ == "logistic" else "softmax"
    if last.out_activation_ == "logistic" and builder.nodes[node].width != 1:
        raise Unsupported("MLPClassifier of several labels a row")
    return builder.finish(node, tail=tail, dtype=_precision(last.coefs_, data_dtype), data_dtype=data_dtype)


def _precision(weights: list[AnyArray], data_dtype: "np.dtype[Any]") -> "np.dtype[Any]":
    """float32 where any part is: sums of float32 rows or weights may be rounded to it."""
    single = any(weight.dtype == np.float32 for weight in weights) or data_dtype == np.float32
    return np.dtype(np.float32 if single else np.float64)
