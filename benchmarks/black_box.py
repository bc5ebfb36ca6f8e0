"""Black-box attacks: noise and HopSkipJump against foolbox, what Square's queries buy, and trees searched exactly."""

import copy
import time

import foolbox
import numpy as np
import torch
from sklearn.datasets import load_digits
from sklearn.ensemble import GradientBoostingClassifier, RandomForestClassifier
from torch import nn

from benchmarks.fgsm_curve import images, trained
from benchmarks.timing import alternate, listed
from robust.attacks.base import unit_space
from robust.attacks.hop_skip_jump import HopSkipJump
from robust.attacks.noise import RandomNoise
from robust.attacks.random_search import RandomSearch
from robust.attacks.square import Square
from robust.attacks.target import Target, aim
from robust.attacks.tree_attack import TreeAttack
from robust.data.live import as_data
from robust.models.base import Model
from robust.models.conversion import as_model
from robust.predicting.metering import metered
from robust.types import FloatArray, IntArray

BUDGETS = [0.05, 0.10, 0.15, 0.20, 0.25, 0.30, 0.35, 0.40, 0.45, 0.50]
ROWS, FEW, DRAWS, RUNS = 250, 100, 100, 3
NEAR = 8  # rows of the HopSkipJump comparison


def run() -> list[tuple[str, str]]:
    """A CNN of 28 × 28 inputs, plain and adversarially trained; forests of 8 × 8 inputs."""
    torch.set_num_threads(1)
    x, y = images()
    lines: list[tuple[str, str]] = []
    for name, budget in (("plain", 0.0), ("adversarially trained", 0.2)):
        net = trained(x, y, budget=budget)
        for rows in (ROWS, FEW):
            lines += noise(name, net, x[:rows], y[:rows])
        lines += squares(name, net, x[:ROWS], y[:ROWS])
        lines += labels(name, net, x[:NEAR], y[:NEAR])
    return lines + trees()


def noise(name: str, net: nn.Module, x: FloatArray, y: IntArray) -> list[tuple[str, str]]:
    """100 draws at ten budgets: one sweep against a run a budget."""
    target = _right(as_model(net, output="logits", batch_size=250), x, y)
    x, y = target.data.x, target.y
    peer = foolbox.PyTorchModel(net, bounds=(0, 1), device="cpu")
    attack = foolbox.attacks.LinfRepeatedAdditiveUniformNoiseAttack(repeats=DRAWS)
    rows, classes = torch.from_numpy(x.copy()), torch.from_numpy(y.copy())

    def ours() -> FloatArray:
        return RandomNoise(draws=DRAWS).sweep(target, BUDGETS, seed=0).survived[1:].mean(axis=1)

    def theirs() -> FloatArray:
        return 1.0 - attack(peer, rows, classes, epsilons=BUDGETS)[2].numpy().mean(axis=1)

    mine, other = alternate(ours, theirs, runs=RUNS)
    with metered() as meter:
        curve = ours()
    return [
        (f"{name}: noise, {DRAWS} draws x 10 eps, {len(y)} rows, CPU s", f"{mine:.3f}"),
        (f"{name}: foolbox, {len(y)} rows, CPU s", f"{other:.3f}"),
        (f"{name}: ratio, {len(y)} rows (wanted: >= 8)", f"{other / mine:.2f}x"),
        (f"{name}: forward passes a row (foolbox: 1020)", f"{meter.forward_rows / len(y):.1f}"),
        (f"{name}: accuracy under noise", listed(curve)),
        (f"{name}: foolbox's", listed(theirs())),
    ]


def squares(name: str, net: nn.Module, x: FloatArray, y: IntArray) -> list[tuple[str, str]]:
    """Robust accuracy for a number of queries, at one budget."""
    target = _right(as_model(net, output="logits", batch_size=250), x, y)
    lines = []
    for attack in (RandomNoise(eps=0.15, draws=1000), Square(eps=0.15, queries=100), Square(eps=0.15, queries=1000)):
        start = time.process_time()
        with metered() as meter:
            held = _held(attack, target)
        cost = f"{meter.forward_rows / len(target):.0f} forward a row, {time.process_time() - start:.1f} CPU s"
        queries = getattr(attack, "queries", 1000)
        lines.append((f"{name}: {type(attack).__name__}, at most {queries} queries, eps .15", f"{held:.3f} ({cost})"))
    return lines


def labels(name: str, net: nn.Module, x: FloatArray, y: IntArray) -> list[tuple[str, str]]:
    """Median l2 distance that HopSkipJump finds, in batches of 1 and of all rows."""
    lines = []
    for batch in (1, NEAR):
        model = as_model(net, output="logits", batch_size=batch)
        target = _right(model, x, y)
        attack = HopSkipJump(norm="l2", steps=5, draws=50)
        with metered() as meter:
            walk = attack._walk(target, unit_space(attack, target, [1.0]), seed=0, enough=0.0)
        cost = f"{meter.forward_rows / len(target):.0f} answers a row"
        lines.append((f"{name}: HopSkipJump, 5 steps, batches of {batch}", f"{np.median(walk.best):.3f} ({cost})"))
    peer = foolbox.PyTorchModel(copy.deepcopy(net), bounds=(0, 1), device="cpu")
    other = foolbox.attacks.HopSkipJumpAttack(steps=5, initial_gradient_eval_steps=50)
    rows, classes = torch.from_numpy(target.data.x.copy()), torch.from_numpy(target.y.copy())
    for batch in (1, NEAR):
        torch.manual_seed(0)
        np.random.seed(0)  # noqa: NPY002 - the peer draws from the global generators
        found = torch.cat(
            [other(peer, *part, epsilons=None)[1] for part in zip(rows.split(batch), classes.split(batch), strict=True)]
        )
        far = (found - rows).flatten(1).norm(dim=1).median()
        lines.append((f"{name}: foolbox's, batches of {batch}", f"{float(far):.3f}"))
    return lines


def trees() -> list[tuple[str, str]]:
    """Forests of digits: what random search finds, what reading the trees finds, and what is exact."""
    source = load_digits()
    x, y = source.data / 16.0, source.target
    lines = []
    forests = (RandomForestClassifier(30, max_depth=8), GradientBoostingClassifier(n_estimators=20, max_depth=3))
    for forest in forests:
        model = as_model(forest.set_params(random_state=0).fit(x[500:], y[500:]))
        target = _right(model, x[:40], y[:40])
        for attack in (
            RandomSearch(eps=0.03, queries=200),
            TreeAttack(eps=0.03, exact=False),
            TreeAttack(eps=0.03, exact=True),
        ):
            start = time.process_time()
            held = _held(attack, target)
            seconds = (time.process_time() - start) / len(target)
            kind = "" if not isinstance(attack, TreeAttack) else ", exact" if attack.exact else ", greedy"
            label = f"{type(forest).__name__}: {type(attack).__name__}{kind}, eps .03, {len(target)} rows"
            lines.append((label, f"{held:.3f} ({seconds:.2f} CPU s a row)"))
    return lines


def _right(model: Model, x: FloatArray, y: IntArray) -> Target:
    """The rows that the model gets right."""
    target = aim(model, as_data(x, y, schema={"bounds": (0, 1)}))
    return target.part(~target.wrong(target.scores(target.x), slice(None)))


def _held(attack: RandomNoise | Square | RandomSearch | TreeAttack, target: Target) -> float:
    """Share of rows that hold."""
    found = attack.perturb(target.caller.model, target.data)
    held = ~target.wrong(target.scores(found.reshape(len(target), -1)), slice(None))
    return float(held.mean())
