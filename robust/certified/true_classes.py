"""True classes of the rows that a certificate is asked for."""

from robust.data.dataset import Dataset
from robust.data.inside import require_inside
from robust.errors import InvalidInput
from robust.predicting.predictions import Predictions, class_indices
from robust.types import IntArray


def true_classes(predictions: Predictions, data: Dataset) -> IntArray:
    """True classes of all rows (n,), as numbers of the classes that a classifier's predictions settled.

    Args:
        predictions: Of some or all of the rows.
        data: The rows (n).

    Raises:
        InvalidInput: If the model is no classifier, or the data breaks its schema.
    """
    if predictions.task != "classification":
        raise InvalidInput(
            f"certified accuracy needs a classifier, {predictions.model} is a {predictions.task} model: "
            "flip_rate(model, data, sweep=…, tolerance=…) asks how far its numbers move"
        )
    require_inside(data)
    return class_indices(data.targets, predictions)
