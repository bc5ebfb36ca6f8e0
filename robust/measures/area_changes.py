"""The change of an area under the ROC curve between two models: of classes, or of several labels a row."""

import numpy as np

from robust.intervals.auc_components import auc_components
from robust.intervals.delong import DelongEstimate, delong_paired
from robust.intervals.delong_grouped import delong_paired_grouped
from robust.intervals.delong_labels import delong_paired_labels, delong_paired_labels_grouped, label_components
from robust.intervals.interval import Interval
from robust.measures.metric_interval import class_scores
from robust.measures.truth import Scored
from robust.types import AnyArray, BoolArray, FloatArray


def area_change(reference: Scored, candidate: Scored, *, level: float) -> DelongEstimate:
    """Area of a reference less that of a candidate on the same, independent rows.

    Args:
        reference: The reference's scores beside the truth.
        candidate: The candidate's.
        level: Confidence of each bound.

    Returns:
        The estimate, in [−1, 1]; positive is worse. Of several labels the difference of the means over them.
    """
    truth, old, new = reference.truth, reference.prediction, candidate.prediction
    if reference.multilabel:
        return delong_paired_labels(truth, old, new, level=level)
    return delong_paired(truth, class_scores(old), class_scores(new), level=level)


def area_change_by_group(reference: Scored, candidate: Scored, groups: AnyArray, *, level: float) -> Interval:
    """The same of rows that are independent between groups alone.

    Args:
        reference: The reference's scores beside the truth.
        candidate: The candidate's.
        groups: Group of each row (n,).
        level: Confidence of each bound.

    Returns:
        The interval, in [−1, 1]; positive is worse.
    """
    truth, old, new = reference.truth, reference.prediction, candidate.prediction
    if reference.multilabel:
        return delong_paired_labels_grouped(truth, old, new, groups, level=level)
    return delong_paired_grouped(truth, class_scores(old), class_scores(new), groups, level=level)


def moving_rows(reference: Scored, candidate: Scored) -> tuple[BoolArray, FloatArray]:
    """Rows whose rank moves by more than the rest of their class makes look like rounding, and each row's influence.

    Args:
        reference: The reference's scores beside the truth.
        candidate: The candidate's.

    Returns:
        Which rows move (n,), of several labels in which of them (n, k); and influences on the change (n,).
    """
    both = (reference, candidate)
    if reference.multilabel:
        each = list(zip(*(label_components(one.truth, one.prediction) for one in both), strict=True))
        moving = np.column_stack([old.moving(new) for old, new in each])
        return moving, np.asarray(np.mean([old.influence - new.influence for old, new in each], axis=0))
    old, new = (auc_components(one.truth, class_scores(one.prediction)) for one in both)
    return old.moving(new), old.influence - new.influence
