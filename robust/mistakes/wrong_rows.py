"""Predictions of a classifier beside the truth, and its wrong rows."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from robust.data.dataset import Dataset
from robust.data.live import as_data
from robust.errors import InvalidInput
from robust.measures.truth import Scored, score
from robust.metrics.classification import ACCURACY
from robust.models.base import Model
from robust.models.conversion import as_model
from robust.predicting.predictions import predict
from robust.types import BoolArray, FloatArray, IntArray


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Judged:
    """A classifier's predictions on rows whose truth is known.

    Args:
        model: The model.
        data: The rows.
        scored: Predicted labels beside the truth.
        wrong: Which rows are wrong (n,); of several labels a row one wrong one is enough.
    """

    model: Model
    data: Dataset
    scored: Scored
    wrong: BoolArray

    @property
    def has_scores(self) -> bool:
        """Whether the model says how sure it is."""
        return self.scored.predictions.kind != "labels"

    def probabilities(self, rows: IntArray) -> FloatArray:
        """Class probabilities of some rows (m, k); the others are not worked out."""
        predictions = self.scored.predictions
        return replace(predictions, outputs=predictions.outputs[rows]).probabilities

    def sureness(self, rows: IntArray) -> FloatArray:
        """How sure the model is of the wrong part of its answer on some wrong rows (m,), in [0, 1]; 1 for labels."""
        if not self.has_scores:
            return np.ones(len(rows))
        p = self.probabilities(rows)
        if not self.scored.multilabel:
            return np.asarray(p.max(axis=1))
        labels, truth = self.scored.prediction[rows], self.scored.truth[rows]
        return np.asarray(np.where(labels == truth, 0.0, np.where(labels == 1, p, 1.0 - p)).max(axis=1))

    def mistakes(self) -> IntArray:
        """Positions of the wrong rows (e,), most confident first; in their own order among equals."""
        rows = np.flatnonzero(self.wrong)
        return rows[np.argsort(-self.sureness(rows), kind="stable")] if len(rows) else rows

    def true_label(self, row: int) -> str:
        """The true label of a row, or its several labels joined by ` + `."""
        return self._label(self.scored.truth[row])

    def predicted_label(self, row: int) -> str:
        """The predicted label of a row, or its several labels joined by ` + `."""
        return self._label(self.scored.prediction[row])

    def _label(self, found: Any) -> str:
        classes = self.scored.predictions.classes
        if not self.scored.multilabel:
            return str(classes[int(found)])
        return " + ".join(str(label) for label, on in zip(classes, found, strict=True) if on) or "none"


def judge_rows(model: Any, data: Any, *, one_label: str | None = None) -> Judged:
    """Predict rows and compare with their labels.

    Args:
        model: Anything `as_model` takes; a classifier.
        data: Anything `as_data` takes, with targets.
        one_label: What needs one class a row, as the subject of the message; None where several labels will do.

    Returns:
        Predictions beside the truth.

    Raises:
        InvalidInput: If the model is no classifier, or has several labels a row where one is needed.
        ModelFault: If the model breaks its contract.
    """
    judged, rows = as_model(model), as_data(data)
    predictions = predict(judged, rows)
    if predictions.task == "regression":
        raise InvalidInput(
            f"{judged.name} is a regression model, whose rows are neither right nor wrong; a classifier would be right"
        )
    if one_label is not None and predictions.task == "multilabel":
        raise InvalidInput(f"{one_label} needs one class a row; {judged.name} gives several labels a row")
    scored = score(ACCURACY, predictions, rows)
    return Judged(model=judged, data=rows, scored=scored, wrong=~scored.right())
