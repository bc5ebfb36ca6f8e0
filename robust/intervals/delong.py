"""DeLong's interval for the area under the ROC curve and for the difference of two on the same rows."""

import math
from dataclasses import dataclass

import numpy as np
from scipy.special import stdtrit

from robust.errors import InvalidInput
from robust.intervals.arguments import check_level
from robust.intervals.auc_components import AucComponents, auc_components
from robust.intervals.interval import Interval, RootSizing, Sizing, UnboundedSizing
from robust.intervals.tango import tango_bounds
from robust.types import AnyArray, FloatArray, IntArray


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DelongEstimate:
    """An area under the curve, or a difference of two, with its interval and what each row contributes.

    Attributes:
        interval: The interval; of zero width where no row contributes, to be widened by ``never_vacuous``.
        influence: Shape (n,), mean 0: what each row contributes; for ordered or grouped rows.
        variance: Estimated variance of the value, at least 0.
        carrying: Rows that carry the variance, those whose influence is at least a tenth of the largest.
        effect: Change of the value if all rows were moved in the worst way.
    """

    interval: Interval
    influence: FloatArray
    variance: float
    carrying: int
    effect: float


def delong(y: AnyArray, scores: AnyArray, *, level: float) -> DelongEstimate:
    """Area under the ROC curve with DeLong's variance, bounds on the logit scale.

    Bounds expit(logit(A) -+ t s/(A(1 - A))), s^2 = sum over classes of the variance of their rows'
    components, t the Student quantile at Satterthwaite's degrees of freedom.

    Args:
        y: Shape (n,): classes 0 and 1 for one column of scores, 0 .. C - 1 for C columns; each class must
            occur.
        scores: Shape (n,): score of class 1; or (n, C): a score a class, for the mean of the one-vs-rest
            areas.
        level: One-sided confidence level of each bound, in (0.5, 1).

    Returns:
        Estimate in [0, 1]; higher is better. Without bounds where a class has one row.

    Raises:
        InvalidInput: As ``auc_components``, or ``level`` outside (0.5, 1).

    Source:
        DeLong, DeLong and Clarke-Pearson (1988), Biometrics 44:837; Sun and Xu (2014), IEEE Signal Processing
        Letters 21:1389; Qin and Hotilovac (2008), Statistical Methods in Medical Research 17:207, for the
        logit.

    Example:
        Of the four pairs of a positive and a negative row, three are in order; each class's components are
        1/2 and 1, so that the variance is 1/16 + 1/16.

        >>> estimate = delong(np.array([0, 0, 1, 1]), np.array([0.1, 0.4, 0.35, 0.8]), level=0.95)
        >>> estimate.interval.value, round(estimate.variance, 6)
        (0.75, 0.125)
    """
    level = check_level(level)
    parts = auc_components(y, scores)
    return _estimate(parts.value, parts.influence, parts.unbiased, parts, level)


def delong_paired(y: AnyArray, scores_a: AnyArray, scores_b: AnyArray, *, level: float) -> DelongEstimate:
    """Difference of two areas under the ROC curve on the same rows, A(a) - A(b), with DeLong's variance.

    Tango's corrected score bounds for b = m (g + D)/2 losses and c = m (g - D)/2 gains in m = (g - D^2)/s^2
    rows, at Student's quantile t in place of the normal one. s^2 is the variance of the differences of the
    rows' components, so that what both models owe to the same rows cancels; g their gross change (losses plus
    gains, ``AucComponents.gross_change``); m the number of independent rows that make a difference of
    proportions with these losses and gains as uncertain as D is. Unlike D -+ t s, whose upper bound excludes
    up to 14 % where the change is small and real, the score bounds know that the variance grows with the
    difference.

    Args:
        y: Shape (n,): classes 0 and 1 for one column of scores, 0 .. C - 1 for C columns; each class must
            occur.
        scores_a: Shape (n,) or (n, C): scores of the first model.
        scores_b: The same shape: scores of the second model.
        level: One-sided confidence level of each bound, in (0.5, 1).

    Returns:
        Estimate in [-1, 1]; positive means that the first model is better. Without bounds where a class has
        one row; of zero width where no row contributes to the variance.

    Raises:
        InvalidInput: As ``auc_components``, shapes that differ, or ``level`` outside (0.5, 1).

    Source:
        DeLong, DeLong and Clarke-Pearson (1988), Biometrics 44:837, and Sun and Xu (2014), IEEE Signal
        Processing Letters 21:1389, for s^2; Rao and Scott (1992), Biometrics 48:577, for counts of dependent
        pairs as those of fewer independent rows; Tango (1998), Statistics in Medicine 17:891, for the bounds.

    Example:
        >>> y = np.array([0, 0, 1, 1])
        >>> delong_paired(y, np.array([1, 2, 3, 4]), np.array([1, 3, 2, 4]), level=0.95).interval.value
        0.25
    """
    level = check_level(level)
    if np.shape(scores_a) != np.shape(scores_b):
        raise InvalidInput(
            f"scores got shapes {np.shape(scores_a)} and {np.shape(scores_b)}; equal shapes would be right"
        )
    one, other = auc_components(y, scores_a), auc_components(y, scores_b)
    with np.errstate(invalid="ignore"):
        # Infinite components, those of a class with one row, stay infinite.
        unbiased = np.where(np.isinf(one.unbiased), np.inf, one.unbiased - other.unbiased)
    gross = one.gross_change(other)
    return _estimate(one.value - other.value, one.influence - other.influence, unbiased, one, level, gross=gross)


def carrying_rows(influence: FloatArray) -> int:
    """Rows that carry a variance: those whose influence is at least a tenth of the largest.

    Args:
        influence: Shape (n,), mean 0.

    Returns:
        Their number; 0 where all influences are 0.

    Example:
        >>> carrying_rows(np.array([0.9, -0.05, -0.85]))
        2
    """
    sizes = np.abs(influence)
    largest = float(sizes.max())
    return int((sizes >= 0.1 * largest).sum()) if largest > 0.0 else 0


def _estimate(
    value: float,
    influence: FloatArray,
    unbiased: FloatArray,
    parts: AucComponents,
    level: float,
    *,
    gross: float | None = None,
) -> DelongEstimate:
    """Variance, degrees of freedom and bounds from the rows' components; with a gross change, of a difference."""
    n = influence.size
    notes: tuple[str, ...] = ()
    sizing: Sizing
    if np.isinf(unbiased).any():
        variance = math.inf
        sizing = UnboundedSizing()
        notes = ("a class has a single row: its share of the variance cannot be estimated",)
    else:
        by_class = np.bincount(parts.classes, weights=unbiased**2) / n**2
        variance = float(by_class.sum())
        if variance == 0.0:
            sizing = RootSizing(value=value, lower=value, upper=value, n=n)
        else:
            quantile = float(stdtrit(_freedom(by_class, np.bincount(parts.classes)), level))
            half = quantile * math.sqrt(variance)
            if gross is not None:
                skewness = skewness_of(unbiased)
                sizing = score_sizing(value, gross, variance, quantile=quantile, n=n, skewness=skewness)
            elif 0.0 < value < 1.0:
                sizing = LogitSizing(value=value, half=half / (value * (1.0 - value)), n=n)
            else:
                sizing = RootSizing(value=value, lower=value - half, upper=value + half, n=n)
    lower, upper = sizing.at(n)
    interval = Interval(
        value=value,
        lower=lower,
        upper=upper,
        level=level,
        n=n,
        method="delong",
        sizing=sizing,
        notes=notes,
    )
    return DelongEstimate(
        interval=interval,
        influence=influence,
        variance=variance,
        carrying=carrying_rows(influence),
        effect=parts.effect,
    )


def _freedom(by_class: FloatArray, sizes: IntArray) -> float:
    """Satterthwaite's degrees of freedom of a sum of one variance a class."""
    return float(by_class.sum() ** 2 / (by_class**2 / (sizes - 1.0)).sum())


@dataclass(frozen=True, slots=True, kw_only=True)
class LogitSizing:
    """Bounds symmetric on the logit scale, with half-widths that shrink with the square root of n.

    Attributes:
        value: Point estimate, strictly between 0 and 1.
        half: Half-width on the logit scale at ``n`` rows.
        n: Rows that it rests on.
    """

    value: float
    half: float
    n: int

    def at(self, n: int) -> tuple[float, float]:
        """Lower and upper bound at ``n`` rows."""
        stretch = math.exp(min(self.half * math.sqrt(self.n / n), 700.0))
        odds = self.value / (1.0 - self.value)
        lower, upper = 1.0 / (1.0 + stretch / odds), 1.0 / (1.0 + 1.0 / (stretch * odds))
        return min(lower, self.value), max(upper, self.value)


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreSizing:
    """Tango's corrected score bounds of a difference that so many independent rows would make as uncertain.

    Attributes:
        value: Point estimate, in [-1, 1].
        gross: Losses and gains together, at least the size of ``value``, at most 1.
        rows: Independent rows to which the ``n`` rows amount, above 0; may be fractional.
        quantile: Quantile of each bound, above 0.
        n: Rows that it rests on.
        error: Standard error of the difference.
        skewness: That of the difference.
    """

    value: float
    gross: float
    rows: float
    quantile: float
    n: int
    error: float
    skewness: float

    def at(self, n: int) -> tuple[float, float]:
        """Lower and upper bound at ``n`` rows."""
        rows = self.rows * n / self.n
        losses, gains = (max(rows * (self.gross + side * self.value) / 2.0, 0.0) for side in (1.0, -1.0))
        lower, upper = tango_bounds(losses, gains, rows, self.quantile)
        error, skewness = (part * math.sqrt(self.n / n) for part in (self.error, self.skewness))
        shift = skewness * (1.0 + 2.0 * self.quantile**2) / 6.0
        lower, upper = (
            min(lower, self.value) + min(shift, 0.0) * error,
            max(upper, self.value) + max(shift, 0.0) * error,
        )
        return max(lower, -1.0), min(upper, 1.0)


def skewness_of(parts: FloatArray) -> float:
    """Skewness of a sum of independent parts with mean 0, from the parts themselves: sum u^3/(sum u^2)^(3/2)."""
    size = float(parts @ parts)
    return float(parts**2 @ parts) / size**1.5 if size > 0.0 else 0.0


def score_sizing(
    value: float, gross: float, variance: float, *, quantile: float, n: int, skewness: float = 0.0
) -> Sizing:
    """Score bounds of a difference of areas, from its gross change and its variance, wider where it is skewed.

    Where a few badly ranked rows carry the variance, as near an area of 1, an estimate that is too low comes with a
    variance that is too low, by more than counts of losses tell: the bound on the side of the skewness g moves out by
    s g(1 + 2t^2)/6.

    Args:
        value: The difference.
        gross: Its gross change, at least its size.
        variance: Its variance, above 0.
        quantile: Quantile of each bound, above 0.
        n: Rows that it rests on.
        skewness: That of the difference.

    Source:
        Johnson (1978), Journal of the American Statistical Association 73:536, equation 2.4, solved for the mean.
    """
    rows = (gross - value**2) / variance
    if rows <= 0.0:
        half = quantile * math.sqrt(variance)
        return RootSizing(value=value, lower=value - half, upper=value + half, n=n)
    return ScoreSizing(
        value=value,
        gross=gross,
        rows=rows,
        quantile=quantile,
        n=n,
        error=math.sqrt(variance),
        skewness=skewness,
    )
