"""The benchmarks can be started the two ways that are documented; what they measure is no test."""

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
NAMES = [
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
]


def run(*arguments, threads):
    """Python in the checkout, with or without the threads that spare it a second start."""
    env = {key: value for key, value in os.environ.items() if key not in ("OMP_NUM_THREADS", "PYTHONPATH")}
    env |= {} if threads is None else {"OMP_NUM_THREADS": threads}
    return subprocess.run([sys.executable, *arguments], cwd=ROOT, env=env, capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize("threads", [None, "4", "1"])
def test_they_start_also_where_threads_must_be_pinned_first(threads):
    ended = run("-m", "benchmarks", "--list", threads=threads)
    assert (ended.returncode, ended.stdout.split()) == (0, NAMES), ended.stderr


@pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")
def test_they_start_as_make_starts_them():
    # Not as a part of the make that may run these tests, which would say what folder it enters and leaves.
    env = {key: value for key, value in os.environ.items() if key not in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS")}
    recipe = ["make", "--no-print-directory", "--dry-run", "--assume-old=.venv/installed", "bench"]
    told = subprocess.run(recipe, cwd=ROOT, env=env, capture_output=True, text=True, timeout=60, check=True).stdout
    _, *arguments = shlex.split(told.strip().splitlines()[-1])
    assert "benchmarks" in arguments
    ended = run(*arguments, "--list", threads="1")
    assert (ended.returncode, ended.stdout.split()) == (0, NAMES), ended.stderr


def test_each_is_a_file_and_an_unknown_one_is_named():
    assert all((ROOT / "benchmarks" / f"{name}.py").is_file() for name in NAMES)
    ended = run("-m", "benchmarks", "nope", threads=None)
    assert ended.returncode == 2
    assert "unknown benchmark ['nope']; known: bit_widths, black_box, certified" in ended.stderr
