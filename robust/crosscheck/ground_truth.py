"""What models and data say about the outputs: whether they are classes, and which class each column stands for."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from robust.crosscheck.samples import Samples
from robust.errors import InvalidInput
from robust.models.base import Label, Model
from robust.predicting.predictions import Predictions, class_indices
from robust.types import AnyArray, Task


def said_classifier(classifier: bool | None, models: Sequence[Any], *, outputs: int) -> bool | None:
    """Whether outputs are scores of classes, as the caller says, or a model of one output; None where nobody does."""
    if classifier is not None or outputs > 1:
        return classifier  # what a model says is about one output: it may have boxes or states besides
    tasks = {_task(model) for model in models if isinstance(model, Model)} - {None}
    return tasks == {"classification"} if len(tasks) == 1 else None


def _task(model: Model) -> Task | None:
    """The task, also where only the outputs or the classes give it away."""
    told = model.output in ("probabilities", "logits") or model.classes is not None
    return "classification" if model.task is None and told else model.task


def truth_of_outputs(samples: Samples, widths: Sequence[int], models: Sequence[Any]) -> tuple[AnyArray | None, ...]:
    """Ground truth, one array of numbers an output.

    Args:
        samples: Hold it, if there is any.
        widths: Numbers a row of each output.
        models: As the caller gave them; their classes say which label belongs to which column.

    Returns:
        One array an output, None where it has no ground truth; labels of named classes became their columns.

    Raises:
        InvalidInput: If there are more or fewer arrays than outputs, the models disagree on the classes, or labels are
            text whose columns nobody names.
    """
    classes = shared_classes(models)
    if samples.truth is None:
        return (None,) * len(widths)
    if len(samples.truth) != len(widths):
        raise InvalidInput(
            f"{samples.name} has ground truth for {len(samples.truth)} outputs, the models have {len(widths)}: one "
            "array (or None) an output would be right: outputs=[…]; outputs=[] where targets are no ground truth"
        )
    return tuple(
        None if truth is None else _numbers(truth, width, classes, name=samples.name)
        for truth, width in zip(samples.truth, widths, strict=True)
    )


def shared_classes(models: Sequence[Any]) -> tuple[Label, ...] | None:
    """The labels behind the columns, where a model names them.

    Raises:
        InvalidInput: If two models name others, or in another order: their columns cannot be compared.
    """
    named = [model.classes for model in models if isinstance(model, Model) and model.classes is not None]
    if len(named) == 2 and named[0] != named[1]:
        raise InvalidInput(
            f"the reference's columns stand for the classes {list(named[0])[:20]}, the candidate's for "
            f"{list(named[1])[:20]}: the same classes in the same order would be right"
        )
    return named[0] if named else None


def _numbers(truth: AnyArray, width: int, classes: tuple[Label, ...] | None, *, name: str) -> AnyArray:
    """Ground truth as numbers: labels by the models' classes."""
    if len(truth) == truth.size and classes is not None and len(classes) == width > 1:
        known = Predictions(
            model="the models", task="classification", kind="logits", outputs=np.empty((0, width)), classes=classes
        )
        return class_indices(truth, known)
    if truth.dtype.kind not in "iufb":
        raise InvalidInput(
            f"the ground truth of {name} is {truth.dtype}, and no model says which class is which column: declare "
            "classes=(…) in as_model or load_model, or give class numbers, one-hot rows or real values"
        )
    return truth
