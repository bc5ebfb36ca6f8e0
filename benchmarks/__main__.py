"""Prints the benchmark table.

Every ratio is measured in one process, one thread, by process CPU seconds, the two sides in turn, and the median
is shown: these figures survive a noisy machine, wall-clock seconds do not. Start-up is wall clock by nature.

Usage: python -m benchmarks [fgsm_curve] [paired_bootstrap] [startup]
"""

import os
import sys
from importlib import import_module

NAMES = ("classification_metrics", "fgsm_curve", "paired_bootstrap", "startup")


def main(names: tuple[str, ...]) -> None:
    """Run the named benchmarks, or all."""
    unknown = set(names) - set(NAMES)
    if unknown:
        raise SystemExit(f"unknown benchmark {sorted(unknown)}; known: {', '.join(NAMES)}")
    for name in names or NAMES:
        print(f"\n{name}")
        for label, value in import_module(f"benchmarks.{name}").run():
            print(f"  {label:<58} {value}", flush=True)


if __name__ == "__main__":
    # Threads of BLAS and OpenMP are read when the libraries are loaded, so they are pinned before that.
    if os.environ.get("OMP_NUM_THREADS") != "1":
        pinned = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
        os.execve(sys.executable, [sys.executable, "-P", "-m", "benchmarks", *sys.argv[1:]], pinned)
    main(tuple(sys.argv[1:]))
