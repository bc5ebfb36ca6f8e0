"""Bounds of a mean of numbers from 0 to 1, which are Clopper and Pearson's where all of them are 0 or 1."""

import numpy as np
from scipy.optimize import brentq
from scipy.special import betaincinv

from robust.types import FloatArray

# Step of the sum that inverts the characteristic function, in standard deviations; how small its terms get, how many.
_STEP, _SMALL, _MOST = 0.1, 1e-12, 20_000
# So many standard deviations from 0 a sum has one sign; the sum of that step could not tell from 63 on.
_FAR = 25.0


def lower_mean(values: FloatArray, counts: FloatArray, *, level: float) -> float:
    """Lower bound of the mean of independent numbers of at least 0.

    The (1 - level) quantile of Σ w_j v_j, w from a Dirichlet distribution with the counts as parameters and 1 for one
    more value, 0: the q at which Σ G_j (v_j - q) ≤ 0 has that probability, G_j Gamma variables, by inversion of its
    characteristic function

    Args:
        values: Distinct values (u,), at least 0.
        counts: How often each occurs (u,), above 0; may be fractional.
        level: Confidence, in (0.5, 1).

    Returns:
        The bound, from 0 to the mean. Of zeros and ones it is Clopper and Pearson's, which is exact; for other values
        no distribution is known for which it misses too often.

    Source:
        Gaffke (2005), Mathematical Methods of Statistics 14:451; Learned-Miller and Thomas (2019), arXiv:1905.06208,
        section 3; the inversion from Imhof (1961), Biometrika 48:419.

    >>> round(lower_mean(np.array([0.0, 1.0]), np.array([5.0, 5.0]), level=0.95), 4)  # Clopper-Pearson, 5 of 10
    0.2224
    """
    rows, positive = float(counts.sum()), values > 0
    mean, top = float(values @ counts / rows), float(values.max())
    if positive.sum() <= 1:
        hits = float(counts[positive].sum())
        return min(top * float(betaincinv(hits, rows - hits + 1.0, 1.0 - level)), mean) if hits else 0.0
    spots, shapes = np.append(values, 0.0), np.append(counts, 1.0).astype(np.float64)
    return min(float(brentq(lambda q: _below(spots - q, shapes) - (1.0 - level), 0.0, top, xtol=1e-10)), mean)


def _below(weights: FloatArray, shapes: FloatArray) -> float:
    """P(Σ G_j weights_j ≤ 0) of independent Gamma variables with these shapes."""
    if weights.min() >= 0.0:
        return 0.0
    if weights.max() <= 0.0:
        return 1.0
    spread = float(np.sqrt(shapes @ weights**2))
    if abs(shapes @ weights) > _FAR * spread:
        return 0.0 if shapes @ weights > 0.0 else 1.0
    scaled = weights / spread
    total, first, size = 0.0, 0, 256
    while first < _MOST:
        t = _STEP * (np.arange(first, first + size) + 0.5)
        turns = scaled[:, None] * t
        terms = np.exp(-0.5 * (shapes @ np.log1p(turns**2))) / (t / _STEP)
        total += float(np.sin(shapes @ np.arctan(turns)) @ terms)
        if terms[-1] < _SMALL:
            break
        first += size
    return 0.5 - total / np.pi
