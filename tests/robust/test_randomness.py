"""Row-wise random numbers: the published generator, independent of batch and order, and random."""

import numpy as np
import pytest
from scipy import stats

from robust.errors import InvalidInput
from robust.randomness import row_uniform, row_words

MASK = 0xFFFFFFFFFFFFFFFF
GAMMA = 0x9E3779B97F4A7C15


def mix(word):
    """SplitMix64's output function in Python's own integers (Steele, Lea and Flood 2014)."""
    word = ((word ^ (word >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    word = ((word ^ (word >> 27)) * 0x94D049BB133111EB) & MASK
    return word ^ (word >> 31)


def splitmix(state, count):
    words = []
    for _ in range(count):
        state = (state + GAMMA) & MASK
        words.append(mix(state))
    return words


def reference(key, columns, *, seed, stream):
    base = mix((mix((seed + GAMMA) & MASK) + stream + GAMMA) & MASK)
    return splitmix(mix(mix((key + GAMMA) & MASK) ^ base), columns)


def test_the_reference_is_the_published_generator():
    # The first outputs of SplitMix64 from seed 0 and seed 1234567, as its public implementations list them.
    assert splitmix(0, 3) == [0xE220A8397B1DCDAF, 0x6E789E6AA1B965F4, 0x06C45D188009454F]
    assert splitmix(1234567, 3) == [6457827717110365317, 3203168211198807973, 9817491932198370423]


@pytest.mark.parametrize("seed", [0, 1, 2**64 - 1, 2**63, 2**70 + 3])
@pytest.mark.parametrize("stream", [0, 5])
def test_words_equal_the_reference(seed, stream):
    keys = [0, 1, 7, 2**63, MASK]
    words = row_words(np.array(keys, dtype=np.uint64), 4, seed=seed, stream=stream)
    assert words.dtype == np.uint64
    assert words.tolist() == [reference(key, 4, seed=seed & MASK, stream=stream) for key in keys]


def test_uniform_numbers_are_the_two_24_bit_parts_of_a_word():
    keys = np.arange(3, dtype=np.uint64)
    numbers = row_uniform(keys, 5, seed=2, stream=3)
    assert numbers.dtype == np.float32
    for i, key in enumerate(keys.tolist()):
        words = reference(key, 3, seed=2, stream=3)
        expected = [part / 2**24 for word in words for part in (word >> 40, (word >> 8) & 0xFFFFFF)]
        assert numbers[i].tolist() == expected[:5]


@pytest.mark.parametrize("batch", [1, 7, 255, 256, 257, 600])
def test_neither_batches_nor_order_nor_width_matter(batch):
    keys = np.arange(600)
    whole = row_uniform(keys, 9, seed=4, stream=1)
    parts = [row_uniform(keys[a : a + batch], 9, seed=4, stream=1) for a in range(0, 600, batch)]
    np.testing.assert_array_equal(np.concatenate(parts), whole)
    order = np.argsort(row_uniform(keys, 1, seed=0, stream=0)[:, 0])
    np.testing.assert_array_equal(row_uniform(keys[order], 9, seed=4, stream=1), whole[order])
    np.testing.assert_array_equal(row_uniform(keys, 4, seed=4, stream=1), whole[:, :4])


def test_edges():
    assert row_words(np.zeros(0, dtype=np.uint64), 3, seed=0, stream=0).shape == (0, 3)
    assert row_uniform(np.arange(2), 0, seed=0, stream=0).shape == (2, 0)
    np.testing.assert_array_equal(
        row_words(np.array([-1]), 2, seed=0, stream=0),
        row_words(np.array([MASK], dtype=np.uint64), 2, seed=0, stream=0),
    )


# The seeds are fixed: a generator that passes once passes always; chance alone would meet these bounds.
def test_bytes_are_uniform():
    words = row_words(np.arange(20_000), 8, seed=11, stream=0)
    counts = np.bincount(words.view(np.uint8).ravel(), minlength=256)
    assert 0.001 < stats.chisquare(counts).pvalue < 0.999
    for position in range(8):
        at = np.bincount(words.view(np.uint8).reshape(-1, 8)[:, position], minlength=256)
        assert stats.chisquare(at).pvalue > 1e-4


def test_means_of_rows_and_columns_are_those_of_uniform_numbers():
    numbers = row_uniform(np.arange(4_000), 64, seed=12, stream=0).astype(np.float64)
    assert numbers.min() >= 0
    assert numbers.max() < 1
    for axis, count in ((0, 4_000), (1, 64)):
        z = (numbers.mean(axis=axis) - 0.5) * np.sqrt(12 * count)
        assert stats.kstest(z, "norm").pvalue > 1e-3
    assert stats.kstest(numbers.ravel()[:50_000], "uniform").pvalue > 1e-3


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({"seed": 0, "stream": 0}, {"seed": 1, "stream": 0}),
        ({"seed": 0, "stream": 0}, {"seed": 0, "stream": 1}),
        ({"seed": 0, "stream": 1}, {"seed": 1, "stream": 0}),
    ],
)
def test_seeds_and_streams_are_uncorrelated(first, second):
    a, b = (row_uniform(np.arange(5_000), 16, **at).astype(np.float64).ravel() for at in (first, second))
    assert abs(np.corrcoef(a, b)[0, 1]) * np.sqrt(len(a)) < 3.9
    assert np.mean(a == b) < 1e-4


def test_neighbouring_rows_and_columns_are_uncorrelated():
    numbers = row_uniform(np.arange(5_000), 16, seed=13, stream=0).astype(np.float64)
    for a, b in ((numbers[1:], numbers[:-1]), (numbers[:, 1:], numbers[:, :-1])):
        assert abs(np.corrcoef(a.ravel(), b.ravel())[0, 1]) * np.sqrt(a.size) < 3.9


def test_no_word_comes_twice():
    words = row_words(np.arange(50_000), 8, seed=14, stream=0)
    assert len(np.unique(words)) == words.size


def test_the_checks_catch_a_bad_generator():
    """A row-wise linear congruential generator without mixing fails what the real one passes."""
    keys = np.arange(4_000, dtype=np.uint64)
    bad = keys[:, None] * np.uint64(GAMMA) + np.arange(64, dtype=np.uint64)[None, :]
    numbers = (bad >> np.uint64(40)).astype(np.float64) / 2**24
    z = (numbers.mean(axis=1) - 0.5) * np.sqrt(12 * 64)
    assert stats.kstest(z, "norm").pvalue < 1e-6


@pytest.mark.parametrize("seed", [1.5, -1, True, "1", None])
def test_a_seed_is_a_whole_number(seed):
    with pytest.raises(InvalidInput, match="a whole number of at least 0"):
        row_words(np.arange(3), 1, seed=seed, stream=0)
