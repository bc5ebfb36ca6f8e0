"""What outputs mean: labels, probabilities or values, and how they line up with the targets."""

from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np

from robust.data.dataset import Dataset
from robust.errors import InvalidInput
from robust.models.base import Label, Model
from robust.predicting.calling import bind
from robust.types import AnyArray, FloatArray, IntArray, Task

Kind: TypeAlias = Literal["probabilities", "logits", "values", "labels"]
#: How far sums may miss 1 in outputs about which nothing was declared, and in those declared to be probabilities:
#: a softmax that was quantized to 8 bits misses it by several hundredths.
_SUM_TOLERANCE = 1e-3
_DECLARED_SUM, _DECLARED_RANGE = 0.1, 0.01


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Predictions:
    """Outputs of a model on the rows of a data set, with their meaning settled.

    Args:
        model: Name of the model.
        task: Classification or regression.
        kind: What the outputs are.
        outputs: (n, k), float64; for labels (n, 1) class indices.
        classes: Labels of the k columns; empty for regression.
        found: Whether the classes are only those labels that were met: the model may know more.
    """

    model: str
    task: Task
    kind: Kind
    outputs: FloatArray
    classes: tuple[Label, ...]
    found: bool = False

    @property
    def labels(self) -> IntArray:
        """Predicted class indices (n,); ties go to the lower index."""
        self._want("classification", "a predicted label")
        if self.kind == "labels":
            return self.outputs[:, 0].astype(np.int64)
        return np.asarray(np.argmax(self.outputs, axis=1))

    @property
    def probabilities(self) -> FloatArray:
        """Class probabilities (n, k); the softmax of logits, and rows that miss a sum of 1 divided by it."""
        self._want("classification", "a class probability")
        if self.kind == "labels":
            raise InvalidInput(f"{self.model} gives labels only; this measure needs probabilities or logits")
        if self.kind == "probabilities":
            inside = np.clip(self.outputs, 0.0, 1.0)
            sums = inside.sum(axis=1, keepdims=True)
            return inside / sums if np.abs(sums - 1).max() > _SUM_TOLERANCE else inside
        shifted = np.exp(self.outputs - self.outputs.max(axis=1, keepdims=True))
        return np.asarray(shifted / shifted.sum(axis=1, keepdims=True))

    @property
    def values(self) -> FloatArray:
        """Predicted numbers (n, k)."""
        self._want("regression", "a predicted number")
        return self.outputs

    def _want(self, task: Task, what: str) -> None:
        if self.task != task:
            raise InvalidInput(f"{self.model} is a {self.task} model; {what} needs {task}")


def predict(model: Model, data: Dataset) -> Predictions:
    """Predict all rows of a data set.

    Args:
        model: The model.
        data: The rows; targets, where there are any, settle what an undeclared output means.

    Returns:
        Predictions, one row a row of `data`, in its order.

    Raises:
        ModelFault: If the model breaks its contract.
        InvalidInput: If the outputs' meaning cannot be told, or contradicts what was declared.
    """
    outputs = bind(model, data.schema).outputs(data.x, keep=True)
    return interpret(model, outputs, data.y)


def interpret(model: Model, outputs: FloatArray, y: AnyArray | None) -> Predictions:
    """Settle what outputs mean.

    Args:
        model: Declares what it can.
        outputs: (n, k).
        y: Targets (n, …), or None.

    Returns:
        The predictions.

    Raises:
        InvalidInput: If declared and found meaning contradict each other, or neither tells.
    """
    task = model.task or _infer_task(model, outputs, y)
    if task == "regression":
        return Predictions(model=model.name, task=task, kind="values", outputs=outputs, classes=())
    kind = _classification_kind(model, outputs)
    if kind == "labels":
        return _as_label_indices(model, outputs, y)
    if outputs.shape[1] == 1:
        other = 1.0 - outputs if kind == "probabilities" else np.zeros_like(outputs)
        outputs = np.hstack([other, outputs])
    classes = model.classes if model.classes is not None else tuple(range(outputs.shape[1]))
    if len(classes) != outputs.shape[1]:
        raise InvalidInput(f"{model.name} has {outputs.shape[1]} outputs, but classes names {len(classes)}")
    return Predictions(model=model.name, task=task, kind=kind, outputs=outputs, classes=classes)


def class_indices(y: AnyArray, predictions: Predictions) -> IntArray:
    """Targets as indices of the model's classes.

    Args:
        y: Labels (n,).
        predictions: Name the classes.

    Returns:
        Indices (n,) in 0 … k−1.

    Raises:
        InvalidInput: If the data has labels that the model does not know.
    """
    if y.ndim == 2 and y.shape[1] == 1:
        y = y[:, 0]
    if y.ndim != 1:
        raise InvalidInput(f"class labels must be one number or text a row, got targets of shape {y.shape}")
    text = y.dtype.kind in "OUT"
    position: dict[object, int] = {(str(label) if text else label): i for i, label in enumerate(predictions.classes)}
    if not text and any(isinstance(label, str) for label in predictions.classes):
        position = {_number(label): i for label, i in position.items()}
    found, inverse = np.unique(y, return_inverse=True)
    plain = [str(label) if text else label.item() for label in found]
    unknown = [label for label in plain if label not in position]
    if unknown:
        raise InvalidInput(
            f"the data has labels that {predictions.model} does not know: {unknown[:10]}; its classes are "
            f"{list(predictions.classes)[:20]}. Declare classes=(…) in the order of its outputs, or mend the labels"
        )
    return np.array([position[label] for label in plain], dtype=np.int64)[inverse]


def _number(label: object) -> object:
    """A text label that is written as a number, as that number: exports keep classes as text."""
    try:
        return float(str(label))
    except ValueError:
        return label


def _infer_task(model: Model, outputs: FloatArray, y: AnyArray | None) -> Task:
    if model.output is not None:
        return "regression" if model.output == "values" else "classification"
    if model.classes is not None:
        return "classification"
    width = outputs.shape[1]
    if y is None:
        if width > 1:
            return "classification"
    elif y.dtype.kind in "OUTb" or (width > 1 and y.ndim == 1 and bool(np.all(y == np.rint(y)))):
        return "classification"
    elif y.dtype.kind == "f" and not (width == 1 and bool(np.all(np.isin(outputs, y)))):
        return "regression"
    elif y.dtype.kind in "iu" and width == 1 and bool(np.all(outputs == np.rint(outputs))):
        return "classification"
    many = (
        f"{width} numbers a row can be scores of classes or"
        if width > 1
        else "one number a row can be a label, a probability or"
    )
    raise InvalidInput(
        f'{model.name}: {many} a value; say task="classification" or task="regression" (and output=) in as_model '
        "or load_model"
    )


def _classification_kind(model: Model, outputs: FloatArray) -> Kind:
    width = outputs.shape[1]
    outside = max(float(-outputs.min()), float(outputs.max()) - 1.0, 0.0)
    gap = float(np.abs(outputs.sum(axis=1) - 1).max()) if width > 1 else 0.0
    if model.output == "values":
        raise InvalidInput(f"{model.name}: a classification model has output 'probabilities' or 'logits', not 'values'")
    if model.output == "probabilities" and (gap > _DECLARED_SUM or outside > _DECLARED_RANGE):
        raise InvalidInput(
            f"{model.name} was declared to give probabilities, but its outputs miss a sum of 1 by up to {gap:.3g} and "
            f'the range 0 … 1 by up to {outside:.3g}; declare output="logits" if that is what they are'
        )
    if model.output is not None:
        return model.output
    if width == 1:
        if bool(np.all(outputs == np.rint(outputs))):
            return "labels"
        raise InvalidInput(f'{model.name} gives one number a row: say output="probabilities" or output="logits"')
    if max(gap, outside) <= _SUM_TOLERANCE:
        return "probabilities"
    if outside <= _SUM_TOLERANCE:
        # A quantized softmax, or one sigmoid a class: a softmax on top would be a silent mistake.
        raise InvalidInput(
            f"{model.name} gives {width} numbers from 0 to 1 that miss a sum of 1 by up to {gap:.3g}: say "
            'output="probabilities" or output="logits" in as_model or load_model'
        )
    return "logits"


def _as_label_indices(model: Model, outputs: FloatArray, y: AnyArray | None) -> Predictions:
    """Outputs that are labels themselves, as indices of the classes."""
    given = outputs[:, 0].astype(np.int64)
    classes: tuple[Label, ...]
    if model.classes is not None:
        classes = model.classes
    else:
        known = (
            given if y is None or y.dtype.kind not in "iufb" else np.concatenate([given, y.ravel().astype(np.int64)])
        )
        classes = tuple(int(label) for label in np.unique(known))
    named = any(isinstance(label, str) for label in classes)
    position = {i if named else int(label): i for i, label in enumerate(classes)}
    strange = sorted(set(given.tolist()) - set(position))
    if strange:
        meant = f"positions 0 … {len(classes) - 1} of its classes" if named else "among its classes"
        raise InvalidInput(f"{model.name} predicts labels {strange[:10]} that are not {meant} {list(classes)[:20]}")
    indices = np.array([position[int(label)] for label in given], dtype=np.float64)[:, None]
    return Predictions(
        model=model.name,
        task="classification",
        kind="labels",
        outputs=indices,
        classes=classes,
        found=model.classes is None,
    )
