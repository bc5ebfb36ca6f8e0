"""The benchmarks can be started the two ways that are documented; what they measure is no test."""

import os
import shlex
import shutil
import subprocess
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.optimize import brentq
from torch import nn

ROOT = Path(__file__).resolve().parents[1]
NAMES = [
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
    assert "unknown benchmark ['nope']; known: auto_attack, bit_widths, black_box" in ended.stderr


@pytest.fixture
def peer():
    """The peer of the strongest cascade; the folder is not installed, so it is read from where it lies."""
    spec = spec_from_file_location("auto_attack_parts", ROOT / "benchmarks" / "auto_attack_parts.py")
    module = module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules[spec.name]


def test_the_peer_s_way_to_a_plane_is_the_shortest_inside_the_bounds(peer):
    rng = np.random.default_rng(0)
    x, slope = rng.uniform(size=(40, 1, 3, 3)), rng.normal(size=(40, 1, 3, 3))
    rise = rng.normal(size=40)
    rise[:3] = (0.0, 50.0, -50.0)  # nothing to do, and more than there is room for
    moves = peer.onto_plane(*(torch.from_numpy(part) for part in (x, slope, rise))).numpy()
    assert ((x + moves >= -1e-12) & (x + moves <= 1 + 1e-12)).all()
    for k in range(40):
        w = slope[k] * np.sign(rise[k])

        def gained(radius, k=k, w=w):
            far = np.clip(x[k] + radius * np.sign(w), 0, 1)
            return np.sum(w * (far - x[k])) - abs(rise[k])

        radius = brentq(gained, 0, 1) if gained(0.0) * gained(1.0) < 0 else (0.0 if rise[k] == 0 else 1.0)
        most = np.abs(np.clip(x[k] + radius * np.sign(w), 0, 1) - x[k]).max()
        assert np.abs(moves[k]).max() == pytest.approx(most, abs=1e-9)
        if abs(rise[k]) < 50:
            assert gained(1.0) < 0 or np.sum(slope[k] * moves[k]) == pytest.approx(rise[k], abs=1e-9)


def test_the_peer_asks_what_its_papers_ask_and_breaks_what_can_be_broken(peer, monkeypatch):
    assert peer.checkpoints(100) == {22, 41, 57, 70, 80, 87, 93, 99}
    assert (peer.STEPS, peer.TARGETS, peer.QUERIES) == (100, 9, 5000)
    monkeypatch.setattr(peer, "STEPS", 6)
    monkeypatch.setattr(peer, "QUERIES", 20)
    torch.manual_seed(0)
    net = nn.Sequential(nn.Flatten(), nn.Linear(9, 10)).eval()
    x = torch.rand(12, 1, 3, 3)
    y = net(x).argmax(dim=1)
    with torch.no_grad():
        gaps = net(x).gather(1, y[:, None]) - net(x)
        slopes = (net[1].weight[None] - net[1].weight[y][:, None]).abs().sum(dim=2)
        near = torch.where(slopes > 0, gaps / slopes, torch.inf).amin(dim=1)  # to the nearest boundary, without bounds
    eps = float(near.min()) / 2
    asked = peer.Asked(net=net)
    held = peer.standard(asked, x, y, eps)
    assert all(rows.all() for rows in held.values())
    assert asked.passes == 12 * (1 + 2 * 7 + 9 * (1 + 2 * 7) + 9 * (1 + 3 * 6) + 20)
    assert asked.idle == 0
    gone = peer.standard(peer.Asked(net=net), x, y, 1.0)
    assert not gone["APGD-T"].any()
    assert (gone["APGD-T"] <= gone["APGD-CE"]).all()
