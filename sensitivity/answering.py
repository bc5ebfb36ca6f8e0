"""A model asked many times about changed rows, with the meaning of its outputs settled once."""

from dataclasses import dataclass, replace

import numpy as np

from robust.data.dataset import Dataset
from robust.errors import InvalidInput
from robust.measures.magnitude import require_moderate
from robust.models.base import Label, Model
from robust.predicting.calling import Caller, bind
from robust.predicting.predictions import Predictions, interpret, predict
from robust.types import AnyArray, FloatArray


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Answering:
    """A model whose outputs mean on changed rows what they mean on the rows of the data.

    Args:
        model: With task, output and classes as found on the data: changed rows alone could suggest others.
        caller: Calls it.
        base: Predictions on the data.
    """

    model: Model
    caller: Caller
    base: Predictions

    def predictions(self, x: AnyArray) -> Predictions:
        """Predictions on changed rows (n, *row shape)."""
        return _moderate(interpret(self.model, self.caller.outputs(x), None))

    def scores(self, predictions: Predictions, target: int | None) -> FloatArray:
        """One number a row (n,): probability of a class (1 or 0 if there are labels alone), or value."""
        if target is None:
            return predictions.values[:, 0]
        if predictions.kind == "labels":
            return np.asarray(predictions.labels == target, dtype=np.float64)
        return predictions.probabilities[:, target]


def answering(model: Model, data: Dataset) -> Answering:
    """Ask a model about a data set, so that it can be asked about changed rows.

    Args:
        model: The model.
        data: The rows.

    Returns:
        The model, ready to be asked.

    Raises:
        ModelFault: If the model breaks its contract.
        InvalidInput: If the outputs' meaning cannot be told, a row can have several labels, or numbers are so large
            that their squares overflow.
    """
    require_moderate(data.x, f"features of {data.name}", smallest=0.0)
    base = _moderate(predict(model, data))
    if base.task == "multilabel":
        raise InvalidInput(
            f"{model.name} gives several labels a row; sensitivity is asked of one at a time: pass a function that "
            "gives that label's probability, with output='probabilities'"
        )
    if base.task == "regression":
        settled = replace(model, task="regression", output="values")
    elif base.kind in ("probabilities", "logits"):
        # One column may stand for two classes; its width must not be taken for the number of classes.
        settled = replace(model, task=base.task, output=base.kind, classes=base.classes)
    else:
        settled = replace(model, task=base.task, classes=base.classes)
    return Answering(model=settled, caller=bind(settled, data.schema), base=base)


def _moderate(predictions: Predictions) -> Predictions:
    """The predictions, unless they are values whose squares would overflow."""
    if predictions.task == "regression":
        require_moderate(predictions.values, f"predictions of {predictions.model}", smallest=0.0)
    return predictions


def target_class(predictions: Predictions, target: Label | None) -> int | None:
    """Position of the class whose probability is asked for.

    Args:
        predictions: On the data.
        target: A class label; None for the second of two classes, and for the most frequently predicted (the
            first of several) of more.

    Returns:
        The position; None for regression.

    Raises:
        InvalidInput: If there is no such class, a target is given for regression, or regression has several
            outputs.
    """
    if predictions.task == "regression":
        if target is not None:
            raise InvalidInput(
                f"target got {target!r}, but {predictions.model} is a regression model; None would be right"
            )
        if predictions.outputs.shape[1] != 1:
            raise InvalidInput(
                f"{predictions.model} gives {predictions.outputs.shape[1]} values a row; wrap it so that it gives one"
            )
        return None
    if target is None:
        if len(predictions.classes) == 2:
            return 1
        return int(np.argmax(np.bincount(predictions.labels, minlength=len(predictions.classes))))
    if target not in predictions.classes:
        raise InvalidInput(
            f"target got {target!r}; one of the classes {list(predictions.classes)[:20]} of "
            f"{predictions.model} would be right"
        )
    return predictions.classes.index(target)
