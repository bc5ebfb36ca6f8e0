"""Joint tests of no autocorrelation that hold whatever the variance does."""

import math

import numpy as np
from scipy.special import chdtrc

from robust.residuals.lag_products import scaled
from robust.types import FloatArray, IntArray

# Escanciano and Lobato's q: above √(q log n) a standardised autocorrelation counts as large.
_LARGE = 2.4


def standardised_squares(residuals: FloatArray, lags: IntArray) -> FloatArray:
    """Squared autocorrelations over their variance if there were none, whatever the variance of rows does.

    n γ_k²/τ_k with γ_k = (1/(n − k)) Σ d_t d_{t−k}, τ_k = (1/(n − k)) Σ d_t² d_{t−k}² and d = e − ē

    Args:
        residuals: In time order (n,), not constant.
        lags: Lags (m,), each below n.

    Returns:
        The squares (m,): χ² with one degree of freedom each without autocorrelation.

    Source: Escanciano and Lobato (2009), Journal of Econometrics 151:140, section 2.

    >>> standardised_squares(np.array([1.0, -1.0, 1.0, -1.0]), np.array([1])).tolist()
    [4.0]
    """
    n = len(residuals)
    d = scaled(residuals - residuals.mean())
    squares = np.zeros(len(lags))
    for i, k in enumerate(lags):
        products = d[k:] * d[:-k]
        spread = float(products @ products)
        squares[i] = n * float(products.sum()) ** 2 / ((n - k) * spread) if spread > 0.0 else 0.0
    return squares


def box_pierce_p(squares: FloatArray) -> float:
    """p-value of the robust Box–Pierce statistic Σ_k n γ_k²/τ_k: χ² with a degree of freedom a lag.

    Args:
        squares: Standardised squares (m,).

    Returns:
        The p-value.

    >>> round(box_pierce_p(np.array([3.841458820694124])), 6)
    0.05
    """
    return float(chdtrc(len(squares), squares.sum()))


def automatic_p(squares: FloatArray, n: int) -> tuple[float, int]:
    """p-value of the automatic robust portmanteau test, and the number of lags that it chose.

    Q_p = Σ_{k ≤ p} n γ_k²/τ_k at the p ≥ 1 that maximises Q_p − π(p), against χ² with one degree of freedom;
    π(p) = p log n if max_k √n |ρ̃_k| ≤ √(2.4 log n), else 2p.

    Args:
        squares: Standardised squares at lags 1 … d without gaps (d,).
        n: Rows.

    Returns:
        p-value and chosen p.

    Source: Escanciano and Lobato (2009), Journal of Econometrics 151:140, section 2.
    """
    sums = np.cumsum(squares)
    large = math.sqrt(float(squares.max())) > math.sqrt(_LARGE * math.log(n))
    penalty = 2.0 if large else math.log(n)
    chosen = int(np.argmax(sums - penalty * np.arange(1, len(squares) + 1)))
    return float(chdtrc(1.0, sums[chosen])), chosen + 1
