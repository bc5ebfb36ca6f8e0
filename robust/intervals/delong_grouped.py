"""DeLong's interval for the difference of two areas under the ROC curve of rows that come in groups."""

import math

import numpy as np
from scipy.special import stdtrit

from robust.errors import InvalidInput
from robust.intervals.arguments import check_level
from robust.intervals.auc_components import auc_components
from robust.intervals.cluster import FEWEST, ClusterSizing, cluster_index
from robust.intervals.delong import score_sizing, skewness_of
from robust.intervals.interval import Interval, RootSizing, Sizing
from robust.types import AnyArray


def delong_paired_grouped(
    y: AnyArray, scores_a: AnyArray, scores_b: AnyArray, groups: AnyArray, *, level: float
) -> Interval:
    """Difference of two areas under the ROC curve, A(a) - A(b), of rows independent between clusters alone.

    The bounds of ``delong_paired`` with s^2 = G/(G - 1) sum over clusters of (sum of their rows' components)^2/n^2
    and Student's quantile at G - 1 degrees of freedom; G counts the clusters that hold the class which the fewest
    clusters hold, since the others say nothing about it.

    Args:
        y: Shape (n,): classes 0 and 1 for one column of scores, 0 .. C - 1 for C columns; each class must occur.
        scores_a: Shape (n,) or (n, C): scores of the first model.
        scores_b: The same shape: scores of the second model.
        groups: Shape (n,): the cluster of each row, whole numbers or strings.
        level: One-sided confidence level of each bound, in (0.5, 1).

    Returns:
        Interval in [-1, 1]; positive means that the first model is better. Without bounds where a class occurs in
        fewer than 10 clusters; of zero width where no cluster contributes to the variance.

    Raises:
        InvalidInput: As ``auc_components`` or ``cluster_index``, shapes that differ, or ``level`` outside (0.5, 1).

    Source:
        Obuchowski (1997), Biometrics 53:567, for the sums over clusters; Cameron, Gelbach and Miller (2008), Review
        of Economics and Statistics 90:414, for G - 1; and as ``delong_paired``.

    Example:
        Two clusters prove nothing.

        >>> y, a = np.array([0, 0, 1, 1]), np.array([1, 2, 3, 4])
        >>> interval = delong_paired_grouped(y, a, a[[0, 2, 1, 3]], np.array([1, 2, 1, 2]), level=0.95)
        >>> interval.value, interval.upper
        (0.25, inf)
    """
    level = check_level(level)
    one, other = auc_components(y, scores_a), auc_components(y, scores_b)
    owner, clusters = cluster_index(groups)
    if owner.size != one.classes.size:
        raise InvalidInput(f"groups got {owner.size} rows of {one.classes.size}; a group for each row would be right")
    if one.placed.shape != other.placed.shape:
        raise InvalidInput(
            f"scores got shapes {np.shape(scores_a)} and {np.shape(scores_b)}; equal shapes would be right"
        )
    n, value = owner.size, one.value - other.value
    held = min(np.unique(owner[one.classes == c]).size for c in np.unique(one.classes))
    sums = np.bincount(owner, weights=one.influence - other.influence) / n
    variance = float(sums @ sums) * held / (held - 1.0) if held > 1 else math.inf
    notes: tuple[str, ...] = (f"{clusters} clusters",)
    sizing: Sizing
    if held < FEWEST:
        sizing = ClusterSizing(value=value, error=math.sqrt(variance), clusters=held, n=n, level=level)
        notes = (f"a class occurs in {held} clusters: fewer than {FEWEST} prove nothing",)
    elif variance == 0.0:
        sizing = RootSizing(value=value, lower=value, upper=value, n=n)
    else:
        gross, quantile = one.gross_change(other), float(stdtrit(held - 1, level))
        sizing = score_sizing(value, gross, variance, quantile=quantile, n=n, skewness=skewness_of(sums))
    lower, upper = sizing.at(n)
    return Interval(
        value=value, lower=lower, upper=upper, level=level, n=n, method="delong", sizing=sizing, notes=notes
    )
