"""Random numbers that belong to a row: the same for any batch size, row order and shard count.

SplitMix64 (Steele, Lea and Flood 2014, "Fast splittable pseudorandom number generators", with variant 13 of
Stafford's mixers, 2011) as a counter-based generator: the word at (seed, row, stream, column) is
mix(key(seed, row, stream) + (column + 1)·γ), γ = 0x9E3779B97F4A7C15, that is, word number `column` of the
published generator started at key(seed, row, stream) = mix(mix(row + γ) xor mix(mix(seed + γ) + stream + γ)).
"""

from numbers import Integral

import numpy as np

from robust.errors import InvalidInput
from robust.types import AnyArray, FloatArray, IntArray

_GAMMA = np.uint64(0x9E3779B97F4A7C15)
_BLOCK = 256  # rows at a time: the words of a block stay in the cache


def _mix(word: IntArray) -> IntArray:
    """SplitMix64's output function on 64-bit words, in place: temporaries would double its time."""
    word ^= word >> np.uint64(30)
    word *= np.uint64(0xBF58476D1CE4E5B9)
    word ^= word >> np.uint64(27)
    word *= np.uint64(0x94D049BB133111EB)
    word ^= word >> np.uint64(31)
    return word


def read_seed(seed: object) -> int:
    """Check a user's seed.

    Raises:
        InvalidInput: If it is no whole number of at least 0.
    """
    if isinstance(seed, bool) or not isinstance(seed, Integral) or int(seed) < 0:
        raise InvalidInput(f"seed got {seed!r}; a whole number of at least 0 would be right")
    return int(seed)


def row_words(row_keys: AnyArray, columns: int, *, seed: int, stream: int | IntArray) -> IntArray:
    """Uniform 64-bit words.

    Args:
        row_keys: One key a row (n,), e.g. `Dataset.row_keys()`.
        columns: Words a row.
        seed: The user's seed.
        stream: Separates uses under one seed (a restart, a step); one for all rows, or one each (n,).

    Returns:
        Words (n, columns), uint64.

    Raises:
        InvalidInput: If the seed is no whole number of at least 0.

    >>> int(row_words(np.array([7]), 3, seed=0, stream=0)[0, 2]) == int(
    ...     row_words(np.array([9, 7]), 3, seed=0, stream=0)[1, 2]
    ... )
    True
    """
    keys: IntArray = np.asarray(row_keys).astype(np.uint64)
    start = np.array([read_seed(seed) & 0xFFFFFFFFFFFFFFFF], dtype=np.uint64)
    each = np.array([stream & 0xFFFFFFFFFFFFFFFF] if isinstance(stream, int) else stream, dtype=np.uint64)
    with np.errstate(over="ignore"):
        base = _mix(_mix(start + _GAMMA) + each + _GAMMA)
        keys = _mix(_mix(keys + _GAMMA) ^ base)
        return _mix(keys[:, None] + np.arange(1, columns + 1, dtype=np.uint64)[None, :] * _GAMMA)


def row_uniform(row_keys: AnyArray, columns: int, *, seed: int, stream: int | IntArray) -> FloatArray:
    """Uniform numbers in [0, 1) with 24 bits, two from each word.

    Args:
        row_keys: One key a row (n,).
        columns: Numbers a row.
        seed: The user's seed.
        stream: Separates uses under one seed; one for all rows, or one each (n,).

    Returns:
        Numbers (n, columns), float32; each a multiple of 2⁻²⁴, so exact in float32.
    """
    keys = np.asarray(row_keys)
    words = (columns + 1) // 2
    numbers = np.empty((len(keys), 2 * words), dtype=np.float32)
    scale = np.float32(2.0**-24)
    for start in range(0, len(keys), _BLOCK):
        part = slice(start, start + _BLOCK)
        block = row_words(keys[part], words, seed=seed, stream=stream if isinstance(stream, int) else stream[part])
        # The upper half of each word first, 24 bits of either.
        halves = block.astype("<u8", copy=False).view("<u4")
        halves >>= 8
        numbers[part].reshape(len(block), words, 2)[...] = halves.reshape(len(block), words, 2)[:, :, ::-1]
        numbers[part] *= scale
    return numbers[:, :columns]
