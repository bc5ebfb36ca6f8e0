"""A PGD curve at ten budgets, and PGD at one, against foolbox's LinfPGD with 40 steps, same model, same process."""

import statistics

import foolbox
import numpy as np
import torch
from torch import nn

from benchmarks.fgsm_curve import BUDGETS, images, trained
from benchmarks.timing import cpu_seconds, listed, passes
from robust.attacks.accuracy_curve import robustness_curve
from robust.attacks.base import adversarial_rows
from robust.attacks.pgd import PGD
from robust.attacks.target import Target, aim
from robust.data.live import as_data
from robust.models.conversion import as_model
from robust.predicting.metering import metered
from robust.predicting.settings import Settings, using
from robust.types import FloatArray, IntArray

ROWS, BATCH, RUNS, STEPS = 500, 250, 3, 40
#: The single budget: about half of the rows that are right hold there.
ONE = {"plain": 0.08, "adversarially trained": 0.12}


def run() -> list[tuple[str, str]]:
    """A CNN of 28 × 28 inputs, plain and adversarially trained, on rows that it was trained on."""
    torch.set_num_threads(1)
    x, y = images()
    return [
        line
        for name, budget in (("plain", 0.0), ("adversarially trained", 0.2))
        for line in compare(name, trained(x, y, budget=budget), x[:ROWS], y[:ROWS])
    ]


def compare(name: str, net: nn.Module, x: FloatArray, y: IntArray) -> list[tuple[str, str]]:
    """Both sides on one model, in turn: accuracies, passes, CPU seconds."""
    model = as_model(net, output="logits", batch_size=BATCH)
    data = as_data(x, y, schema={"bounds": (0, 1)})
    peer = foolbox.PyTorchModel(net, bounds=(0, 1), device="cpu")
    batches = list(zip(torch.from_numpy(x).split(BATCH), torch.from_numpy(y).split(BATCH), strict=True))

    def theirs(budgets: list[float]) -> FloatArray:
        torch.manual_seed(0)
        attack = foolbox.attacks.LinfPGD(steps=STEPS)
        held = [~attack(peer, rows, labels, epsilons=budgets)[2].numpy() for rows, labels in batches]
        return np.concatenate(held, axis=1).mean(axis=1)

    def ours() -> FloatArray:
        with using(Settings()):  # an empty cache, so that every call computes
            return robustness_curve(model, data, PGD(), eps=BUDGETS).values

    def search() -> FloatArray:
        return PGD().sweep(aim(model, data), BUDGETS, seed=0).survived[1:].mean(axis=1)

    def single() -> float:
        with using(Settings()):
            target: Target = aim(model, data)
            right = np.flatnonzero(~target.wrong(target.scores(target.x), slice(None)))
            part = target.part(right)
            found = adversarial_rows(PGD(eps=ONE[name]), part, seed=0)
            return float((~part.wrong(part.scores(found), slice(None))).sum()) / len(target)

    seconds: dict[str, list[float]] = {"ours": [], "theirs": [], "search": [], "single": [], "their single": []}
    search()
    for _ in range(RUNS):
        seconds["ours"].append(cpu_seconds(ours))
        seconds["theirs"].append(cpu_seconds(lambda: theirs(BUDGETS)))
        seconds["search"].append(cpu_seconds(search))
        seconds["single"].append(cpu_seconds(single))
        seconds["their single"].append(cpu_seconds(lambda: theirs([ONE[name]])))
    cpu = {side: statistics.median(times) for side, times in seconds.items()}
    with metered() as meter:
        curve = search()
    with metered() as whole:
        ours()
    with metered() as one:
        held = single()
    peers, their_held = theirs(BUDGETS), float(theirs([ONE[name]])[0])
    return [
        (f"{name}: robustness_curve, {ROWS} rows, CPU s", f"{cpu['ours']:.3f}"),
        (f"{name}: foolbox, batches of {BATCH}, CPU s", f"{cpu['theirs']:.3f}"),
        (f"{name}: ratio (wanted: >= 12)", f"{cpu['theirs'] / cpu['ours']:.1f}x"),
        (f"{name}: ratio of the search alone", f"{cpu['theirs'] / cpu['search']:.1f}x"),
        (f"{name}: passes a row, foolbox 410 forward and 400 backward", passes(meter, ROWS)),
        (f"{name}: passes a row with the self-checks", passes(whole, ROWS)),
        (f"{name}: robust accuracy", listed(curve)),
        (f"{name}: foolbox's", listed(peers)),
        (f"{name}: most that ours lies above (wanted: <= 0.002)", f"{(curve - peers).max():.4f}"),
        (f"{name}: one budget, ratio (wanted: >= 1)", f"{cpu['their single'] / cpu['single']:.2f}x"),
        (f"{name}: one budget, passes a row", passes(one, ROWS)),
        (f"{name}: one budget, ours and foolbox's accuracy", f"{held:.3f} {their_held:.3f}"),
    ]
