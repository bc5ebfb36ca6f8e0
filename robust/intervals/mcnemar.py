"""The exact McNemar test: do flips in the two directions balance?"""

from scipy.special import betainc

from robust.intervals.arguments import check_whole


def mcnemar_p(b: int, c: int) -> float:
    """Two-sided p-value of the hypothesis that flips in both directions are equally likely.

    Given b + c flips, b is Binomial(b + c, 1/2) under the hypothesis; p = min(1, 2 P(X <= min(b, c))).

    Args:
        b: Rows right under the reference and wrong under the candidate, at least 0.
        c: Rows wrong under the reference and right under the candidate, at least 0.

    Returns:
        The p-value, in (0, 1]; 1 where no row flips.

    Raises:
        InvalidInput: A count is negative or not whole.

    Source:
        McNemar (1947), Psychometrika 12:153, in its exact conditional form.

    Example:
        Five flips, all one way: 2/2^5.

        >>> mcnemar_p(5, 0)
        0.0625
    """
    b, c = check_whole("b", b, least=0), check_whole("c", c, least=0)
    few, flips = min(b, c), b + c
    if 2 * few == flips:
        return 1.0
    # The binomial distribution function at k of n is the regularised incomplete beta function I_{1-p}(n - k,
    # k + 1).
    return min(1.0, 2.0 * float(betainc(flips - few, few + 1, 0.5)))
