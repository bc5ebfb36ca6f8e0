"""Autocorrelations of residuals with robust errors, for one series or for many groups, in O(n) a lag."""

from dataclasses import dataclass

import numpy as np
from scipy.special import ndtri, stdtrit

from robust.intervals.long_run import long_run_variance
from robust.types import FloatArray, IntArray


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Autocorrelations:
    """Autocorrelations at some lags.

    Args:
        lags: Lags (m,), at least 1.
        values: Estimates as reported (m,): r_k of one series; the corrected ones for groups.
        centres: The same, corrected for the mean that was subtracted: what bounds are laid around (m,).
        null_errors: Standard errors if there were no autocorrelation, whatever the variance does (m,).
        errors: Standard errors at the estimate (m,).
        null_dof: Degrees of freedom of `null_errors`; infinite for one series.
        dof: Degrees of freedom of `errors` (m,).
        pairs: Pairs of rows behind each (m,).
    """

    lags: IntArray
    values: FloatArray
    centres: FloatArray
    null_errors: FloatArray
    errors: FloatArray
    null_dof: float
    dof: FloatArray
    pairs: IntArray

    def reach(self, share: float) -> FloatArray:
        """Half-widths of bounds that each hold with probability `share` (m,).

        The larger of the two errors: the first alone is wrong for a lag whose neighbours are correlated, the second
        alone is too small under heavy tails, where the product that makes an estimate large also shrinks its error.
        """
        null = ndtri(share) if np.isinf(self.null_dof) else stdtrit(self.null_dof, share)
        return np.maximum(null * self.null_errors, stdtrit(self.dof, share) * self.errors)


def series_autocorrelations(residuals: FloatArray, lags: IntArray) -> Autocorrelations:
    """Autocorrelations of one series.

    r_k = Σ d_t d_{t−k} / Σ d_t² with d = e − ē; corrected for ē: (Σ d_t d_{t−k}/(n − k) + s²/n)/s², where
    s² = Σ d²/(n − 1), as E[d_t d_{t−k}] = −σ²/n for independent e. Null errors √τ_k/(γ₀√(n − k)) with
    τ_k = (1/(n − k)) Σ d_t² d_{t−k}².

    Args:
        residuals: In time order (n,), not constant.
        lags: Lags (m,), each below n.

    Returns:
        The autocorrelations; `errors` are those of the ratio, from cosine projections (`long_run_variance`).

    Source: τ_k, Escanciano and Lobato (2009), Journal of Econometrics 151:140, section 2.

    >>> found = series_autocorrelations(np.tile([1.0, -1.0], 500), np.array([1]))
    >>> found.values.round(6).tolist()
    [-0.999]
    """
    n = len(residuals)
    d = _scaled(residuals - residuals.mean())
    total = float(d @ d)
    gamma, s2 = total / n, total / (n - 1)
    values, centres, null_errors, errors, dof = (np.empty(len(lags)) for _ in range(5))
    for i, k in enumerate(lags):
        late, early = d[k:], d[:-k]
        products = late * early
        sum_of_products = float(products.sum())
        values[i] = sum_of_products / total
        centres[i] = (sum_of_products / (n - k) + s2 / n) / s2
        null_errors[i] = np.sqrt(float(products @ products)) / (n - k) / gamma
        influence = (products - values[i] * (late * late + early * early) / 2.0) / gamma
        variance, dof[i] = long_run_variance(influence)
        errors[i] = np.sqrt(variance)
    return Autocorrelations(
        lags=lags,
        values=values,
        centres=centres,
        null_errors=null_errors,
        errors=errors,
        null_dof=np.inf,
        dof=dof,
        pairs=n - lags,
    )


def group_autocorrelations(residuals: FloatArray, sizes: IntArray, lags: IntArray) -> Autocorrelations:
    """Autocorrelations inside groups, pooled.

    With d = e − ē_g, S_g = Σ d² and P_{g,k} = Σ d_t d_{t−k} + S_g (T_g − k)/(T_g(T_g − 1)), whose mean is 0 for
    residuals that are exchangeable in a group (else the subtracted mean makes it negative, Nickell 1981):
    ρ_k = (Σ_g P_{g,k} / Σ_g (T_g − k)) / (Σ_g S_g / Σ_g (T_g − 1)). Errors are clustered by group, t(G − 1).

    Args:
        residuals: Sorted by group, then time (n,).
        sizes: Rows of each group (G,), at least 1 each.
        lags: Lags (m,).

    Returns:
        The autocorrelations.

    Source: Nickell (1981), Econometrica 49:1417; Cameron, Gelbach and Miller (2008), Review of Economics and
    Statistics 90:414.
    """
    count = len(sizes)
    groups = np.repeat(np.arange(count), sizes)
    d = _scaled(residuals - (np.bincount(groups, residuals) / sizes)[groups])
    squares = np.bincount(groups, d * d)
    gamma = squares.sum() / (sizes - 1).sum()
    spread = squares / ((sizes - 1).sum() * gamma)
    per_pair = np.divide(squares, sizes * (sizes - 1.0), out=np.zeros(count), where=sizes > 1)
    values, null_errors, errors = (np.empty(len(lags)) for _ in range(3))
    pairs = np.array([np.maximum(sizes - k, 0).sum() for k in lags])
    for i, k in enumerate(lags):
        same = groups[k:] == groups[:-k]
        products = np.bincount(groups[k:], d[k:] * d[:-k] * same, minlength=count)
        share = (products + per_pair * np.maximum(sizes - k, 0)) / (pairs[i] * gamma)
        values[i] = share.sum()
        influence = share - values[i] * spread
        null_errors[i] = np.sqrt(share @ share * count / (count - 1))
        errors[i] = np.sqrt(influence @ influence * count / (count - 1))
    return Autocorrelations(
        lags=lags,
        values=values,
        centres=values,
        null_errors=null_errors,
        errors=errors,
        null_dof=count - 1.0,
        dof=np.full(len(lags), count - 1.0),
        pairs=pairs,
    )


def _scaled(deviations: FloatArray) -> FloatArray:
    """Deviations over their largest size: correlations stay, and fourth powers can neither over- nor underflow."""
    largest = float(np.abs(deviations).max())
    return deviations / largest if largest > 0 else deviations
