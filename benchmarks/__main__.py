"""Prints the benchmark table.

Every ratio is measured in one process, one thread, by process CPU seconds, the two sides in turn, and the median
is shown: these figures survive a noisy machine, wall-clock seconds do not. Start-up is wall clock by nature.

Usage, in the folder that holds benchmarks/: python -m benchmarks [--list] [classification_metrics] [fgsm_curve] …
"""

import argparse
import os
import sys
from importlib import import_module

NAMES = (
    "auto_attack",
    "bit_widths",
    "black_box",
    "certified",
    "classification_metrics",
    "fgsm_curve",
    "fuzz",
    "layer_errors",
    "minimal_norm",
    "paired_bootstrap",
    "pgd_curve",
    "startup",
)


def main(arguments: list[str]) -> None:
    """Run the named benchmarks, or all."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--list", action="store_true", help="name the benchmarks and end")
    parser.add_argument("names", nargs="*", help=f"which to run, of {', '.join(NAMES)}; all where none is named")
    given = parser.parse_args(arguments)
    if unknown := set(given.names) - set(NAMES):
        parser.error(f"unknown benchmark {sorted(unknown)}; known: {', '.join(NAMES)}")
    if given.list:
        print(*NAMES, sep="\n")
        return
    for name in given.names or NAMES:
        print(f"\n{name}")
        for label, value in import_module(f"benchmarks.{name}").run():
            print(f"  {label:<58} {value}", flush=True)


if __name__ == "__main__":
    # Threads of BLAS and OpenMP are read when the libraries are loaded, so they are pinned before that. Without -P, as
    # the first time: this folder is found because it lies here.
    if os.environ.get("OMP_NUM_THREADS") != "1":
        pinned = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
        os.execve(sys.executable, [sys.executable, "-m", "benchmarks", *sys.argv[1:]], pinned)
    main(sys.argv[1:])
