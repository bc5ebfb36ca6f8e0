"""An FGSM curve at ten budgets against foolbox's LinfFastGradientAttack(epsilons=[…]), same model, same process."""

import statistics

import foolbox
import numpy as np
import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.nn import functional

from benchmarks.timing import alternate, cpu_seconds, listed, passes
from robust.attacks.accuracy_curve import robustness_curve
from robust.attacks.fgsm import FGSM
from robust.attacks.target import aim
from robust.data.live import as_data
from robust.models.conversion import as_model
from robust.predicting.metering import metered
from robust.predicting.settings import Settings, using
from robust.types import FloatArray, IntArray

BUDGETS = [0.02, 0.04, 0.06, 0.08, 0.10, 0.12, 0.14, 0.16, 0.18, 0.20]
ROWS, RUNS = 1500, 5


def run() -> list[tuple[str, str]]:
    """A CNN of 28 × 28 inputs, plain and adversarially trained, on the rows that it was trained on."""
    torch.set_num_threads(1)
    x, y = images()
    return [
        line
        for name, budget in (("plain", 0.0), ("adversarially trained", 0.2))
        for line in compare(name, trained(x, y, budget=budget), x[:ROWS], y[:ROWS])
    ]


def images() -> tuple[FloatArray, IntArray]:
    """scikit-learn's digits, enlarged to 28 × 28, in [0, 1]."""
    digits = load_digits()
    small = torch.from_numpy((digits.images / 16).astype(np.float32))[:, None]
    large = functional.interpolate(small, size=(28, 28), mode="bilinear", align_corners=False)
    return large.numpy(), digits.target.astype(np.int64)


def trained(x: FloatArray, y: IntArray, *, budget: float) -> nn.Module:
    """A small CNN after eight epochs; with a budget, on single-step adversarial rows from random starts."""
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Conv2d(1, 16, 4, stride=2, padding=1),
        nn.ReLU(),
        nn.Conv2d(16, 32, 4, stride=2, padding=1),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(32 * 7 * 7, 100),
        nn.ReLU(),
        nn.Linear(100, 10),
    )
    optimizer = torch.optim.Adam(net.parameters(), lr=2e-3)
    inputs, labels = torch.from_numpy(x), torch.from_numpy(y)
    for _ in range(8):
        for rows in torch.randperm(len(inputs)).split(64):
            batch = inputs[rows]
            if budget:
                start = batch + torch.empty_like(batch).uniform_(-budget, budget)
                start = start.clamp(0, 1).requires_grad_()
                (slope,) = torch.autograd.grad(functional.cross_entropy(net(start), labels[rows]), start)
                moved = start.detach() + 1.25 * budget * slope.sign()
                batch = torch.maximum(torch.minimum(moved, batch + budget), batch - budget).clamp(0, 1)
            optimizer.zero_grad()
            functional.cross_entropy(net(batch), labels[rows]).backward()
            optimizer.step()
    return net.eval()


def compare(name: str, net: nn.Module, x: FloatArray, y: IntArray) -> list[tuple[str, str]]:
    """Both sides on one model: accuracies, passes, CPU seconds."""
    model = as_model(net, output="logits", batch_size=250)
    data = as_data(x, y, schema={"bounds": (0, 1)})
    peer = foolbox.PyTorchModel(net, bounds=(0, 1), device="cpu")
    attack = foolbox.attacks.LinfFastGradientAttack()
    batches = list(zip(torch.from_numpy(x).split(250), torch.from_numpy(y).split(250), strict=True))

    def search() -> FloatArray:
        return FGSM().sweep(aim(model, data), BUDGETS, seed=0).survived[1:].mean(axis=1)

    def ours() -> FloatArray:
        with using(Settings()):  # an empty cache, so that every call computes
            return robustness_curve(model, data, FGSM(), eps=BUDGETS).values

    def theirs() -> FloatArray:
        held = [~attack(peer, rows, labels, epsilons=BUDGETS)[2].numpy() for rows, labels in batches]
        return np.concatenate(held, axis=1).mean(axis=1)

    mine, other = alternate(ours, theirs, runs=RUNS)
    bare = statistics.median(cpu_seconds(search) for _ in range(RUNS))
    with metered() as meter:
        curve = search()
    with metered() as whole:
        ours()
    peers = theirs()
    return [
        (f"{name}: robustness_curve, {ROWS} rows, CPU s", f"{mine:.3f}"),
        (f"{name}: foolbox, batches of 250, CPU s", f"{other:.3f}"),
        (f"{name}: ratio (wanted: >= 3.5)", f"{other / mine:.2f}x"),
        (f"{name}: ratio of the search alone", f"{other / bare:.2f}x"),
        (f"{name}: passes a row, foolbox 20 forward and 10 backward", passes(meter, ROWS)),
        (f"{name}: passes a row with the self-checks", passes(whole, ROWS)),
        (f"{name}: robust accuracy", listed(curve)),
        (f"{name}: foolbox's (its loss saturates)", listed(peers)),
        (f"{name}: most that ours lies above foolbox's", f"{(curve - peers).max():.4f}"),
    ]
