"""Random numbers by seed and index: a row is the same for any batch size, number of rows and order of calls."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from robust.types import AnyArray, FloatArray, IntArray

#: Rows are made in blocks of at most so many, fewer where they are wide; a block is what one key draws.
_BLOCK, _CELLS = 2048, 1 << 17
_WORD = (1 << 64) - 1
#: The rows of a block take turns in these many styles.
TURNS = 8
#: Blocks of at least so many rows are whole multiples of it: kinds of odd values take turns, too.
ROUND = 4 * TURNS


@dataclass(frozen=True, slots=True, kw_only=True)
class Draws:
    """The random numbers of one block of rows.

    Philox is counter-based: the key is (seed, stream, purpose), the counter starts at the block.

    Source: Salmon, Moraes, Dror and Shaw (2011), SC '11, "Parallel random numbers: as easy as 1, 2, 3".

    Args:
        seed: The user's seed.
        stream: Tells the sorts of rows of one run apart.
        block: Which block.
        rows: Rows of a block.
    """

    seed: int
    stream: int
    block: int
    rows: int

    def words(self, count: int, purpose: int) -> IntArray:
        """Whole numbers 0 … 65535 (count,), uint16."""
        bits = np.random.Philox(key=self.seed << 64 | self.stream << 16 | purpose, counter=self.block << 128)
        # Four numbers from each word, which `random_raw` would give half as fast: random numbers would otherwise take
        # longer than a small network.
        words = np.random.Generator(bits).integers(0, _WORD, -(-count // 4), dtype=np.uint64, endpoint=True)
        found: IntArray = words.view(np.uint16)[:count]
        return found

    def uniform(self, columns: int, purpose: int, *, rows: int | None = None) -> FloatArray:
        """Numbers in [0, 1), multiples of 2⁻¹⁶ (rows, columns), float32; for all rows of the block, or for fewer."""
        shape = (self.rows if rows is None else rows, columns)
        return as_shares(self.words(shape[0] * columns, purpose)).reshape(shape)


def as_shares(words: IntArray) -> FloatArray:
    """Numbers in [0, 1), float32, from numbers 0 … 65535.

    >>> as_shares(np.array([0, 32768], dtype=np.uint16))
    array([0. , 0.5], dtype=float32)
    """
    shares: FloatArray = words.astype(np.float32)
    shares *= np.float32(2.0**-16)
    return shares


def block_rows(width: int) -> int:
    """Rows of a block of rows of d features: a multiple of `ROUND`, of `TURNS` where fewer fit.

    >>> block_rows(10), block_rows(1000), block_rows(3000), block_rows(10**6)
    (2048, 128, 32, 8)
    """
    fit = min(_BLOCK, _CELLS // max(width, 1))
    return fit // ROUND * ROUND or max(TURNS, fit // TURNS * TURNS)


@dataclass(slots=True)
class RowSource:
    """An endless run of random rows, of which any part can be taken.

    Args:
        make: From the numbers of a block to its rows (rows, d).
        width: d.
        seed: The user's seed.
        stream: Tells it apart from other sorts of rows.
        keep: Blocks that are kept, the latest.
    """

    make: Callable[[Draws], AnyArray]
    width: int
    seed: int
    stream: int
    keep: int = 1
    _kept: dict[int, AnyArray] = field(default_factory=dict, repr=False)

    def take(self, start: int, stop: int) -> AnyArray:
        """Rows start … stop − 1 (stop − start, d); not to be written to."""
        size = block_rows(self.width)
        if start >= stop:
            return self.block(start // size)[:0]
        parts = [
            self.block(block)[max(start - block * size, 0) : stop - block * size]
            for block in range(start // size, (stop - 1) // size + 1)
        ]
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def block(self, block: int) -> AnyArray:
        """All rows of a block (rows, d); not to be written to."""
        if block not in self._kept:
            draws = Draws(seed=self.seed, stream=self.stream, block=block, rows=block_rows(self.width))
            while len(self._kept) >= self.keep:
                del self._kept[next(iter(self._kept))]
            self._kept[block] = self.make(draws)
        return self._kept[block]
