"""Predictions of the rows that a model answers, where somebody can go on without the others."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from robust.data.dataset import Dataset
from robust.models.base import Model
from robust.predicting.calling import bind
from robust.predicting.predictions import Predictions, predict
from robust.predicting.row_faults import RowFault
from robust.types import BoolArray


def predict_answered(
    model: Model, data: Dataset, *, ask: Callable[[Model, Dataset], Predictions] = predict
) -> tuple[Predictions, BoolArray]:
    """Predict the rows on which a model neither raises nor gives numbers that are not finite.

    Args:
        model: The model.
        data: The rows (n).
        ask: How it is asked about rows that it answers.

    Returns:
        Predictions of the rows that it answers, in their order, and which these are (n,).

    Raises:
        ModelFault: If it answers no row, or breaks its contract otherwise.
        InvalidInput: As `predict` does.
    """
    try:
        return ask(model, data), np.ones(len(data), dtype=bool)
    except RowFault:
        outputs = replace(bind(model, data.schema), lenient=True).outputs(data.x)
        answered = np.asarray(~np.isnan(outputs).any(axis=1))
        if answered.all() or not answered.any():
            raise
        return ask(model, data.rows(answered)), answered
