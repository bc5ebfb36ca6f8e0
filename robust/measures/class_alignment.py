"""Two classifiers on the same rows, with the same classes in the same order."""

from dataclasses import replace

import numpy as np

from robust.errors import InvalidInput
from robust.measures.truth import Scored


def aligned(reference: Scored, candidate: Scored) -> tuple[Scored, Scored]:
    """Both with the same classes in the same order: the reference's, then those that only the candidate met.

    Args:
        reference: The reference's predictions.
        candidate: The candidate's, on the same rows.

    Returns:
        Reference and candidate. A model that gives labels alone, of which nothing was declared, takes over the other's
        classes; two that name different ones are no pair, nor are multi-label models whose labels are in another order.

    Raises:
        InvalidInput: If the two models do different tasks or know different classes.
    """
    one, other = reference.predictions, candidate.predictions
    if one.task != other.task:
        raise InvalidInput(f"{one.model} does {one.task}, {other.model} does {other.task}")
    if one.classes == other.classes:
        return reference, candidate
    if one.task == "multilabel":
        # The targets' columns have no names that could say which of two orders is theirs.
        raise InvalidInput(
            f"the models name different labels: {one.model} {list(one.classes)[:20]}, {other.model} "
            f"{list(other.classes)[:20]}; declare classes=(…) so that they agree, in the order of the targets' columns"
        )
    old, new = [str(label) for label in one.classes], [str(label) for label in other.classes]
    if (set(new) - set(old) and not one.found) or (set(old) - set(new) and not other.found):
        raise InvalidInput(
            f"the models know different classes: {one.model} {list(one.classes)[:20]}, "
            f"{other.model} {list(other.classes)[:20]}; declare classes=(…) so that they agree"
        )
    extra = [label for label in other.classes if str(label) not in old]
    classes = (*one.classes, *extra)
    names = [str(label) for label in classes]
    place = np.array([names.index(label) for label in new])
    outputs, prediction = other.outputs, candidate.prediction
    if other.kind == "labels":
        outputs = place[outputs.astype(np.int64)].astype(np.float64)
    else:
        outputs = outputs[:, np.argsort(place)]
    prediction = place[prediction] if prediction.ndim == 1 else prediction[:, np.argsort(place)]
    return (
        replace(reference, predictions=replace(one, classes=classes)),
        Scored(
            truth=reference.truth,
            prediction=prediction,
            predictions=replace(other, outputs=outputs, classes=classes),
        ),
    )
