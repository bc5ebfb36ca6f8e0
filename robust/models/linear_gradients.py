"""Input gradients of linear scikit-learn models in closed form, behind any chain of feature-wise scalers."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
from scipy.special import expit, softmax

from robust.models.base import Gradients
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
        outputs = linked(scores, self.link)
        flow = np.asarray(cotangent(outputs), dtype=np.float64)
        return outputs, (unlinked(outputs, flow, self.link) @ self.weights) * self.scale


def linked(scores: FloatArray, link: Link) -> FloatArray:
    """Outputs from scores."""
    if link == "margin":
        return np.hstack([np.zeros_like(scores), scores])
    if link == "sigmoid":
        return np.hstack([expit(-scores), expit(scores)])
    if link == "softmax":
        scores = softmax(scores, axis=1)
    return scores


def unlinked(outputs: FloatArray, flow: FloatArray, link: Link) -> FloatArray:
    """From ∂loss/∂outputs to ∂loss/∂scores."""
    if link == "margin":
        return flow[:, 1:]
    if link == "sigmoid":  # σ' = σ(1 − σ), with opposite signs in the two columns
        return (flow[:, 1:] - flow[:, :1]) * outputs[:, :1] * outputs[:, 1:]
    if link == "softmax":  # J = diag(p) − p pᵀ
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
    scaled = scaled_model(estimator)
    if scaled is None or not _is_linear(scaled.last):
        return None
    last, scale, shift = scaled.last, scaled.scale, scaled.shift
    weights = np.atleast_2d(np.asarray(last.coef_, dtype=np.float64))
    bias = np.broadcast_to(np.asarray(last.intercept_, dtype=np.float64).ravel(), (len(weights),))
    link: Link = "identity"
    if method == "decision_function":
        link = "margin" if len(weights) == 1 else "identity"
    elif method == "predict_proba":
        link = "sigmoid" if len(weights) == 1 else "softmax"
    closed = LinearGradients(weights=weights, bias=bias, scale=scale, shift=shift, link=link)
    return closed if confirmed(closed, scaled, estimator, method, columns) else None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ScaledModel:
    """The last step of a pipeline, and what feature-wise scalers before it do: x·scale + shift.

    Args:
        last: The estimator.
        scale: Factor of each feature (d,).
        shift: Summand of each feature (d,).
    """

    last: Any
    scale: FloatArray
    shift: FloatArray


def scaled_model(estimator: Any) -> ScaledModel | None:
    """An estimator, alone or behind feature-wise scalers; None where a pipeline has another step."""
    from sklearn.pipeline import Pipeline
    from sklearn.preprocessing import MaxAbsScaler, MinMaxScaler, StandardScaler

    parts = [part for _, part in estimator.steps] if type(estimator) is Pipeline else [estimator]
    scalers = [part for part in parts[:-1] if part is not None and not isinstance(part, str)]
    # Exact types: a subclass may compute something else.
    if any(type(part) not in (StandardScaler, MinMaxScaler, MaxAbsScaler) for part in scalers):
        return None
    width = getattr(parts[-1], "n_features_in_", None)
    if width is None:
        return None
    scale, shift = np.ones(width), np.zeros(width)
    for scaler in scalers:
        affine = affine_of(scaler)
        if affine is None:
            return None
        scale, shift = scale * affine[0], shift * affine[0] + affine[1]
    return ScaledModel(last=parts[-1], scale=scale, shift=shift)


def _is_linear(last: Any) -> bool:
    from sklearn import linear_model, svm

    public = {getattr(module, name) for module in (linear_model, svm) for name in module.__all__}
    # Exact types here, too.
    return type(last) in public and isinstance(getattr(last, "coef_", None), np.ndarray) and last.coef_.ndim <= 2


def affine_of(scaler: Any) -> tuple[AnyArray | float, AnyArray | float] | None:
    """Factor and summand of a feature-wise scaler."""
    name = type(scaler).__name__
    if name == "StandardScaler":
        factor = 1.0 / scaler.scale_ if scaler.scale_ is not None else 1.0
        return factor, -scaler.mean_ * factor if scaler.with_mean else 0.0
    if name == "MaxAbsScaler":
        return None if getattr(scaler, "clip", False) else (1.0 / scaler.scale_, 0.0)
    return None if scaler.clip else (scaler.scale_, scaler.min_)


def confirmed(
    closed: Gradients, scaled: ScaledModel, estimator: Any, method: str, columns: AnyArray | None, rtol: float = 1e-6
) -> bool:
    """Whether the estimator itself gives the closed form's outputs, at rows on both sides of its centre.

    Other models with coefficients (one-versus-rest probabilities, count regressions with a log link) do not.

    Args:
        closed: Outputs and gradients.
        scaled: What lies before the last step.
        estimator: All of it.
        method: The method whose outputs are differentiated.
        columns: Feature names that it was fitted with, if any.
        rtol: Relative difference that is rounding; a thousandth of it of numbers near 0.
    """
    width = len(scaled.scale)
    probe = (np.sin(np.arange(1.0, 8.0 * width + 1.0)).reshape(8, width) * 2.0 - scaled.shift) / scaled.scale
    own = getattr(estimator, method)(probe if columns is None else _frame(probe, columns))
    expected, _ = closed(probe, np.zeros_like)
    own = np.asarray(own, dtype=np.float64)
    if own.ndim == 1:
        own, expected = own[:, None], expected[:, -1:]
    return own.shape == expected.shape and bool(np.allclose(own, expected, rtol=rtol, atol=1e-3 * rtol))


def _frame(rows: FloatArray, columns: AnyArray) -> Any:
    import pandas

    return pandas.DataFrame(rows, columns=list(columns))
