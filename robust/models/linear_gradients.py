"""Input gradients of linear scikit-learn models in closed form, behind any chain of feature-wise scalers."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
from scipy.special import expit, softmax

from robust.types import AnyArray, FloatArray

Link: TypeAlias = Literal["identity", "margin", "sigmoid", "softmax"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LinearGradients:
    """Outputs g(a Wᵀ + b) with a = x·scale + shift, and their gradient by the chain rule.

    Args:
        weights: W (k, d), or (1, d) where one score makes both columns.
        bias: b (k,).
        scale: Factor of each feature (d,).
        shift: Summand of each feature (d,).
        link: What becomes of the scores z: `identity` z, `margin` (0, z), `sigmoid` (1 − σ(z), σ(z)),
            `softmax`.
    """

    weights: FloatArray
    bias: FloatArray
    scale: FloatArray
    shift: FloatArray
    link: Link

    def __call__(self, x: AnyArray, cotangent: Callable[[FloatArray], FloatArray]) -> tuple[FloatArray, FloatArray]:
        """Outputs (b, k) and ∂loss/∂x (b, d)."""
        scores = (np.asarray(x, dtype=np.float64) * self.scale + self.shift) @ self.weights.T + self.bias
        outputs = self._outputs(scores)
        flow = np.asarray(cotangent(outputs), dtype=np.float64)
        return outputs, (self._back(outputs, flow) @ self.weights) * self.scale

    def _outputs(self, scores: FloatArray) -> FloatArray:
        if self.link == "margin":
            return np.hstack([np.zeros_like(scores), scores])
        if self.link == "sigmoid":
            return np.hstack([expit(-scores), expit(scores)])
        if self.link == "softmax":
            scores = softmax(scores, axis=1)
        return scores

    def _back(self, outputs: FloatArray, flow: FloatArray) -> FloatArray:
        """From ∂loss/∂outputs to ∂loss/∂scores."""
        if self.link == "margin":
            return flow[:, 1:]
        if self.link == "sigmoid":  # σ' = σ(1 − σ), with opposite signs in the two columns
            return (flow[:, 1:] - flow[:, :1]) * outputs[:, :1] * outputs[:, 1:]
        if self.link == "softmax":  # J = diag(p) − p pᵀ
            mean: FloatArray = np.sum(flow * outputs, axis=1, keepdims=True)
            return outputs * (flow - mean)
        return flow


def linear_gradients(estimator: Any, *, method: str, columns: AnyArray | None) -> LinearGradients | None:
    """The closed form of a linear model, or of a pipeline of feature-wise scalers that ends in one.

    Args:
        estimator: A fitted estimator.
        method: The method whose outputs are differentiated.
        columns: Feature names that it was fitted with, if any.

    Returns:
        The closed form; None for every other model, and for one whose own outputs it does not reproduce.
    """
    chain = _chain(estimator)
    if chain is None:
        return None
    scalers, last = chain
    weights = np.atleast_2d(np.asarray(last.coef_, dtype=np.float64))
    scale, shift = np.ones(weights.shape[1]), np.zeros(weights.shape[1])
    for scaler in scalers:
        affine = affine_of(scaler)
        if affine is None:
            return None
        scale, shift = scale * affine[0], shift * affine[0] + affine[1]
    bias = np.broadcast_to(np.asarray(last.intercept_, dtype=np.float64).ravel(), (len(weights),))
    link: Link = "identity"
    if method == "decision_function":
        link = "margin" if len(weights) == 1 else "identity"
    elif method == "predict_proba":
        link = "sigmoid" if len(weights) == 1 else "softmax"
    closed = LinearGradients(weights=weights, bias=bias, scale=scale, shift=shift, link=link)
    return closed if _confirmed(closed, estimator, method, columns) else None


def _chain(estimator: Any) -> tuple[list[Any], Any] | None:
    """The scalers and the linear model of a pipeline; None if any part is something else."""
    from sklearn import linear_model, svm
    from sklearn.pipeline import Pipeline
    from sklearn.preprocessing import MaxAbsScaler, MinMaxScaler, StandardScaler

    parts = [part for _, part in estimator.steps] if type(estimator) is Pipeline else [estimator]
    scalers = [part for part in parts[:-1] if part is not None and not isinstance(part, str)]
    # Exact types: a subclass may compute something else.
    if any(type(part) not in (StandardScaler, MinMaxScaler, MaxAbsScaler) for part in scalers):
        return None
    public = {getattr(module, name) for module in (linear_model, svm) for name in module.__all__}
    last = parts[-1]
    linear = type(last) in public and isinstance(getattr(last, "coef_", None), np.ndarray)
    return (scalers, last) if linear and np.asarray(last.coef_).ndim <= 2 else None


def affine_of(scaler: Any) -> tuple[AnyArray | float, AnyArray | float] | None:
    """Factor and summand of a feature-wise scaler."""
    name = type(scaler).__name__
    if name == "StandardScaler":
        factor = 1.0 / scaler.scale_ if scaler.scale_ is not None else 1.0
        return factor, -scaler.mean_ * factor if scaler.with_mean else 0.0
    if name == "MaxAbsScaler":
        return None if getattr(scaler, "clip", False) else (1.0 / scaler.scale_, 0.0)
    return None if scaler.clip else (scaler.scale_, scaler.min_)


def _confirmed(closed: LinearGradients, estimator: Any, method: str, columns: AnyArray | None) -> bool:
    """Whether the estimator itself gives the closed form's outputs, at rows on both sides of its centre.

    Other models with coefficients (one-versus-rest probabilities, count regressions with a log link) do not.
    """
    width = closed.weights.shape[1]
    probe = (np.sin(np.arange(1.0, 8.0 * width + 1.0)).reshape(8, width) * 2.0 - closed.shift) / closed.scale
    own = getattr(estimator, method)(probe if columns is None else _frame(probe, columns))
    expected, _ = closed(probe, np.zeros_like)
    own = np.asarray(own, dtype=np.float64)
    if own.ndim == 1:
        own, expected = own[:, None], expected[:, -1:]
    return own.shape == expected.shape and bool(np.allclose(own, expected, rtol=1e-6, atol=1e-9))


def _frame(rows: FloatArray, columns: AnyArray) -> Any:
    import pandas

    return pandas.DataFrame(rows, columns=list(columns))
