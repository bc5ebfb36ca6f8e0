"""Bootstrap samples drawn as counts of distinct rows, block by block."""

from collections.abc import Iterator

import numpy as np

from robust.errors import InvalidInput
from robust.intervals.arguments import check_whole
from robust.types import AnyArray, FloatArray, IntArray

# Cells of one block of draws; 8 MiB an array, so that indices, counts and weights together stay far below 64
# MiB.
CELLS = 1 << 20
# One binomial costs about as much as this many bounded integers with their share of the counting.
_BINOMIAL_COST = 12


def generator(seed: int) -> np.random.Generator:
    """Counter-based generator of a bootstrap.

    Args:
        seed: At least 0.

    Returns:
        A Philox generator keyed by the seed.

    Raises:
        InvalidInput: ``seed`` is not whole or is negative.
    """
    return np.random.Generator(np.random.Philox(key=check_whole("seed", seed, least=0)))


def check_multiplicities(counts: AnyArray) -> IntArray:
    """Return multiplicities as int64.

    Args:
        counts: Shape (u,): whole numbers of at least 1.

    Returns:
        The multiplicities.

    Raises:
        InvalidInput: Another shape, no row, or an entry that is no whole number of at least 1.
    """
    array = np.asarray(counts)
    if array.ndim != 1 or array.size == 0:
        raise InvalidInput(f"counts got shape {array.shape}; one multiplicity a distinct row would be right")
    if array.dtype.kind not in "iuf" or not np.isfinite(array).all() or (array < 1).any() or (array % 1 != 0).any():
        raise InvalidInput("counts got an entry that is no whole number of at least 1; multiplicities would be right")
    return array.astype(np.int64)


def draw_counts(
    counts: IntArray, resamples: int, rng: np.random.Generator, *, batch: int | None
) -> Iterator[FloatArray]:
    """Draw bootstrap samples of n rows as counts of the u distinct rows: multinomial(n, counts/n).

    Args:
        counts: Shape (u,): multiplicities, at least 1 each; n is their sum.
        resamples: Number of samples.
        rng: Source of randomness.
        batch: Samples drawn at once; None for as many as keep a block near 8 MiB. Does not change what is
            drawn.

    Yields:
        Blocks of shape (b, u) of float64 counts, ``resamples`` rows in all.
    """
    n, u = int(counts.sum()), counts.size
    few = u * _BINOMIAL_COST <= n
    size = batch or max(1, CELLS // (u if few else n))
    owner = None if u == n else np.repeat(np.arange(u), counts)
    for start in range(0, resamples, size):
        rows = min(size, resamples - start)
        if few:
            yield rng.multinomial(n, counts / n, size=rows).astype(np.float64)
            continue
        drawn = rng.integers(0, n, size=(rows, n))
        if owner is not None:
            drawn = owner[drawn]
        drawn += np.arange(rows)[:, np.newaxis] * u
        yield np.bincount(drawn.ravel(), minlength=rows * u).reshape(rows, u).astype(np.float64)
