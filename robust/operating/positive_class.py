"""The rows of one class, or label, against the rest: what a threshold on its score is judged by."""

from dataclasses import dataclass

import numpy as np

from robust.data.dataset import Dataset
from robust.errors import InvalidInput
from robust.models.base import Label, Model
from robust.predicting.predictions import Predictions, class_indices, label_matrix, predict
from robust.types import BoolArray, FloatArray


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class OneAgainstRest:
    """Scores of one class beside the truth.

    Args:
        label: The class.
        truth: Which rows are of it (n,).
        scores: Its probability as the model gives it (n,): a threshold on it is one for the device, too.
    """

    label: Label
    truth: BoolArray
    scores: FloatArray


def against_rest(model: Model, data: Dataset, positive: Label | None) -> OneAgainstRest:
    """Scores of one class on some rows, with rows of it and rows of others.

    Args:
        model: A classifier with probabilities or logits, or a multi-label model.
        data: Rows with targets.
        positive: The class; None for the second of two.

    Returns:
        Truth and scores.

    Raises:
        InvalidInput: If there are more than two classes and none is named, the class is unknown, the model gives
            labels only, or all rows are alike in it.
    """
    predictions = predict(model, data)
    column = class_position(predictions, positive)
    found = class_columns(predictions, data, (column,))[0]
    if found.truth.all() or not found.truth.any():
        which = "of another class" if found.truth.all() else f"of class {found.label!r}"
        raise InvalidInput(
            f"{data.name} has no rows {which}: a threshold on the score of {found.label!r} needs rows of it and "
            "of others"
        )
    return found


def class_columns(predictions: Predictions, data: Dataset, columns: tuple[int, ...]) -> tuple[OneAgainstRest, ...]:
    """Truth and scores of some of the classes.

    Args:
        predictions: Of a classifier or multi-label model.
        data: The rows, with targets.
        columns: Positions of the classes.

    Returns:
        One a column.

    Raises:
        InvalidInput: If targets and classes do not fit, or the model gives labels only.
    """
    if predictions.task == "multilabel":
        matrix = label_matrix(data.targets, predictions)
        truths = [matrix[:, c] == 1 for c in columns]
    else:
        indices = class_indices(data.targets, predictions)
        truths = [indices == c for c in columns]
    scores = predictions.probabilities
    return tuple(
        OneAgainstRest(label=predictions.classes[c], truth=np.asarray(truth), scores=np.ascontiguousarray(scores[:, c]))
        for c, truth in zip(columns, truths, strict=True)
    )


def class_position(predictions: Predictions, positive: Label | None) -> int:
    """Which column a class is.

    Args:
        predictions: Name the classes.
        positive: The class; None for the second of two.

    Returns:
        Its position.

    Raises:
        InvalidInput: If it is unknown, or must be named and is not.
    """
    if predictions.task == "regression":
        raise InvalidInput(
            f"{predictions.model} is a regression model; a threshold on a class score needs a classifier"
        )
    classes = predictions.classes
    if positive is None:
        if predictions.task == "classification" and len(classes) == 2:
            return 1
        raise InvalidInput(
            f"{predictions.model} has {len(classes)} classes {list(classes)[:20]}: name the one that is detected, "
            f"e.g. positive={classes[-1]!r}"
        )
    texts = [str(label) for label in classes]
    if isinstance(positive, bool) or str(positive) not in texts:
        raise InvalidInput(
            f"positive got {positive!r}; one of the classes {list(classes)[:20]} of {predictions.model} would be right"
        )
    return texts.index(str(positive))
