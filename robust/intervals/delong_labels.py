"""The difference of two mean areas under the ROC curves of several labels a row, on the same rows."""

import math

import numpy as np
from scipy.special import stdtrit

from robust.errors import InvalidInput
from robust.intervals.arguments import check_level
from robust.intervals.auc_components import AucComponents, auc_components
from robust.intervals.cluster import FEWEST, ClusterSizing, cluster_index
from robust.intervals.delong import DelongEstimate, carrying_rows, score_sizing, skewness_of
from robust.intervals.interval import Interval, RootSizing, Sizing, UnboundedSizing
from robust.types import AnyArray, FloatArray


def label_components(y: AnyArray, scores: AnyArray) -> tuple[AucComponents, ...]:
    """Components of the area of each label by itself.

    Args:
        y: Shape (n, k): 0 or 1, each of them in each column.
        scores: Shape (n, k): score of each label, finite.

    Returns:
        One a label.

    Raises:
        InvalidInput: Shapes that do not agree, or as ``auc_components``.
    """
    if np.ndim(y) != 2 or np.shape(y) != np.shape(scores):
        raise InvalidInput(
            f"y got shape {np.shape(y)} and scores {np.shape(scores)}; (rows, labels) for both would be right"
        )
    truth, table = np.asarray(y), np.asarray(scores)
    return tuple(auc_components(truth[:, c], table[:, c]) for c in range(truth.shape[1]))


def delong_paired_labels(y: AnyArray, scores_a: AnyArray, scores_b: AnyArray, *, level: float) -> DelongEstimate:
    """Difference of the means over labels of the areas under the ROC curve, A(a) - A(b), on the same rows.

    The bounds of ``delong_paired``: the influence of a row is the mean of its influences on the areas of all labels, so
    that s^2 = sum of their squares/n^2 holds however labels of a row depend on each other; the gross change is the mean
    of those of the labels. Student's quantile is at the degrees of freedom f, 1/f = sum_c w_c/f_c with the labels' own
    and their shares w_c of the variances: those of labels that depend on each other wholly, too few for others.

    Args:
        y: Shape (n, k): 0 or 1, each of them in each column.
        scores_a: Shape (n, k): scores of the first model.
        scores_b: The same shape: scores of the second model.
        level: One-sided confidence level of each bound, in (0.5, 1).

    Returns:
        Estimate in [-1, 1]; positive means that the first model is better. Without bounds where a single row has a
        label, or lacks it; of zero width where no row contributes to the variance.

    Raises:
        InvalidInput: As ``label_components``, or ``level`` outside (0.5, 1).

    Source:
        As ``delong_paired``.

    Example:
        The first label loses one pair of four, the second none.

        >>> y = np.array([[0, 0], [0, 1], [1, 0], [1, 1]])
        >>> a = np.array([[1.0, 1], [2, 3], [3, 2], [4, 4]])
        >>> b = np.array([[1.0, 1], [3, 3], [2, 2], [4, 4]])
        >>> delong_paired_labels(y, a, b, level=0.95).interval.value
        0.125
    """
    level = check_level(level)
    ones, others = label_components(y, scores_a), label_components(y, scores_b)
    n, pairs = len(ones[0].classes), list(zip(ones, others, strict=True))
    value, influence, gross = _change(pairs)
    notes: tuple[str, ...] = ()
    sizing: Sizing
    if any(np.isinf(one.unbiased).any() for one in ones):
        variance = math.inf
        sizing = UnboundedSizing()
        notes = ("a label has, or lacks, a single row: its share of the variance cannot be estimated",)
    else:
        unbiased = np.mean([one.unbiased - other.unbiased for one, other in pairs], axis=0)
        variance = float(unbiased @ unbiased) / n**2
        if variance == 0.0:
            sizing = RootSizing(value=value, lower=value, upper=value, n=n)
        else:
            quantile = float(stdtrit(_freedom(pairs), level))
            skewness = skewness_of(unbiased)
            sizing = score_sizing(value, gross, variance, quantile=quantile, n=n, skewness=skewness)
    lower, upper = sizing.at(n)
    interval = Interval(
        value=value, lower=lower, upper=upper, level=level, n=n, method="delong", sizing=sizing, notes=notes
    )
    sides = [np.bincount(one.classes).min() for one in ones]
    return DelongEstimate(
        interval=interval,
        influence=influence,
        variance=variance,
        carrying=carrying_rows(influence),
        effect=float(np.mean([n / fewer for fewer in sides])),
    )


def delong_paired_labels_grouped(
    y: AnyArray, scores_a: AnyArray, scores_b: AnyArray, groups: AnyArray, *, level: float
) -> Interval:
    """The same for rows that are independent between clusters alone, as ``delong_paired_grouped``.

    Args:
        y: Shape (n, k): 0 or 1, each of them in each column.
        scores_a: Shape (n, k): scores of the first model.
        scores_b: The same shape: scores of the second model.
        groups: Shape (n,): the cluster of each row, whole numbers or strings.
        level: One-sided confidence level of each bound, in (0.5, 1).

    Returns:
        Interval in [-1, 1]; positive means that the first model is better. Without bounds where rows with a label, or
        without it, are in fewer than 10 clusters; of zero width where no cluster contributes to the variance.

    Raises:
        InvalidInput: As ``label_components`` or ``cluster_index``, or ``level`` outside (0.5, 1).

    Source:
        As ``delong_paired_grouped``.

    Example:
        >>> y = np.array([[0, 0], [0, 1], [1, 0], [1, 1]])
        >>> a = np.array([[1.0, 1], [2, 3], [3, 2], [4, 4]])
        >>> delong_paired_labels_grouped(y, a, a, np.arange(4), level=0.95).upper
        inf
    """
    level = check_level(level)
    ones, others = label_components(y, scores_a), label_components(y, scores_b)
    owner, clusters = cluster_index(groups)
    n, pairs = len(ones[0].classes), list(zip(ones, others, strict=True))
    if owner.size != n:
        raise InvalidInput(f"groups got {owner.size} rows of {n}; a group for each row would be right")
    value, influence, gross = _change(pairs)
    held = min(np.unique(owner[one.classes == side]).size for one in ones for side in (0, 1))
    sums = np.bincount(owner, weights=influence) / n
    variance = float(sums @ sums) * held / (held - 1.0) if held > 1 else math.inf
    notes: tuple[str, ...] = (f"{clusters} clusters",)
    sizing: Sizing
    if held < FEWEST:
        sizing = ClusterSizing(value=value, error=math.sqrt(variance), clusters=held, n=n, level=level)
        notes = (f"rows with a label, or without it, are in {held} clusters: fewer than {FEWEST} prove nothing",)
    elif variance == 0.0:
        sizing = RootSizing(value=value, lower=value, upper=value, n=n)
    else:
        quantile, skewness = float(stdtrit(held - 1, level)), skewness_of(sums)
        sizing = score_sizing(value, gross, variance, quantile=quantile, n=n, skewness=skewness)
    lower, upper = sizing.at(n)
    return Interval(
        value=value, lower=lower, upper=upper, level=level, n=n, method="delong", sizing=sizing, notes=notes
    )


def _change(pairs: list[tuple[AucComponents, AucComponents]]) -> tuple[float, FloatArray, float]:
    """Difference of the mean areas, what each row contributes to it (n,), and the mean gross change."""
    value = float(np.mean([one.value - other.value for one, other in pairs]))
    influence = np.mean([one.influence - other.influence for one, other in pairs], axis=0)
    return value, influence, float(np.mean([one.gross_change(other) for one, other in pairs]))


def _freedom(pairs: list[tuple[AucComponents, AucComponents]]) -> float:
    """Degrees of freedom of the labels, weighted by their variances."""
    variances, inverses = [], []
    for one, other in pairs:
        sides = np.bincount(one.classes, weights=(one.unbiased - other.unbiased) ** 2)
        total = float(sides.sum())
        if total > 0.0:
            variances.append(total)
            inverses.append(float((sides**2 / (np.bincount(one.classes) - 1.0)).sum()) / total**2)
    return 1.0 / float(np.average(inverses, weights=variances))
