"""What outputs mean where nothing, or not all, was declared: told by their values and by the targets, or asked."""

from typing import Literal, TypeAlias

import numpy as np

from robust.errors import InvalidInput
from robust.models.base import Model
from robust.types import AnyArray, FloatArray, Task

Kind: TypeAlias = Literal["probabilities", "logits", "values", "labels"]
#: How far outputs may miss a sum of 1 and the range 0 … 1 where nothing was declared; a larger miss is always told.
SUM_TOLERANCE = 1e-3
#: How far each number may be off, up or down, in outputs declared to be probabilities, so that k of them may miss a sum
#: of 1 by k times as much: 8 bits are off by up to 1/256, two decimals by 1/200. Rounding can at most double a number,
#: or take all of it, so that it never makes a sum miss 1 by more than 1.
DECLARED_TOLERANCE = 0.01
#: Numbers that miss the range 0 … 1 by no more than this are no evident logits: nobody is told apart from probabilities
#: that went through a lossy step.
_NEARLY = 0.1
_ROUNDING = 1e-9
#: Whole numbers that span more than this may be integers of eight bits.
_CODES = 32.0


def settled_task(model: Model, outputs: FloatArray, y: AnyArray | None) -> Task:
    """What a model does, as declared or as outputs and targets give it away.

    Targets (n, k) of zeros and ones beside k outputs are one-hot classes where each row has one 1 and the outputs are
    probabilities that sum to 1; they are labels of a multi-label model where rows have several ones or none and the
    outputs lie in 0 … 1 without such a sum.

    Args:
        model: Declares what it can.
        outputs: (n, k).
        y: Targets (n, …), or None.

    Returns:
        The task.

    Raises:
        InvalidInput: If neither declaration nor values tell.
    """
    if model.task is not None:
        return model.task
    if model.output is not None:
        return "regression" if model.output == "values" else "classification"
    if model.classes is not None:
        return "classification"
    width = outputs.shape[1]
    if y is None:
        if width > 1:
            return "classification"
    elif y.dtype.kind in "OUTb" and y.ndim == 1:
        return "classification"
    elif y.ndim == 2 and y.shape[1] > 1:
        told = _task_of_columns(outputs, y)
        if told is not None:
            return told
    elif width > 1 and bool(np.all(y == np.rint(y))):
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
    columns = y is not None and y.ndim == 2 and y.shape[1] > 1
    raise InvalidInput(
        f"{model.name}: {many} a value; say task="
        + ('"classification" (targets one-hot), "multilabel"' if columns else '"classification"')
        + ' or "regression" (and output=) in as_model or load_model'
    )


def _task_of_columns(outputs: FloatArray, y: AnyArray) -> Task | None:
    """The task beside targets of several columns; None where it cannot be told."""
    binary = y.dtype.kind in "biuf" and bool(np.all((y == 0) | (y == 1)))
    if binary and bool(np.any(y)) and not bool(np.all(y)) and outputs.shape == y.shape:
        gap, outside = _misses(outputs)
        one_hot = bool(np.all(y.sum(axis=1) == 1))
        if outside <= SUM_TOLERANCE and one_hot == (gap <= SUM_TOLERANCE):
            return "classification" if one_hot else "multilabel"
    elif y.dtype.kind == "f":
        return "regression"
    if binary and outputs.shape[1] == 1 and bool(np.all(y.sum(axis=1) == 1)) and _whole(outputs):
        return "classification"  # labels beside one-hot targets
    return None


def declared_sum_tolerance(width: int) -> float:
    """How far a row of declared probabilities may miss a sum of 1, up or down.

    Args:
        width: Numbers a row.

    Returns:
        min(0.01 · width, 1).

    >>> declared_sum_tolerance(3), declared_sum_tolerance(1000)
    (0.03, 1.0)
    """
    return min(DECLARED_TOLERANCE * width, 1.0)


def told_miss(gap: float, outside: float, task: Task) -> str | None:
    """What a reader must know of probabilities that are none to the last digit.

    Args:
        gap: How far a row misses a sum of 1, at worst.
        outside: How far a number misses the range 0 … 1, at worst.
        task: Labels of a multi-label model have no sum.

    Returns:
        A sentence, or None where both are rounding.

    >>> told_miss(0.0195, 0.0, "classification").partition(";")[0]
    'rows miss a sum of 1 by up to 0.0195'
    """
    parts = []
    if task == "classification" and gap > SUM_TOLERANCE:
        parts.append(f"rows miss a sum of 1 by up to {gap:.3g}")
    if outside > SUM_TOLERANCE:
        parts.append(f"numbers miss the range 0 … 1 by up to {outside:.3g}")
    if not parts:
        return None
    mended = "of each row divided by its sum" if task == "classification" else "of numbers cut to 0 … 1"
    return f"{' and '.join(parts)}; log-loss and Brier score are {mended}, all else is of the scores as they are"


def settled_kind(model: Model, outputs: FloatArray, task: Task) -> tuple[Kind, float, float]:
    """What the outputs of a classifier or multi-label model are.

    Args:
        model: Declares what it can.
        outputs: (n, k).
        task: `classification` or `multilabel`.

    Returns:
        The kind, never `values`; how far rows miss a sum of 1, and numbers the range 0 … 1, at worst.

    Raises:
        InvalidInput: If what was declared contradicts the values, or neither tells.
    """
    gap, outside = _misses(outputs)
    return _kind(model, outputs, task, gap, outside), gap, outside


def _kind(model: Model, outputs: FloatArray, task: Task, gap: float, outside: float) -> Kind:
    """The kind, by what was declared and how far it is kept."""
    if model.output == "values":
        raise InvalidInput(f"{model.name}: a {task} model has output 'probabilities' or 'logits', not 'values'")
    width = outputs.shape[1]
    if task == "multilabel":
        return _multilabel_kind(model, outputs, outside)
    allowed = declared_sum_tolerance(width)
    if model.output == "probabilities" and (gap > allowed + _ROUNDING or outside > DECLARED_TOLERANCE + _ROUNDING):
        raise InvalidInput(
            f"{model.name} was declared to give probabilities, but its outputs miss a sum of 1 by up to {gap:.3g} and "
            f"the range 0 … 1 by up to {outside:.3g} {_worst_row(outputs)}; {allowed:.3g} and {DECLARED_TOLERANCE:g} "
            f'are allowed for {_numbers(width)}, either way: declare output="logits" if that is what they are'
            + _several_labels(outside, width)
        )
    if model.output is not None:
        return model.output
    if width == 1:
        if _whole(outputs):
            return "labels"
        raise InvalidInput(f'{model.name} gives one number a row: say output="probabilities" or output="logits"')
    if max(gap, outside) <= SUM_TOLERANCE:
        return "probabilities"
    if outside <= _NEARLY:
        # A quantized softmax, or one sigmoid a class: a softmax on top would be a silent mistake.
        beyond = "" if outside <= SUM_TOLERANCE else f" and the range 0 … 1 by up to {outside:.3g}"
        span = "from 0 to 1" if outside <= SUM_TOLERANCE else f"from {outputs.min():.4g} to {outputs.max():.4g}"
        raise InvalidInput(
            f"{model.name} gives {width} numbers {span} that miss a sum of 1 by up to {gap:.3g}{beyond}: say "
            'output="probabilities" or output="logits" in as_model or load_model' + _several_labels(outside, width)
        )
    _refuse_codes(model, outputs)
    return "logits"


def _multilabel_kind(model: Model, outputs: FloatArray, outside: float) -> Kind:
    """One number a label: its probability, its logit, or whether it is true."""
    if outputs.shape[1] == 1:
        raise InvalidInput(
            f'{model.name} gives one number a row: a single label is a class of two, task="classification" with '
            'output="probabilities" or output="logits"'
        )
    if model.output == "probabilities" and outside > DECLARED_TOLERANCE + _ROUNDING:
        raise InvalidInput(
            f"{model.name} was declared to give the probability of each label, but its outputs miss the range 0 … 1 "
            f'by up to {outside:.3g}; declare output="logits" if that is what they are'
        )
    if model.output is not None:
        return model.output
    if _whole(outputs) and outside == 0:
        return "labels"
    if outside <= SUM_TOLERANCE:
        return "probabilities"
    if outside <= _NEARLY:
        raise InvalidInput(
            f"{model.name} gives {_numbers(outputs.shape[1])}, from {outputs.min():.4g} to {outputs.max():.4g}, which "
            f"miss the range 0 … 1 of probabilities by up to {outside:.3g}: say "
            'output="probabilities" or output="logits" in as_model or load_model'
        )
    _refuse_codes(model, outputs)
    return "logits"


def two_columns(outputs: FloatArray, kind: Kind) -> FloatArray:
    """A single score of two classes as one column a class.

    A probability of exactly one half (a logit of 0) is the second class, as at a threshold of 0.5 (p ≥ 0.5): the first
    column then has the next number below. On devices it is a common score: the middle one of 8 bits.

    Args:
        outputs: Probabilities or logits of the second class (n, 1).
        kind: Which of the two.

    Returns:
        (n, 2): 1 − p and p, or 0 and the logit.

    >>> two_columns(np.array([[0.25], [0.5]]), "probabilities").argmax(axis=1).tolist()
    [0, 1]
    """
    other = 1.0 - outputs if kind == "probabilities" else np.zeros_like(outputs)
    return np.hstack([np.where(other == outputs, np.nextafter(other, -np.inf), other), outputs])


def _refuse_codes(model: Model, outputs: FloatArray) -> None:
    """Refuse the integers of a quantized model, taken for logits unasked: their scale makes all the difference."""
    if _whole(outputs) and float(np.ptp(outputs)) > _CODES:
        raise InvalidInput(
            f"{model.name} gives whole numbers from {outputs.min():g} to {outputs.max():g}, which may be the integers "
            'of a quantized model: dequantize them by scale and zero point, or say output="logits" if they are scores'
        )


def _misses(outputs: FloatArray) -> tuple[float, float]:
    """How far rows miss a sum of 1 (one column: never), and numbers the range 0 … 1, at worst."""
    outside = max(float(-outputs.min()), float(outputs.max()) - 1.0, 0.0)
    gap = float(np.abs(outputs.sum(axis=1) - 1).max()) if outputs.shape[1] > 1 else 0.0
    return gap, outside


def _worst_row(outputs: FloatArray) -> str:
    """Where the sum or the range is missed by most."""
    sums = outputs.sum(axis=1) if outputs.shape[1] > 1 else np.ones(len(outputs))
    worst = np.maximum(np.abs(sums - 1), np.maximum(-outputs.min(axis=1), outputs.max(axis=1) - 1))
    row = int(np.argmax(worst))
    return f"(worst at position {row}, sum {sums[row]:.4g})" if outputs.shape[1] > 1 else f"(worst at position {row})"


def _several_labels(outside: float, width: int) -> str:
    """The other way in which numbers from 0 to 1 come without a sum of 1."""
    return ', or task="multilabel" if each is a label of its own' if width > 1 and outside <= DECLARED_TOLERANCE else ""


def _numbers(width: int) -> str:
    return "one number a row" if width == 1 else f"{width} numbers a row"


def _whole(outputs: FloatArray) -> bool:
    return bool(np.all(outputs == np.rint(outputs)))
