"""How anomalous each row is: the error with which an autoencoder gives it back, or a score."""

import dataclasses
import sys
from collections.abc import Callable
from typing import Any, Literal, TypeAlias

import numpy as np

from robust.data.dataset import Dataset
from robust.errors import InvalidInput, ModelFault
from robust.models.base import Model, adapter_of
from robust.models.conversion import as_model
from robust.predicting.company import outputs_of_rows
from robust.types import AnyArray, FloatArray

ScoreKind: TypeAlias = Literal["reconstruction", "score"]
#: Beyond this the squares of scores overflow.
_LARGEST = 1e150


def as_detector(model: Any) -> Model:
    """An autoencoder, a score, or a scikit-learn outlier detector, as a model.

    Args:
        model: Anything `as_model` takes; of an outlier detector minus `score_samples` is taken, so that more is more
            anomalous.

    Returns:
        The model, whose outputs of any shape are flattened by row.

    Raises:
        InvalidInput: If it is a classifier.
    """
    if "sklearn" in sys.modules and hasattr(model, "get_params") and _finds_outliers(model):
        return as_model(_oddness(model), name=type(model).__name__, task="regression")
    judged = as_model(model)
    estimator = getattr(adapter_of(judged), "estimator", None) if judged.framework == "sklearn" else None
    if estimator is not None and _finds_outliers(estimator):
        # From a file it comes as a model whose answers are the votes 1 and −1.
        return dataclasses.replace(judged, forward=_oddness(estimator), task="regression")
    if judged.task in ("classification", "multilabel"):
        raise InvalidInput(
            f"{judged.name} is a {judged.task} model, not an autoencoder or a score: choose_threshold and at_threshold "
            "judge the score of a class"
        )
    return judged


def _finds_outliers(estimator: Any) -> bool:
    from sklearn.base import is_outlier_detector

    return bool(is_outlier_detector(estimator))


def _oddness(estimator: Any) -> Callable[[Any], AnyArray]:
    """Minus `score_samples`, of which more is more anomalous."""
    if not hasattr(estimator, "score_samples"):
        raise InvalidInput(f"{type(estimator).__name__} has no score_samples: pass a callable x -> score (n,)")
    return lambda x: np.asarray(-estimator.score_samples(x))


def row_scores(model: Model, data: Dataset, kind: ScoreKind | None) -> tuple[FloatArray, ScoreKind]:
    """One score a row, higher is more anomalous.

    reconstruction: e_i = (1/d) Σ_j (x_ij − x̂_ij)², in float64 whatever the rows' own type

    Args:
        model: From `as_detector`.
        data: The rows.
        kind: What its outputs are; None where their shape tells: one number a row is a score, a row of the input's
            shape is a reconstruction.

    Returns:
        Scores (n,), and what they are.

    Raises:
        InvalidInput: If the shape does not tell, contradicts `kind`, rows hold NaN that cannot be reconstructed, or
            scores are too large for squares.
        ModelFault: If the model breaks its contract, or its answers depend on the rows beside them.
    """
    row = data.x.shape[1:]
    size = int(np.prod(row))
    outputs = outputs_of_rows(_flattening(model), data)
    width = outputs.shape[1]
    if kind is None:
        if width == 1 and size == 1:
            raise InvalidInput(
                f'{model.name} gives one number for rows of one feature: say kind="reconstruction" or kind="score"'
            )
        kind = "score" if width == 1 else "reconstruction"
    if kind == "score":
        if width != 1:
            raise InvalidInput(f"{model.name} gives {width} numbers a row; a score is one number a row")
        return _moderate(outputs[:, 0], model), kind
    if width != size:
        raise InvalidInput(
            f"{model.name} gives {width} numbers for rows of shape {row}; a reconstruction has {size}, a score is one"
        )
    errors = np.empty(len(data))
    block = max(1, 2**20 // size)
    for start in range(0, len(data), block):
        rows = slice(start, start + block)
        given = np.asarray(data.x[rows], dtype=np.float64).reshape(-1, size)
        with np.errstate(over="ignore"):
            errors[rows] = ((given - outputs[rows]) ** 2).mean(axis=1)
    if np.isnan(errors).any():  # outputs are finite
        raise InvalidInput(f"{data.name} has missing values (NaN), of which there is no reconstruction error")
    return _moderate(errors, model), kind


def _moderate(scores: FloatArray, model: Model) -> FloatArray:
    """Scores of which means and squares can be taken."""
    largest = float(np.abs(scores).max())
    if largest > _LARGEST:
        raise InvalidInput(f"{model.name} gives scores or errors of up to {largest:.3g}: rescale them")
    return scores


def _flattening(model: Model) -> Model:
    """The model with outputs in one line a row: a reconstruction has the shape of its row."""

    def forward(x: AnyArray) -> AnyArray:
        outputs = np.asarray(model.forward(x))
        long = [tuple(size for size in shape[1:] if size > 1) for shape in (outputs.shape, np.shape(x))]
        if outputs.ndim > 2 and len(outputs) == len(x):
            if len(long[0]) > 1 and long[0] != long[1]:
                raise ModelFault(
                    f"it gives outputs of shape {outputs.shape} for rows of shape {np.shape(x)[1:]}: a reconstruction "
                    "has the shape of its row, in the same order of axes"
                )
            return outputs.reshape(len(x), -1)
        return outputs

    return dataclasses.replace(model, forward=forward)
