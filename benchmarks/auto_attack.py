"""`thorough` against AutoAttack's standard version: robust accuracy and passes, one schedule for all models.

A pass is a row that goes through the model, forwards or backwards. The peer is in `auto_attack_parts`.
"""

import warnings
from collections.abc import Callable
from dataclasses import dataclass

import foolbox
import numpy as np
import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.auto_attack_parts import Asked, standard
from robust.attacks.accuracy_under_attack import robust_accuracy
from robust.attacks.rungs import plan, run_ladder
from robust.attacks.target import aim
from robust.data.live import as_data
from robust.models.conversion import as_model
from robust.predicting.metering import metered
from robust.predicting.settings import Settings, using

HELD_OUT = 400


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """A network, the budgets at which it keeps a fifth to seven tenths of its rows, and how many are attacked."""

    name: str
    build: Callable[[Tensor, Tensor], nn.Module]
    budgets: tuple[float, ...]
    rows: int


def run() -> list[tuple[str, str]]:
    """Four architectures on 8 × 8 digits that they have not seen: plain, adversarially trained, and two that mask."""
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    x, y = images()
    lines: list[tuple[str, str]] = []
    for subject in SUBJECTS:
        net = subject.build(x[HELD_OUT:], y[HELD_OUT:])
        lines += compare(subject, net, x[: subject.rows], y[: subject.rows])
    return lines


def images() -> tuple[Tensor, Tensor]:
    """scikit-learn's digits in [0, 1], and their classes."""
    digits = load_digits()
    return torch.from_numpy((digits.images / 16).astype(np.float32))[:, None], torch.from_numpy(digits.target).long()


def trained(
    net: nn.Module, x: Tensor, y: Tensor, *, epochs: int, rate: float = 2e-3, heat: float = 1.0, budget: float = 0.0
) -> nn.Module:
    """A network after some epochs on logits divided by `heat`; with a budget, on rows of seven steps of PGD."""
    torch.manual_seed(0)
    optimizer = torch.optim.Adam(net.parameters(), lr=rate)
    for _ in range(epochs):
        for rows in torch.randperm(len(x)).split(64):
            batch = moved(net, x[rows], y[rows], budget) if budget else x[rows]
            optimizer.zero_grad()
            functional.cross_entropy(net(batch) / heat, y[rows]).backward()
            optimizer.step()
    return net.eval()


def moved(net: nn.Module, x: Tensor, y: Tensor, budget: float) -> Tensor:
    """Adversarial rows to train on."""
    now = (x + torch.empty_like(x).uniform_(-budget, budget)).clamp(0, 1)
    for _ in range(7):
        now = now.detach().requires_grad_()
        (slope,) = torch.autograd.grad(functional.cross_entropy(net(now), y), now)
        now = (now + 2.5 / 7 * budget * slope.sign()).clamp(x - budget, x + budget).clamp(0, 1)
    return now.detach()


def plain(x: Tensor, y: Tensor) -> nn.Module:
    """A CNN with pooling."""
    torch.manual_seed(0)
    front = (nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(16, 32, 3, padding=1), nn.ReLU())
    return trained(nn.Sequential(*front, nn.Flatten(), nn.Linear(512, 10)), x, y, epochs=15)


def adversarial(x: Tensor, y: Tensor) -> nn.Module:
    """A dense network, adversarially trained."""
    torch.manual_seed(0)
    layers = (nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 64), nn.ReLU(), nn.Linear(64, 10))
    return trained(nn.Sequential(nn.Flatten(), *layers), x, y, epochs=40, budget=0.15)


def distilled(x: Tensor, y: Tensor) -> nn.Module:
    """A CNN trained at temperature 100 and used at 1: its cross-entropy is 0 in single precision, and so its slope."""
    torch.manual_seed(1)
    front = (nn.Conv2d(1, 24, 3), nn.ELU(), nn.AvgPool2d(2), nn.Flatten())
    return trained(nn.Sequential(*front, nn.Linear(216, 10)), x, y, epochs=60, rate=5e-3, heat=100.0)


def saturated(x: Tensor, y: Tensor) -> nn.Module:
    """A dense network whose hidden sigmoids are made 25 times as steep after training: most of them have no slope."""
    torch.manual_seed(2)
    steep = _Times(8.0)
    net = nn.Sequential(nn.Flatten(), nn.Linear(64, 100), steep, nn.Sigmoid(), nn.Linear(100, 10))
    trained(net, x, y, epochs=30, rate=3e-3)
    steep.factor *= 25
    return net


class _Times(nn.Module):
    """Multiplies by a number."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, x: Tensor) -> Tensor:
        """Multiply."""
        return x * self.factor


SUBJECTS = (
    Subject(name="plain CNN", build=plain, budgets=(0.08, 0.11, 0.13), rows=200),
    Subject(name="adversarially trained MLP", build=adversarial, budgets=(0.12, 0.16, 0.2), rows=400),
    Subject(name="distilled CNN", build=distilled, budgets=(0.07, 0.09, 0.12), rows=200),
    Subject(name="saturated MLP", build=saturated, budgets=(0.06, 0.08, 0.1), rows=400),
)


def compare(subject: Subject, net: nn.Module, x: Tensor, y: Tensor) -> list[tuple[str, str]]:
    """Both sides at each budget: accuracies, passes a row, and their ratios."""
    n = len(x)
    model = as_model(net, output="logits", batch_size=250)
    data = as_data(x.numpy(), y.numpy(), schema={"bounds": (0, 1)})
    lines = []
    for eps in subject.budgets:
        torch.manual_seed(0)
        peer = Asked(net=net)
        theirs = standard(peer, x, y, eps)
        with using(Settings()), metered() as meter:
            target = aim(model, data)
            right = ~target.wrong(target.scores(target.x), slice(None))
            part = target.part(right)
            ladder = plan(part, attack=None, eps=eps, norm="linf", strength="thorough")
            held = int((~run_ladder(ladder, part, seed=0).broken).sum())
        with using(Settings()), metered() as whole:
            checked = robust_accuracy(model, data, eps=eps, strength="thorough").value
        mine = (meter.forward_rows + meter.backward_rows) / n
        left = {name: f"{int(rows.sum()) / n:.4f}" for name, rows in theirs.items()}
        ours, their = held / n, float(left["Square"])
        title = f"{subject.name}, eps {eps}, {n} rows"
        lines += [
            (f"{title}: ours, AutoAttack's robust accuracy", f"{ours:.4f} {their:.4f}"),
            ("  ours above it (wanted: <= 0.005)", f"{ours - their:+.4f}"),
            ("  passes a row: ours, its", f"{mine:.0f} {peer.passes / n:.0f}"),
            ("  ratio (wanted: <= 0.2)", f"{mine * n / peer.passes:.3f}"),
            ("  ratio, were its broken rows let go at once", f"{mine * n / (peer.passes - peer.idle):.3f}"),
            (
                "  robust_accuracy with its self-checks: share, ratio",
                f"{checked:.4f} {(whole.forward_rows + whole.backward_rows) / peer.passes:.3f}",
            ),
            ("  AutoAttack after APGD-CE, APGD-T, FAB-T, Square", " ".join(left.values())),
            ("  foolbox's PGD-40, best of five restarts", f"{best_of_five(net, x, y, eps):.4f}"),
        ]
    return lines


def best_of_five(net: nn.Module, x: Tensor, y: Tensor, eps: float) -> float:
    """Share of rows that hold against five random starts of foolbox's PGD: what the peer must not leave more than."""
    subject = foolbox.PyTorchModel(net, bounds=(0, 1), device="cpu")
    held = subject(x).argmax(dim=1) == y
    for restart in range(5):
        torch.manual_seed(restart)
        held &= ~foolbox.attacks.LinfPGD(steps=40)(subject, x, y, epsilons=eps)[2]
    return float(held.float().mean())
