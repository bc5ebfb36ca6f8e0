"""Installs the built wheel into an empty environment and runs the audit there, outside the checkout.

Usage: python tests/wheel_check.py DIST_FOLDER ENVIRONMENT_FOLDER CONSTRAINTS
"""

import json
import os
import subprocess
import sys
import tempfile
import venv
from pathlib import Path


def main(dist: Path, environment: Path, constraints: Path) -> None:
    """Install with the base dependencies, audit what needs no extra; add the ONNX and torch extras, audit digits."""
    wheel = next(dist.glob("robust_gates-*.whl")).resolve()
    venv.create(environment, with_pip=True, clear=True)
    python = environment.resolve() / "bin" / "python"
    install = [python, "-m", "pip", "install", "--quiet", "--constraint", constraints.resolve()]
    subprocess.run([*install, wheel], check=True)
    with tempfile.TemporaryDirectory() as folder:
        # With the base alone: scikit-learn examples run, and ONNX names the extra that is missing.
        for example in ("diabetes", "sunspots"):
            _audit(python, folder, "--example", example)
        refused = _run(python, folder, "audit", "--example", "digits")
        if refused.returncode != 2 or "robust-gates[onnx]" not in refused.stderr:
            raise SystemExit(f"digits without the extra must name it, got {refused.returncode}: {refused.stderr}")
        subprocess.run([*install, f"{wheel}[all]"], check=True)
        _audit(python, folder)
        tested = subprocess.run(
            [python, "-P", "-m", "pytest", "-q", "-p", "no:cacheprovider", str(_gate_file(Path(folder)))],
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
        )
        if tested.returncode != 0 or "robustness gates" not in tested.stdout:
            raise SystemExit(f"the plugin of the wheel did not work:\n{tested.stdout}{tested.stderr}")
    print("wheel: three audits and a gate in an empty environment")


def _audit(python: Path, folder: str, *arguments: str) -> None:
    done = _run(python, folder, "audit", *arguments)
    if done.returncode != 0:
        raise SystemExit(
            f"robust audit {' '.join(arguments)} ended with {done.returncode}:\n{done.stdout}{done.stderr}"
        )
    record = json.loads((Path(folder) / "robust-report" / "record.json").read_text())
    if not record["entries"] or not (Path(folder) / "robust-report" / "report.html").is_file():
        raise SystemExit(f"robust audit {' '.join(arguments)} left no report")


def _run(python: Path, folder: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    command = [str(python.parent / "robust"), *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, env=environment)


def _gate_file(folder: Path) -> Path:
    path = folder / "test_gate.py"
    path.write_text(
        "from robust import degradation, load_data, load_model, percent\n"
        "from robust.examples.catalogue import example_path\n"
        "digits = example_path('digits')\n"
        "def test_int8_costs_less_than_one_percent():\n"
        "    float_model = load_model(digits / 'float.onnx', output='logits')\n"
        "    int8_model = load_model(digits / 'int8.onnx', output='logits')\n"
        "    assert degradation(float_model, int8_model, load_data(digits / 'test.npz')) < percent(1)\n"
    )
    return path


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]))
