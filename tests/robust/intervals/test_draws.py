import numpy as np
import pytest

from robust.errors import InvalidInput
from robust.intervals.draws import CELLS, check_multiplicities, draw_counts, generator


def drawn(counts, resamples, seed=0, batch=None):
    return np.concatenate(list(draw_counts(np.array(counts), resamples, generator(seed), batch=batch)))


@pytest.mark.parametrize("counts", [[900, 90, 10], [1] * 50, [3, 1, 2, 4]])
def test_each_sample_has_n_rows_and_the_moments_of_the_multinomial(counts):
    samples = drawn(counts, 20_000)
    n, shares = sum(counts), np.array(counts) / sum(counts)
    assert (samples.sum(axis=1) == n).all()
    assert (samples >= 0).all()
    error = np.sqrt(n * shares / 20_000)
    assert (np.abs(samples.mean(axis=0) - counts) < 5 * error).all()
    expected = n * (np.diag(shares) - np.outer(shares, shares))
    assert np.abs(np.cov(samples.T) - expected).max() < 0.05 * n * shares.max()


@pytest.mark.parametrize("counts", [[900, 90, 10], [1] * 50])
def test_the_size_of_a_block_does_not_change_what_is_drawn(counts):
    assert np.array_equal(drawn(counts, 300), drawn(counts, 300, batch=7))


def test_seeds_decide():
    assert np.array_equal(drawn([5, 5], 50, seed=3), drawn([5, 5], 50, seed=3))
    assert not np.array_equal(drawn([5, 5], 50, seed=3), drawn([5, 5], 50, seed=4))


def test_blocks_are_bounded():
    blocks = draw_counts(np.ones(10_000, dtype=np.int64), 1000, generator(0), batch=None)
    assert max(block.size for block in blocks) <= CELLS


@pytest.mark.parametrize("seed", [-1, 0.5, True, None])
def test_bad_seed(seed):
    with pytest.raises(InvalidInput, match="seed got"):
        generator(seed)


@pytest.mark.parametrize(
    ("counts", "message"),
    [
        ([], r"counts got shape \(0,\)"),
        ([[1]], r"counts got shape \(1, 1\)"),
        ([0, 1], "no whole number of at least 1"),
        ([1.5], "no whole number"),
        ([np.nan], "no whole number"),
        (["a"], "no whole number"),
    ],
)
def test_bad_multiplicities(counts, message):
    with pytest.raises(InvalidInput, match=message):
        check_multiplicities(np.array(counts))
