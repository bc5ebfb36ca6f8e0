"""Whether a row of outputs is a choice among classes, and labels that are given for it."""

import numpy as np

from robust.errors import InvalidInput
from robust.types import AnyArray, FloatArray

#: How far rows may miss a sum of 1, and values the range 0 … 1; half a step a class more where they were quantized.
_SUM, _RANGE, _MOST = 0.01, 0.001, 0.1


def may_be_probabilities(rows: FloatArray, *, step: float = 0.0) -> bool:
    """Whether numbers may be class probabilities: two or more a row, from 0 to 1, that sum to 1.

    Args:
        rows: (N, M), finite.
        step: Width of a quantization step, 0 for numbers that were none. Rounding M numbers to steps moves their sum by
            up to M·step/2, which is allowed up to 0.1 in all.

    Returns:
        Whether all rows are within the tolerance.

    >>> may_be_probabilities(np.array([[0.25, 0.75], [1.0, 0.0]])), may_be_probabilities(np.array([[0.9], [0.1]]))
    (True, False)
    """
    if rows.shape[1] < 2:
        return False
    slack = min(_SUM + 0.5 * step * rows.shape[1], _MOST)
    inside = rows.min() >= -_RANGE - step and rows.max() <= 1 + _RANGE + step
    return bool(inside and np.abs(rows.sum(axis=1) - 1.0).max() <= slack)


def is_one_hot(rows: FloatArray) -> bool:
    """Whether each row (of two or more numbers) holds a single 1 and is 0 elsewhere.

    >>> is_one_hot(np.eye(3)), is_one_hot(np.full((1, 2), 0.5))
    (True, False)
    """
    return bool(rows.shape[1] > 1 and np.isin(rows, (0.0, 1.0)).all() and (rows.sum(axis=1) == 1.0).all())


def check_one_class(rows: FloatArray, *, what: str) -> None:
    """Refuse ground truth of a classifier in which several classes share the largest value: it names none of them.

    Args:
        rows: (N, M); of a single column, which is no choice among classes, nothing is asked.
        what: The ground truth, as the subject of a message.

    Raises:
        InvalidInput: If the largest value of a row is not the only one.

    >>> check_one_class(np.array([[0.2, 0.8], [1.0, 0.0]]), what="the ground truth")
    """
    if rows.shape[1] == 1:
        return
    tied = np.flatnonzero((rows == rows.max(axis=1, keepdims=True)).sum(axis=1) > 1)
    if len(tied):
        shown = ", ".join(f"{value:.6g}" for value in rows[tied[0], :6]) + (", …" if rows.shape[1] > 6 else "")
        raise InvalidInput(
            f"{what} is neither one-hot nor labels, and names no class in {len(tied)} of {len(rows)} rows, where "
            f"several share the largest value: the first is row {tied[0]} with ({shown}); one label 0 … "
            f"{rows.shape[1] - 1} a row, or rows with a single 1 among zeros, would be right for a classifier; "
            "--no-classifier (classifier=False) compares plain numbers"
        )


def one_hot(labels: AnyArray, classes: int, *, what: str) -> FloatArray:
    """Class labels as rows with a 1 in the label's column.

    Args:
        labels: Whole numbers from 0 to classes − 1, (n,) or (n, 1, …).
        classes: Columns k.
        what: The labels, as the subject of a message.

    Returns:
        (n, k), 0 or 1.

    Raises:
        InvalidInput: If a label is no whole number or outside 0 … k − 1.

    >>> one_hot(np.array([1, 0]), 2, what="labels").tolist()
    [[0.0, 1.0], [1.0, 0.0]]
    """
    flat = np.asarray(labels).ravel()
    if flat.dtype.kind not in "iufb" or not (np.isfinite(flat) & (flat == np.rint(flat))).all():
        raise InvalidInput(
            f"{what} has one value a row for an output of {classes} numbers, and it is no whole number everywhere: "
            f"class labels 0 … {classes - 1}, one-hot rows or values of the output's shape would be right"
        )
    outside = np.unique(flat[(flat < 0) | (flat >= classes)])
    if outside.size:
        raise InvalidInput(
            f"{what} has the labels {[int(label) for label in outside[:10]]}, the output has {classes} classes: "
            f"0 … {classes - 1} would be right"
        )
    rows = np.zeros((flat.size, classes))
    rows[np.arange(flat.size), flat.astype(np.int64)] = 1.0
    return rows
