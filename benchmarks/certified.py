"""Rows a second that are proved, and the bracket of the shipped digits network between proof and attack."""

import numpy as np
import torch
from sklearn.datasets import load_breast_cancer
from sklearn.ensemble import RandomForestClassifier

from benchmarks.timing import cpu_seconds
from robust.attacks.accuracy_under_attack import robust_accuracy
from robust.attacks.pgd import PGD
from robust.certified.accuracy_proved import certified_accuracy
from robust.certified.bracketing import bracket
from robust.certified.smoothing import smoothed_accuracy
from robust.data.dataset import Dataset
from robust.data.live import as_data
from robust.data.loading import load_data
from robust.examples.catalogue import example_path
from robust.examples.digits_torch import small_cnn
from robust.measurement import Measurement
from robust.models.base import Model
from robust.models.conversion import as_model
from robust.predicting.settings import Settings, using

ROWS, FEW = 719, 100


def run() -> list[tuple[str, str]]:
    """Each method on the digits network, a forest, and the bracket at three budgets."""
    torch.set_num_threads(1)
    model, data = digits()
    lines = [
        speed("interval bounds, digits CNN, eps 0.01", ROWS, lambda: proved(model, data, 0.01, "interval")),
        speed(
            "linear bounds of every row, digits CNN, eps 0.01", FEW, lambda: proved(model, few(data), 0.01, "linear")
        ),
        speed("both, digits CNN, eps 0.01", ROWS, lambda: proved(model, data, 0.01, None)),
        speed("1,000 noisy draws, digits CNN", FEW, lambda: smoothed_accuracy(model, few(data), eps=0.1, sigma=0.15)),
        forest(),
    ]
    for eps in (0.01, 0.03, 0.1):
        with using(Settings()):
            found = bracket(proved(model, data, eps, None), robust_accuracy(model, data, attack=PGD(eps=eps)))
        ends = f"{found.certified.value:.4f} .. {found.attacked.value:.4f}"
        lines.append((f"digits CNN, eps {eps}: certified .. attacked (n = {ROWS})", ends))
    return lines


def digits() -> tuple[Model, Dataset]:
    """The shipped network and its test rows."""
    from safetensors.torch import load_file

    folder, net = example_path("digits"), small_cnn()
    net.load_state_dict(load_file(folder / "net.safetensors"))
    rows = load_data(folder / "test.npz")
    return as_model(net.eval(), output="logits"), as_data(rows.x, rows.y, schema={"bounds": (0, 1)})


def few(data: Dataset) -> Dataset:
    """The first rows."""
    return data.rows(np.arange(FEW))


def proved(model: Model, data: Dataset, eps: float, method: str | None) -> Measurement:
    """A certified accuracy by one method."""
    if method == "interval":
        return certified_accuracy(model, data, eps=eps, method="interval")
    return certified_accuracy(model, data, eps=eps, method="linear" if method else None)


def forest() -> tuple[str, str]:
    """Leaf boxes of a forest."""
    x, y = load_breast_cancer(return_X_y=True)
    model = RandomForestClassifier(100, random_state=0).fit(x, y)
    return speed("100 trees of a random forest, 569 rows", len(x), lambda: certified_accuracy(model, (x, y), eps=0.1))


def speed(name: str, rows: int, work: object) -> tuple[str, str]:
    """Rows a CPU second, and what was certified."""
    found: list[Measurement] = []

    def once() -> None:
        with using(Settings()):  # an empty cache, so that every call computes
            found.append(work())  # type: ignore[operator]

    once()
    seconds = cpu_seconds(once)
    return name, f"{rows / seconds:,.0f} rows/s, certified {found[-1].value:.4f}"
