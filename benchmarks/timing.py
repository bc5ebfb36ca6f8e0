"""Process CPU seconds of two sides in turn, and how shares and passes are told."""

import statistics
import time
from collections.abc import Callable

from robust.predicting.metering import Meter
from robust.types import FloatArray


def cpu_seconds(work: Callable[[], object], *, repeat: int = 1) -> float:
    """CPU seconds of one call, from `repeat` calls in a row."""
    start = time.process_time()
    for _ in range(repeat):
        work()
    return (time.process_time() - start) / repeat


def alternate(
    ours: Callable[[], object], theirs: Callable[[], object], *, runs: int, repeat: int = 1
) -> tuple[float, float]:
    """Median CPU seconds of each side, run in turn after one call of each that is not counted."""
    ours(), theirs()
    pairs = [(cpu_seconds(ours, repeat=repeat), cpu_seconds(theirs)) for _ in range(runs)]
    return statistics.median(a for a, _ in pairs), statistics.median(b for _, b in pairs)


def listed(values: FloatArray) -> str:
    """Shares in one line."""
    return " ".join(f"{value:.3f}" for value in values)


def passes(meter: Meter, rows: int) -> str:
    """Passes a row, in words."""
    return f"{meter.forward_rows / rows:.2f} forward, {meter.backward_rows / rows:.2f} backward"
