"""The bound for a paired difference of proportions: Tango's score interval with a half-count correction."""

import math
from dataclasses import dataclass
from functools import lru_cache

from scipy.special import ndtri

from robust.errors import InvalidInput
from robust.intervals.arguments import check_finite, check_level
from robust.intervals.interval import Interval

# Half a count: Tango's plain bound passes up to 6.6 % at its limit, with this correction at most 4.9 %.
_CORRECTION = 0.5
# To prove a gain (a difference below a negative limit) half a count is not enough where the flips against it are
# rare: up to 6.3 % passed. The correction grows to a whole count as they go from this many to none: at most 4.8 %.
_RARE = 5.0
# Where all rows flip, b - c moves in steps of two and the restricted variance is that of one binomial count: half a
# count passed up to 11 %. From half of the rows on the correction grows, to three times as much at all: at most 4.9 %.
_CROWDED, _GROWTH = 0.5, 2.0


def tango(b: float, c: float, n: float, *, level: float) -> Interval:
    """Interval for the difference (b - c)/n of two proportions measured on the same rows.

    With q(d) the restricted maximum-likelihood share of wrong-to-right rows when the true difference is d,
    z(d) = (b - c + 1/2 - n d)/sqrt(n (2 q(d) + d (1 - d))); the upper bound is the root of z(d) = -z_level
    above the estimate, the lower bound its mirror image (b and c exchanged, sign changed). For a negative d
    the 1/2 becomes 1/2 + max(0, 1 - b/5)/2. Where more than half of the rows flip, f = (b + c)/n, it is multiplied by
    1 + 2(2f - 1).

    By enumeration of all (b, c) at level 0.95, n from 60 to 5,000 and up to 10 % of the rarer flips, and n from 60 to
    300 and all flip rates up to 1, either bound excludes the true difference in at most 4.9 %.

    Args:
        b: Rows right under the reference and wrong under the candidate, at least 0; may be fractional.
        c: Rows wrong under the reference and right under the candidate, at least 0; may be fractional.
        n: Rows in all, at least 1 and at least b + c; may be fractional.
        level: One-sided confidence level of each bound, in (0.5, 1).

    Returns:
        Interval for the difference, in [-1, 1]; positive means that the candidate is worse.

    Raises:
        InvalidInput: A count is negative or not finite, b + c exceeds n, n is below 1, or ``level`` is
            outside (0.5, 1).

    Source:
        Tango (1998), Statistics in Medicine 17:891, the score interval; the half-count correction was chosen
        by enumeration of its exact size.

    Example:
        Without a flip z(d) = (1/2 - n d)/sqrt(n d (1 - d)); at n = 128 it reaches -1.6449 at d = 0.0278.

        >>> round(tango(0, 0, 128, level=0.95).upper, 4)
        0.0278
    """
    b, c, n = check_finite("b", b), check_finite("c", c), check_finite("n", n)
    level = check_level(level)
    if n < 1.0:
        raise InvalidInput(f"n got {n!r}; at least one row would be right")
    if b < 0.0 or c < 0.0 or b + c > n:
        raise InvalidInput(f"b and c got {b!r} and {c!r} of {n!r}; counts from 0 that sum to at most n would be right")
    sizing = TangoSizing(b=b, c=c, n=n, level=level)
    lower, upper = tango_bounds(b, c, n, float(ndtri(level)))
    return Interval(
        value=(b - c) / n,
        lower=lower,
        upper=upper,
        level=level,
        n=math.floor(n),
        method="tango-corrected",
        sizing=sizing,
    )


@lru_cache(maxsize=4096)  # a sweep asks for the same few counts again and again
def tango_bounds(b: float, c: float, n: float, z: float, *, correction: float = _CORRECTION) -> tuple[float, float]:
    """Score bounds for (b - c)/n at a normal quantile.

    Args:
        b: Right-to-wrong rows, at least 0.
        c: Wrong-to-right rows, at least 0.
        n: Rows in all, at least b + c and above 0.
        z: Normal quantile of each bound, above 0.
        correction: Count added to the numerator; 0.5 is what gates use, 0 is Tango's own interval.

    Returns:
        Lower and upper bound, in [-1, 1].
    """
    return -_upper(c, b, n, z, correction), _upper(b, c, n, z, correction)


def score(delta: float, b: float, c: float, n: float, *, correction: float = _CORRECTION) -> float:
    """Score statistic z(delta) of the hypothesis that the true difference is ``delta``.

    Args:
        delta: Difference under the hypothesis, in (-1, 1).
        b: Right-to-wrong rows, at least 0.
        c: Wrong-to-right rows, at least 0.
        n: Rows in all, at least b + c and above 0.
        correction: Count added to the numerator; up to twice as much for a negative ``delta``, and up to three times
            as much where more than half of the rows flip.

    Returns:
        The statistic; a difference below ``delta`` is proved where it is at most -z_level.
    """
    rare = max(0.0, 1.0 - b / _RARE) if delta < 0.0 else 0.0
    numerator = b - c + correction * (1.0 + rare) * _crowding((b + c) / n) - n * delta
    linear = -b - c + (2.0 * n - b + c) * delta
    constant = -c * delta * (1.0 - delta)
    root = math.sqrt(max(linear * linear - 8.0 * n * constant, 0.0))
    q = (root - linear) / (4.0 * n)
    variance = n * (2.0 * q + delta * (1.0 - delta))
    if variance <= 0.0:
        return math.copysign(math.inf, numerator)
    return numerator / math.sqrt(variance)


def _crowding(flips: float) -> float:
    """By how much the correction grows with the share of rows that flip."""
    return 1.0 + _GROWTH * max(0.0, flips - _CROWDED) / (1.0 - _CROWDED)


def _upper(b: float, c: float, n: float, z: float, correction: float) -> float:
    """Root of score(delta) = -z above the estimate, by bisection to the last bit, as the score falls."""
    below, above = (b - c) / n, 1.0
    if b - c + correction >= n:
        return 1.0
    while True:
        middle = 0.5 * (below + above)
        if not below < middle < above:
            return above
        if score(middle, b, c, n, correction=correction) <= -z:
            above = middle
        else:
            below = middle


@dataclass(frozen=True, slots=True, kw_only=True)
class TangoSizing:
    """Tango's corrected bounds at another number of rows, both flip rates unchanged.

    Attributes:
        b: Right-to-wrong rows.
        c: Wrong-to-right rows.
        n: Rows in all.
        level: One-sided confidence level of each bound.
    """

    b: float
    c: float
    n: float
    level: float

    def at(self, n: int) -> tuple[float, float]:
        """Lower and upper bound at ``n`` rows."""
        scale = n / self.n
        return tango_bounds(self.b * scale, self.c * scale, n, float(ndtri(self.level)))


def power_n_paired(pb: float, pc: float, *, limit: float, level: float, power: float = 0.8) -> int | None:
    """Rows with which the corrected Tango bound proves a difference below the limit with a given probability.

    With D = pb - pc, psi = pb + pc, psi0 = 2q(L) + L the flip rate under the hypothesis that the difference
    is the limit L, and K = z_level sqrt(psi0 - L^2) + z_power sqrt(psi - D^2), the size n solves
    n (L - D) - 1/2 = K sqrt(n); the 1/2 is the correction of the bound, larger where psi exceeds 1/2.

    Args:
        pb: Share of right-to-wrong rows that is expected, in [0, 1].
        pc: Share of wrong-to-right rows that is expected, in [0, 1], pb + pc at most 1.
        limit: Limit on the difference, in (0, 1).
        level: One-sided confidence level of the bound, in (0.5, 1).
        power: Probability with which it is to be proved, in [0.5, 1).

    Returns:
        The number of rows, at least 1; None where pb - pc is not below the limit.

    Raises:
        InvalidInput: An argument outside its range.

    Source:
        Normal approximation to the score statistic of Tango (1998), its q from the restricted likelihood.

    Example:
        Without any flip K = 1.6449 sqrt(0.01 - 0.0001) and sqrt(n) = (K + sqrt(K^2 + 0.02))/0.02 = 18.998.

        >>> power_n_paired(0.0, 0.0, limit=0.01, level=0.95)
        361
    """
    pb, pc, limit = check_finite("pb", pb), check_finite("pc", pc), check_finite("limit", limit)
    level = check_level(level)
    if pb < 0.0 or pc < 0.0 or pb + pc > 1.0:
        raise InvalidInput(f"pb and pc got {pb!r} and {pc!r}; shares of 0 or more that sum to at most 1 would be right")
    if not 0.0 < limit < 1.0:
        raise InvalidInput(f"limit got {limit!r}; a number strictly between 0 and 1 would be right")
    if not 0.5 <= power < 1.0:
        raise InvalidInput(f"power got {power!r}; a number from 0.5 up to, but not including, 1 would be right")
    margin = limit - (pb - pc)
    # A margin of rounding errors is none: 0.015 - 0.005 falls short of 0.01 by 2e-18.
    if margin <= 1e-12:
        return None
    linear = -pb - pc + (2.0 - pb + pc) * limit
    q = (math.sqrt(max(linear * linear + 8.0 * pc * limit * (1.0 - limit), 0.0)) - linear) / 4.0
    under_limit = math.sqrt(max(2.0 * q + limit - limit * limit, 0.0))
    as_expected = math.sqrt(max(pb + pc - (pb - pc) ** 2, 0.0))
    spread = float(ndtri(level)) * under_limit + float(ndtri(power)) * as_expected
    correction = _CORRECTION * _crowding(pb + pc)
    root = (spread + math.sqrt(spread * spread + 4.0 * correction * margin)) / (2.0 * margin)
    return max(1, math.ceil(root * root))
