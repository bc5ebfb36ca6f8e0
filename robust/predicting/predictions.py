"""What outputs mean: labels, probabilities or values, and how they line up with the targets."""

from dataclasses import dataclass

import numpy as np

from robust.data.dataset import Dataset
from robust.errors import InvalidInput
from robust.models.base import Label, Model
from robust.predicting.calling import bind
from robust.predicting.company import company_note
from robust.predicting.input_codes import check_no_codes, row_notes
from robust.predicting.meaning import SUM_TOLERANCE, settled_kind, settled_task, told_miss, two_columns
from robust.predicting.meaning import Kind as Kind
from robust.predicting.metering import remark
from robust.types import AnyArray, FloatArray, IntArray, Task


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Predictions:
    """Outputs of a model on the rows of a data set, with their meaning settled.

    Args:
        model: Name of the model.
        task: Classification, regression, or multi-label.
        kind: What the outputs are.
        outputs: (n, k), float64; for the labels of a classifier (n, 1) class indices, for those of a multi-label
            model (n, k) zeros and ones.
        classes: Labels of the k columns; empty for regression.
        found: Whether the classes are only those labels that were met: the model may know more.
        gap: How far a row of probabilities misses a sum of 1, at worst; 0 where there is no such sum.
        outside: How far a probability misses the range 0 … 1, at worst.
        repeatable: Whether the same rows got the same answers again.
    """

    model: str
    task: Task
    kind: Kind
    outputs: FloatArray
    classes: tuple[Label, ...]
    found: bool = False
    gap: float = 0.0
    outside: float = 0.0
    repeatable: bool = True

    @property
    def labels(self) -> IntArray:
        """Class indices (n,), of equal scores the lowest, of one p ≥ 0.5 the second; multi-label: p ≥ 0.5 (n, k)."""
        self._want("a predicted label", "classification", "multilabel")
        if self.task == "multilabel":
            # A logit is compared itself: its probability could round up to 0.5.
            return np.asarray(self.outputs >= (0.0 if self.kind == "logits" else 0.5), dtype=np.int64)
        if self.kind == "labels":
            return self.outputs[:, 0].astype(np.int64)
        return np.asarray(np.argmax(self.outputs, axis=1))

    @property
    def probabilities(self) -> FloatArray:
        """Class probabilities (n, k) as the model gives them, possibly the outputs themselves.

        A threshold on them is one for the device, too: those of a quantized model keep what they miss of a sum of 1 and
        of the range 0 … 1 (`distribution` does not). The softmax of logits. Multi-label: the probability of each label
        by itself, the logistic function of a logit, without any sum.
        """
        self._want("a class probability", "classification", "multilabel")
        if self.kind == "labels":
            raise InvalidInput(f"{self.model} gives labels only; this measure needs probabilities or logits")
        if self.kind == "probabilities":
            return self.outputs
        if self.task == "multilabel":
            from scipy.special import expit

            return np.asarray(expit(self.outputs))
        shifted = self.outputs - self.outputs.max(axis=1, keepdims=True)
        np.exp(shifted, out=shifted)
        shifted /= shifted.sum(axis=1, keepdims=True)
        return np.asarray(shifted)

    @property
    def distribution(self) -> FloatArray:
        """Class probabilities (n, k) for scores that rest on a sum of 1: log-loss and Brier score.

        In 0 … 1; where a row misses a sum of 1 by more than 0.001 each is divided by its own. Multi-label: without any
        sum.
        """
        given = self.probabilities
        if self.kind != "probabilities":
            return given
        low, high = float(given.min()), float(given.max())
        inside = given if low >= 0.0 and high <= 1.0 else np.clip(given, 0.0, 1.0)
        if self.task == "multilabel" or self.gap <= SUM_TOLERANCE:
            return inside
        sums = inside.sum(axis=1, keepdims=True)
        empty = np.flatnonzero(sums <= 0.0)
        if len(empty):
            raise InvalidInput(
                f"{self.model} gives every class 0 in {len(empty)} of {len(sums)} rows, first at position {empty[0]}: "
                "no distribution can be made of them, as log-loss and Brier score need it: use accuracy, f1 or auc"
            )
        return np.asarray(inside / sums)

    @property
    def values(self) -> FloatArray:
        """Predicted numbers (n, k)."""
        self._want("a predicted number", "regression")
        return self.outputs

    def _want(self, what: str, *tasks: Task) -> None:
        if self.task not in tasks:
            raise InvalidInput(f"{self.model} is a {self.task} model; {what} needs {tasks[0]}")


def predict(model: Model, data: Dataset) -> Predictions:
    """Predict all rows of a data set.

    Args:
        model: The model.
        data: The rows; targets, where there are any, settle what an undeclared output means.

    Returns:
        Predictions, one row a row of `data`, in its order. Open meters are told of what is odd in rows and answers.

    Raises:
        ModelFault: If the model breaks its contract, or more than few answers depend on the rows beside them.
        InvalidInput: If the outputs' meaning cannot be told or contradicts what was declared, or by `check_no_codes`.
    """
    check_no_codes(model, data)
    caller = bind(model, data.schema)
    outputs = caller.outputs(data.x, keep=True)
    predictions = interpret(model, outputs, data.y)
    for told in row_notes(model, data):
        remark(told)
    if (note := company_note(caller, data, outputs, task=predictions.task, kind=predictions.kind)) is not None:
        remark(f"answers of {model.name} on {data.name} {note}")
    if (miss := told_miss(predictions.gap, predictions.outside, predictions.task)) is not None:
        remark(f"probabilities of {model.name} on {data.name}: {miss}")
    return predictions


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
    task = settled_task(model, outputs, y)
    if task == "regression":
        return Predictions(model=model.name, task=task, kind="values", outputs=outputs, classes=())
    kind, gap, outside = settled_kind(model, outputs, task)
    if task == "classification" and kind == "labels":
        return _as_label_indices(model, outputs, y)
    if task == "classification" and outputs.shape[1] == 1:
        outputs = two_columns(outputs, kind)
    classes = model.classes if model.classes is not None else tuple(range(outputs.shape[1]))
    if len(classes) != outputs.shape[1]:
        raise InvalidInput(f"{model.name} has {outputs.shape[1]} outputs, but classes names {len(classes)}")
    probable = kind == "probabilities"
    return Predictions(
        model=model.name,
        task=task,
        kind=kind,
        outputs=outputs,
        classes=classes,
        gap=gap if probable and task == "classification" else 0.0,
        outside=outside if probable else 0.0,
    )


def class_indices(y: AnyArray, predictions: Predictions) -> IntArray:
    """Targets of a classifier as indices of the model's classes.

    Args:
        y: Labels (n,), or one-hot rows (n, k) with one column for each of the model's classes, in its order.
        predictions: Name the classes.

    Returns:
        Indices (n,) in 0 … k−1.

    Raises:
        InvalidInput: If the data has labels that the model does not know, or rows that are not one-hot.
    """
    if predictions.task != "classification":
        raise InvalidInput(f"{predictions.model} is a {predictions.task} model; one class a row needs classification")
    if y.ndim == 2 and y.shape[1] == 1:
        y = y[:, 0]
    if y.ndim == 2:
        return _one_hot_indices(y, predictions)
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


def label_matrix(y: AnyArray, predictions: Predictions) -> IntArray:
    """Targets of a multi-label model: which labels are true of each row.

    Args:
        y: Zeros and ones (n, k), one column for each of the model's labels, in its order; any number of ones a row.
        predictions: Name the labels.

    Returns:
        0 or 1 (n, k).

    Raises:
        InvalidInput: If the shape is another, or a value is neither 0 nor 1.
    """
    wanted = f"(n, {len(predictions.classes)}), a column of 0 and 1 for each of {list(predictions.classes)[:20]},"
    if y.ndim != 2 or y.shape[1] != len(predictions.classes):
        raise InvalidInput(
            f"targets of a multi-label model got shape {y.shape}; {wanted} would be right "
            '(for one class a row: task="classification")'
        )
    _refuse_other_than_0_and_1(y, f"multi-label targets are {wanted} and")
    return y.astype(np.int64)


def _one_hot_indices(y: AnyArray, predictions: Predictions) -> IntArray:
    """Where each row of one-hot targets has its 1."""
    if y.shape[1] != len(predictions.classes):
        raise InvalidInput(
            f"class labels must be one number or text a row, or one-hot with a column for each of the "
            f"{len(predictions.classes)} classes {list(predictions.classes)[:20]} of {predictions.model}; "
            f"got targets of shape {y.shape}"
        )
    _refuse_other_than_0_and_1(y, "one-hot targets have one 1 a row and 0 elsewhere, but")
    ones = y.sum(axis=1)
    if len(odd := np.flatnonzero(ones != 1)):
        raise InvalidInput(
            f"one-hot targets have one 1 a row, but the row at position {odd[0]} has {int(ones[odd[0]])} "
            f'({len(odd)} such rows of {len(y)}): say task="multilabel" if a row can have several labels or none'
        )
    return np.asarray(np.argmax(y, axis=1))


def _refuse_other_than_0_and_1(y: AnyArray, rule: str) -> None:
    """Name the first cell that is neither."""
    if y.dtype.kind not in "biuf":
        raise InvalidInput(f"{rule} these are of type {y.dtype}")
    strange = (y != 0) & (y != 1)
    if strange.any():
        row, column = np.argwhere(strange)[0]
        raise InvalidInput(
            f"{rule} the row at position {row} has {y[row, column].item():g} in column {column}: "
            "give labels (n,) if these are no indicators"
        )


def _number(label: object) -> object:
    """A text label that is written as a number, as that number: exports keep classes as text."""
    try:
        return float(str(label))
    except ValueError:
        return label


def _as_label_indices(model: Model, outputs: FloatArray, y: AnyArray | None) -> Predictions:
    """Outputs that are labels themselves, as indices of the classes."""
    given = outputs[:, 0].astype(np.int64)
    predicted = np.unique(given)
    classes: tuple[Label, ...]
    if model.classes is not None:
        classes = model.classes
    elif y is not None and y.ndim == 2 and y.shape[1] > 1:
        classes = tuple(range(y.shape[1]))  # one-hot targets: a column a class
    else:
        known = predicted if y is None or y.dtype.kind not in "iufb" else np.union1d(predicted, y.astype(np.int64))
        classes = tuple(int(label) for label in known)
    named = any(isinstance(label, str) for label in classes)
    position = {i if named else int(label): i for i, label in enumerate(classes)}
    if strange := [label for label in predicted.tolist() if label not in position]:
        meant = f"positions 0 … {len(classes) - 1} of its classes" if named else "among its classes"
        raise InvalidInput(f"{model.name} predicts labels {strange[:10]} that are not {meant} {list(classes)[:20]}")
    places = np.array([position[label] for label in predicted.tolist()], dtype=np.float64)
    return Predictions(
        model=model.name,
        task="classification",
        kind="labels",
        outputs=places[np.searchsorted(predicted, given)][:, None],
        classes=classes,
        found=model.classes is None,
    )
