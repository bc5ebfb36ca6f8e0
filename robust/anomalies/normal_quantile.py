"""A threshold from normal rows alone, with a guarantee on the share of new normal rows above it."""

import math
from dataclasses import dataclass

import numpy as np
from scipy.special import bdtr

from robust.errors import InvalidInput
from robust.measures.score_thresholds import just_above
from robust.types import FloatArray


@dataclass(frozen=True, slots=True, kw_only=True)
class NormalThreshold:
    """A threshold on an anomaly score; a row is called anomalous where its score ≥ threshold.

    Args:
        value: The threshold.
        rule: How it was chosen, in words.
        guarantee: What holds for new normal rows, in words.
    """

    value: float
    rule: str
    guarantee: str


def quantile_threshold(scores: FloatArray, *, quantile: float, level: float) -> NormalThreshold:
    """The lowest order statistic of normal scores above which at most 1 − quantile of new ones lie.

    With s_(r) the r-th smallest of m scores, P(F(s_(r)) ≥ q) ≥ P(Bin(m, q) ≤ r − 1) whatever their distribution F,
    with equality where it is continuous; r is the smallest for which that is at least `level`. The threshold is the
    number just above s_(r), so that ties with it are no alarms.

    Args:
        scores: Scores of normal rows (m,).
        quantile: Share of new normal rows that must not be called anomalous, in (0, 1).
        level: Confidence of the guarantee, in (0.5, 1).

    Returns:
        The threshold.

    Raises:
        InvalidInput: If the rows are too few, so that even the largest score would not do, or there is no number above
            the score.

    Source: Wilks (1941), Annals of Mathematical Statistics 12:91, for distribution-free tolerance limits.

    >>> quantile_threshold(np.arange(59.0), quantile=0.95, level=0.95).value > 58
    True
    """
    if not 0.0 < quantile < 1.0:
        raise InvalidInput(f"quantile got {quantile!r}; a share strictly between 0 and 1 would be right")
    m = len(scores)
    sure = bdtr(np.arange(m, dtype=np.float64), m, quantile)  # at r − 1 = 0 … m − 1
    enough = np.flatnonzero(sure >= level)
    if not len(enough):
        needed = rows_needed(quantile, level)
        raise InvalidInput(
            f"{m} normal rows are too few for a threshold above quantile {quantile:g} of new normal rows with "
            f"confidence {level:g}: at least {needed} are needed, or a lower quantile"
        )
    rank = int(enough[0]) + 1
    return NormalThreshold(
        value=just_above(np.sort(scores)[rank - 1]),
        rule=f"just above normal score {rank} of {m}, ascending (quantile {quantile:g})",
        guarantee=f"with confidence {level:g} at most {1 - quantile:.4g} of new normal rows are called anomalous",
    )


def rows_needed(quantile: float, level: float) -> int:
    """Fewest normal rows for which `quantile_threshold` exists: the smallest m with 1 − qᵐ ≥ level.

    Args:
        quantile: In (0, 1).
        level: In (0.5, 1).

    Returns:
        Rows.

    >>> rows_needed(0.95, 0.95), rows_needed(0.99, 0.95)
    (59, 299)
    """
    m = max(1, math.ceil(math.log1p(-level) / math.log(quantile)) - 1)
    while 1.0 - quantile**m < level:
        m += 1
    return m


def spread_threshold(scores: FloatArray, *, k: float) -> NormalThreshold:
    """Mean plus k standard deviations of normal scores: μ + kσ, σ² = (1/m) Σ (s_i − μ)².

    Args:
        scores: Scores of normal rows (m,), at least two.
        k: Number of standard deviations, at least 0.

    Returns:
        The threshold. There is no guarantee on new rows without assumptions about their distribution.

    >>> spread_threshold(np.array([1.0, 3.0]), k=2.0).value
    4.0
    """
    return NormalThreshold(
        value=float(scores.mean() + k * scores.std()),
        rule=f"mean + {k:g} standard deviations of {len(scores)} normal scores",
        guarantee="none for new normal rows: it depends on their distribution; see the false positive rate",
    )
