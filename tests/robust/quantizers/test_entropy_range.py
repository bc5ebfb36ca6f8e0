import numpy as np
import pytest
from onnxruntime.quantization.calibrate import HistogramCollector

from robust.quantizers.entropy_range import entropy_range

RNG = np.random.default_rng(0)
SAMPLES = {
    "normal": RNG.normal(size=20_000),
    "heavy": RNG.standard_t(3, size=20_000),
    "laplace": RNG.laplace(size=20_000),
    "outlier": np.append(RNG.normal(size=20_000), 40.0),
    "uniform": RNG.uniform(-1, 1, size=20_000),
}


def histogram(values, bins=512):
    top = float(np.abs(values).max())
    return np.histogram(values, bins, range=(-top, top))


def plain(counts, levels):
    """The definition, bin by bin."""
    bins, best, found = len(counts), np.inf, None
    for half in range(levels // 2, bins // 2 + 1):
        start, end = bins // 2 - half, min(bins // 2 + half + 1, bins)
        inside = [float(count) for count in counts[start:end]]
        p = list(inside)
        p[0] += sum(counts[:start])
        p[-1] += sum(counts[end:])
        width = max(len(inside) // levels, 1)
        q = [0.0] * len(inside)
        groups = [list(range(i * width, (i + 1) * width)) for i in range(min(levels, len(inside)))]
        groups[-1] = list(range(groups[-1][0], len(inside)))
        for group in groups:
            filled = [i for i in group if p[i] > 0]
            for i in filled:
                q[i] = sum(inside[j] for j in group) / len(filled)
        kept = [(a, max(b, 1e-4)) for a, b in zip(p, q, strict=True) if a > 0]
        sums = [sum(side) for side in zip(*kept, strict=True)]
        gap = sum(a / sums[0] * np.log(a / sums[0] / (b / sums[1])) for a, b in kept)
        if gap < best - 1e-12:
            best, found = gap, (start, end)
    return found


@pytest.mark.parametrize("name", SAMPLES)
def test_it_is_the_definition_bin_by_bin(name):
    counts, _ = histogram(SAMPLES[name], bins=96)
    assert entropy_range(counts, levels=16) == plain(counts, 16)


@pytest.mark.parametrize("name", ["normal", "heavy", "laplace", "outlier"])
def test_it_is_near_that_of_onnxruntime(name):
    counts, edges = histogram(SAMPLES[name].astype(np.float32))
    collector = HistogramCollector("entropy", False, 512, 128, 99.0, "same")
    far = np.float32(1e9)
    with np.errstate(all="ignore"):
        _, high = collector.get_entropy_threshold((counts, edges.astype(np.float32), -far, far), 128)
    _, end = entropy_range(counts)
    inside = [np.mean(np.abs(SAMPLES[name]) <= limit) for limit in (edges[end], high)]
    assert inside[0] == pytest.approx(inside[1], abs=1e-3)


def test_an_outlier_is_cut_off_and_a_flat_histogram_is_not():
    counts, edges = histogram(SAMPLES["outlier"], bins=1024)
    assert edges[entropy_range(counts)[1]] < 10
    counts, edges = histogram(SAMPLES["uniform"], bins=1024)
    assert edges[entropy_range(counts)[1]] > 0.98


def test_as_many_bins_as_levels_leave_no_choice():
    counts, _ = histogram(SAMPLES["heavy"], bins=128)
    assert entropy_range(counts) == (0, 128)


def test_the_number_of_values_changes_nothing():
    counts, _ = histogram(SAMPLES["heavy"], bins=255)
    assert entropy_range(counts * 10, levels=32) == entropy_range(counts, levels=32)


def test_no_values_at_all_have_the_whole_range():
    assert entropy_range(np.zeros(64, dtype=np.int64), levels=16) == (0, 64)
