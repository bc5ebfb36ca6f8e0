"""The paired bootstrap of a difference of accuracies against scipy.stats.bootstrap."""

import tracemalloc
from collections.abc import Callable

import numpy as np
from scipy import stats

from benchmarks.timing import alternate
from robust.intervals.bca import bca
from robust.intervals.interval import Interval
from robust.intervals.resampling import SmoothOfMeans, distinct

ROWS, RESAMPLES = 10_000, 10_000


def run() -> list[tuple[str, str]]:
    """10,000 rows, 10,000 resamples of the same differences: counts of distinct values against scipy's row indices."""
    rng = np.random.default_rng(0)
    before = rng.random(ROWS) < 0.92
    after = before ^ (rng.random(ROWS) < 0.02)
    differences = before.astype(np.float64) - after

    def ours() -> Interval:
        values, counts = distinct(differences)
        statistic = SmoothOfMeans(values, lambda means: means[:, 0])
        return bca(statistic, counts, level=0.95, seed=0, resamples=RESAMPLES)

    def theirs(method: str) -> Callable[[], object]:
        return lambda: stats.bootstrap(
            (differences,),
            np.mean,
            n_resamples=RESAMPLES,
            confidence_level=0.9,
            method=method,
            rng=np.random.default_rng(0),
        )

    mine, default = alternate(ours, theirs("BCa"), runs=3, repeat=10)
    _, percentile = alternate(ours, theirs("percentile"), runs=3, repeat=10)
    interval, reference = ours(), theirs("BCa")().confidence_interval
    return [
        ("ours, CPU ms", f"{1e3 * mine:.2f}"),
        ("ours, peak memory MB", f"{_peak(ours) / 1e6:.2f}"),
        ("scipy.stats.bootstrap, BCa (its default), CPU s", f"{default:.2f}"),
        ("scipy.stats.bootstrap, percentile, CPU s", f"{percentile:.2f}"),
        ("scipy's peak memory MB (percentile)", f"{_peak(theirs('percentile')) / 1e6:.0f}"),
        ("ratio to BCa (wanted: >= 500)", f"{default / mine:.0f}x"),
        ("ratio to percentile", f"{percentile / mine:.0f}x"),
        ("ours, interval", f"{interval.lower:.6f} .. {interval.upper:.6f}"),
        ("scipy's interval, same level", f"{reference.low:.6f} .. {reference.high:.6f}"),
    ]


def _peak(work: Callable[[], object]) -> int:
    """Peak bytes that numpy and Python allocated during one call."""
    tracemalloc.start()
    work()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak
