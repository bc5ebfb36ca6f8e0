"""Autocorrelations of residuals with robust errors, for one series or for many groups, in O(n) a lag."""

from dataclasses import dataclass

import numpy as np
from scipy.special import ndtri, stdtrit

from robust.errors import InvalidInput
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

        The larger of the two errors: the first alone is wrong for a lag whose neighbours are correlated, the
        second alone is too small under heavy tails, where the product that makes an estimate large also
        shrinks its error.
        """
        null = ndtri(share) if np.isinf(self.null_dof) else stdtrit(self.null_dof, share)
        return np.asarray(np.maximum(null * self.null_errors, stdtrit(self.dof, share) * self.errors))


def series_autocorrelations(residuals: FloatArray, lags: IntArray) -> Autocorrelations:
    """Autocorrelations of one series.

    r_k = Σ d_t d_{t−k} / Σ d_t² with d = e − ē; corrected for ē: (Σ d_t d_{t−k}/(n − k) + v)/(Σ d²/n + v)
    with v the variance of ē, as E[d_t d_{t−k}] = γ_k − v. Null errors √τ_k/(γ₀√(n − k)) with
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
    d = scaled(residuals - residuals.mean())
    total = float(d @ d)
    gamma = total / n
    # A noisy estimate may fall below what independent residuals would give.
    lost = max(long_run_variance(d)[0], gamma / (n - 1))
    values, centres, null_errors, errors, dof = (np.empty(len(lags)) for _ in range(5))
    for i, k in enumerate(lags):
        late, early = d[k:], d[:-k]
        products = late * early
        sum_of_products = float(products.sum())
        values[i] = sum_of_products / total
        centres[i] = (sum_of_products / (n - k) + lost) / (gamma + lost)
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

    With d = e − ē_g and A_k = Σ_g Σ_t d_t d_{t−k}, E[A] = Mγ: subtracting a group's mean makes every A_k too
    small (Nickell 1981), by an amount that the autocovariances γ decide. M is known; γ_0 … γ_H solve Mγ = A
    with γ_h = 0 for h > H, and ρ_k = γ_k/γ_0. Errors are clustered by group, t(G − 1).

    Args:
        residuals: Sorted by group, then time (n,).
        sizes: Rows of each group (G,), at least 1 each.
        lags: Lags (m,), each at most the size of the median group − 2.

    Returns:
        The autocorrelations. Dependence that lasts longer than a group cannot be told from a constant error
        of it.

    Raises:
        InvalidInput: If residuals do not vary inside groups.

    Source: Okui (2010), Econometric Theory 26:1263; Nickell (1981), Econometrica 49:1417; Cameron, Gelbach
    and Miller (2008), Review of Economics and Statistics 90:414.
    """
    count = len(sizes)
    groups = np.repeat(np.arange(count), sizes)
    d = scaled(residuals - (np.bincount(groups, residuals) / sizes)[groups])
    usual = int(np.median(sizes))
    # Solving for too many lags of short groups costs more in noise than it saves in bias (simulated).
    horizon = max(int(lags.max()), min(usual - 2, 2 + usual // 3, 10))
    sums = np.empty((count, horizon + 1))
    for k in range(horizon + 1):
        products = d[k:] * d[: len(d) - k] * (groups[k:] == groups[: len(d) - k])
        sums[:, k] = np.bincount(groups[k:], products, minlength=count)
    shapes, numbers = np.unique(sizes, return_counts=True)
    design = sum(number * within_design(int(size), horizon) for size, number in zip(shapes, numbers, strict=True))
    parts = np.linalg.solve(design, sums.T).T
    gamma = float(parts[:, 0].sum())
    if gamma <= 0.0:
        raise InvalidInput("residuals got no variance inside groups; groups in which errors vary would be right")
    share = parts[:, lags] / gamma
    values = np.clip(share.sum(axis=0), -1.0, 1.0)
    influence = share - values * parts[:, :1] / gamma
    adjusted = count / (count - 1)
    return Autocorrelations(
        lags=lags,
        values=values,
        centres=values,
        null_errors=np.sqrt(adjusted * (share**2).sum(axis=0)),
        errors=np.sqrt(adjusted * (influence**2).sum(axis=0)),
        null_dof=count - 1.0,
        dof=np.full(len(lags), count - 1.0),
        pairs=np.array([np.maximum(sizes - k, 0).sum() for k in lags]),
    )


def within_design(size: int, horizon: int) -> FloatArray:
    """What sums of products of rows less their mean expect of the autocovariances: E[A_k] = Σ_h M_kh γ_h.

    With c_t(h) the share of rows at distance h from row t: M_kh = Σ_{t > k} (1[h = k] − c_t(h) − c_{t−k}(h) +
    c̄(h)).

    Args:
        size: Rows T of the group.
        horizon: Largest lag H.

    Returns:
        M (H + 1, H + 1); rows k ≥ T are 0.

    >>> within_design(2, 0).round(6).tolist()
    [[1.0]]
    """
    t, h = np.arange(size), np.arange(horizon + 1)
    near = (t[:, None] >= h).astype(np.float64) + (t[:, None] < size - h)
    near[:, 0] = 1.0
    near /= size
    # Sums over t > k of c_t and over t ≤ T − k of c_t.
    ahead = np.vstack([np.cumsum(near[::-1], axis=0)[::-1], np.zeros(horizon + 1)])
    behind = np.vstack([np.zeros(horizon + 1), np.cumsum(near, axis=0)])
    first = np.minimum(h, size)
    pairs = np.maximum(size - h, 0).astype(np.float64)
    return np.asarray(np.diag(pairs) - ahead[first] - behind[size - first] + pairs[:, None] * near.mean(axis=0))


def scaled(deviations: FloatArray) -> FloatArray:
    """Deviations over their largest size: correlations stay, and fourth powers cannot overflow."""
    largest = float(np.abs(deviations).max())
    return deviations / largest if largest > 0 else deviations
