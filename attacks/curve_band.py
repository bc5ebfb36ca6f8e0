"""Bounds of several shares of the same rows that hold for all at once, where each row has one breaking point.

The rows right at the k-th budget are those that break beyond it: n independent places on a line, counted above K
thresholds. With S_k the true shares and X_k the counts, a lower bound L_a(x) of Clopper and Pearson at confidence
1 - a misses at k when X_k is so large that S_k < L_a(X_k). How often any of K bounds misses depends on the unknown S.
It is bounded here for every S that the data leave possible, and `a` is the largest at which that bound allows it.

1. A miss can only become likelier as S_k grows up to the next bound l_m = L_a(m), so the worst S_k lie there. With
   U_(m) the order statistics of n uniform numbers, the miss there is {U_(m) <= l_m}, of probability a exactly.
2. Uniform order statistics are a Markov chain and totally positive: P(no miss) >= P(E_1) prod P(E_k | E_k-1), a
   product over neighbours (Glaz and Johnson 1984), which needs P(U_(i) <= l_i, U_(j) <= l_j) alone: two binomials.
3. That probability falls as i and j move apart, since events of one probability depend the less on each other the
   further they lie along a chain. So ranks are taken in cells, each pair of cells by its outermost ranks, and the
   worst chain of cells is found by dynamic programming.
4. Which S are possible? Those that no test with this very `a` rejects from below, and that the data do not refuse
   from above at a twentieth of 1 - level. To miss from below and to be refused from above are a rising and a falling
   event of independent numbers, so that the refusal adds no more than the product of the two (Harris 1960) to the
   error; it is taken off in advance.

For one budget this is Clopper and Pearson's bound. For more it is never wider than Bonferroni's, and the closer the
true shares must lie to each other, the narrower.
"""

from functools import lru_cache

import numpy as np
from scipy.special import betainc, betaincinv

from robust.errors import InvalidInput
from robust.intervals.arguments import check_level
from robust.intervals.clopper_pearson import clopper_pearson_bounds
from robust.types import FloatArray, IntArray

# The error of the bounds from above that say which shares are possible, as a part of the whole.
_NUISANCE = 1 / 20
# The error of one bound, at most so many times Bonferroni's.
_CAP = 3.0
# Cells of ranks a threshold; steps of the sum over the number of rows below a threshold; bisections; times the
# region of possible shares is narrowed. More of each makes bounds narrower by less than a hundredth.
_CELLS, _STEPS, _HALVINGS, _ROUNDS = 6, 32, 7, 2


def joint_bounds(counts: IntArray, n: int, *, level: float) -> tuple[FloatArray, FloatArray, float, float]:
    """Lower bounds and upper bounds of nested shares, each side for all of them at once.

    P(S_k >= lower_k for all k) >= level, P(S_k <= upper_k for all k) >= level, whatever the shares

    Args:
        counts: Rows (K,) of n that have the property at each threshold, of independent rows each of which has it up to
            a threshold of its own.
        n: Rows, at least 1.
        level: Confidence of each side, in (0.5, 1); of both at once it is at least 2 level - 1.

    Returns:
        Lower and upper bounds (K,), in [0, 1], and the error that a single bound of each side has.

    Raises:
        InvalidInput: If a count is no whole number in 0 .. n, or level is out of range.

    Source:
        Clopper and Pearson (1934), Biometrika 26:404; Glaz and Johnson (1984), Journal of the American Statistical
        Association 79:436, for products over neighbours; Karlin and Rinott (1980), Journal of Multivariate Analysis
        10:467, for the total positivity of order statistics; Harris (1960), Proceedings of the Cambridge
        Philosophical Society 56:13.

    >>> lower, upper, *_ = joint_bounds(np.array([0]), 2, level=0.95)
    >>> lower.tolist(), upper.round(4).tolist()  # one share: 1 - 0.05^(1/2)
    ([0.0], [0.7764])
    """
    level = check_level(level)
    counted = np.asarray(counts)
    if counted.ndim != 1 or not len(counted) or not np.all((counted >= 0) & (counted <= n)):
        raise InvalidInput(f"counts got {counts!r} of n = {n} rows; whole numbers from 0 to n would be right")
    below = joint_error(tuple(sorted(counted.tolist())), n, level)
    above = joint_error(tuple(sorted((n - counted).tolist())), n, level)
    lower = [clopper_pearson_bounds(float(x), n, 1.0 - below)[0] for x in counted]
    upper = [clopper_pearson_bounds(float(x), n, 1.0 - above)[1] for x in counted]
    return np.array(lower), np.array(upper), below, above


@lru_cache(maxsize=256)
def joint_error(counts: tuple[int, ...], n: int, level: float) -> float:
    """The error that each of several lower bounds may have, so that all hold at once.

    Args:
        counts: Rows at each threshold, ascending.
        n: Rows.
        level: Confidence of all bounds at once.

    Returns:
        A number from (1 - level)/K to 1 - level.

    >>> joint_error((3,), 10, 0.95) == 1 - 0.95
    True
    >>> 0.05 / 5 < joint_error((60, 65, 70, 75, 80), 100, 0.95) < 0.05
    True
    """
    total, points = 1.0 - level, len(counts)
    if points == 1:
        return total
    x = np.array(counts, dtype=np.float64)
    cap = min(_CAP * total / points, total)
    refused = _NUISANCE * total
    allowed = total - refused * points * cap
    # Positive association alone gives the product of the single confidences.
    error = float(1.0 - (1.0 - allowed) ** (1.0 / points))
    high = _upper(x, n, refused / points)
    for _ in range(_ROUNDS):
        low, least, most = _lower(x, n, error), error, cap
        for _ in range(_HALVINGS):
            middle = float(np.sqrt(least * most))
            if _worst(low, high, n, middle) <= allowed:
                least = middle
            else:
                most = middle
        if least <= error:
            break
        error = least
    return error


def _lower(x: FloatArray, n: int, error: float) -> FloatArray:
    """Lower bounds of Clopper and Pearson."""
    return np.where(x > 0, betaincinv(np.maximum(x, 1.0), n - x + 1.0, error), 0.0)


def _upper(x: FloatArray, n: int, error: float) -> FloatArray:
    """Upper bounds of Clopper and Pearson."""
    return np.where(x < n, betaincinv(x + 1.0, np.maximum(n - x, 1.0), 1.0 - error), 1.0)


def _worst(low: FloatArray, high: FloatArray, n: int, error: float) -> float:
    """Largest probability that any bound of this error misses, of all shares in [low, high]."""
    first, last = _next_bound(low, n, error), _next_bound(high, n, error)
    left, _ = _cells(int(first[0]), int(last[0]))
    cost = np.zeros(len(left))
    for k in range(1, len(first)):
        begin, end = _cells(int(first[k]), int(last[k]))
        both = _both_miss(left, end, n, error)
        # Shares come in order, so a rank is never below the one before it.
        possible = left[:, None] <= end[None, :]
        held = np.where(possible, np.log1p(-(error - both) / (1.0 - error)), np.inf)
        cost = (cost[:, None] + held).min(axis=0)
        left = begin
    return float(1.0 - (1.0 - error) * np.exp(cost.min()))


def _next_bound(share: FloatArray, n: int, error: float) -> IntArray:
    """The smallest rank m, at most n, whose bound l_m lies above a share: P(Bin(n, share) >= m) < error."""
    below, enough = np.zeros(share.shape, dtype=np.int64), np.full(share.shape, n, dtype=np.int64)
    while np.any(enough - below > 1):
        middle = np.maximum((below + enough) // 2, 1)
        above = betainc(middle, n - middle + 1.0, share) < error
        enough, below = np.where(above, middle, enough), np.where(above, below, middle)
    return enough


def _cells(first: int, last: int) -> tuple[IntArray, IntArray]:
    """The ranks from first to last in a few cells: the first and the last rank of each."""
    edges = np.unique(np.linspace(first, last + 1, min(_CELLS, last - first + 1) + 1).round().astype(np.int64))
    return edges[:-1], edges[1:] - 1


def _both_miss(i: IntArray, j: IntArray, n: int, error: float) -> FloatArray:
    """P(U_(i) <= l_i, U_(j) <= l_j), or a little less, for ranks i (a,) and j (b,) from i on: shape (a, b).

    Of N rows below l_i, N >= i, the rest must do for j. Blocks of N count as their smallest, which leaves it most.
    """
    place = betaincinv(i, n - i + 1.0, error)
    # Beyond i the probabilities of N fall quickly: blocks start small.
    span = np.maximum(4.0 * np.sqrt(n * place * (1.0 - place)), _STEPS)
    below = i[:, None] + np.ceil(span[:, None] * (np.arange(_STEPS) / _STEPS) ** 2)
    real = below <= n
    below = np.minimum(below, n)
    reached = np.where(real, betainc(below, n - below + 1.0, place[:, None]), 0.0)
    block = reached - np.concatenate([reached[:, 1:], np.zeros((len(i), 1))], axis=1)
    later = np.maximum(i[:, None], j[None, :])
    share = (betaincinv(later, n - later + 1.0, error) - place[:, None]) / (1.0 - place[:, None])
    rest, missing = (n - below)[:, None, :], later[:, :, None] - below[:, None, :]
    some = betainc(np.maximum(missing, 1.0), np.maximum(rest - missing + 1.0, 1.0), share[:, :, None])
    enough = np.where(missing <= 0, 1.0, np.where(missing > rest, 0.0, some))
    return np.asarray(np.minimum((block[:, None, :] * enough).sum(axis=2), error))
