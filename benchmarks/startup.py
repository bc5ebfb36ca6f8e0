"""Start-up: the command's help, a bare import, and what the plugin adds to an unrelated test run."""

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

RUNS = 7


def run() -> list[tuple[str, str]]:
    """Medians of wall-clock seconds of whole processes, in turn."""
    command = str(Path(sys.executable).parent / "robust")
    python = [sys.executable, "-P"]
    with tempfile.TemporaryDirectory() as folder:
        test = Path(folder) / "test_nothing.py"
        test.write_text("def test_nothing():\n    pass\n")
        pytest = [*python, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", folder, str(test)]
        wall = _medians(
            {
                "python -c pass": [*python, "-c", "pass"],
                "robust --help": [command, "--help"],
                "import robust": [*python, "-c", "import robust"],
                "pytest, one empty test, plugin off": [*pytest, "-p", "no:robust"],
                "pytest, one empty test, plugin on": pytest,
            },
            folder,
        )
        audits = _audits(command, folder)
    added = wall["pytest, one empty test, plugin on"] - wall["pytest, one empty test, plugin off"]
    return [
        *((f"{label}, wall s", f"{seconds:.3f}") for label, seconds in wall.items()),
        ("the plugin adds, ms (wanted: < 20)", f"{1e3 * added:.1f}"),
        *audits,
    ]


def _medians(commands: dict[str, list[str]], folder: str) -> dict[str, float]:
    """Median seconds of each command, all of them in turn."""
    seconds: dict[str, list[float]] = {label: [] for label in commands}
    for _ in range(RUNS):
        for label, command in commands.items():
            seconds[label].append(_wall(command, folder))
    return {label: statistics.median(values) for label, values in seconds.items()}


def _audits(command: str, folder: str) -> list[tuple[str, str]]:
    """The audit of each example, first without and then with its cache."""
    rows = []
    for example in ("digits", "diabetes", "sunspots"):
        run = [command, "audit", "--example", example]
        first, second = _wall(run, folder), _wall(run, folder)
        rows.append((f"audit of {example}, first, wall s", f"{first:.2f}"))
        rows.append((f"audit of {example}, second, wall s (ratio)", f"{second:.2f} ({first / second:.1f}x)"))
    return rows


def _wall(command: list[str], folder: str) -> float:
    start = time.perf_counter()
    subprocess.run(command, cwd=folder, capture_output=True, check=True)
    return time.perf_counter() - start
