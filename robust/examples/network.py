"""The regression network of the tabular examples: a small perceptron, tuned on training rows alone."""

from pathlib import Path
from typing import Protocol
from zipfile import ZIP_DEFLATED

import numpy as np
import skops.io
from sklearn.compose import TransformedTargetRegressor
from sklearn.model_selection import GridSearchCV, KFold, TimeSeriesSplit
from sklearn.neural_network import MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from robust.types import FloatArray

# Steps of about a factor of 3: cross-validation on some 200 rows tells no finer ones apart.
_PENALTIES = (0.1, 0.3, 1.0, 3.0, 10.0, 30.0)
_WIDTH = 16


class Regressor(Protocol):
    """What the examples ask of a fitted regression."""

    def predict(self, x: FloatArray) -> FloatArray:
        """Predictions (n,) for rows (n, d)."""


def tuned_network(x: FloatArray, y: FloatArray, *, folds: KFold | TimeSeriesSplit) -> Regressor:
    """Fit one hidden layer of 16 ReLU units, with the weight penalty that cross-validates best.

    ŷ = μ_y + σ_y (b + Σ_h v_h max(0, c_h + Σ_j w_hj (x_j − μ_j)/σ_j))
    minimises Σ (y − ŷ)²/σ_y² + α (|v|² + |w|²)

    Args:
        x: Training features (n, d), in their own units.
        y: Training targets (n,), in their own units.
        folds: How to cross-validate; rows that are ordered in time need a `TimeSeriesSplit`.

    Returns:
        The network, refitted on all training rows.
    """
    perceptron = MLPRegressor(hidden_layer_sizes=(_WIDTH,), solver="lbfgs", max_iter=10_000, random_state=0)
    model = TransformedTargetRegressor(make_pipeline(StandardScaler(), perceptron), transformer=StandardScaler())
    grid = {"regressor__mlpregressor__alpha": _PENALTIES}
    search = GridSearchCV(model, grid, scoring="neg_root_mean_squared_error", cv=folds)
    # One thread: sums are then in the same order wherever the linear algebra library is the same.
    with threadpool_limits(limits=1):
        fitted: Regressor = search.fit(x, y).best_estimator_
    return fitted


def write_model(model: Regressor, path: Path) -> None:
    """Write a model as `.skops`, which holds types and arrays but no code."""
    skops.io.dump(model, path, compression=ZIP_DEFLATED, compresslevel=9)


def root_mean_square(residuals: FloatArray) -> float:
    """√(mean r²), for residuals (n,)."""
    return float(np.sqrt(np.mean(residuals**2)))
