"""scikit-learn estimators that were fitted on an indicator matrix: several labels a row."""

from typing import Any

import numpy as np

from robust.errors import InvalidInput
from robust.types import AnyArray, FloatArray


def is_multilabel(estimator: Any) -> bool:
    """Whether a fitted classifier predicts several labels a row.

    scikit-learn has no one word for it: estimators of several outputs have a list of `classes_`; those that binarize
    their targets keep what these were, and name the columns in `classes_` as if they were classes.

    Args:
        estimator: Fitted; a pipeline or a search is asked about what is inside.
    """
    if isinstance(getattr(estimator, "classes_", None), list):
        return True
    inner = _inner(estimator)
    for name in ("_label_binarizer", "label_binarizer_"):
        kind = getattr(getattr(inner, name, None), "y_type_", None)
        if kind is not None:
            return str(kind).startswith("multilabel")
    return bool(getattr(inner, "multilabel_", False))


def label_columns(estimator: Any, name: str) -> tuple[AnyArray, ...]:
    """What each label was seen to be in training: 0 and 1, or one of them alone.

    Args:
        estimator: Fitted on several labels a row.
        name: For messages.

    Returns:
        Values seen, one array a label.

    Raises:
        InvalidInput: If an output has other classes than 0 and 1, or there is but one.
    """
    found = estimator.classes_
    columns = tuple(np.asarray(seen) for seen in found) if isinstance(found, list) else (np.array([0, 1]),) * len(found)
    for j, seen in enumerate(columns):
        if seen.dtype.kind not in "biuf" or not bool(np.all((seen == 0) | (seen == 1))):
            raise InvalidInput(
                f"{name} predicts several outputs, and output {j} has the classes {seen.tolist()[:10]}: several labels "
                "a row are 0 or 1 each; pass the estimator of one output at a time"
            )
    if len(columns) == 1:
        raise InvalidInput(
            f"{name} was fitted on a matrix with a single column: a single label is a class of two, fit it on "
            "labels (n,)"
        )
    return columns


def label_scores(outputs: Any, seen: tuple[AnyArray, ...]) -> FloatArray:
    """The probability of each label (n, k), from what `predict_proba` gives.

    scikit-learn says no where yes and no are as probable, this package says yes from 0.5 on: a tie is handed over as
    the next number below 0.5, so that the labels are those that the estimator predicts.

    Args:
        outputs: An array (n, k), or for each label an array (n, number of values seen).
        seen: Values seen of each label.
    """
    if not isinstance(outputs, list):
        given = np.array(outputs, dtype=np.float64)
        given[given == 0.5] = np.nextafter(0.5, 0.0)
        return given
    columns = []
    for values, known in zip(outputs, seen, strict=True):
        table = np.asarray(values, dtype=np.float64)
        if len(known) == 1:  # the other value never occurred
            columns.append(np.full(len(table), float(known[0])))
            continue
        no, yes = table[:, 0], table[:, 1]
        columns.append(np.where((yes <= no) & (yes >= 0.5), np.nextafter(0.5, 0.0), yes))
    return np.column_stack(columns)


def _inner(estimator: Any) -> Any:
    """What predicts inside a pipeline or a search."""
    while True:
        if hasattr(estimator, "best_estimator_"):
            estimator = estimator.best_estimator_
        elif getattr(estimator, "steps", None):
            estimator = estimator.steps[-1][1]
        else:
            return estimator
