"""Share of a fuzz's CPU seconds that is spent inside the model: digits CNN in torch and ONNX, a random forest."""

import statistics
import time
from collections.abc import Callable

import numpy as np
import onnxruntime
import torch
from sklearn.ensemble import RandomForestClassifier

from robust.data.dataset import Dataset
from robust.data.live import as_data
from robust.data.loading import load_data
from robust.examples.catalogue import example_path
from robust.fuzzing import subject as subjects
from robust.fuzzing import subject_onnx, subject_torch
from robust.fuzzing.random_attack import fuzz
from robust.models.conversion import as_model
from robust.models.loading import load_model

RUNS = 5


def run() -> list[tuple[str, str]]:
    """Each model on one thread; the share of the median run."""
    torch.set_num_threads(1)
    folder = example_path("digits")
    images = load_data(folder / "test.npz", schema={"bounds": (0, 1)})
    flat = as_data(images.x.reshape(len(images), -1), images.targets, schema={"bounds": (0, 1)})
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        (folder / "float.onnx").read_bytes(), settings, providers=["CPUExecutionProvider"]
    )
    net = load_model(folder / "net.safetensors", factory="robust.examples.digits_torch:small_cnn", output="logits")
    forest = RandomForestClassifier(100, random_state=0).fit(flat.x, flat.targets)
    return [
        *shares("digits CNN, torch", net, images, n=40_000),
        *shares("digits CNN, ONNX", as_model(session, output="logits"), images, n=100_000),
        *shares("random forest of 100 trees", as_model(forest), flat, n=5_000),
    ]


def shares(name: str, model: object, data: Dataset, *, n: int) -> list[tuple[str, str]]:
    """Rows a second and the share inside the model, by process CPU seconds."""
    fuzz(model, data, n=2_000)
    found = [counted(lambda: fuzz(model, data, n=n)) for _ in range(RUNS)]
    whole, inside = statistics.median(a for a, _ in found), statistics.median(b / a for a, b in found)
    return [
        (f"{name}: {n:,} rows, CPU s", f"{whole:.2f}"),
        (f"{name}: rows a CPU second", f"{n / whole:,.0f}"),
        (f"{name}: share inside the model (wanted: >= 0.80)", f"{inside:.3f}"),
    ]


def counted(work: Callable[[], object]) -> tuple[float, float]:
    """CPU seconds of a fuzz, and of its calls of the model: its own clock, which is of the wall, is replaced.

    All work is done in one thread, whose clock is the cheaper one to read: it is read twice a call.
    """
    clocks = (subject_onnx, subject_torch, subjects)
    kept = [module.perf_counter for module in clocks]
    for module in clocks:
        module.perf_counter = time.thread_time  # type: ignore[attr-defined]
    try:
        start = time.thread_time()
        found = work()
        spent = time.thread_time() - start
    finally:
        for module, clock in zip(clocks, kept, strict=True):
            module.perf_counter = clock  # type: ignore[attr-defined]
    wall: float = np.asarray(getattr(found, "inside_model", 0.0)) * getattr(found, "seconds", 0.0)
    return spent, float(wall)
