"""The paired bootstrap of a difference of accuracies against scipy.stats.bootstrap."""

import tracemalloc
from collections.abc import Callable
from typing import Any

import numpy as np
from scipy import stats

from benchmarks.timing import alternate
from robust.intervals.bca import bca
from robust.intervals.interval import Interval
from robust.intervals.resampling import SmoothOfMeans, distinct

ROWS, RESAMPLES = 10_000, 10_000


def run() -> list[tuple[str, str]]:
    """10,000 rows, 10,000 resamples: whether each of two models is right, row by row.

    Ours counts the at most four distinct pairs of answers; scipy draws row indices. Shown twice: as a user has the
    data (two columns, `paired=True`), and with the differences taken beforehand, which suits scipy best.
    """
    rng = np.random.default_rng(0)
    before = rng.random(ROWS) < 0.92
    after = before ^ (rng.random(ROWS) < 0.02)
    columns = np.column_stack([before, after]).astype(np.float64)
    differences = columns[:, 0] - columns[:, 1]

    def ours() -> Interval:
        values, counts = distinct(columns)
        statistic = SmoothOfMeans(values, lambda means: means[:, 0] - means[:, 1])
        return bca(statistic, counts, level=0.95, seed=0, resamples=RESAMPLES)

    def ours_of_differences() -> Interval:
        values, counts = distinct(differences)
        return bca(SmoothOfMeans(values, lambda means: means[:, 0]), counts, level=0.95, seed=0, resamples=RESAMPLES)

    def theirs() -> Any:
        return _scipy((columns[:, 0], columns[:, 1]), lambda a, b, axis: a.mean(axis) - b.mean(axis), paired=True)

    def theirs_of_differences() -> Any:
        return _scipy((differences,), np.mean, paired=False)

    mine, default = alternate(ours, theirs, runs=3, repeat=10)
    mine_short, default_short = alternate(ours_of_differences, theirs_of_differences, runs=5, repeat=10)
    interval, reference = ours(), theirs().confidence_interval
    return [
        ("ours, CPU ms (of differences)", f"{1e3 * mine:.2f} ({1e3 * mine_short:.2f})"),
        ("ours, peak memory MB (wanted: < 5)", f"{_peak(ours) / 1e6:.2f}"),
        ("scipy.stats.bootstrap, its default BCa, CPU s (of differences)", f"{default:.2f} ({default_short:.2f})"),
        ("scipy's peak memory MB", f"{_peak(theirs) / 1e6:.0f}"),
        ("ratio (wanted: >= 500)", f"{default / mine:.0f}x"),
        ("ratio of differences", f"{default_short / mine_short:.0f}x"),
        ("ours, interval", f"{interval.lower:.6f} .. {interval.upper:.6f}"),
        ("scipy's interval, same level", f"{reference.low:.6f} .. {reference.high:.6f}"),
    ]


def _scipy(samples: tuple[Any, ...], statistic: Callable[..., Any], *, paired: bool) -> Any:
    """Scipy's bootstrap with its defaults, at a two-sided level that matches two one-sided bounds at 95 %."""
    return stats.bootstrap(
        samples,
        statistic,
        n_resamples=RESAMPLES,
        confidence_level=0.9,
        paired=paired,
        vectorized=True,
        rng=np.random.default_rng(0),
    )


def _peak(work: Callable[[], object]) -> int:
    """Peak bytes that numpy and Python allocated during one call."""
    tracemalloc.start()
    work()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak
