"""Targets and predictions in the forms that a metric's kernel takes."""

from dataclasses import dataclass

import numpy as np

from robust.data.dataset import Dataset
from robust.errors import InvalidInput
from robust.measures.magnitude import require_moderate
from robust.metrics.metric import Metric
from robust.predicting.predictions import Predictions, class_indices, label_matrix
from robust.types import AnyArray

#: Classification metrics whose kernels take the label matrices of a multi-label model.
_MULTILABEL = frozenset({"accuracy", "f1", "precision", "recall", "log_loss", "brier", "auc", "average_precision"})
#: Metrics that take each row as a distribution; the others take the scores as the model gives them.
_PROPER = frozenset({"log_loss", "brier"})


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Scored:
    """One model's predictions beside the truth, as a metric's kernel takes them.

    Args:
        truth: Class indices (n,); for a multi-label model 0 or 1 (n, k); or targets (n, k).
        prediction: Labels (n,), for a multi-label model 0 or 1 (n, k); probabilities (n, k) as the model gives them,
            for log-loss and Brier score as distributions, for a multi-label model those of each label by itself; or
            values (n, k).
        predictions: The predictions that they came from.
    """

    truth: AnyArray
    prediction: AnyArray
    predictions: Predictions

    @property
    def multilabel(self) -> bool:
        """Whether several labels can be true of a row."""
        return self.predictions.task == "multilabel"

    def right(self) -> AnyArray:
        """Whether each row is classified right (n,); of several labels all must be."""
        hits = np.asarray(self.predictions.labels == self.truth)
        return np.asarray(hits.all(axis=1)) if self.multilabel else hits


def score(metric: Metric, predictions: Predictions, data: Dataset) -> Scored:
    """Line predictions up with the targets of a data set.

    Args:
        metric: Says which form it takes.
        predictions: One a row of `data`.
        data: Has targets.

    Returns:
        Truth and prediction.

    Raises:
        InvalidInput: If the metric is for another task or undefined on these targets, targets and outputs do not
            fit, or their squares would overflow.
    """
    if predictions.task == "multilabel" and metric.name in _MULTILABEL:
        return _score_labels(metric, predictions, data)
    if metric.task != predictions.task:
        raise InvalidInput(
            f"{metric.name} is a {metric.task} metric; {predictions.model} is a {predictions.task} model "
            "(say task= if it is not)"
        )
    truth = truth_of(predictions, data)
    if metric.task == "classification":
        prediction = _form(metric, predictions)
        if metric.name == "auc":
            _require_all_classes(truth, predictions, data)
        return Scored(truth=truth, prediction=prediction, predictions=predictions)
    values = predictions.values
    require_moderate(values, f"predictions of {predictions.model}")
    if metric.name == "r2" and (truth.std(axis=0) == 0).any():
        raise InvalidInput("r2 is undefined for constant targets: their variance is 0; use rmse or mae")
    return Scored(truth=truth, prediction=values, predictions=predictions)


def _score_labels(metric: Metric, predictions: Predictions, data: Dataset) -> Scored:
    """Label matrices of a multi-label model."""
    truth = label_matrix(data.targets, predictions)
    prediction = _form(metric, predictions)
    if metric.name == "auc":
        ones = truth.sum(axis=0)
        constant = [label for label, n in zip(predictions.classes, ones, strict=True) if n in (0, len(truth))]
        if constant:
            raise InvalidInput(
                f"auc needs rows with and rows without each label; all rows of {data.name} are alike in "
                f"{constant[:10]}: use accuracy, f1 or log_loss, or rows of both kinds"
            )
    return Scored(truth=truth, prediction=prediction, predictions=predictions)


def _form(metric: Metric, predictions: Predictions) -> AnyArray:
    """Labels, scores as given, or distributions: what a metric of classes takes."""
    if metric.needs == "labels":
        return predictions.labels
    return predictions.distribution if metric.name in _PROPER else predictions.probabilities


def truth_of(predictions: Predictions, data: Dataset) -> AnyArray:
    """Targets of a data set in the form of a model's predictions, which may be of other rows.

    Args:
        predictions: Of the model.
        data: Has targets.

    Returns:
        Class indices (n,), label matrix (n, k) or numbers (n, k).

    Raises:
        InvalidInput: If the targets are none that the model could predict, or their squares would overflow.
    """
    y = data.targets
    if predictions.task == "classification":
        return class_indices(y, predictions)
    if predictions.task == "multilabel":
        return label_matrix(y, predictions)
    if y.dtype.kind not in "fiub":
        raise InvalidInput(f"regression needs numbers as targets, {data.name} has {y.dtype}")
    truth = y.reshape(len(y), -1).astype(np.float64)
    width = predictions.values.shape[1]
    if truth.shape[1] != width:
        raise InvalidInput(f"{predictions.model} gives {width} values a row, the targets are {truth.shape[1]}")
    require_moderate(truth, f"targets of {data.name}")
    return truth


def _require_all_classes(truth: AnyArray, predictions: Predictions, data: Dataset) -> None:
    """The AUC ranks rows of a class against the others: it needs some of both."""
    absent = [label for i, label in enumerate(predictions.classes) if not np.any(truth == i)]
    if absent:
        raise InvalidInput(
            f"auc needs rows of each class; {data.name} has none of {absent[:10]} of {predictions.model}: "
            "use accuracy or log_loss, or rows of all classes"
        )
